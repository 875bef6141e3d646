"""LH5 as a format: found, read as tables, written from tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sapwood import fileio
from sapwood.errors import FileError, FormatError
from sapwood.fileio import Column, Table, lh5
from sapwood.fileio.formats import MAGIC, NO
from sapwood.fileio.lh5.format import LH5

ROWS = 120


def table(rows: int = ROWS) -> lh5.Table:
    numbers = np.arange(rows)
    return lh5.Table(
        {
            "id": lh5.Array(numbers.astype(np.uint32), attrs={"units": "1", "description": "a number"}),
            "name": lh5.Array(np.array(["x" * (i % 7) for i in numbers])),
            "hits": lh5.VectorOfVectors([list(range(i % 4)) for i in numbers], dtype=np.uint8),
            "deep": lh5.VectorOfVectors([[list(range(i % 3))] * (i % 3) for i in numbers], dtype=np.int32),
            "waveform": lh5.WaveformTable(
                t0=np.zeros(rows), dt=np.full(rows, 16.0), dt_units="ns", values=np.ones((rows, 5), np.uint16)
            ),
            "packed": lh5.VectorOfVectors(
                [list(range(i % 4)) for i in numbers],
                dtype=np.uint16,
                attrs={"compression": "ULEB128ZigZagDiff()"},
            ),
        },
        attrs={"note": "n"},
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    lh5.write(table(), "ch0/raw", tmp_path / "run.lh5")
    lh5.write(lh5.Array([1.5, 2.5]), "extra", tmp_path / "run.lh5")
    lh5.write(lh5.Scalar("hello"), "note", tmp_path / "run.lh5")
    lh5.write_view("ch0/raw", [3, 7], "some", tmp_path / "run.lh5")
    return tmp_path / "run.lh5"


def test_found_by_its_datatypes(path: Path, tmp_path: Path) -> None:
    head = path.read_bytes()[:64]
    assert LH5.detect(head, str(path)) == MAGIC
    assert fileio.detect(path).name == "lh5"
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = [1, 2]
        file.attrs["datatype"] = "not of ours"
    assert LH5.detect(head, str(tmp_path / "other.h5")) == NO
    assert LH5.detect(b"something else", str(path)) == NO


def test_tables_and_summary(path: Path) -> None:
    with fileio.open(path) as reader:
        info = json.loads(json.dumps(reader.info()))
        assert info["tables"] == {"ch0/raw": ROWS, "extra": 2, "some": 2}
        assert info["scalars"]["note"] == "hello"
        assert info["objects"]["ch0/raw/waveform/dt"]["units"] == "ns"
        assert info["objects"]["ch0/raw/id"]["shape"] == [ROWS]
        assert {one.name: one.view for one in reader.tables()} == {
            "ch0/raw": False,
            "extra": False,
            "some": True,
        }
        for announced in reader.tables():
            parts = list(reader.chunks(announced.name, nbytes=2000))
            assert sum(len(part) for part in parts) == announced.rows
            assert len(parts) > 3 or announced.rows < 5
            for name, column in announced.columns.items():
                found = [part[name] for part in parts]
                assert {one.values.dtype for one in found} == {column.dtype}
                assert {one.values.shape[1:] for one in found} == {column.shape}
                if column.values is not None:
                    assert sum(len(one.dense()) for one in found) == column.values
        (part,) = reader.chunks("ch0/raw", 5, 8)
        assert part["waveform/values"].values.shape == (3, 5)
        assert [part["hits"][i].tolist() for i in range(3)] == [[0], [0, 1], [0, 1, 2]]
        assert [part["packed"][i].tolist() for i in range(3)] == [[0], [0, 1], [0, 1, 2]]
        assert (part["waveform/dt"].unit, part["id"].attributes["description"]) == ("ns", "a number")
        assert part["name"].values.tolist() == ["xxxxx", "xxxxxx", ""]
        with pytest.raises(FormatError, match="no table"):
            next(reader.chunks("nope"))


def test_converted_and_back(path: Path, tmp_path: Path) -> None:
    fileio.convert(path, tmp_path / "copy.lh5")
    copy = lh5.read("ch0/raw", tmp_path / "copy.lh5")
    for name, column in lh5.read("ch0/raw", path).items():
        assert copy[name] == column
    assert copy.attrs["note"] == "n"
    assert lh5.ls(tmp_path / "copy.lh5") == ["ch0", "extra"]
    fileio.convert(path, tmp_path / "copy.npz")
    with np.load(tmp_path / "copy.npz") as arrays:
        assert arrays["ch0/raw/id.npy" if "ch0/raw/id.npy" in arrays else "ch0/raw/id"].tolist() == list(
            range(ROWS)
        )


def test_any_tables_are_written(tmp_path: Path) -> None:
    path = tmp_path / "out.lh5"
    start, size = np.array([4, 0]), np.array([1, 3])
    columns = {
        "n": Column(np.array([1, 2], np.int16), unit="V", attributes={"k": 1, "list": [1]}),
        "cube": Column(np.zeros((2, 2, 3))),
        "ragged": Column(np.arange(5), start, size),
        "day/name": Column(np.array(["a", "bcd"])),
    }
    sink = LH5.create(path, tables=(), hdf5_settings={"compression": "lzf"})
    for _ in range(2):
        sink.write(Table("t/u", columns, {"file": "x", "run": 5}))
    sink.sync()
    sink.close()
    found = lh5.read("t/u", path)
    assert found["n"].attrs == {"units": "V", "k": 1, "datatype": "array<1>{real}"}
    assert found["cube"].shape == (4, 2, 3)
    assert [row.tolist() for row in found["ragged"]] == [[4], [0, 1, 2]] * 2
    assert found["day/name"].nda.tolist() == ["a", "bcd"] * 2
    assert found.attrs["run"] == 5
    with h5py.File(path) as file:
        assert file["t/u/n"].compression == "lzf"
    with pytest.raises(FileError, match="closed"):
        sink.write(Table("t/u", columns))


def test_tables_without_rows_are_made(path: Path, tmp_path: Path) -> None:
    with fileio.open(path) as reader:
        sink = LH5.create(tmp_path / "out.lh5", tables=reader.tables())
        sink.close()
    with fileio.open(tmp_path / "out.lh5") as reader:
        assert reader.info()["tables"] == {"ch0/raw": 0, "extra": 0, "some": 0}


def test_recordings_of_frames_become_tables(golden_rogue: Path, tmp_path: Path) -> None:
    source = min(golden_rogue.glob("*.dat"), key=lambda file: file.stat().st_size or 1 << 40)
    rows = fileio.convert(source, tmp_path / "frames.lh5", "rogue", single=True)
    with fileio.open(source, "rogue", single=True) as reader:
        batch: Any = reader.read()
    found = lh5.read("frames", tmp_path / "frames.lh5")
    assert len(found) == rows == len(batch)
    assert [bytes(row) for row in found["payload"]] == [bytes(frame) for frame in batch]
