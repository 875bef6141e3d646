"""Walking the records of Rogue files, against a parser written here from the layout alone."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.errors import FileError
from sapwood.fileio.mapped import MappedFile
from sapwood.fileio.rogue.decode import Chunk, walk, walk_file

Record = tuple[int, int, int, bytes]  # channel, error, flags, payload


def encode(records: list[Record]) -> bytes:
    return b"".join(
        struct.pack("<IHBB", len(body) + 4, flags, error, channel) + body
        for channel, error, flags, body in records
    )


def parse(data: bytes) -> tuple[list[Record], int]:
    """Return the whole records of `data` and the bytes behind them; slow and plain."""
    found: list[Record] = []
    position = 0
    while len(data) - position >= 8:
        length, flags, error, channel = struct.unpack_from("<IHBB", data, position)
        if length < 4 or position + 4 + length > len(data):
            break
        found.append((channel, error, flags, data[position + 8 : position + 4 + length]))
        position += 4 + length
    return found, len(data) - position


def records_of(chunks: list[Chunk]) -> list[Record]:
    return [
        (frame.channel, frame.error, frame.flags, bytes(frame.buffer))
        for chunk in chunks
        for frame in chunk.batch.frames()
    ]


def walk_bytes(data: bytes, nbytes: int) -> list[Chunk]:
    array = np.frombuffer(data, np.uint8)
    chunks: list[Chunk] = []
    begin = 0
    while True:
        chunks.append(walk(array, begin, nbytes))
        begin = chunks[-1].end
        if begin >= len(data) or chunks[-1].tear is not None:
            return chunks


def check_against_parser(data: bytes, nbytes: int) -> None:
    chunks = walk_bytes(data, nbytes)
    expected, torn = parse(data)
    assert records_of(chunks) == expected
    tear = chunks[-1].tear
    assert (0 if tear is None else tear.nbytes) == torn
    assert all(chunk.tear is None for chunk in chunks[:-1])


headers = st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 65535))
one_record = st.tuples(headers, st.binary(max_size=40)).map(lambda item: (*item[0], item[1]))
runs = st.tuples(headers, st.integers(0, 30), st.integers(1, 80)).map(
    lambda run: [(*run[0], bytes([n % 256]) * run[1]) for n in range(run[2])]
)
recordings = st.lists(st.one_of(one_record.map(lambda one: [one]), runs), max_size=12).map(
    lambda groups: [record for group in groups for record in group]
)


@given(recordings, st.integers(1, 4000))
@settings(deadline=None)
def test_records_of_any_mixture_come_back(records: list[Record], nbytes: int) -> None:
    chunks = walk_bytes(encode(records), nbytes)
    assert records_of(chunks) == records
    assert chunks[-1].tear is None


@given(recordings, st.data())
@settings(deadline=None)
def test_a_cut_anywhere_leaves_the_whole_records(records: list[Record], data: st.DataObject) -> None:
    whole = encode(records)
    cut = data.draw(st.integers(0, len(whole)))
    check_against_parser(whole[:cut], data.draw(st.sampled_from([1, 64, 1 << 20])))


@given(st.binary(max_size=400), st.sampled_from([1, 16, 1 << 20]))
@settings(deadline=None)
def test_random_bytes_give_what_the_layout_says(data: bytes, nbytes: int) -> None:
    check_against_parser(data, nbytes)


@given(recordings.filter(bool), st.data())
@settings(deadline=None)
def test_a_flipped_bit_gives_what_the_layout_says(records: list[Record], data: st.DataObject) -> None:
    damaged = bytearray(encode(records))
    place = data.draw(st.integers(0, len(damaged) * 8 - 1))
    damaged[place // 8] ^= 1 << place % 8
    check_against_parser(bytes(damaged), 256)


def test_every_cut_of_the_last_three_records() -> None:
    records = [(1, 0, n, bytes([n]) * size) for n, size in enumerate([20, 20, 20, 7, 0, 33])]
    whole = encode(records)
    for cut in range(len(encode(records[:3])), len(whole) + 1):
        check_against_parser(whole[:cut], 1 << 20)


def test_a_long_run_that_changes_size_in_the_middle() -> None:
    records = [(n % 7, 0, n % 65536, bytes(100)) for n in range(5000)]
    records[3001] = (9, 1, 2, bytes(99))
    assert records_of(walk_bytes(encode(records), 1 << 16)) == records


@pytest.mark.parametrize(
    ("tail", "reason"),
    [
        (b"\x07\x00", "ends inside a length word"),
        (b"\x07\x00\x00\x00\x01", "ends inside a header"),
        (struct.pack("<IHBB", 100, 5, 6, 7) + b"abc", "needs 104 bytes, the file has 11 left"),
        (b"\xff" * 8, "needs 4294967299 bytes"),
        (b"\0" * 20, "bad length word 0"),
        (b"\3" + b"\0" * 20, "bad length word 3"),
    ],
)
def test_a_tear_says_where_and_why(tail: bytes, reason: str) -> None:
    whole = encode([(1, 0, 0, b"abcd")] * 20)
    tear = walk_bytes(whole + tail, 1 << 20)[-1].tear
    assert tear is not None
    assert tear.offset == len(whole)
    assert tear.nbytes == len(tail)
    assert reason in tear.reason
    assert tear.header == ((5, 6, 7) if len(tail) == 11 else (65535, 255, 255) if tail[0] == 255 else None)


def test_payloads_are_views_of_the_file_with_headers_between(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(encode([(1, 0, 0, b"abcd"), (2, 0, 0, b"efghij")]))
    with MappedFile(path) as file:
        (chunk,) = walk_file(file, 1 << 20)
        assert np.shares_memory(chunk.batch.payload, file.data)
    assert len(chunk.batch.payload) == 26
    assert chunk.batch.start.tolist() == [8, 20]
    assert bytes(chunk.batch[1].buffer) == b"efghij"  # the mapping outlives its file object


def test_a_file_that_is_cut_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(encode([(1, 0, 0, bytes(1000))] * 10))
    with MappedFile(path) as file:
        chunks = walk_file(file, 1500)
        next(chunks)
        os.truncate(path, 2000)
        with pytest.raises(FileError, match="was cut while it was read") as caught:
            next(chunks)
    assert caught.value.offset == 2000
    assert caught.value.file == str(path)


def test_only_regular_files_are_mapped(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=f"Failed to open data file: {tmp_path}"):
        MappedFile(tmp_path)
    with pytest.raises(FileError, match="Failed to open data file: /dev/null"):
        MappedFile("/dev/null")
    with pytest.raises(FileError, match="Failed to open data file: a\x00b"):
        MappedFile("a\0b")
