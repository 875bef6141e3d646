"""PyMoDAQ itself reads and continues our files, we its files, and viewers find what to plot."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood.fileio.pymodaq.saver import H5SaverLowLevel

peer = pytest.importorskip("pymodaq_data.h5modules.saving", reason="the peer, pymodaq_data, is not installed")
pytest.importorskip("tables", reason="the peer's backend PyTables is not installed")
nxdata = pytest.importorskip("silx.io.nxdata", reason="silx is not installed")
nexus = pytest.importorskip("nexusformat.nexus", reason="nexusformat is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # what the peer and PyTables warn of
BACKENDS = ["h5py", "tables"]
GROWING = {
    "enlargeable": "/RawData/Data_logger000/Detector000/Data0D/CH00/EnlData00",
    "strings": "/RawData/Logger",
}


def peer_saver(path: Path, backend: str, mode: str = "a") -> Any:
    saver = peer.H5SaverLowLevel(backend=backend)
    saver.init_file(path, mode=mode)
    return saver


def our_file(path: Path, compression: bool = False) -> H5SaverLowLevel:
    saver = H5SaverLowLevel("detector")
    if compression:
        saver.define_compression("gzip", 5)
    saver.init_file(path, new_file=True, metadata={"author": "somebody", "run": 7})
    group = saver.add_det_group(
        saver.raw_group, title="Det 00", settings_as_xml='<All_settings type="group" />'
    )
    saver.add_array(group, "axis00", "axis", np.arange(4.0), data_dimension="Data1D",
                    metadata={"label": "t", "units": "s", "index": 1})  # fmt: skip
    saver.add_array(group, "enlData00", "data_enlargeable", enlargeable=True, array_type=np.float32,
                    data_shape=(4,), data_dimension="Data1D", title="trace")  # fmt: skip
    points = saver.add_array(group, "points", "data_enlargeable", enlargeable=True, data_dimension="Data0D")
    saver.add_array(group, "flags", "data", np.array([True, False]), data_dimension="Data1D")
    for row in range(5):
        saver.get_node(group, "EnlData00").append(np.full(4, row, "f4"))
        points.append(np.array([float(row)]))
        saver.add_log(f"row {row} é")
    return saver


@pytest.mark.parametrize("compression", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_peer_reads_our_file_without_writing(tmp_path, backend, compression) -> None:
    path = tmp_path / "ours.h5"
    our_file(path, compression).close_file()
    path.chmod(0o444)
    before = path.read_bytes()
    theirs = peer_saver(path, backend, "r")
    node = theirs.get_node("/RawData/Detector000/EnlData00")
    assert type(node).__name__ == "EARRAY"
    assert node.attrs["shape"] == (5, 4)
    assert np.array_equal(node.read(), np.repeat(np.arange(5.0), 4).reshape(5, 4))
    assert node.attrs["nav_indexes"] == (0,)
    assert str(theirs.get_node("/RawData/Detector000/Axis00").attrs["units"]) == "s"
    assert theirs.get_node("/RawData/Logger").read() == [f"row {row} é" for row in range(5)]
    assert theirs.get_node("/RawData").attrs["run"] == 7
    assert len(list(theirs.walk_nodes("/"))) == 8
    theirs.close_file()
    assert path.read_bytes() == before


@pytest.mark.parametrize("compression", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_peer_continues_our_file(tmp_path, backend, compression) -> None:
    path = tmp_path / "ours.h5"
    our_file(path, compression).close_file()
    theirs = peer_saver(path, backend)
    theirs.get_node("/RawData/Detector000/EnlData00").append(np.full(4, 9, "f4"))
    theirs.get_node("/RawData/Detector000/Points").append(np.array([9.0]))
    theirs.add_log("theirs")
    theirs.add_det_group("/RawData", title="another")
    theirs.close_file()
    with_us = H5SaverLowLevel()
    with_us.init_file(path)
    node = with_us.get_node("/RawData/Detector000/EnlData00")
    node.append(np.full(4, 10, "f4"))
    with_us.add_log("ours")
    assert node.read()[:, 0].tolist() == [0, 1, 2, 3, 4, 9, 10]
    assert with_us.get_node("/RawData/Detector000/Points").read().tolist() == [0, 1, 2, 3, 4, 9]
    assert with_us.logger_array.read()[-2:] == ["theirs", "ours"]
    assert with_us.add_det_group("/RawData").name == "Detector002"
    with_us.close_file()


@pytest.mark.parametrize("reading", BACKENDS)
@pytest.mark.parametrize("written", BACKENDS)
@pytest.mark.parametrize("family", GROWING)
def test_rows_appended_to_golden_files(golden_pymodaq, tmp_path, family, written, reading) -> None:
    path = tmp_path / "copy.h5"
    shutil.copy(golden_pymodaq / f"{family}_{written}.h5", path)
    path.chmod(0o644)
    ours = H5SaverLowLevel()
    ours.init_file(path)
    node = ours.get_node(GROWING[family])
    old = list(node.read())
    new = "text" if family == "strings" else np.full(node.shape[1:], 77.0)
    node.append(new)
    ours.close_file()
    theirs = peer_saver(path, reading)
    seen = theirs.get_node(GROWING[family])
    assert seen.attrs["shape"][0] == len(old) + 1
    rows = list(seen.read())
    assert all(np.array_equal(one, other) for one, other in zip(rows, [*old, new], strict=True))
    seen.append(new)
    theirs.close_file()
    ours.init_file(path, mode="r")
    assert len(ours.get_node(GROWING[family]).read()) == len(old) + 2
    ours.close_file()


@pytest.mark.parametrize("backend", BACKENDS)
def test_attribute_values_reach_the_peer(tmp_path, backend) -> None:
    values = {
        "a": 5, "b": 2.5, "c": "it's", "d": (1, 2), "e": [1, "x"], "f": None, "g": True, "h": b"\x00\xff",
        "i": np.int64(3), "j": np.float32(0.5), "k": np.arange(3), "l": float("inf"), "units": "1",
    }  # fmt: skip
    ours = H5SaverLowLevel()
    ours.init_file(tmp_path / "ours.h5", new_file=True, metadata=values)
    ours.close_file()
    theirs = peer_saver(tmp_path / "ours.h5", backend, "r")
    seen = theirs.get_node("/RawData").attrs
    for name, value in values.items():
        expected = value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value
        assert seen[name] == expected
    theirs.close_file()


def test_a_finished_swmr_file_is_an_ordinary_one(tmp_path) -> None:
    path = tmp_path / "swmr.h5"
    ours = H5SaverLowLevel()
    ours.init_file(path, new_file=True, swmr_mode=True)
    node = ours.add_array("/RawData", "e", "data_enlargeable", enlargeable=True, data_dimension="Data0D")
    ours.enable_swmr()
    for row in range(10):
        node.append(np.array([float(row)]))
        ours.tick_flush()
    ours.close_file()
    for rows, backend in enumerate(BACKENDS, 10):
        theirs = peer_saver(path, backend)
        assert theirs.get_node("/RawData/E").attrs["shape"] == (rows,)
        theirs.get_node("/RawData/E").append(np.array([1.0]))
        theirs.close_file()


def test_the_peer_follows_a_live_file(tmp_path) -> None:
    path = tmp_path / "swmr.h5"
    ours = H5SaverLowLevel()
    ours.init_file(path, new_file=True, swmr_mode=True)
    node = ours.add_array("/RawData", "e", "data_enlargeable", enlargeable=True, data_dimension="Data0D")
    ours.enable_swmr()
    node.append(np.arange(10.0))
    ours.flush()
    code = (
        "import sys; from pymodaq_data.h5modules import open_h5_file_for_reading as look\n"
        "file, swmr = look(sys.argv[1], swmr=True)\nprint(swmr, file['/RawData/E'].shape)"
    )
    seen = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(path)], capture_output=True, text=True
    )
    assert seen.stdout.strip().splitlines()[-1] == "True (10,)", seen.stderr
    ours.close_file()


def test_viewers_find_the_plot(tmp_path) -> None:
    path = tmp_path / "ours.h5"
    ours = H5SaverLowLevel("detector")
    ours.init_file(path, new_file=True)
    group = ours.add_det_group("/RawData")
    ours.add_array(group, "axis00", "axis", np.linspace(0, 1, 8), data_dimension="Data1D",
                   metadata={"label": "time", "units": "ms"})  # fmt: skip
    ours.add_array(group, "data00", "data", np.arange(8.0), data_dimension="Data1D", metadata={"units": "V"})
    ours.add_array(group, "data01", "data", np.arange(8.0) * 2, data_dimension="Data1D")
    ours.close_file()
    import h5py

    with h5py.File(path, "r") as file:
        plot = nxdata.get_default(file)
        assert plot is not None
        assert plot.is_valid
        assert plot.axes_names == ["time"]
        assert plot.signal.name == "/RawData/Detector000/Data00"
        assert plot.auxiliary_signals_dataset_names == ["Data01"]
        assert plot.axes[0].name == "/RawData/Detector000/Axis00"
    with nexus.nxopen(str(path), "r") as root:
        plotted = root.plottable_data
        assert plotted.nxsignal.nxname == "Data00"
        assert [axis.nxname for axis in plotted.nxaxes] == ["Axis00"]
