"""Headers, readouts and files through the names that AstroPix users know."""

from __future__ import annotations

import io
import json
import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest

from sapwood import fileio
from sapwood.errors import FileError, FormatError, RecorderFault
from sapwood.fileio import FileHeader, apx_open
from sapwood.fileio.apx import (
    ApxReader,
    ApxWriter,
    AstroPix3Readout,
    AstroPix4Readout,
    AstroPixBinaryFile,
    sanitize_path,
    uid_to_readout_class,
)
from sapwood.fileio.filelayer import FileLayer
from sapwood.streams import FrameBatch

HIT = bytes.fromhex("bce05042030620d701bc")
ERRORS = {
    "RuntimeError": RuntimeError, "UnicodeDecodeError": ValueError, "KeyError": KeyError,
    "JSONDecodeError": json.JSONDecodeError, "struct.error": struct.error,
}  # fmt: skip


def test_rewriting_gives_the_same_bytes(golden_apx, manifest, tmp_path) -> None:
    count = 0
    for name, facts in manifest.items():
        if not name.endswith(".apx") or facts.get("iteration_end") != "eof" or "trunc" in name:
            continue
        with apx_open(golden_apx / name) as source, apx_open(tmp_path / "x.apx", "wb", source.header) as copy:
            for readout in source:
                readout.write(copy)
        if name != "v4_idle_padding.apx":  # filler at the end of a record goes
            assert (tmp_path / "x.apx").read_bytes() == (golden_apx / name).read_bytes(), name
            count += 1
    assert count > 15


def test_damage_as_the_peer_tells_it(golden_apx, manifest) -> None:
    for name, facts in manifest.items():
        if not name.endswith(".apx"):
            continue
        if "open_error" in facts:
            with pytest.raises(ERRORS[facts["open_error"]]) as caught:
                apx_open(golden_apx / name).__enter__()
            assert name in str(caught.value)
            continue
        with apx_open(golden_apx / name, strict=True) as file:
            if facts["iteration_end"] == "eof":
                assert len(list(file)) == facts["n_readouts"]
                continue
            for _ in range(facts["n_readouts"]):  # those before the error count
                next(file)
            with pytest.raises(ERRORS[facts["iteration_end"]], match=r"offset \d+"):
                next(file)


def test_going_on_behind_damage(golden_apx) -> None:
    with apx_open(golden_apx / "v4_garbage_between.apx") as file:
        assert len(list(file)) == 2
        assert file.problems == [
            f"{file.path}, offset 83: 5 bytes between readouts belong to no readout",
        ]
    with apx_open(golden_apx / "v4_trunc_01.apx") as file:
        whole, cut = file
        assert (whole.truncated, cut.truncated, cut.missing) == (False, True, 1)
        assert "truncated" in file.problems[0]


def test_header() -> None:
    header = FileHeader(AstroPix4Readout, {"creator": "Santa Claus", "µ": (1, None)})
    assert header.readout_uid() == 4000
    assert header.readout_class() is AstroPix4Readout
    assert header["creator"] == "Santa Claus"
    assert str(header) == "Header(readout_uid=4000, creator=Santa Claus, µ=(1, None))"
    assert header.serialize() == '{"readout_uid": 4000, "creator": "Santa Claus", "\\u00b5": [1, null]}'
    again = FileHeader.deserialize(header.serialize())
    assert again != header
    assert FileHeader.deserialize(again.serialize()) == again
    assert header != "x"
    assert FileHeader(AstroPix3Readout, [("a", 1)])["a"] == 1
    buffer = io.BytesIO()
    again.write(buffer)
    assert buffer.getvalue()[:4] == len(again.serialize()).to_bytes(4, "little")
    assert FileHeader.read(io.BytesIO(buffer.getvalue())) == again
    for bad, kind in (
        (lambda: header["no"], KeyError),
        (lambda: hash(header), TypeError),
        (lambda: FileHeader(AstroPix4Readout, {"readout_uid": 4000}), RuntimeError),
        (lambda: FileHeader(AstroPix4Readout, {"a": b""}).serialize(), TypeError),
        (lambda: FileHeader.deserialize("{}"), KeyError),
        (lambda: FileHeader.deserialize('{"readout_uid": 1}'), RuntimeError),
        (lambda: FileHeader.deserialize("[4000]"), TypeError),
        (lambda: FileHeader.deserialize("{"), json.JSONDecodeError),
        (lambda: FileHeader.deserialize("[" * 100_000), ValueError),
        (lambda: FileHeader.read(io.BytesIO(b"\1\0")), struct.error),
        (lambda: FileHeader.read(io.BytesIO(b"\xff\xff\xff\xff{}")), json.JSONDecodeError),
        (lambda: FileHeader.read(io.BytesIO(b"\2\0\0\0\xff\xfe")), ValueError),
        (lambda: uid_to_readout_class("4000"), RuntimeError),
    ):
        with pytest.raises(kind):
            bad()
    assert uid_to_readout_class(4000.0) is AstroPix4Readout
    text = '\n{ "readout_uid":4000, "a":1, "a":2, "t":"日本", "x": NaN }'
    assert FileHeader.deserialize(text)["a"] == 2


def test_readouts() -> None:
    readout = AstroPix4Readout(HIT + b"\xff\xff", 3, 5)
    assert readout.data() == HIT
    assert readout.hex() == HIT.hex()
    assert str(readout) == "AstroPix4Readout(10 bytes, readout_id = 3, timestamp = 5 ns)"
    assert readout.uid() == AstroPix4Readout.uid() == 4000
    assert readout.wall_timestamp == 5
    raw = readout.to_bytes()
    assert raw == b"\xfe\xdc\xba" + struct.pack("<IQI", 3, 5, 10) + HIT
    again = AstroPix4Readout.from_bytes(raw)
    assert (again.data(), again.readout_id, again.timestamp) == (HIT, 3, 5)
    before = AstroPix4Readout.latch_ns()
    assert before <= AstroPix4Readout(memoryview(HIT), 0).timestamp <= AstroPix4Readout.latch_ns()
    assert AstroPix4Readout(np.frombuffer(HIT, np.uint8), 0).data() == HIT
    assert AstroPix4Readout.from_file(io.BytesIO(b"")) is None
    for bad, kind in (
        (lambda: AstroPix4Readout("text", 0), TypeError),
        (lambda: AstroPix4Readout(5, 0), TypeError),
        (lambda: AstroPix4Readout(HIT, -1, 0).to_bytes(), struct.error),
        (lambda: AstroPix4Readout(HIT, 1 << 32, 0).to_bytes(), struct.error),
        (lambda: AstroPix4Readout(HIT, 0, 1 << 64).to_bytes(), struct.error),
        (lambda: AstroPix4Readout.from_bytes(raw + b"\0"), RuntimeError),
        (lambda: AstroPix4Readout.from_bytes(raw[:-1]), RuntimeError),
        (lambda: AstroPix4Readout.from_bytes(b"\0" + raw[1:]), RuntimeError),
        (lambda: AstroPix4Readout.from_bytes(raw[:12]), struct.error),
        (lambda: AstroPix4Readout.from_bytes(b""), struct.error),
    ):
        with pytest.raises(kind):
            bad()
    huge = raw[:15] + b"\xff\xff\xff\xff" + HIT
    assert AstroPix4Readout.from_file(io.BytesIO(huge)).missing == 0xFFFFFFFF - 10


def test_opening(tmp_path) -> None:
    header = FileHeader(AstroPix4Readout)
    with pytest.raises(RuntimeError, match=r"does not end with \.apx"):
        apx_open(tmp_path / "x.txt", "xx")
    with pytest.raises(ValueError, match="Mode 'r'"):
        apx_open("x.apx", "r")
    with pytest.raises(RuntimeError, match="header is needed"):
        apx_open("x.apx", "wb")
    missing = apx_open(tmp_path / "missing.apx")
    with pytest.raises(FileNotFoundError):
        missing.__enter__()
    path = tmp_path / "x.apx"
    file = AstroPixBinaryFile(path, "wb", header)
    assert not path.exists()
    with pytest.raises(AttributeError):
        file.write(b"")
    with file:
        assert file.write(AstroPix4Readout(HIT, 1, 2).to_bytes()) == 29
        with pytest.raises(OSError, match="not opened to read"):
            next(file)
    with pytest.raises(ValueError, match="closed file"):
        file.write(b"")
    file = apx_open(str(path))
    with pytest.raises(AttributeError):
        next(file)
    with file:
        (readout,) = file
        assert readout.readout_id == 1
        with pytest.raises(OSError, match="not opened to write"):
            file.write(b"")
        with pytest.raises(StopIteration):
            next(file)
    with pytest.raises(ValueError, match="closed file"):
        next(file)
    with file:
        assert len(list(file)) == 1
    assert sanitize_path(path, ".apx") == str(path)
    bad = FileHeader(AstroPix4Readout, {"x": {1}})
    with pytest.raises(TypeError), apx_open(tmp_path / "bad.apx", "wb", bad):
        pass
    assert not (tmp_path / "bad.apx").exists()


def test_adding_to_a_file(made, tmp_path) -> None:
    path = made([HIT, HIT], run=3)
    whole = path.read_bytes()
    with apx_open(path, "ab") as file:
        assert file.header["run"] == 3
        AstroPix4Readout(HIT, 2, 1002).write(file)
    assert path.read_bytes()[: len(whole)] == whole
    with apx_open(path) as file:
        assert [readout.readout_id for readout in file] == [0, 1, 2]
    with (
        pytest.raises(RuntimeError, match="another header"),
        apx_open(path, "ab", FileHeader(AstroPix4Readout, {"run": 4})),
    ):
        pass
    with apx_open(tmp_path / "new.apx", "ab", FileHeader(AstroPix4Readout)) as file:
        AstroPix4Readout(HIT, 0, 0).write(file)
    assert (tmp_path / "new.apx").stat().st_size == 60
    path.write_bytes(whole[:-1])
    with pytest.raises(FormatError, match="truncated"), apx_open(path, "ab"):
        pass
    assert path.read_bytes() == whole[:-1]


def test_random_access(made) -> None:
    path = made([HIT, b"", HIT + HIT])
    with apx_open(path) as file:
        assert next(file).readout_id == 0
        assert file.readout(2).data() == HIT + HIT
        assert file.readout(-3).timestamp == 1000
        assert len(file.index()) == 3
        with pytest.raises(IndexError):
            file.readout(3)
        assert next(file).readout_id == 1
    with apx_open(made([])) as file:
        assert len(file.index()) == 0


def test_following_a_growing_file(made) -> None:
    path = made([HIT])
    record = AstroPix4Readout(HIT, 1, 2).to_bytes()
    steps = iter([record[:2], record[2:20], record[20:], record + record[:5]])

    def grow() -> bool:
        piece = next(steps, None)
        if piece is not None:
            with path.open("ab") as file:
                file.write(piece)
        return piece is None

    with apx_open(path) as file:
        assert [one.readout_id for one in file.follow(stop=grow, poll_s=0)] == [0, 1, 1]
        assert file.problems == []
        assert list(file.follow(timeout_s=0)) == []
        assert list(file) == []
        assert len(file.problems) == 1


def test_table_of_hits(golden_apx) -> None:
    with apx_open(golden_apx / "v4_basic.apx") as file:
        table = file.to_table()
        assert len(file.to_table()) == 0
    assert len(table) == 6
    assert table["timestamp"].dtype == np.uint64
    assert json.loads(table.meta["comments"][0])["creator"] == "golden"
    with apx_open(golden_apx / "v4_300_hits.apx") as file:
        assert file.to_table(["decoding_order", "row"])["decoding_order"].dtype == np.uint16
    with apx_open(golden_apx / "v4_basic.apx") as file:
        for names, kind in ((["x"], RuntimeError), (["row", "row"], ValueError), ("row", RuntimeError)):
            with pytest.raises(kind):
                file.to_table(names)
    empty = AstroPix4Readout.HIT_CLASS.empty_table(["row", "tot_us"])
    assert (empty.colnames, len(empty)) == (["row", "tot_us"], 0)


# The writer


class Failing(FileLayer):
    """A disk with room for so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def writev(self, fd, buffers):
        data = b"".join(buffers)[: self.room]
        if not data:
            raise OSError(28, "No space left on device")
        self.room -= len(data)
        return os.write(fd, data)


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("room", range(31, 31 + 3 * 29, 7))
def test_a_full_disk_leaves_whole_readouts(tmp_path, room, batched) -> None:
    path = tmp_path / "x.apx"
    writer = ApxWriter(path, FileHeader(AstroPix4Readout), Failing(room), staged=0)
    readouts = [AstroPix4Readout(HIT, index, 0) for index in range(5)]
    batch = FrameBatch(HIT * 5, np.arange(5) * len(HIT), np.full(5, len(HIT)))
    with pytest.raises(RecorderFault, match="No space left"):
        writer.write_batch(batch) if batched else list(map(writer.write_readout, readouts))
    whole = (room - 31) // 29
    assert path.stat().st_size == writer.nbytes == 31 + whole * 29
    with pytest.raises(RecorderFault):
        writer.write(b"")
    writer.close()
    with ApxReader(path) as reader:
        assert reader.summary().readouts == whole
        assert not reader.problems()


def test_a_recording_can_be_read_while_it_grows(tmp_path) -> None:
    path = tmp_path / "x.apx"
    with ApxWriter(path, FileHeader(AstroPix4Readout), exclusive=True) as writer:
        assert ApxReader(path).summary().readouts == 0
        writer.write_readout(AstroPix4Readout(HIT, 0, 0))
        writer.flush()
        assert ApxReader(path).summary().readouts == 1
        batch = FrameBatch(HIT + b"\xff\xff" + HIT, [0, 12, 3], [12, 10, 0], time=[5, 6, 7])
        writer.write_batch(batch)
        writer.sync()
        assert writer.readouts == 4
    assert writer.closed
    with apx_open(path) as file:
        found = [(one.readout_id, one.timestamp, one.data()) for one in file]
    assert found == [(0, 0, HIT), (1, 5, HIT), (2, 6, HIT), (3, 7, b"")]
    with pytest.raises(FileError):
        ApxWriter(path, FileHeader(AstroPix4Readout), exclusive=True)
    with pytest.raises(FileNotFoundError):
        ApxWriter(tmp_path / "no" / "x.apx", FileHeader(AstroPix4Readout))


def test_writing_from_one_thread_and_reading_in_another(tmp_path) -> None:
    path = tmp_path / "x.apx"
    writer = ApxWriter(path, FileHeader(AstroPix4Readout), staged=100)
    seen: list[int] = []

    def read() -> None:
        with apx_open(path) as file:
            for readout in file.follow(timeout_s=20, poll_s=0.001, stop=lambda: len(seen) == 200):
                seen.append(readout.readout_id)  # noqa: PERF401  # `stop` looks at it meanwhile

    reader = threading.Thread(target=read)
    reader.start()
    for index in range(200):
        writer.write_readout(AstroPix4Readout(HIT, index, 0))
    writer.close()
    reader.join(30)
    assert seen == list(range(200))


def test_names_of_the_package() -> None:
    import sapwood.fileio.apx as package

    for name in package.__all__:
        assert getattr(package, name) is not None
    assert fileio.apx_open is apx_open
    assert set(package.__all__) <= set(dir(package))
    assert isinstance(Path(package.__file__), Path)
