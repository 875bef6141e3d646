"""The data layer and pymodaq_data: each loads what the other saves, by both of its backends."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood.fileio.pymodaq.axes import Axis
from sapwood.fileio.pymodaq.data_export import DataToExport
from sapwood.fileio.pymodaq.data_export_saving import (
    DataToExportEnlargeableSaver,
    DataToExportExtendedSaver,
    DataToExportSaver,
    DataToExportTimedSaver,
)
from sapwood.fileio.pymodaq.data_objects import DataRaw
from sapwood.fileio.pymodaq.loader import DataLoader
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel

BACKENDS = ("h5py", "tables")

PEER = """
    import json, sys, warnings
    warnings.simplefilter("ignore")
    from pathlib import Path
    import numpy as np
    from pymodaq_data.data import Axis, DataRaw, DataToExport
    from pymodaq_data.h5modules.data_saving import (
        DataLoader, DataToExportEnlargeableSaver, DataToExportExtendedSaver, DataToExportSaver,
        DataToExportTimedSaver)
    from pymodaq_data.h5modules.saving import H5SaverLowLevel

    def plain(arrays):
        return [np.nan_to_num(array, nan=-1).tolist() for array in arrays]

    folder = Path(sys.argv[1])
    seen = {}
    for backend in ("h5py", "tables"):
        saver = H5SaverLowLevel(backend=backend)
        saver.init_file(folder / "ours.h5", mode="r")
        loader = DataLoader(saver)
        for node in saver.walk_nodes("/RawData"):
            if node.attrs.get("data_type", None) not in ("data", "data_enlargeable"):
                continue
            data = loader.load_data(node)
            seen[f"{backend} {node.path}"] = {
                "name": data.name, "units": str(data.units), "origin": data.origin, "labels": data.labels,
                "nav": list(data.nav_indexes), "distribution": data.distribution.name,
                "values": plain(data.data),
                "errors": None if data.errors is None else plain(data.errors),
                "axes": sorted([a.index, a.spread_order, a.label, str(a.units), a.get_data().tolist()]
                               for a in data.axes),
            }
        less = loader.load_data("/RawData/Detector000/Data1D/CH00/Data00", with_bkg=True, load_all=True)
        seen[f"{backend} background"] = [a.tolist() for a in less]
        saver.close_file()

    own = [Axis("t", "s", data=np.arange(4.0) * 0.1)]
    def point(k, when=0.0):
        one = DataRaw("one", data=[np.arange(4.0) + k], labels=["s"], units="V", axes=[own[0].copy()],
                      origin="D", errors=[np.ones(4)])
        zero = DataRaw("zero", data=[np.array([float(k)])], units="K", origin="D")
        dte = DataToExport("p", data=[one, zero])
        dte.timestamp = when
        return dte
    for backend in ("h5py", "tables"):
        saver = H5SaverLowLevel(backend=backend)
        saver.init_file(folder / f"theirs_{backend}.h5", new_file=True)
        detector = saver.add_det_group("/RawData", "Det")
        keeper = DataToExportSaver(saver)
        keeper.add_data(detector, point(3))
        background = point(1)
        for data in background:
            data.errors = None
        keeper.add_bkg(detector, background)
        scan = saver.add_scan_group()
        keeper = DataToExportExtendedSaver(saver, (2, 3))
        keeper.add_nav_axes(scan, [Axis("x", "mm", data=np.arange(2.0), index=0),
                                   Axis("y", "mm", data=np.array([0.0, 1.0, 5.0]), index=1)])
        for i in range(2):
            for j in range(3):
                keeper.add_data(scan, point(10 * i + j), (i, j))
        log = saver.add_generic_group(group_type="data_logger")
        keeper = DataToExportTimedSaver(saver)
        for k in range(4):
            keeper.add_data(log, point(k, 100.0 + k))
        best = saver.add_generic_group(group_type="optimizer")
        keeper = DataToExportEnlargeableSaver(saver, ["u", "v"], ["m", "K"])
        for k in range(4):
            keeper.add_data(best, point(k), axis_values=[np.cos(k), np.sin(k)])
        saver.close_file()
    print("RESULT" + json.dumps(seen))
"""


def point(k: float, when: float = 0.0, errors: bool = True) -> DataToExport:
    one = DataRaw(
        "one",
        data=[np.arange(4.0) + k],
        labels=["s"],
        units="V",
        axes=[Axis("t", "s", data=np.arange(4.0) * 0.1)],
        origin="D",
        errors=[np.ones(4)] if errors else None,
    )
    zero = DataRaw("zero", data=[np.array([float(k)])], units="K", origin="D")
    return DataToExport("p", data=[one, zero], timestamp=when)


def write_ours(path: Path) -> None:
    saver = H5SaverLowLevel.from_file(path, new_file=True)
    detector = saver.add_det_group("/RawData", "Det")
    keeper = DataToExportSaver(saver)
    keeper.add_data(detector, point(3))
    keeper.add_bkg(detector, point(1))
    scan = saver.add_scan_group()
    extended = DataToExportExtendedSaver(saver, (2, 3))
    y = Axis("y", "mm", data=np.array([0.0, 1.0, 5.0]), index=1)
    extended.add_nav_axes(scan, [Axis("x", "mm", data=np.arange(2.0)), y])
    for i in range(2):
        for j in range(3):
            extended.add_data(scan, point(10 * i + j), (i, j))
    spread = saver.add_scan_group()
    extended = DataToExportExtendedSaver(saver, (3,))
    extended.add_nav_axes(spread, [Axis(n, "m", data=np.array([3.0, 1, 2]) + i, spread_order=i)
                                   for i, n in enumerate("ab")])  # fmt: skip
    for i in range(3):
        extended.add_data(spread, point(i), (i,), distribution="spread")
    log = saver.add_generic_group(group_type="data_logger")
    timed = DataToExportTimedSaver(saver)
    for k in range(4):
        timed.add_data(log, point(k, 100.0 + k))
    best = saver.add_generic_group(group_type="optimizer")
    growing = DataToExportEnlargeableSaver(saver, ["u", "v"], ["m", "K"])
    for k in range(4):
        growing.add_data(best, point(k), axis_values=[np.cos(k), np.sin(k)])
    saver.close_file()


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Our file as the peer loads it, and the folder with it and the peer's files."""
    if importlib.util.find_spec("pymodaq_data") is None:
        pytest.skip("pymodaq_data, the judge, is not installed")
    folder = tmp_path_factory.mktemp("exchange")
    write_ours(folder / "ours.h5")
    before = (folder / "ours.h5").read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PEER), str(folder)],
        capture_output=True, text=True, check=False, timeout=110,
        env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert (folder / "ours.h5").read_bytes() == before
    return folder, json.loads(done.stdout.partition("RESULT")[2])


def _close(one: Any, two: Any) -> bool:
    return bool(np.allclose(np.nan_to_num(one, nan=-1), np.nan_to_num(two, nan=-1)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_peer_loads_what_we_save(exchange: tuple[Path, dict[str, Any]], backend: str) -> None:
    folder, seen = exchange
    theirs = {key.partition(" ")[2]: facts for key, facts in seen.items() if key.startswith(f"{backend} /")}
    assert len(theirs) == 10
    with DataLoader(folder / "ours.h5") as loader:
        for path, facts in theirs.items():
            data = loader.load_data(path)
            assert (facts["name"], facts["units"], facts["origin"]) == (data.name, data.units, data.origin)
            assert facts["labels"] == data.labels
            assert (tuple(facts["nav"]), facts["distribution"]) == (data.nav_indexes, data.distribution.name)
            assert _close(facts["values"], data.data), path
            assert (facts["errors"] is None) == (data.errors is None), path
            assert data.errors is None or _close(facts["errors"], data.errors)
            axes = sorted([axis.index, axis.spread_order, axis.label, axis.units] for axis in data.axes)
            assert [axis[:4] for axis in facts["axes"]] == axes
            ours = sorted(data.axes, key=lambda axis: (axis.index, axis.spread_order))
            for theirs_axis, axis in zip(facts["axes"], ours, strict=True):
                assert _close(theirs_axis[4], axis.data)
    assert seen[f"{backend} background"] == [[2.0] * 4]


@pytest.mark.parametrize("backend", BACKENDS)
def test_we_load_what_the_peer_saves(exchange: tuple[Path, dict[str, Any]], backend: str) -> None:
    folder, _ = exchange
    with DataLoader(folder / "ours.h5") as ours, DataLoader(folder / f"theirs_{backend}.h5") as theirs:
        pairs = [("Detector000",) * 2, ("Scan000",) * 2, ("Data_logger000",) * 2, ("Optimizer000",) * 2]
        for mine, other in pairs:
            wanted = {data.name: data for data in ours.load_all(f"/RawData/{mine}")}
            loaded = {data.name: data for data in theirs.load_all(f"/RawData/{other}")}
            assert set(loaded) == set(wanted) == {"one", "zero"}
            for name, data in loaded.items():
                expected = wanted[name]
                assert (data.shape, data.nav_indexes, data.labels) == (
                    expected.shape, expected.nav_indexes, expected.labels)  # fmt: skip
                assert data.units in (expected.units, "")  # the peer drops those of scans
                assert _close(data.data, expected.data)
                for axis, like in zip(data.axes, expected.axes, strict=True):
                    assert (axis.label, axis.units, axis.index) == (like.label, like.units, like.index)
                    assert _close(axis.data, like.data)
        path = "/RawData/Detector000/Data1D/CH00/Data00"
        assert theirs.load_data(path, with_bkg=True).data[0].tolist() == [2.0] * 4


def test_viewers_plot_our_scan_at_once(exchange: tuple[Path, dict[str, Any]]) -> None:
    nxdata = pytest.importorskip("silx.io.nxdata", reason="silx, the judge, is not installed")
    silx_io = pytest.importorskip("silx.io", reason="silx, the judge, is not installed")
    folder, _ = exchange
    with silx_io.open(str(folder / "ours.h5")) as file:
        plot = nxdata.get_default(file)
        assert plot is not None
        assert plot.is_valid
        assert plot.signal.shape[0] == 4  # the newest: four points over u and v
        assert plot.axes[0].shape == (4,)
        scan = nxdata.NXdata(file["entry/Scan000_Data1D_CH00"])
        assert scan.is_valid
        assert [axis.shape[0] for axis in scan.axes] == [2, 3, 4]
        assert scan.errors.shape == (2, 3, 4)
        inside = nxdata.NXdata(file["RawData/Detector000/Data1D/CH00"])
        assert inside.is_valid


def test_objects_of_the_peer_are_saved(tmp_path: Path) -> None:
    if importlib.util.find_spec("pymodaq_data") is None:
        pytest.skip("pymodaq_data, the judge, is not installed")
    script = """
        import sys, warnings
        warnings.simplefilter("ignore")
        import numpy as np
        from pymodaq_data.data import Axis, DataRaw, DataToExport
        from sapwood.fileio.pymodaq.data_export_saving import DataToExportTimedSaver
        data = DataRaw("one", data=[np.arange(4.0)], labels=["s"], units="V", origin="D",
                       axes=[Axis("t", "s", data=np.arange(4.0))], errors=[np.ones(4)], gain=3)
        with DataToExportTimedSaver(sys.argv[1]) as saver:
            for _ in range(3):
                saver.add_data("/RawData", DataToExport("p", data=[data]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "d.h5")],
        capture_output=True, text=True, check=False, timeout=110,
        env={**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    with DataLoader(tmp_path / "d.h5") as loader:
        data = loader.load_data_from_name_origin("one", "D")
    assert (data.shape, data.units, data.labels, data.gain) == ((3, 4), "V", ["s"], 3)
    assert data.errors is not None
