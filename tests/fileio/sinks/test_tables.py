"""Sinks of tables: what other packages read of the files they write."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sapwood.fileio as fileio
from sapwood.errors import FileError, FormatError, MissingExtra
from sapwood.fileio import Column, ColumnInfo, Table, TableInfo
from sapwood.fileio.hdf5 import h5py
from sapwood.streams import FrameBatch, Master

PAYLOADS = [b"first", b"", b"second frame", bytes(range(256))]


def hits(first: int = 0, rows: int = 3) -> Table:
    """Rows with scalars, fixed arrays, text, ragged bytes and ragged floats."""
    number = np.arange(first, first + rows)
    size = number % 3
    start = np.cumsum(size) - size
    count = int(size.sum())
    return Table(
        "det/hits",
        {
            "time": Column(number.astype("i8") * 10, unit="ns"),
            "energy": Column(number * 0.5, unit="keV", attributes={"description": "summed"}),
            "trace": Column(np.arange(rows * 4, dtype="u2").reshape(rows, 4)),
            "name": Column(np.array([f"chänn{n}" for n in number])),
            "raw": Column(np.arange(count, dtype="u1"), start, size),
            "peaks": Column(np.arange(count) * 0.25, start, size),
        },
        {"run": 7, "file": "x", "base": 0},
    )


def announced(rows: int) -> list[TableInfo]:
    table = hits(rows=rows)
    infos = {
        name: ColumnInfo(
            column.values.dtype, column.values.shape[1:], len(column.values) if column.ragged else None
        )
        for name, column in table.columns.items()
    }
    infos["name"] = ColumnInfo(np.dtype("U10"))
    return [TableInfo("det/hits", rows, infos)]


def written(path: Path, **options: Any) -> Path:
    """Write five rows in two steps."""
    sink = fileio.create(path, tables=announced(5), **options)
    sink.write(hits(0, 3))
    sink.write(hits(3, 2))
    sink.sync()
    sink.close()
    return path


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    source, writer = Master(), fileio.StreamWriter()
    source >> writer.getChannel(2)
    writer.open(tmp_path / "run.dat")
    size = np.array([len(one) for one in PAYLOADS])
    payload = np.frombuffer(b"".join(PAYLOADS), np.uint8)
    flags = np.array([1, 2, 0xFFFF, 4], np.uint16)
    source._sendBatch(FrameBatch(payload, np.cumsum(size) - size, size, flags=flags))
    writer.close()
    return tmp_path / "run.dat"


WHOLE = [one for one in PAYLOADS if one]  # a recording has no empty frames


def columns_of(arrow: Any) -> dict[str, Any]:
    return {name: arrow[name].to_pylist() for name in arrow.column_names}


def check_arrow(table: Any) -> None:
    found = columns_of(table)
    assert found["time"] == [0, 10, 20, 30, 40]
    assert found["energy"] == [0, 0.5, 1, 1.5, 2]
    assert found["trace"][1] == [4, 5, 6, 7]
    assert found["name"] == [f"chänn{n}" for n in range(5)]
    assert found["raw"] == [b"", b"\0", b"\1\2", b"", b"\0"]
    assert found["peaks"] == [[], [0.0], [0.25, 0.5], [], [0.0]]
    assert table.schema.field("energy").metadata == {b"unit": b"keV", b"description": b"summed"}
    assert table.schema.metadata[b"run"] == b"7"
    assert b"file" not in table.schema.metadata


@pytest.mark.parametrize("compression", ["none", "zstd", "gzip", "snappy"])
def test_parquet(tmp_path: Path, compression: str) -> None:
    import pyarrow.parquet as parquet

    path = written(tmp_path / "a.parquet", compression=compression)
    check_arrow(parquet.read_table(path))
    used = parquet.ParquetFile(path).metadata.row_group(0).column(0).compression.lower()
    assert used == {"none": "uncompressed"}.get(compression, compression)


@pytest.mark.parametrize(("ending", "reader"), [("arrow", "open_file"), ("arrows", "open_stream")])
def test_arrow_ipc(tmp_path: Path, ending: str, reader: str) -> None:
    import pyarrow.ipc as ipc

    path = written(tmp_path / f"a.{ending}")
    with path.open("rb") as file:
        check_arrow(getattr(ipc, reader)(file).read_all())


def test_frames_as_parquet(recording: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    fileio.convert(recording, tmp_path / "a.parquet", compression="zstd")
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table["payload"].to_pylist() == WHOLE
    assert table["channel"].to_pylist() == [2, 2, 2]
    assert table["flags"].to_pylist() == [1, 0xFFFF, 4]
    assert table.schema.field("time").type == pa.timestamp("ns", "UTC")
    assert table.schema.field("payload").type == pa.large_binary()


@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv"])
def test_one_table_a_file(tmp_path: Path, ending: str) -> None:
    sink = fileio.create(tmp_path / f"a.{ending}")
    sink.write(hits())
    with pytest.raises(FileError, match="holds one table"):
        sink.write(Table("other", {"x": Column(np.arange(2))}))
    sink.abort()


def test_no_rows_are_a_file_too(tmp_path: Path) -> None:
    import pyarrow.parquet as parquet

    fileio.create(tmp_path / "a.parquet").close()
    assert parquet.read_table(tmp_path / "a.parquet").num_rows == 0


def test_json_lines(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == 5
    assert rows[2] == {
        "table": "det/hits", "time": 20, "energy": 1.0, "trace": [8, 9, 10, 11], "name": "chänn2",
        "raw": "0102", "peaks": [0.25, 0.5],
    }  # fmt: skip
    sink = fileio.create(tmp_path / "b.jsonl")
    sink.write(
        Table("t", {"x": Column(np.array([math.nan, 1, -math.inf])), "y": Column(np.array([b"a"] * 3))})
    )
    sink.close()
    lines = (tmp_path / "b.jsonl").read_text().splitlines()
    assert [json.loads(line)["x"] for line in lines] == [None, 1.0, None]


def test_root_trees(tmp_path: Path) -> None:
    import uproot

    with uproot.open(written(tmp_path / "a.root")) as file:
        tree = file["det_hits"]
        assert tree["energy"].array(library="np").tolist() == [0, 0.5, 1, 1.5, 2]
        assert tree["trace"].array(library="np")[3].tolist() == [0, 1, 2, 3]
        assert tree["name"].array().tolist() == [f"chänn{n}" for n in range(5)]
        assert tree["raw"].array().tolist() == [[], [0], [1, 2], [], [0]]
        assert tree["peaks"].array().tolist() == [[], [0.0], [0.25, 0.5], [], [0.0]]


def test_frames_as_mcap(recording: Path, tmp_path: Path) -> None:
    from mcap.reader import make_reader

    fileio.convert(recording, tmp_path / "a.mcap")
    with (tmp_path / "a.mcap").open("rb") as file:
        found = [(c.topic, c.metadata, m.data) for _, c, m in make_reader(file).iter_messages()]
    assert {topic for topic, _, _ in found} == {"/stream/2"}
    assert [data[4:] for _, _, data in found] == WHOLE
    assert [int.from_bytes(data[:2], "little") for _, _, data in found] == [1, 0xFFFF, 4]
    assert "flags u16" in found[0][1]["prefix"]


def test_rows_as_mcap(tmp_path: Path) -> None:
    from mcap.reader import make_reader

    with written(tmp_path / "a.mcap").open("rb") as file:
        found = list(make_reader(file).iter_messages())
    assert [message.log_time for _, _, message in found] == [0, 10, 20, 30, 40]
    assert json.loads(found[2][2].data)["raw"] == "0102"
    assert found[0][1].topic == "/det/hits"
    assert found[0][1].metadata == {"time": "ns", "energy": "keV", "run": "7"}


@pytest.mark.parametrize("compression", ["none", "gzip", "lzf"])
def test_hdf5_columns(tmp_path: Path, compression: str) -> None:
    path = written(tmp_path / "a.h5", compression=compression)
    with h5py().File(path) as file:
        group = file["det/hits"]
        assert list(group.attrs["columns"]) == ["time", "energy", "trace", "name", "raw", "peaks"]
        assert group["energy"][:].tolist() == [0, 0.5, 1, 1.5, 2]
        assert group["energy"].attrs["units"] == "keV"
        assert group["energy"].attrs["description"] == "summed"
        assert group["raw_offset"][:].tolist() == [0, 0, 1, 3, 3, 4]
        assert group["raw"][:].tolist() == [0, 1, 2, 0]
        assert file.attrs["default"] == "det/hits"
        assert (group.attrs["signal"], list(group.attrs["axes"])) == ("energy", ["time"])
        assert group["time"].compression == (None if compression == "none" else compression)
    with fileio.open(path) as reader:
        assert reader.info()["tables"] == {"det/hits": 5}
        assert reader.problems() == []
        (info,) = reader.tables()
        assert info.columns["raw"].values == 4
        rows = list(reader.chunks("det/hits", 1, 4, nbytes=1))
        assert [len(table) for table in rows] == [1, 1, 1]
        assert rows[1]["peaks"][0].tolist() == [0.25, 0.5]
        assert rows[1]["name"][0].decode() == "chänn2"
        assert rows[1]["energy"].unit == "keV"
        with pytest.raises(FormatError, match="There is no table"):
            list(reader.chunks("tracks"))
        with pytest.raises(FormatError, match="does not hold frames"):
            reader.read()


def test_frames_through_hdf5_and_back(recording: Path, tmp_path: Path) -> None:
    fileio.convert(recording, tmp_path / "a.h5", compression="gzip")
    with fileio.open(tmp_path / "a.h5") as reader:
        batch = reader.read()
        assert [batch.frame_bytes(row).tobytes() for row in range(len(batch))] == WHOLE
    fileio.convert(tmp_path / "a.h5", tmp_path / "b.dat")
    assert (tmp_path / "b.dat").read_bytes() == recording.read_bytes()


def test_hdf5_wants_what_was_announced(tmp_path: Path) -> None:
    sink = fileio.create(tmp_path / "a.h5", tables=announced(3))
    with pytest.raises(FileError, match="was not announced"):
        sink.write(Table("other", {}))
    sink.write(hits(0, 2))
    with pytest.raises(FileError, match="Fewer rows than announced"):
        sink.close()
    with pytest.raises(FileError, match="More rows than announced"):
        sink.write(hits(2, 2))
    sink.abort()


def test_other_hdf5_files_are_nobodys(tmp_path: Path) -> None:
    with h5py().File(tmp_path / "a.h5", "w") as file:
        file["x"] = [1, 2]
    with pytest.raises(FormatError, match="format of"):
        fileio.open(tmp_path / "a.h5")
    with pytest.raises(FormatError, match="holds no columns"):
        fileio.open(tmp_path / "a.h5", "hdf5")
    with pytest.raises(FileError, match="Failed to open HDF5 file"):
        fileio.open(Path(__file__), "hdf5")


def test_hdf5_verify_and_recover(tmp_path: Path) -> None:
    format = fileio.find("hdf5")
    path = written(tmp_path / "a.h5", compression="gzip")
    report = format.verify(path)
    assert (report.status, report.good, report.lost) == ("clean", 5, 0)
    with h5py().File(path, "r+") as file:
        file["det/hits/energy"].resize(3, axis=0)
    report = format.recover(path, tmp_path / "b.h5")
    assert (report.status, report.good) == ("loss", 3)
    assert "some columns have more" in report.problems[0]
    with fileio.open(tmp_path / "b.h5") as reader:
        assert reader.problems() == []
        (table,) = reader.chunks("det/hits")
        assert table["energy"].values.tolist() == [0, 0.5, 1]
        assert table["peaks"][2].tolist() == [0.25, 0.5]


def test_a_flipped_chunk_is_found(tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5", compression="gzip")
    with h5py().File(path) as file:
        place = file["det/hits/trace"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[place.byte_offset + 4] ^= 0xFF
    path.write_bytes(data)
    report = fileio.find("hdf5").verify(path)
    assert report.status == "unreadable"
    assert "cannot be read" in report.problems[0]


WRITER = """
import sys, numpy as np
import sapwood.fileio as fileio
from sapwood.fileio import Table, TableInfo
from sapwood.streams import FrameBatch
sink = fileio.create(sys.argv[1], tables=[TableInfo.of_frames(0, 0)], live=True)
payload = np.arange(100, dtype=np.uint8)
while True:
    sink.write(Table.from_frames(FrameBatch(payload, np.arange(10) * 10, np.full(10, 10))))
    sink.sync()
    print("synced", flush=True)
"""


def test_a_killed_live_writer_leaves_a_readable_file(tmp_path: Path) -> None:
    path = tmp_path / "live.h5"
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child:
        for _ in range(5):
            child.stdout.readline()
        os.kill(child.pid, signal.SIGKILL)
    with fileio.open(path) as reader:
        batch = reader.read()
    assert len(batch) >= 50
    assert len(batch) % 10 == 0
    assert batch.frame_bytes(49).tolist() == list(range(90, 100))


def test_compressions_that_do_not_exist(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="cannot be compressed so"):
        fileio.convert(recording, tmp_path / "a.parquet", compression="rar")
    with pytest.raises(FormatError, match="no compression"):
        fileio.convert(recording, tmp_path / "a.csv", compression="gzip")
    assert not list(tmp_path.glob("a.*"))


def test_a_missing_package_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uproot", None)
    with pytest.raises(MissingExtra, match=r"sapwood\[root\]"):
        fileio.create(tmp_path / "a.root")
