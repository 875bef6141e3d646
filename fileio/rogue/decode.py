"""From the bytes of a Rogue file to columns: the records are walked, payloads stay where they are.

A record is a length word (u32 LE, payload bytes + 4), flags (u16 LE), error (u8), channel (u8)
and the payload. Records follow each other without anything between them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.mapped import MappedFile
from sapwood.streams import FrameBatch

__all__ = ["HEADER", "HEADER_BYTES", "Chunk", "Tear", "walk", "walk_file"]

HEADER = np.dtype([("length", "<u4"), ("flags", "<u2"), ("error", "u1"), ("channel", "u1")])
HEADER_BYTES = HEADER.itemsize

_WORD = np.dtype("<u8")  # a header as one number; its low half is the length word
_LENGTH = np.uint64(0xFFFFFFFF)
_READ_LENGTH = struct.Struct("<I").unpack_from
_RUN = 16  # records of one size in a row that make stepping by stride worth a try
_BLOCK = 4096  # records walked one by one before the next guess


@dataclass(frozen=True, slots=True)
class Tear:
    """Where the chain of records ends before the file does.

    Parameters
    ----------
    offset
        Byte of the file where the first broken record begins.
    nbytes
        Bytes from there to the end of the file.
    reason
        What is wrong there.
    header
        Flags, error and channel of a record whose payload is cut, else None.
    """

    offset: int
    nbytes: int
    reason: str
    header: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole records of bytes `begin` to `end` of a file; `start` of the batch counts from `begin`."""

    batch: FrameBatch
    begin: int
    end: int
    tear: Tear | None = None


def walk_file(file: MappedFile, nbytes: int, begin: int = 0) -> Iterator[Chunk]:
    """Yield the records of `file` from byte `begin` on, about `nbytes` of it a chunk.

    At least one chunk is yielded; a tear is told by the last one. When the next chunk is asked
    for, the pages of the former are released: memory is that of one chunk.

    Raises
    ------
    FileError
        When the file is cut while it is read.
    """
    while True:
        file.check()
        chunk = walk(file.data, begin, nbytes)
        yield chunk
        file.release(begin, chunk.end)
        begin = chunk.end
        if begin >= file.size or chunk.tear is not None:
            return


def walk(data: NDArray[np.uint8], begin: int, nbytes: int) -> Chunk:
    """Return the whole records of `data` that begin in ``data[begin : begin + nbytes]``.

    Parameters
    ----------
    data
        A whole file, u1[].
    begin
        Byte of the first record.
    nbytes
        Bytes to look at; a record that begins within them is returned whole.
    """
    size = len(data)
    stop = min(begin + max(nbytes, 1), size - HEADER_BYTES + 1)  # a header that begins before it is whole
    starts: list[NDArray[np.int64]] = []
    words: list[NDArray[np.uint64]] = []
    position = begin
    while position < stop:
        found, position = _step_by_stride(data, position, stop, starts, words)
        if found < _RUN and position < stop:
            found, position = _step_singly(data, position, stop, starts, words)
        if found == 0:
            break
    header = np.concatenate(words) if words else np.empty(0, _WORD)
    start = np.concatenate(starts) if starts else np.empty(0, np.int64)
    columns = header.view(HEADER)
    batch = FrameBatch(
        data[begin:position],
        start - begin,
        columns["length"].astype(np.int64) - 4,
        channel=columns["channel"],
        flags=columns["flags"],
        error=columns["error"],
    )
    whole = position >= size or (position >= stop and stop < size - HEADER_BYTES + 1)
    return Chunk(batch, begin, position, None if whole else _tear(data, position))


def _step_by_stride(
    data: NDArray[np.uint8],
    position: int,
    stop: int,
    starts: list[NDArray[np.int64]],
    words: list[NDArray[np.uint64]],
) -> tuple[int, int]:
    """Take the run of records of one size at `position`; return their number and the next position."""
    (length,) = _READ_LENGTH(data.data, position)
    pitch = length + 4
    if length < 4:
        return 0, position
    room = min(-(-(stop - position) // pitch), (len(data) - position) // pitch)
    count, guess = 0, _RUN
    while count < room:
        guess = min(guess, room - count)
        strided: NDArray[np.uint64] = np.ndarray((guess,), _WORD, data, position, (pitch,))
        header = strided.copy()
        differs = (header & _LENGTH) != length
        equal = int(differs.argmax()) if differs.any() else guess
        words.append(header[:equal])
        starts.append(np.arange(equal, dtype=np.int64) * pitch + (position + HEADER_BYTES))
        count += equal
        position += equal * pitch
        if equal < guess:
            break
        guess *= 8
    return count, position


def _step_singly(
    data: NDArray[np.uint8],
    position: int,
    stop: int,
    starts: list[NDArray[np.int64]],
    words: list[NDArray[np.uint64]],
) -> tuple[int, int]:
    """Take up to a block of records one by one; return their number and the next position."""
    read, view = _READ_LENGTH, data.data
    found: list[int] = []
    append = found.append
    for _ in range(_BLOCK):
        if position >= stop:
            break
        append(position)
        position += read(view, position)[0] + 4
    at = np.array(found, np.int64)
    anywhere: NDArray[np.uint64] = np.ndarray((len(data) - HEADER_BYTES + 1,), _WORD, data, 0, (1,))
    header = anywhere[at]
    length = (header & _LENGTH).astype(np.int64)
    broken = (length < 4) | (at + 4 + length > len(data))
    if broken.any():
        count = int(broken.argmax())
        at, header, position = at[:count], header[:count], int(at[count])
    starts.append(at + HEADER_BYTES)
    words.append(header)
    return len(at), position


def _tear(data: NDArray[np.uint8], position: int) -> Tear:
    """Say why no whole record begins at `position`."""
    rest = len(data) - position
    if rest < 4:
        return Tear(position, rest, f"the file ends inside a length word ({rest} of 4 bytes)")
    (length,) = _READ_LENGTH(data.data, position)
    if length < 4:
        return Tear(position, rest, f"bad length word {length}, expected 4 or more")
    if rest < HEADER_BYTES:
        return Tear(position, rest, f"the file ends inside a header ({rest} of {HEADER_BYTES} bytes)")
    header = data[position : position + HEADER_BYTES].view(HEADER)[0]
    reason = f"the record needs {length + 4} bytes, the file has {rest} left"
    return Tear(position, rest, reason, (int(header["flags"]), int(header["error"]), int(header["channel"])))
