"""Recordings in parts, of every format that recorders split: opened, checked, saved and converted as one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood import fileio
from sapwood.errors import FileError, FormatError, RecordingExists
from sapwood.fileio.apx import AstroPix4Readout
from sapwood.fileio.apx.live import ApxFrames
from sapwood.fileio.batchrecorder import BatchRecorder
from sapwood.fileio.icf.live import IcfFrames
from sapwood.fileio.pymodaq.live import PymodaqFrames
from sapwood.fileio.recording.channelwriter import ChannelWriter
from sapwood.fileio.sinks.hdf5live import Hdf5Frames
from sapwood.streams import FrameBatch

HIT = bytes.fromhex("e05042030620d701")
FRAMES, SIZE = 600, 208
FORMATS: dict[str, tuple[Callable[[], Any], str]] = {
    "icf": (IcfFrames, "run.sof"),
    "icf bz2": (lambda: IcfFrames(compressor="bz2"), "run.sof"),
    "icf protocol 0": (lambda: IcfFrames(0), "run.icf"),
    "apx": (ApxFrames, "run.apx"),
    "hdf5": (Hdf5Frames, "run.h5"),
    "pymodaq": (PymodaqFrames, "run.h5"),
}


def _record(format: Any, path: Path, payload: np.ndarray[Any, Any], max_size: int = 50_000) -> None:
    writer = ChannelWriter(BatchRecorder(format))
    writer.setMaxSize(max_size)
    writer.open(str(path))
    for first in range(0, len(payload), 50):
        rows = payload[first : first + 50]
        start = np.arange(len(rows)) * rows.shape[1]
        writer.getChannel(0)._acceptBatch(
            FrameBatch(rows.reshape(-1), start, np.full(len(rows), rows.shape[1]))
        )
    writer.close()


def _payload() -> np.ndarray[Any, Any]:
    """Rows that are readouts of AstroPix, with a count in the place of the first hit's bytes."""
    rows = np.tile(np.frombuffer(HIT * (SIZE // len(HIT)), np.uint8), (FRAMES, 1))
    rows[:, 4:6] = np.arange(FRAMES, dtype="<u2").view(np.uint8).reshape(-1, 2)
    return rows


@pytest.fixture(params=FORMATS)
def split(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path, np.ndarray[Any, Any]]:
    make, name = FORMATS[request.param]
    if request.param in ("hdf5", "pymodaq"):
        pytest.importorskip("h5py")
    path, payload = tmp_path / name, _payload()
    _record(make(), path, payload)
    assert len(list(tmp_path.iterdir())) > 2
    return str(request.param).split()[0], path, payload


def _main_table(reader: fileio.Reader) -> str:
    return max(reader.tables(), key=lambda one: (one.rows, not one.view)).name


def test_the_bare_name_the_first_part_and_the_folder_open_all_parts(
    split: tuple[str, Path, np.ndarray[Any, Any]],
) -> None:
    format, path, payload = split
    for name in (path, f"{path}.1", path.parent):
        assert fileio.detect(name).name == format
        with fileio.open(name) as reader:
            info = reader.info()
            assert (info["format"], info["problems"], len(info["parts"])) == (format, [], len(info["parts"]))
            assert info["file"] == f"{path.name}.1"
            rows = {one.name: one.rows for one in reader.tables()}
            assert info["tables"] == rows
            if format == "pymodaq":
                table = "RawData/Detector000/Data1D/Ch000"
                assert rows[table] == FRAMES
                chunks = list(reader.chunks(table))
                got = np.concatenate([chunk["EnlData00"].values for chunk in chunks])
                np.testing.assert_array_equal(got, payload)
                continue
            assert rows["frames"] == FRAMES
            np.testing.assert_array_equal(reader.read().rows(), payload)
            batches = [batch.rows() for batch in reader.batches(nbytes=10_000)]
            np.testing.assert_array_equal(np.concatenate(batches), payload)
    assert not fileio.open(path).problems()


def test_rows_are_counted_through_all_parts(split: tuple[str, Path, np.ndarray[Any, Any]]) -> None:
    _, path, _ = split
    with fileio.open(path) as reader:
        table = _main_table(reader)
        total = {one.name: one.rows for one in reader.tables()}[table]
        whole = _values(reader, table, 0, None)
        for start, stop in (
            (0, 1),
            (total // 2 - 3, total // 2 + 300),
            (total - 2, total + 9),
            (total, None),
        ):
            for name, values in _values(reader, table, start, stop).items():
                np.testing.assert_array_equal(values, whole[name][start:stop])


def _values(
    reader: fileio.Reader, table: str, start: int, stop: int | None
) -> dict[str, np.ndarray[Any, Any]]:
    chunks = list(reader.chunks(table, start, stop))
    names = [name for name in (chunks[0] if chunks else ()) if not chunks[0][name].ragged]
    return {name: np.concatenate([chunk[name].values for chunk in chunks]) for name in names}


def test_iterations_do_not_disturb_one_another(split: tuple[str, Path, np.ndarray[Any, Any]]) -> None:
    _, path, _ = split
    with fileio.open(path) as reader:
        table = _main_table(reader)
        total = {one.name: one.rows for one in reader.tables()}[table]
        first, counts = reader.chunks(table, nbytes=5000), [0, 0]
        counts[0] += len(next(first))
        counts[1] = sum(map(len, reader.chunks(table, nbytes=5000)))
        assert not reader.problems()
        counts[0] += sum(map(len, first))
        assert counts == [total, total]
        left = reader.chunks(table, nbytes=5000)
        next(left)
        reader.problems()
    del first, left
    assert not _open_files(path.parent)


def _open_files(folder: Path) -> list[str]:
    """Return the files below `folder` that this process has open, where the system tells."""
    listed = Path("/proc/self/fd")
    names = [os.readlink(fd) for fd in listed.iterdir() if fd.is_symlink()] if listed.exists() else []
    return [name for name in names if name.startswith(str(folder))]


def test_one_part_alone(split: tuple[str, Path, np.ndarray[Any, Any]]) -> None:
    format, path, _ = split
    with fileio.open(f"{path}.2", single=True) as one, fileio.open(f"{path}.2") as same:
        assert one.info()["tables"] == same.info()["tables"]
    with fileio.open(f"{path}.1", format=format, single=True) as first, fileio.open(path) as whole:
        assert first.info()["tables"] != whole.info()["tables"]
        assert first.info() == whole.info()["parts"][0]


def test_converting_takes_all_parts(split: tuple[str, Path, np.ndarray[Any, Any]], tmp_path: Path) -> None:
    _, path, _ = split
    with fileio.open(path) as reader:
        table = _main_table(reader)
        expected = {one.name: one.rows for one in reader.tables()}[table]
    assert fileio.convert(path, tmp_path / "all.hdf5", tables=[table]) == expected
    with fileio.open(tmp_path / "all.hdf5") as copy:
        assert copy.info()["tables"] == {table: expected}


def test_all_parts_are_verified_and_recovered(
    split: tuple[str, Path, np.ndarray[Any, Any]], tmp_path: Path
) -> None:
    _, path, _ = split
    parts = sorted(path.parent.iterdir())
    report = fileio.verify(path)
    assert (report.status, report.problems) == ("clean", [])
    out = tmp_path / "saved" / path.name
    out.parent.mkdir()
    saved = fileio.recover(path, out)
    assert (saved.status, saved.good) == (report.status, report.good)
    assert [part.name for part in sorted(out.parent.iterdir())] == [part.name for part in parts]
    with fileio.open(out) as again, fileio.open(path) as reader:
        assert {one.name: one.rows for one in again.tables()} == {
            one.name: one.rows for one in reader.tables()
        }
    with pytest.raises(RecordingExists):
        fileio.recover(path, out)


def test_a_part_that_is_missing_is_a_loss(split: tuple[str, Path, np.ndarray[Any, Any]]) -> None:
    _, path, _ = split
    os.unlink(f"{path}.2")
    report = fileio.verify(path)
    assert report.status == "loss"
    assert f"{path}.2: this part is missing, later ones are there" in report.problems
    with fileio.open(path) as reader:
        assert reader.problems() == [f"{path}.2: this part is missing, later ones are there"]


def test_a_part_that_is_no_file_of_the_format(
    split: tuple[str, Path, np.ndarray[Any, Any]], tmp_path: Path
) -> None:
    _, path, _ = split
    Path(f"{path}.2").write_bytes(b"nothing of the kind" * 50)
    report = fileio.verify(path)
    assert report.status == "loss"
    assert report.good
    assert any(f"{path}.2" in problem for problem in report.problems)
    with fileio.open(path) as reader, pytest.raises(FileError, match=r"run\.\w+\.2"):
        reader.tables()
    out = tmp_path / "saved" / path.name
    out.parent.mkdir()
    assert fileio.recover(path, out).good == report.good
    with fileio.open(out) as again:
        assert not again.problems()


def test_a_file_that_was_split_later(tmp_path: Path) -> None:
    path, payload = tmp_path / "run.sof", _payload()
    _record(IcfFrames(), path, payload[:200], 0)
    _record(IcfFrames(), tmp_path / "next.sof", payload[200:], 0)
    os.rename(tmp_path / "next.sof", f"{path}.2")
    with fileio.open(path) as reader:
        np.testing.assert_array_equal(reader.read().rows(), payload)
    with fileio.open(path, single=True) as reader:
        np.testing.assert_array_equal(reader.read().rows(), payload[:200])


def test_a_hit_that_is_split_over_two_parts(tmp_path: Path) -> None:
    """And parts with more hits in a readout than fit into one byte: columns have one type."""
    header = fileio.FileHeader(AstroPix4Readout)
    blocks = (
        (HIT * 2 + HIT[:3],),
        (HIT[3:] + b"\xbc" + HIT * 300, HIT + HIT[:5]),
        (HIT[5:] + b"\xbc" + HIT,),
    )
    for number, datas in enumerate(blocks, 1):
        name = tmp_path / f"part{number}.apx"
        with fileio.apx_open(name, "wb", header) as file:
            for data in datas:
                AstroPix4Readout(data, number, 0).write(file)
        os.rename(name, tmp_path / f"run.apx.{number}")
    with fileio.open(tmp_path / "run.apx") as reader:
        hits = 2 + 1 + 300 + 1 + 1 + 1
        assert reader.info()["tables"]["hits"] == hits
        chunks = list(reader.chunks("hits"))
        assert sum(map(len, chunks)) == hits
        assert {chunk["decoding_order"].values.dtype for chunk in chunks} == {np.dtype("u2")}
        assert {int(value) for chunk in chunks for value in np.unique(chunk["row"].values)} == {1}
    with fileio.open(tmp_path / "run.apx", chain=False) as reader:
        assert reader.info()["tables"]["hits"] == hits - 2


@pytest.mark.parametrize(
    ("first", "second"), [("i8", "u8"), ("i4", "c16"), ("u1", "i1"), ("f4", "i4"), ("f8", "i8")]
)
def test_parts_whose_columns_have_other_types(tmp_path: Path, first: str, second: str) -> None:
    """No value changes: what no type holds is refused."""
    pytest.importorskip("h5py")
    path, values = tmp_path / "run.lh5", {first: np.array([1, 2], first), second: np.array([3, 4], second)}
    for number, kind in enumerate((first, second), 1):
        with fileio.lh5.LH5Store() as store:
            table = fileio.lh5.Table({"x": fileio.lh5.Array(values[kind])})
            store.write(table, "raw", tmp_path / "part.lh5")
        os.rename(tmp_path / "part.lh5", f"{path}.{number}")
    with fileio.open(path) as reader:
        if second in ("u8", "i8"):
            with pytest.raises(FormatError, match="another type") as told:
                reader.tables()
            assert told.value.file == f"{path}.2"
            return
        found = [chunk["x"].values for chunk in reader.chunks("raw")]
        assert found[0].dtype == found[1].dtype
        np.testing.assert_array_equal(np.concatenate(found), [1, 2, 3, 4])


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fileio.open(tmp_path / "none.sof", format="icf")
    with pytest.raises(FileError):
        fileio.open(tmp_path / "none.sof")
    _record(IcfFrames(), tmp_path / "run.sof", _payload())
    with fileio.open(tmp_path / "run.sof") as reader:
        with pytest.raises(FileError, match="no table 'hits'"):
            next(reader.chunks("hits"))
        reader.close()
        with pytest.raises(FileError, match="closed"):
            reader.read()
    with pytest.raises(FormatError):
        fileio.verify(tmp_path / "run.sof", "no such format")
