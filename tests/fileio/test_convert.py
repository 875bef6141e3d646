"""Conversion to NumPy archives, to text and to Rogue files."""

from __future__ import annotations

import csv
import errno
import hashlib
import os
import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sapwood.fileio as fileio
from sapwood.errors import FileError, FormatError
from sapwood.fileio import Column, ColumnInfo, Table, TableInfo, registry
from sapwood.streams import FrameBatch


def record(channel: int, payload: bytes, flags: int = 0, error: int = 0) -> bytes:
    return struct.pack("<IHBB", len(payload) + 4, flags, error, channel) + payload


def listed(path: Path) -> list[list[Any]]:
    with np.load(path) as arrays:
        assert sorted(arrays) == ["channel", "error", "flags", "offset", "payload", "time"]
        types = [
            arrays[name].dtype.str for name in ("channel", "flags", "error", "time", "offset", "payload")
        ]
        assert types == ["|u1", "<u2", "|u1", "<i8", "<i8", "|u1"]
        offset, payload = arrays["offset"].tolist(), arrays["payload"]
        assert offset[0] == 0
        assert offset[-1] == len(payload)
        columns = (arrays[name].tolist() for name in ("channel", "error", "flags"))
        return [
            [*row, end - start, hashlib.sha256(payload[start:end]).hexdigest()]
            for *row, start, end in zip(*columns, offset, offset[1:], strict=False)
        ]


def test_every_golden_file_as_npz(golden_rogue: Path, rogue_manifest: dict[str, Any], tmp_path: Path) -> None:
    compared = 0
    for name, entry in rogue_manifest.items():
        expect = entry["expect"]
        wanted = expect.get("record_list", expect.get("intact_records"))
        if wanted is None:
            continue
        out = tmp_path / f"{name}.npz"
        assert fileio.convert(golden_rogue / name, out, single=True) == len(wanted)
        assert listed(out) == wanted, name
        assert zipfile.ZipFile(out).testzip() is None
        compared += 1
    assert compared > 25


def test_raw_files_and_chains_as_npz(
    golden_rogue: Path, rogue_manifest: dict[str, Any], tmp_path: Path
) -> None:
    fileio.convert(golden_rogue / "raw.bin", tmp_path / "raw.npz", "raw")
    with np.load(tmp_path / "raw.npz") as arrays:
        assert arrays["payload"].tobytes() == (golden_rogue / "raw.bin").read_bytes()
        assert arrays["offset"].tolist() == [0, 1116]
    fileio.convert(golden_rogue / "split_buf.dat.1", tmp_path / "chain.npz")
    parts = [rogue_manifest[f"split_buf.dat.{n}"]["expect"]["record_list"] for n in range(1, 6)]
    assert listed(tmp_path / "chain.npz") == [item for part in parts for item in part]


def test_every_golden_file_as_rogue_file(
    golden_rogue: Path, rogue_manifest: dict[str, Any], tmp_path: Path
) -> None:
    """What is whole comes out byte for byte; the parts of a chain become one file."""
    for name in rogue_manifest:
        if name.startswith(("raw", "split_raw")) or name.endswith(".json"):
            continue
        source = (golden_rogue / name).read_bytes()
        out = tmp_path / f"{name}.dat"
        assert fileio.convert(golden_rogue / name, out, "rogue", single=True) > 0
        torn = fileio.open(golden_rogue / name, "rogue", single=True).info()["torn_bytes"]
        assert out.read_bytes() == source[: len(source) - torn], name
    fileio.convert(golden_rogue / "split_buf.dat.1", tmp_path / "chain.dat")
    parts = [(golden_rogue / f"split_buf.dat.{n}").read_bytes() for n in range(1, 6)]
    assert (tmp_path / "chain.dat").read_bytes() == b"".join(parts)


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=60), st.integers(0, 65535)), max_size=60))
@settings(deadline=None, max_examples=50)
def test_any_recording_as_rogue_file(
    tmp_path_factory: pytest.TempPathFactory, frames: list[tuple[int, bytes, int]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "from.dat"
    path.write_bytes(b"".join(record(*frame) for frame in frames))
    fileio.convert(path, path.with_name("to.dat"), overwrite=True)
    assert path.with_name("to.dat").read_bytes() == path.read_bytes()


def test_raw_and_other_tables_as_rogue_file(golden_rogue: Path, tmp_path: Path) -> None:
    fileio.convert(golden_rogue / "raw.bin", tmp_path / "raw.dat", "raw")
    content = (golden_rogue / "raw.bin").read_bytes()
    assert (tmp_path / "raw.dat").read_bytes() == record(0, content)
    sink = fileio.create(tmp_path / "t.dat")
    with pytest.raises(FileError, match="Table hits holds no frames"):
        sink.write(Table("hits", {"x": Column(np.arange(1))}))
    sink.close()
    sink.close()


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=60)), max_size=60))
@settings(deadline=None, max_examples=50)
def test_any_recording_as_npz(
    tmp_path_factory: pytest.TempPathFactory, frames: list[tuple[int, bytes]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.dat"
    path.write_bytes(b"".join(record(*frame) for frame in frames))
    fileio.convert(path, path.with_suffix(".npz"), overwrite=True)
    assert [(item[0], item[4]) for item in listed(path.with_suffix(".npz"))] == [
        (channel, hashlib.sha256(payload).hexdigest()) for channel, payload in frames
    ]


def test_csv_of_headers(tmp_path: Path) -> None:
    path, out = tmp_path / "a.dat", tmp_path / "a.csv"
    path.write_bytes(record(1, b"abc", 0x1234, 5) + record(2, b"") + record(3, b"x" * 10))
    assert fileio.convert(path, out) == 3
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "channel": "1", "flags": "4660", "error": "5", "time": "0", "start": "8", "size": "3",
    }  # fmt: skip
    assert [(row["start"], row["size"]) for row in rows] == [("8", "3"), ("19", "0"), ("27", "10")]


def test_start_in_csv_is_a_place_in_the_file(tmp_path: Path) -> None:
    path, out = tmp_path / "a.dat", tmp_path / "a.csv"
    path.write_bytes(b"".join(record(n % 256, bytes([n % 256]) * (1 << 18)) for n in range(100)))  # 2 chunks
    fileio.convert(path, out)
    content = path.read_bytes()
    with out.open(newline="") as file:
        for row in csv.DictReader(file):
            start, size = int(row["start"]), int(row["size"])
            assert content[start : start + size] == bytes([int(row["channel"])]) * size


def test_memory_of_a_conversion_is_that_of_a_chunk(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(record(1, bytes(100_000)) * 1500)  # 150 MB
    tracemalloc.start()
    fileio.convert(path, tmp_path / "a.npz")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 << 20
    assert (tmp_path / "a.npz").stat().st_size > 150_000_000


def test_progress_counts_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(record(1, bytes(1 << 20)) * 40)
    seen: list[tuple[int, int]] = []
    fileio.convert(path, tmp_path / "a.npz", progress=lambda done, total: seen.append((done, total)))
    assert len(seen) > 1
    assert seen[-1] == (40, 40)
    assert seen == sorted(seen)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, FileError, OSError(28, "No space left on device")])
@pytest.mark.parametrize("ending", ["npz", "csv", "out.dat"])
def test_nothing_is_left_when_a_conversion_stops(tmp_path: Path, ending: str, stop: Any) -> None:
    path, out = tmp_path / "a.dat", tmp_path / f"a.{ending}"
    path.write_bytes(record(1, b"abc"))

    def interrupt(done: int, total: int) -> None:
        assert Path(f"{out}.part").exists()
        raise stop

    expected = FileError if isinstance(stop, OSError) else stop
    with pytest.raises(expected):
        fileio.convert(path, out, progress=interrupt)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.dat"]


def test_a_full_disk_stops_a_conversion_to_a_rogue_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(record(1, b"abc") * 5)
    written: list[int] = []

    def writev(fd: int, pieces: Any) -> int:
        if written:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(os.write(fd, b"".join(pieces)[:20]))
        return written[0]

    monkeypatch.setattr(os, "writev", writev)
    with pytest.raises(FileError, match=r"Failed to write file: .*b\.dat .*No space left"):
        fileio.convert(path, tmp_path / "b.dat")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.dat"]


@pytest.mark.parametrize("ending", ["npz", "csv", "out.dat"])
def test_all_bytes_are_on_the_disk_before_the_file_has_its_name(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = tmp_path / "a.dat", tmp_path / f"a.{ending}"
    path.write_bytes(record(1, b"abc"))
    log: list[tuple[str, int]] = []
    fsync, replace = os.fsync, os.replace

    def logged_fsync(fd: int) -> None:
        fsync(fd)
        log.append(("sync", os.fstat(fd).st_size if stat.S_ISREG(os.fstat(fd).st_mode) else -1))

    def logged_replace(source: str, target: str) -> None:
        log.append(("rename", os.stat(source).st_size))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "replace", logged_replace)
    fileio.convert(path, out)
    size = out.stat().st_size
    assert log[-3:] == [("sync", size), ("rename", size), ("sync", -1)]


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path, out = tmp_path / "a.dat", tmp_path / "a.csv"
    path.write_bytes(record(1, b"abc"))
    out.write_text("precious")
    with pytest.raises(FileExistsError, match=f"{out} exists already"):
        fileio.convert(path, out)
    assert out.read_text() == "precious"
    fileio.convert(path, out, overwrite=True)
    assert out.read_text().startswith("channel,")


def test_targets_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(record(1, b"abc"))
    with pytest.raises(FormatError, match="No format is known by the ending"):
        fileio.convert(path, tmp_path / "a.docx")
    with pytest.raises(FileError, match=r"Failed to write file: .*nowhere.*No such file"):
        fileio.convert(path, tmp_path / "nowhere" / "a.npz")


# Tables and sinks by themselves


def test_a_batch_is_a_table_without_a_copy() -> None:
    batch = FrameBatch(b"..abc.de", [2, 6], [3, 2], channel=7, flags=[1, 2])
    table = Table.from_frames(batch)
    assert (len(table), list(table)) == (2, ["channel", "flags", "error", "time", "payload"])
    assert table["payload"].values is batch.payload
    assert bytes(table["payload"][1]) == b"de"
    assert table["payload"].dense().tobytes() == b"abcde"
    assert table["time"].unit == "ns"
    assert table.to_frames().payload is batch.payload
    with pytest.raises(FileError, match="holds no frames"):
        Table("x", {"a": Column(np.arange(3))}).to_frames()
    with pytest.raises(FileError, match="differ in length"):
        Table("x", {"a": Column(np.arange(3)), "b": Column(np.arange(4))})
    with pytest.raises(FileError, match="both start and size"):
        Column(np.arange(3), np.arange(3))


def ragged(values: np.ndarray[Any, Any]) -> Column:
    return Column(values, np.array([3, 0]), np.array([2, 1]))


def test_tables_of_any_columns_as_npz(tmp_path: Path) -> None:
    matrix, one, two = (
        np.arange(12.0).reshape(2, 3, 2),
        np.arange(8, dtype=">u4"),
        np.arange(10).reshape(5, 2),
    )
    table = Table("ch0/raw", {"m": Column(matrix), "one": ragged(one), "two": ragged(two)})
    info = TableInfo(
        "ch0/raw",
        4,
        {
            "m": ColumnInfo(matrix.dtype, (3, 2)),
            "one": ColumnInfo(np.dtype("u4"), values=6),
            "two": ColumnInfo(two.dtype, (2,), 6),
        },
    )
    other = TableInfo("empty", 0, {"x": ColumnInfo(np.dtype("S3"))})
    sink = fileio.create(tmp_path / "t.npz", tables=[info, other])
    sink.write(table)
    sink.write(table)
    with pytest.raises(FileError, match="More rows than announced for ch0/raw"):
        sink.write(table)
    sink.sync()
    sink.close()
    sink.close()
    with np.load(tmp_path / "t.npz") as arrays:
        assert arrays["ch0/raw/m"].tolist() == matrix.tolist() * 2
        assert arrays["ch0/raw/one_offset"].tolist() == [0, 2, 3, 5, 6]
        assert arrays["ch0/raw/one"].tolist() == [3, 4, 0] * 2
        assert arrays["ch0/raw/two"].tolist() == [[6, 7], [8, 9], [0, 1]] * 2
        assert arrays["empty/x"].shape == (0,)


def test_npz_wants_what_was_announced(tmp_path: Path) -> None:
    sink = fileio.create(tmp_path / "t.npz", tables=[TableInfo.of_frames(2, 5)])
    sink.write(Table.from_frames(FrameBatch(b"ab", 0, 2)))
    with pytest.raises(FileError, match="Fewer rows than announced for frames"):
        sink.close()
    with pytest.raises(FileError, match="Table hits was not announced"):
        sink.write(Table("hits", {"x": Column(np.arange(1))}))
    sink.abort()
    clash = TableInfo(
        "t", 1, {"offset": ColumnInfo(np.dtype("i8")), "v": ColumnInfo(np.dtype("u1"), values=1)}
    )
    other = fileio.create(tmp_path / "u.npz", tables=[clash])
    with pytest.raises(FileError, match="Two arrays of table t are called offset"):
        other.close()
    other.abort()


def test_csv_of_other_tables(tmp_path: Path) -> None:
    sink = fileio.create(tmp_path / "t.csv")
    sink.write(
        Table("hits", {"n": Column(np.array([1.5, 2])), "a": ragged(np.arange(5)), "b": ragged(np.arange(5))})
    )
    with pytest.raises(FileError, match="holds one table"):
        sink.write(Table("other", {"n": Column(np.arange(1))}))
    sink.close()
    assert (tmp_path / "t.csv").read_text() == (
        "n,a_start,a_size,b_start,b_size\n1.5,24,2,24,2\n2.0,0,1,0,1\n"
    )


def test_csv_of_columns_of_several_dimensions(tmp_path: Path) -> None:
    sink = fileio.create(tmp_path / "t.csv")
    columns = {"m": Column(np.arange(8).reshape(2, 2, 2)), "v": Column(np.array([[0.5], [1.5]]))}
    sink.write(Table("hits", columns))
    sink.close()
    text = (tmp_path / "t.csv").read_text()
    assert text == '"m[0,0]","m[0,1]","m[1,0]","m[1,1]",v[0]\n0,1,2,3,0.5\n4,5,6,7,1.5\n'


NUMBERS = [
    "u1",
    "u2",
    "u4",
    "u8",
    "i1",
    "i2",
    "i4",
    "i8",
    "f2",
    "f4",
    "f8",
    ">u4",
    ">i8",
    ">f8",
    "?",
    "g",
    "c16",
]


@given(st.data(), st.lists(st.sampled_from([*NUMBERS, "U9", "S5", "M8[ms]"]), min_size=1, max_size=4))
@settings(deadline=None, max_examples=40)
def test_csv_is_what_python_says_of_each_value(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kinds: list[str]
) -> None:
    count = data.draw(st.integers(0, 20))
    raw = [data.draw(st.binary(min_size=64 * count, max_size=64 * count)) for _ in kinds]
    values = [np.resize(np.frombuffer(one, np.uint8), count * 64) for one in raw]
    columns = {
        str(n): _of_kind(one, kind, count) for n, (one, kind) in enumerate(zip(values, kinds, strict=True))
    }
    path = tmp_path_factory.getbasetemp() / "any.csv"
    sink = fileio.create(path)
    sink.write(Table("t", {name: Column(one) for name, one in columns.items()}))
    sink.write(Table("t", {name: Column(one[::-1]) for name, one in columns.items()}))
    sink.close()
    with (path.with_name("wanted.csv")).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for step in (1, -1):
            writer.writerows(zip(*(_said(one[::step]) for one in columns.values()), strict=True))
    assert path.read_bytes() == path.with_name("wanted.csv").read_bytes()


def _said(values: np.ndarray[Any, Any]) -> list[Any]:
    """Return values as Python has them; bytes are text."""
    if values.dtype.kind == "S":
        return [one.decode("utf-8", "backslashreplace") for one in values.tolist()]
    listed: list[Any] = values.tolist()
    return listed


def _of_kind(values: np.ndarray[Any, np.dtype[np.uint8]], kind: str, count: int) -> np.ndarray[Any, Any]:
    """Return `count` values of any bytes as far as the type takes them."""
    if kind == "?":
        return values[:count] % 2 == 0
    if kind == "U9":
        return np.array([chr(33 + one % 90) + ',"é'[one % 3 :] for one in values[:count].tolist()], "U9")
    if kind in ("g", "c16"):
        return (values[:count] / 7).astype(kind)
    if kind == "M8[ms]":
        return values[:count].astype("i8").view(kind)
    item = np.dtype(kind).itemsize
    return np.frombuffer(values[: count * item].tobytes(), kind)


class TwoTables(fileio.Reader):
    """Hits, and the records they came from as frames."""

    def tables(self) -> list[TableInfo]:
        return [
            TableInfo("hits", 2, {"x": ColumnInfo(np.dtype("i4"))}),
            TableInfo.of_frames(1, 3, view=True),
        ]

    def chunks(self, table: str, *_: Any, **__: Any) -> Iterator[Table]:
        if table == "hits":
            yield Table("hits", {"x": Column(np.array([3, 4], "i4"))})
        else:
            yield Table.from_frames(FrameBatch(np.arange(3, dtype=np.uint8), np.array([0]), np.array([3])))

    def close(self) -> None:
        pass


class Detector(fileio.Format):
    name = "detector"

    def open(self, path: Any, **options: Any) -> fileio.Reader:
        return TwoTables()


def test_views_are_left_out_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._loaded, "detector", Detector())
    fileio.convert("any", tmp_path / "a.npz", "detector")
    with np.load(tmp_path / "a.npz") as arrays:
        assert list(arrays) == ["x"]
    assert fileio.convert("any", tmp_path / "a.dat", "detector") == 1
    assert (tmp_path / "a.dat").read_bytes() == record(0, bytes(range(3)))
    assert fileio.convert("any", tmp_path / "b.csv", "detector", tables=["hits"]) == 2
    with pytest.raises(FormatError, match="There is no table 'tracks'"):
        fileio.convert("any", tmp_path / "c.csv", "detector", tables=["tracks"])
    assert not list(tmp_path.glob("c.csv*"))
