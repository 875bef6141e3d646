"""PyMoDAQ files through the registry, damaged files, and the browser's utilities."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from sapwood import fileio
from sapwood.errors import FileError, FormatError, RecordingExists
from sapwood.fileio.pymodaq import recovery
from sapwood.fileio.pymodaq.browser import H5BrowserUtil
from sapwood.fileio.pymodaq.errors import NodeError
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel

FAMILIES = ["attrs", "compressed", "detectors", "enlargeable", "scan2d", "strings"]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def path(tmp_path) -> Path:
    """A file with a bit of everything."""
    path = tmp_path / "file.h5"
    saver = H5SaverLowLevel.from_file(path, metadata={"author": "somebody", "value": float("nan")})
    group = saver.add_det_group(
        "/RawData", title="Det", settings_as_xml="<a/>", metadata={"pixmap2D": b"PNG"}
    )
    saver.add_array(group, "axis00", "axis", np.arange(4.0), data_dimension="Data1D", metadata={"units": "s"})
    saver.add_array(group, "data00", "data", np.arange(4), data_dimension="Data1D", metadata={"units": "V"})
    saver.add_array(group, "other", "data", np.arange(12.0).reshape(3, 2, 2), data_dimension="Data2D")
    saver.add_array(group, "single", "data", np.float64(3), data_dimension="Data0D")
    rows = saver.create_vlarray(group, "rows", np.int16)
    for size in (3, 0, 2, 1):
        rows.append(np.arange(size))
    saver.add_log("first")
    saver.add_log("zweite ü")
    saver.close_file()
    return path


def test_tables(path) -> None:
    before = digest(path)
    with fileio.open(path) as reader:
        info = reader.info()
        assert json.loads(json.dumps(info)) == info
        assert (info["format"], info["file"], info["log"]) == ("pymodaq", "file.h5", ["first", "zweite ü"])
        assert info["tables"] == {
            "RawData/Detector000": 4, "RawData/Detector000/Other": 3, "RawData/Detector000/Single": 1,
            "RawData/Logger": 2,
        }  # fmt: skip
        assert info["nodes"]["/RawData"]["attributes"]["author"] == "somebody"
        assert not reader.problems()
        described = {table.name: table for table in reader.tables()}
        columns = described["RawData/Detector000"].columns
        assert sorted(columns) == ["Axis00", "Data00", "rows"]
        assert columns["rows"].values == 6
        (table,) = reader.chunks("RawData/Detector000")
        assert table["Axis00"].unit == "s"
        assert [table["rows"][row].tolist() for row in range(4)] == [[0, 1, 2], [], [0, 1], [0]]
        pieces = list(reader.chunks("RawData/Detector000", 1, 4, nbytes=1))
        assert np.concatenate([piece["Data00"].values for piece in pieces]).tolist() == [1, 2, 3]
        (single,) = reader.chunks("RawData/Detector000/Single")
        assert single["Single"].values.tolist() == [3.0]
        (log,) = reader.chunks("RawData/Logger")
        assert log["Logger"][1].tobytes().decode() == "zweite ü"
        with pytest.raises(FormatError, match="RawData/Logger"):
            next(reader.chunks("RawData/Loger"))
        with pytest.raises(FormatError, match="frames"):
            reader.read()
    assert digest(path) == before


def test_detection(path, tmp_path, golden_pymodaq) -> None:
    assert fileio.detect(path).name == "pymodaq"
    for file in golden_pymodaq.glob("*.h5"):
        assert fileio.detect(file).name == "pymodaq"
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["TITLE"] = "something"
        file.create_group("RawData").attrs["type"] = "scan"
    with pytest.raises(FormatError):
        fileio.detect(tmp_path / "other.h5")


@pytest.mark.parametrize("backend", ["h5py", "tables"])
@pytest.mark.parametrize("family", FAMILIES)
def test_recovery_of_a_whole_file_copies_it(golden_pymodaq, tmp_path, family, backend) -> None:
    source, out = golden_pymodaq / f"{family}_{backend}.h5", tmp_path / "out.h5"
    pymodaq = fileio.find("pymodaq")
    assert pymodaq.verify(source).status == "clean"
    assert pymodaq.recover(source, out).status == "clean"
    with fileio.open(source) as old, fileio.open(out) as new:
        assert new.info()["nodes"] == old.info()["nodes"]
        for table in old.tables():
            one, other = list(old.chunks(table.name)), list(new.chunks(table.name))
            for left, right in zip(one, other, strict=True):
                for name, column in left.columns.items():
                    assert column.dense().tobytes() == right[name].dense().tobytes()
    with pytest.raises(RecordingExists):
        pymodaq.recover(source, out)


def test_a_damaged_chunk_costs_its_rows(tmp_path) -> None:
    path, out = tmp_path / "file.h5", tmp_path / "out.h5"
    saver = H5SaverLowLevel()
    saver.define_compression("gzip", 1)
    saver.init_file(path)
    options = {"data_dimension": "Data1D", "enlargeable": True, "data_shape": (128,)}
    node = saver.add_array("/RawData", "rows", "data_enlargeable", array_type="f8", **options)
    node.append(np.random.default_rng(1).random((256, 128)))
    place = node.node.id.get_chunk_info(1).byte_offset
    good = node.read()
    saver.close_file()
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"\xff" * 64)
    pymodaq = fileio.find("pymodaq")
    assert pymodaq.verify(path).lost == 64
    report = pymodaq.recover(path, out)
    assert (report.status, report.good, report.lost) == ("loss", 192, 64)
    assert "/RawData/Rows" in report.problems[0]
    again = H5SaverLowLevel.from_file(out, mode="r")
    seen = again.get_node("/RawData/Rows").read()
    assert np.array_equal(seen[128:], good[128:])
    assert not seen[64:128].any()
    again.close_file()


def test_cut_files(golden_pymodaq, tmp_path) -> None:
    source = golden_pymodaq / "detectors_h5py.h5"
    data = source.read_bytes()
    pymodaq = fileio.find("pymodaq")
    for size in (0, 8, 50, len(data) // 2, len(data) - 1):
        path, out = tmp_path / f"cut{size}.h5", tmp_path / f"out{size}.h5"
        path.write_bytes(data[:size])
        assert pymodaq.verify(path).status == "unreadable"
        report = pymodaq.recover(path, out)
        assert report.status in ("loss", "unreadable")
        assert path.read_bytes() == data[:size]
        assert sorted(file.name for file in tmp_path.glob("*out*")) == ([out.name] if out.exists() else [])
        out.unlink(missing_ok=True)
    path.write_bytes(data[:-1])
    assert pymodaq.recover(path, out).good > 300


@pytest.mark.parametrize("packed", [False, True])
def test_rows_behind_a_cut_are_lost_and_told(tmp_path, packed) -> None:
    path, out = tmp_path / "cut.h5", tmp_path / "out.h5"
    saver = H5SaverLowLevel.from_file(path, new_file=True)
    if packed:
        saver.define_compression("zlib", 1)
    growing = saver.add_array("/RawData", "rows", "data_enlargeable", data_shape=(100,), enlargeable=True,
                              array_type=np.float64, data_dimension="Data1D")  # fmt: skip
    values = np.random.default_rng(3).normal(size=(2000, 100))
    growing.append(values)
    if not packed:
        saver.add_array("/RawData", "fixed", "data", values, data_dimension="Data2D")
    saver.close_file()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 5])
    report = fileio.find("pymodaq").recover(path, out)
    assert report.status == "loss"
    again = H5SaverLowLevel.from_file(out, mode="r")
    zeros = 0
    for name in ("Rows",) if packed else ("Rows", "Fixed"):
        seen = again.get_node(f"/RawData/{name}").read()
        empty = ~seen.any(axis=1)
        assert np.array_equal(seen[~empty], values[~empty])
        assert (
            f"of /RawData/{name} lie behind the end of the file" in " ".join(report.problems)
            or not empty.any()
        )
        zeros += int(empty.sum())
    again.close_file()
    assert zeros == report.lost > 0
    assert report.good > (100 if packed else 1000)


@pytest.mark.parametrize("name", ["detectors_h5py.h5", "strings_tables.h5"])
def test_flipped_bytes_are_no_surprise(golden_pymodaq, tmp_path, name) -> None:
    data, rng = (golden_pymodaq / name).read_bytes(), random.Random(5)
    path, out = tmp_path / "bad.h5", tmp_path / "out.h5"
    for _ in range(25):
        bad = bytearray(data)
        for _ in range(8):
            bad[rng.randrange(min(len(bad), 30_000))] = rng.randrange(256)
        path.write_bytes(bad)
        with contextlib.suppress(FileError), fileio.open(path, "pymodaq") as reader:
            reader.info()
            for table in reader.tables():
                for _ in reader.chunks(table.name):
                    pass
        with contextlib.suppress(FileError):
            recovery.recover(path, out)
        out.unlink(missing_ok=True)


def test_sizes_that_cannot_be(tmp_path) -> None:
    path, out = tmp_path / "huge.h5", tmp_path / "out.h5"
    H5SaverLowLevel.from_file(path).close_file()
    with h5py.File(path, "a") as file:
        file.create_dataset("RawData/huge", (2**50,), "f8", chunks=(1024,))
    with fileio.open(path) as reader:
        assert "RawData/huge" not in reader.info()["tables"]
        assert any("larger" in problem for problem in reader.problems())
    assert fileio.find("pymodaq").recover(path, out).lost == 1


def test_the_browser(path, tmp_path) -> None:
    browser = H5BrowserUtil()
    browser.init_file(path, mode="r")
    attributes, settings, scan_settings, pixmaps = browser.get_h5_attributes("/RawData/Detector000")
    assert (attributes["TITLE"], settings, scan_settings, pixmaps) == ("Det", ["<a/>"], None, [b"PNG"])
    (scan,) = browser.get_h5file_scans()
    assert scan == {"scan_name": "RawData_Detector000", "path": "/RawData/Detector000", "data": b"PNG"}

    group = "/RawData/Detector000"
    browser.export_data(f"{group}/Other", tmp_path / "a.npy")
    assert np.load(tmp_path / "a.npy").shape == (3, 2, 2)
    browser.export_data(f"{group}/Other", tmp_path / "a.txt", "Text files (*.txt)")
    assert np.loadtxt(tmp_path / "a.txt").shape == (3, 4)
    browser.export_data(group, tmp_path / "b.txt")
    lines = (tmp_path / "b.txt").read_text().splitlines()
    assert lines[0] == "# Axis00\tData00"
    assert lines[2] == "1.000000e+00\t1.000000e+00"
    browser.export_data("/RawData/Logger", tmp_path / "c.txt")
    assert (tmp_path / "c.txt").read_text() == "first\nzweite ü\n"
    for node in (f"{group}/Data00", group, "/"):
        out = tmp_path / "node.h5"
        browser.export_data(node, out)
        with h5py.File(out) as file:
            names: list[str] = []
            file.visit(names.append)
            assert any(name.endswith("Data00") for name in names)
        out.unlink()
    for wrong in ((group, "x.xyz"), (group, "x.txt", "Binary NumPy format (*.npy)")):
        with pytest.raises(ValueError, match="not a"):
            browser.export_data(*wrong)
    for node, name in (
        (group, "x.npy"),
        (f"{group}/rows", "x.npy"),
        (f"{group}/rows", "x.txt"),
        ("/", "x.txt"),
    ):
        with pytest.raises(NodeError):
            browser.export_data(node, tmp_path / name)
        assert not (tmp_path / name).exists()
    browser.close_file()


def test_conversion_of_a_table(path, tmp_path) -> None:
    fileio.convert(path, tmp_path / "out.npz", tables=["RawData/Detector000"])
    with np.load(tmp_path / "out.npz") as out:
        assert any(out[name].tolist() == [0, 1, 2, 3] for name in out.files)


def test_files_on_read_only_media(golden_pymodaq, tmp_path) -> None:
    path = tmp_path / "file.h5"
    shutil.copy(golden_pymodaq / "scan2d_tables.h5", path)
    path.chmod(0o444)
    with fileio.open(path) as reader:
        assert reader.info()["tables"]


def test_an_interrupt_while_the_file_is_flushed_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saver = H5SaverLowLevel("detector")
    saver.init_file(tmp_path / "run.h5", new_file=True)
    rows = np.arange(20.0).reshape(10, 2)
    array = saver.add_array(
        saver.add_det_group(saver.raw_group), "a", "data_enlargeable", data_shape=(2,),
        array_type=np.float64, data_dimension="Data1D", enlargeable=True,
    )  # fmt: skip
    for row in rows[:5]:
        array.append(row)
    flush = h5py.File.flush

    def interrupted(file: h5py.File) -> None:
        flush(file)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(h5py.File, "flush", interrupted)
        with pytest.raises(KeyboardInterrupt):
            saver.flush()
    for row in rows[5:]:
        array.append(row)
    saver.close_file()
    shutil.copy(tmp_path / "run.h5", tmp_path / "copy.h5")  # what other processes see
    with h5py.File(tmp_path / "copy.h5") as file:
        found = next(file[path][...] for path in _arrays(file) if file[path].shape == (10, 2))
    np.testing.assert_array_equal(found, rows)


def _arrays(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visititems(lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None)
    return names
