"""Damaged files: never a hang, never wrong data without an error; what is whole can be saved."""

from __future__ import annotations

import bz2
import contextlib
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood import fileio
from sapwood.errors import SapwoodError
from sapwood.fileio import DataReader, RawObjectReaderBase
from sapwood.fileio.icf.checksum import combined, crc32_function

ICF = fileio.find("icf")
OBJECTS = [bytes([i + 1]) * (i * 7 % 31) for i in range(40)]
BUNCHES = [OBJECTS[:9], OBJECTS[9:25], OBJECTS[25:26], OBJECTS[26:]]
ENDS = [9, 25, 26, 40]


@pytest.fixture(params=["p0", "stored", "bz2"])
def data(request, p0, p1) -> bytes:
    if request.param == "p0":
        return p0(OBJECTS, 5)
    return p1(BUNCHES, compressed=request.param == "bz2", extension=b"ext")


def salvage(path) -> list[bytes]:
    """Return every object that can be read one by one, None for damaged ones."""
    found = []
    with RawObjectReaderBase(path, recover=True) as reader:
        for number in range(len(reader)):
            try:
                found.append(reader.read_at(number))
            except RuntimeError:
                found.append(None)
    return found


def test_every_cut(data, write) -> None:
    for size in range(0, len(data), 3):
        path = write(data[:size])
        try:
            found = salvage(path)
        except TypeError:
            assert size < 27
            continue
        assert found == OBJECTS[: len(found)]
        try:
            with RawObjectReaderBase(path) as reader:
                objects = list(reader)
        except (RuntimeError, IndexError):
            continue
        assert objects == OBJECTS[: len(objects)]


@pytest.mark.parametrize("tail", [b"\0" * 34, b"\0" * 512, b"\xff" * 40, b"SOF\0" * 30, b"\0"])
def test_something_behind_the_last_bunch(p1, write, tail) -> None:
    for compressed in (False, True):
        path = write(p1(BUNCHES, compressed=compressed) + tail)
        with pytest.raises(RuntimeError, match="File offsets are corrupted, unable to read file index"):
            RawObjectReaderBase(path)
        assert salvage(path) == OBJECTS
        with fileio.open(path) as reader:
            assert len(reader.read()) == 40
            assert [f"the last {len(tail)} bytes" in text for text in reader.problems()] == [True]


def test_a_zero_filled_tail_of_protocol_0_is_empty_objects(p0, write) -> None:
    assert salvage(write(p0(OBJECTS) + bytes(16))) == [*OBJECTS, b"", b""]


def test_every_flipped_byte(data, write) -> None:
    """What is read is what was written, or an error."""
    for at in range(27 if data[:3] == b"SOF" else 24, len(data), 3):
        flipped = bytearray(data)
        flipped[at] ^= 1 << at % 8
        path = write(bytes(flipped))
        try:
            with RawObjectReaderBase(path) as reader:
                assert list(reader) == OBJECTS
                if data[:3] == b"SOF" and not data[20]:  # only fields that nobody reads
                    assert any(at - T in (*range(24, 28), *range(32, 34)) for T in trailers(data))
        except (RuntimeError, IndexError):
            rest = iter(OBJECTS)
            whole = [item for item in salvage(path) if item is not None]
            assert all(item in rest for item in whole if item or data[:3] == b"SOF")
        report = ICF.verify(path)
        assert report.good <= 40


def trailers(data: bytes) -> list[int]:
    found, at = [], len(data) - 34
    while at > 0:
        found.append(at)
        at -= struct.unpack_from("<Q", data, at)[0]
    return found


def test_a_lost_bunch_in_the_middle(p1, write, tmp_path) -> None:
    """Bunches behind a destroyed trailer are found."""
    for compressed in (False, True):
        data = bytearray(p1(BUNCHES, compressed=compressed))
        second = sorted(trailers(bytes(data)))[1]
        data[second : second + 34] = bytes(34)
        path = write(bytes(data))
        with pytest.raises(RuntimeError, match="unable to read"):
            RawObjectReaderBase(path)
        assert salvage(path) == OBJECTS[:9] + OBJECTS[25:]
        report = ICF.recover(path, tmp_path / f"out{compressed}.sof")
        assert (report.status, report.good) == ("loss", 24)
        assert RawObjectReaderBase(tmp_path / f"out{compressed}.sof")[:] == OBJECTS[:9] + OBJECTS[25:]


def test_a_flipped_bunch_number_changes_nothing(p1, write) -> None:
    data = bytearray(p1(BUNCHES))
    for place in trailers(bytes(data)):
        data[place + 32 : place + 34] = b"\7\7"
    assert RawObjectReaderBase(write(bytes(data)))[:] == OBJECTS


def test_sizes_that_do_not_add_up(p1, write) -> None:
    data = bytearray(p1(BUNCHES))
    last = trailers(bytes(data))[0]
    data[last - 1] = 0xFF  # the size of the last object is 4 GB now
    reader = RawObjectReaderBase(write(bytes(data)))
    assert reader[:26] == OBJECTS[:26]
    with pytest.raises(RuntimeError, match="do not add up"):
        reader.read_at(30)


def test_a_bunch_that_expands_to_more(p1, write) -> None:
    good = p1([[b"abc"]], compressed=True)
    right = bz2.compress(b"abc")
    for packed in (bz2.compress(bytes(5_000_000)), bz2.compress(b"ab"), right + b"x", b"BZh9"):
        head, tables = good[:24], good[24 + len(right) : -34]
        place = 24 + len(packed) + 8
        path = write(head + packed + tables + struct.pack("<3Q2IH", place, place - 24, place, 0, 1, 0))
        with pytest.raises(RuntimeError, match="bz2 data"):
            RawObjectReaderBase(path).read()


@given(noise=st.binary(max_size=300), kind=st.integers(0, 3), tail=st.booleans())
@settings(deadline=None, max_examples=150)
def test_noise(tmp_path_factory, noise, kind, tail) -> None:
    head = [b"", bytes(24), struct.pack("<4s4sIQ2H", b"SOF", b"", 1, 5, 0, 0)]
    head.append(struct.pack("<4s4sIQ2H", b"SOF", b"", 1, 5, 1, 5) + bytes([1, 0, 3, 0, 0]))
    data = head[kind] + noise
    if tail:
        place = len(data)
        data += struct.pack("<3Q2IH", place, place - len(head[kind]), place, 0, len(noise) // 9 + 1, 0)
    path = tmp_path_factory.getbasetemp() / "noise.sof"
    path.write_bytes(data)
    for call in (
        lambda: list(RawObjectReaderBase(path)),
        lambda: RawObjectReaderBase(path, recover=True)[:],
        lambda: list(DataReader(path, recover=True)),
        lambda: ICF.verify(path),
        lambda: ICF.open(path).info(),
        lambda: ICF.open(path, damaged="skip").read(),
    ):
        with contextlib.suppress(SapwoodError):
            call()


@given(
    sizes=st.lists(st.one_of(st.integers(0, 200), st.sampled_from([4095, 4096, 4097, 9000])), max_size=80),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=80)
def test_combined_checksums(sizes, seed) -> None:
    random = np.random.default_rng(seed)
    pieces = [random.bytes(size) for size in sizes]
    crcs = np.array([zlib.crc32(piece) for piece in pieces], np.uint32)
    whole = zlib.crc32(b"".join(pieces))
    assert crc32_function()(b"".join(pieces)) == whole
    assert combined(crcs, np.array(sizes, np.int64)) == whole
    if sizes:
        same = [pieces[0]] * len(sizes)
        assert combined(crcs[:1].repeat(len(sizes)), sizes[0]) == zlib.crc32(b"".join(same))
