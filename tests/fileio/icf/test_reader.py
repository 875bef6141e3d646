"""Reading object by object: numbers, positions, errors; as SSDAQ's users know it, or better."""

from __future__ import annotations

import struct
import threading
from datetime import datetime

import numpy as np
import pytest

from sapwood.errors import FormatError, SapwoodError
from sapwood.fileio import DataReader, RawObjectReaderBase

OBJECTS = [bytes([i]) * (i * 5 % 23) for i in range(60)]


@pytest.fixture(params=["p0", "stored", "bz2"])
def path(request, p0, p1, write):
    if request.param == "p0":
        return write(p0(OBJECTS, 77))
    bunches = [OBJECTS[:7], OBJECTS[7:8], OBJECTS[8:50], OBJECTS[50:]]
    return write(p1(bunches, compressed=request.param == "bz2"))


def test_numbers(path) -> None:
    reader = RawObjectReaderBase(path)
    assert len(reader) == reader.n_entries == 60
    for number in (0, 7, 59, np.int8(8), np.uint64(59), np.array(3)):
        assert reader[number] == OBJECTS[int(number)]
    assert reader[-1] == reader.read_at(-1) == OBJECTS[-1]
    assert reader[-60] == OBJECTS[0]
    assert reader[np.int64(-2)] == OBJECTS[-2]


def test_several(path) -> None:
    reader = RawObjectReaderBase(path)
    assert reader[5:9] == OBJECTS[5:9]
    assert reader[::-7] == OBJECTS[::-7]
    assert reader[50:1000] == OBJECTS[50:]
    assert reader[9:5] == reader[[]] == []
    picks = [59, 0, 8, 8, -1, 20, 7]
    wanted = [OBJECTS[i] for i in picks]
    assert reader[picks] == reader[np.array(picks)] == wanted
    assert reader[[np.int16(3), 4]] == OBJECTS[3:5]
    mask = np.arange(60) % 9 == 0
    assert reader[mask] == OBJECTS[::9]
    with pytest.raises(ValueError, match="zero"):
        reader[::0]


@pytest.mark.parametrize("key", [60, -61, 10**30, [3, 60], np.array([-61]), np.ones(59, np.bool_)])
def test_out_of_range(path, key) -> None:
    with pytest.raises(IndexError, match=r"The requested file object \(.*\) is out of range") as caught:
        RawObjectReaderBase(path)[key]
    assert isinstance(caught.value, SapwoodError)


@pytest.mark.parametrize("key", ["x", 1.0, None, (1, 2), [0.5], [[1]], ["a"], np.float64(2)])
def test_no_numbers(path, key) -> None:
    with pytest.raises(TypeError):
        RawObjectReaderBase(path)[key]
    with pytest.raises(TypeError):
        RawObjectReaderBase(path).read_at(key)


def test_reading_on(path) -> None:
    reader = RawObjectReaderBase(path)
    assert [reader.read() for _ in range(60)] == OBJECTS
    for _ in range(2):
        if reader.version == 0:
            assert reader.read() is None
        else:
            with pytest.raises(IndexError, match="out of range"):
                reader.read()
    reader.resetfp()
    assert reader.read() == OBJECTS[0]
    assert list(reader) == list(reader.readobjects()) == OBJECTS


def test_read_at_moves_the_position_in_protocol_0_only(path) -> None:
    reader = RawObjectReaderBase(path)
    reader.read()
    reader.read_at(30)
    assert reader.read() == OBJECTS[31 if reader.version == 0 else 1]
    list(reader)
    reader[3:9]
    assert reader.read() == OBJECTS[32 if reader.version == 0 else 2]


def test_what_the_file_is(path) -> None:
    with RawObjectReaderBase(path) as reader:
        assert reader.filesize == path.stat().st_size
        assert isinstance(reader.metadata, dict)
        assert reader.timestamp == datetime.fromtimestamp(1_700_000_000 if reader.version else 0)
        text = str(reader)
        assert "objects:" in text
        assert "60" in text
        assert len(text.splitlines()) >= 7
        assert repr(reader) == f"RawObjectReaderBase({str(path)!r}, 60 objects)"
        assert reader.fhead == (77 if reader.version == 0 else int.from_bytes(b"SOF\0\0\0\0\0", "little"))


def test_closed(path) -> None:
    reader = RawObjectReaderBase(path)
    first = reader.read()
    reader.close()
    reader.close()
    assert first == OBJECTS[0]
    for call in (reader.read, reader.reload, lambda: reader[1], lambda: reader[1:3], lambda: list(reader)):
        with pytest.raises(ValueError, match="closed"):
            call()


def test_two_readers_at_once(path, p0, write) -> None:
    other = write(p0([b"other"] * 3), "other.sof")
    one, two, three = RawObjectReaderBase(path), RawObjectReaderBase(other), RawObjectReaderBase(path)
    assert (len(one), len(two), len(three)) == (60, 3, 60)
    pairs = list(zip(one, two, three, strict=False))
    assert [pair[1] for pair in pairs] == [b"other"] * 3
    assert one.read() == three.read() == OBJECTS[0]


def test_many_threads(path) -> None:
    reader = RawObjectReaderBase(path, cache_bytes=300)
    wrong: list[int] = []

    def look(seed: int) -> None:
        numbers = np.random.default_rng(seed).integers(0, 60, 200).tolist()
        wrong.extend(i for i in numbers if reader[[i, 59 - i]] != [OBJECTS[i], OBJECTS[59 - i]])

    threads = [threading.Thread(target=look, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_cache_is_bounded(p1, write) -> None:
    bunches = [[bytes([i]) * 10_000] for i in range(50)]
    reader = RawObjectReaderBase(write(p1(bunches, compressed=True)), cache_bytes=35_000)
    for number in range(50):
        assert reader.read_at(number) == bunches[number][0]
    source = reader._source
    assert len(source._cache) == 3
    assert source._cached == sum(block.nbytes for block in source._cache.values()) <= 35_000
    reader[list(range(50))]
    assert source._cached <= 35_000


def test_batches(path) -> None:
    reader = RawObjectReaderBase(path)
    for nbytes in (1, 40, 1 << 20):
        found = [
            batch.frame_bytes(i).tobytes()
            for batch in reader.batches(nbytes=nbytes)
            for i in range(len(batch))
        ]
        assert found == OBJECTS


def bad(kind: str) -> bytes:
    head = struct.pack("<4s4sIQ2H", b"SOF", b"", 1, 5, 0, 0)
    return {
        "nothing": b"",
        "11 bytes": head[:11],
        "20 bytes": head[:20],
        "short extension": head[:22] + struct.pack("<H", 9) + b"12345678",
        "no marker": b"SOX" + head[3:],
        "no text": b"\xff\xfe\xfd" + head[3:],
        "version": head[:8] + struct.pack("<I", 7) + head[12:],
        "a text file": b"# this is a text file, nothing more\n" * 3,
        "compressor": head[:20] + struct.pack("<2H", 9, 0),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("nothing", TypeError), ("11 bytes", TypeError), ("20 bytes", TypeError),
        ("short extension", TypeError), ("no marker", TypeError), ("no text", TypeError),
        ("version", KeyError), ("a text file", KeyError), ("a text file", TypeError),
        ("compressor", KeyError),
    ],
)  # fmt: skip
def test_other_files(write, kind, error) -> None:
    path = write(bad(kind))
    for cls in (RawObjectReaderBase, DataReader):
        with pytest.raises(error) as caught:
            cls(path)
        assert isinstance(caught.value, FormatError)
        assert path.name in str(caught.value)


def test_no_file(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.sof"):
        RawObjectReaderBase(tmp_path / "nowhere.sof")
    with pytest.raises(OSError, match="regular file"):
        RawObjectReaderBase(tmp_path)


def test_a_time_no_datetime_can_hold(p1, write) -> None:
    reader = RawObjectReaderBase(write(p1([[b"x"]], created=2**63)))
    assert reader.timestamp == datetime.max
    assert "objects" in str(reader)
