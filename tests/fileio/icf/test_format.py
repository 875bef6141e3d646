"""Container files as recordings: found, converted, as tables; verified and recovered."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from sapwood import fileio
from sapwood.errors import FileError, FormatError
from sapwood.fileio import RawObjectReaderBase, convert
from sapwood.fileio.icf import LogWriter, TriggerPacketV3, TriggerWriter, message

ICF = fileio.find("icf")
OBJECTS = [bytes([i + 1]) * (i * 7 % 31) for i in range(40)]
BUNCHES = [OBJECTS[:9], OBJECTS[9:25], OBJECTS[25:26], OBJECTS[26:]]


@pytest.fixture(params=["p0", "stored", "bz2"])
def path(request, p0, p1, write):
    return write(p0(OBJECTS, 5) if request.param == "p0" else p1(BUNCHES, compressed=request.param == "bz2"))


def objects_of(batch) -> list[bytes]:
    return [batch.frame_bytes(row).tobytes() for row in range(len(batch))]


def test_a_recording(path) -> None:
    with fileio.open(path) as reader:
        info = reader.info()
        assert json.loads(json.dumps(info)) == info
        assert (info["format"], info["file"], info["tables"]) == ("icf", path.name, {"frames": 40})
        assert info["payload_bytes"] == sum(map(len, OBJECTS))
        assert info["problems"] == reader.problems() == []
        assert objects_of(reader.read()) == OBJECTS
        (table,) = reader.tables()
        assert (table.name, table.rows, table.view) == ("frames", 40, False)
        assert table.columns["payload"].values == sum(map(len, OBJECTS))
        for start, stop in ((0, None), (3, 8), (8, 27), (25, 26), (39, 99), (12, 12), (40, None)):
            chunks = reader.chunks("frames", start, stop, nbytes=50)
            assert [item for chunk in chunks for item in objects_of(chunk.to_frames())] == OBJECTS[start:stop]
        with pytest.raises(FileError, match="no table 'other'"):
            list(reader.chunks("other"))
    with pytest.raises(ValueError, match="closed"):
        list(reader.batches())


def test_frames_go_out_and_come_back(path, tmp_path) -> None:
    assert convert(path, tmp_path / "a.sof") == 40
    assert RawObjectReaderBase(tmp_path / "a.sof")[:] == OBJECTS
    assert convert(path, tmp_path / "a.npz") == 40
    assert np.load(tmp_path / "a.npz")["payload"].tobytes() == b"".join(OBJECTS)
    sink = fileio.create(tmp_path / "b.icf", compressor="bz2", bunchsize=100, timestamp=3)
    with fileio.open(path) as reader:
        for chunk in reader.chunks():
            sink.write(chunk)
    sink.sync()
    sink.close()
    assert fileio.open(tmp_path / "b.icf").info()["compressor"] == "bz2"
    assert RawObjectReaderBase(tmp_path / "b.icf")[:] == OBJECTS
    sink = fileio.create(tmp_path / "c.sof")
    sink.abort()
    assert fileio.open(tmp_path / "c.sof").info()["objects"] == 0


def test_damaged_objects_are_raised_or_skipped(p1, write, tmp_path) -> None:
    data = bytearray(p1(BUNCHES))
    data[24 + len(b"".join(OBJECTS[:5]))] ^= 1  # the first byte of object 5
    path = write(bytes(data))
    with fileio.open(path) as reader, pytest.raises(FormatError, match=r"Object 5 is damaged.*skip"):
        reader.read()
    with fileio.open(path) as reader:
        assert [item for part in reader.chunks(start=6) for item in objects_of(part.to_frames())] == OBJECTS[
            6:
        ]
    kept = OBJECTS[:5] + OBJECTS[6:]
    with fileio.open(path, damaged="skip") as reader:
        assert reader.tables()[0].rows == 39
        assert objects_of(reader.read()) == kept
    assert convert(path, tmp_path / "a.npz", damaged="skip") == 39
    with pytest.raises(FormatError, match="raise or skip"):
        fileio.open(path, "icf", damaged="maybe")
    report = ICF.verify(path)
    assert (report.status, report.good, report.lost, len(report.problems)) == ("loss", 39, 1, 1)


def test_nothing_can_be_saved(p1, write, tmp_path) -> None:
    path = write(p1([]) + b"x" * 50)
    assert ICF.verify(path).status == "unreadable"
    assert ICF.recover(path, tmp_path / "out.sof").status == "unreadable"
    assert not (tmp_path / "out.sof").exists()


def test_a_recovered_file_keeps_its_header(p1, write, tmp_path) -> None:
    path = write(p1(BUNCHES, compressed=True, created=99, extension=b"who") + b"tail")
    report = ICF.recover(path, tmp_path / "out.sof")
    assert (report.status, report.good, report.lost, report.torn_bytes) == ("loss", 40, 1, 4)
    reader = RawObjectReaderBase(tmp_path / "out.sof")
    assert (reader.header_ext, reader.compressor, reader.timestamp.timestamp()) == (b"who", "bz2", 99)
    with pytest.raises(FileExistsError):
        ICF.recover(path, tmp_path / "out.sof")


@pytest.mark.parametrize(
    ("data", "name", "answer"),
    [
        (b"SOF\0" + bytes(4) + b"\1\0\0\0" + bytes(12), "a.bin", 2),
        (b"SOF\0" + bytes(4) + b"\2\0\0\0" + bytes(12), "a.bin", 2),
        (b"SOX\0" + bytes(4) + b"\1\0\0\0" + bytes(12), "a.sof", 0),
        (bytes(24), "a.sof", 1),
        (bytes(24), "a.bin", 0),
        (bytes(40), "a.bin", 0),
        (bytes(40), "a.sof", 1),
        (bytes(24) + b"\3\0\0\0\xc2\x41\x24\x35abc", "a.bin", 1),
        (bytes(24) + b"\3\0\0\0\xc2\x41\x24\x35abc" + b"torn", "a.bin", 1),
        (bytes(24) + b"\3\0\0\0\xc2\x41\x24\x36abc", "a.bin", 0),
        (bytes(20) + b"\1\0\0\0" + b"\3\0\0\0\xc2\x41\x24\x35abc", "a.bin", 0),
        (b"", "a.sof", 0),
        (bytes(23), "a.sof", 0),
    ],
)
def test_detection(write, data, name, answer) -> None:
    path = write(data, name)
    assert ICF.detect(data[:4096], str(path)) == answer


def test_triggers_as_columns(tmp_path) -> None:
    random = np.random.default_rng(3)
    patterns = [(random.random((8 * (i % 3), 512)) < 0.02).astype(np.uint8) for i in range(20)]
    packets = [TriggerPacketV3(i, 1 << i % 8, patterns[i], source=i, message_type=i % 2) for i in range(20)]
    with TriggerWriter(tmp_path / "a.sof") as writer:
        for packet in packets:
            writer.write(packet)
    with fileio.open(tmp_path / "a.sof") as reader:
        triggers, frames = reader.tables()
        assert (triggers.name, triggers.rows, triggers.view) == ("triggers", 20, False)
        assert (frames.name, frames.view) == ("frames", True)
        (table,) = reader.chunks("triggers")
        assert triggers.columns.keys() == table.columns.keys()
        assert triggers.columns["patterns"].values == len(table["patterns"].values)
    assert table["tack_time"].values.tolist() == list(range(20))
    assert table["busy"].values.tolist() == [bool(i % 2) for i in range(20)]
    for row, packet in enumerate(packets):
        assert (table["union"][row] == packet.union).all()
        bits = np.unpackbits(table["patterns"][row]).reshape(512, -1)
        assert (packet.patterns == bits.T).all()
    assert convert(tmp_path / "a.sof", tmp_path / "a.npz") == 20
    assert set(np.load(tmp_path / "a.npz")) == {*table.columns, "offset"}
    assert convert(tmp_path / "a.sof", tmp_path / "b.sof") == 20
    assert RawObjectReaderBase(tmp_path / "b.sof")[:] == [packet.pack() for packet in packets]


def test_log_as_columns(tmp_path) -> None:
    fields = {
        "systemType": 1,
        "severity": 30,
        "sender": "é",
        "time": 5,
        "pid": 7,
        "sourceFile": "a",
        "line": 3,
    }
    with LogWriter(tmp_path / "a.sof") as writer:
        for text in ("one", "", "three"):
            writer.write(message("LogData", message=text, **fields))
    with fileio.open(tmp_path / "a.sof") as reader:
        (table,) = reader.chunks("log")
        assert reader.tables()[0].columns["message"].values == 8
    assert [table["message"][row].tobytes() for row in range(3)] == [b"one", b"", b"three"]
    assert table["severity"].values.tolist() == [30] * 3
    assert table["sender"][1].tobytes().decode() == "é"


def test_a_number_that_only_looks_like_a_type(p0, write) -> None:
    """The free field of protocol 0 may be anything."""
    with fileio.open(write(p0([b"no log message"], 1))) as reader:
        assert reader.info()["tables"] == {"frames": 1}


def test_time_stamps_as_columns(golden_icf, manifest) -> None:
    with fileio.open(golden_icf / "typed_timestamp.sof") as reader:
        (table,) = reader.chunks("timestamps")
    decoded = manifest["typed_timestamp.sof"]["decoded"]
    for name in ("event_counter", "pattern", "status"):
        assert table[name].values.tolist() == [item[name] for item in decoded]
    assert table["time_pico_seconds"].values.tolist() == [item["time"]["pico_seconds"] for item in decoded]


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, sapwood.fileio as f; f.RawObjectReaderBase, f.RawObjectWriterBase, f.DataReader;"
        "import sapwood.fileio.icf.format;"
        "print([n for n in ('google.protobuf', 'h5py', 'zstandard', 'sapwood.tree') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
