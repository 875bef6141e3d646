"""The frames of A-STEP streams: each led by its length, found piece by piece."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.apx.layout import PADDING
from sapwood.fileio.formats import PathLike
from sapwood.fileio.mapped import MappedFile
from sapwood.streams.windows import windows

__all__ = [
    "LENGTHS",
    "BinaryStream",
    "Frames",
    "HitFrames",
    "Stream",
    "TextStream",
    "frame",
    "hit_frames",
    "opened",
]

LENGTHS = {3: 0x0A, 4: 0x0D}  # bytes that follow the first byte of a frame of a hit, by version
_LONGEST = 32  # bytes that a frame of another kind may announce
_AHEAD = _LONGEST + 2  # bytes from the first of a frame to the one behind it
_RUN = 16  # frames of hits in a row from which on they are looked for many at a time
_MOST_RUN = 1 << 16
_INFO = re.compile(rb"INFO:b(['\"])([0-9a-fA-F]*)\1")


@dataclass(slots=True)
class Frames:
    """What a stream, or a piece of it, holds.

    Parameters
    ----------
    hits
        i8, shape (n,): where the frames of hits begin; not kept for a whole stream.
    count
        How many these are.
    odd
        Place and length byte of each frame of another length; of a whole stream the first 1,000.
    lengths
        How many frames of another length there are, by that length.
    skipped
        Bytes that belong to no frame; filler is not counted.
    """

    hits: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    count: int = 0
    odd: list[tuple[int, int]] = field(default_factory=list)
    lengths: Counter[int] = field(default_factory=Counter)
    skipped: int = 0


def frame(data: bytes, version: int, limit: int | None = None) -> tuple[Frames, int]:
    """Find the frames of a stream by their lengths.

    Where a length leads to nothing that could begin a frame, one byte is passed over, unless it
    is the length of a hit.

    Parameters
    ----------
    data
        The stream, or a piece of it when `limit` is given.
    limit
        Look for frames that begin before this byte only; so many bytes as a frame is long at most must
        lie behind it.

    Returns
    -------
    frames : Frames
    end : int
        The byte to go on with.
    """
    found, at, end, expected = Frames(), 0, len(data), LENGTHS[version]
    last = end if limit is None else limit
    array = np.frombuffer(data, np.uint8)
    runs: list[NDArray[np.int64]] = []
    single: list[int] = []
    in_row = 0
    while at < last:
        length = data[at]
        if length == PADDING:
            at += 1
            continue
        behind = at + 1 + length
        if length == expected and behind <= end:
            single.append(at)
            at, in_row = behind, in_row + 1
            if in_row >= _RUN:
                runs += [np.array(single, np.int64), _run(array, at, last, expected)]
                single, in_row = [], 0
                at += len(runs[-1]) * (expected + 1)
            continue
        in_row = 0
        leads_on = behind == end or (
            behind < end and (data[behind] == PADDING or 0 < data[behind] <= _LONGEST)
        )
        if 1 < length <= _LONGEST and leads_on:
            found.odd.append((at, length))
            found.lengths[length] += 1
        else:
            found.skipped += 1
            behind = at + 1
        at = behind
    found.hits = np.concatenate([*runs, np.array(single, np.int64)])
    found.count = len(found.hits)
    return found, at


def _run(data: NDArray[np.uint8], at: int, last: int, expected: int) -> NDArray[np.int64]:
    """Return where whole frames of hits begin that follow one another from `at` on, before `last`."""
    width, count, most = expected + 1, 0, _RUN
    while most:
        here = at + count * width
        most = min(2 * most, _MOST_RUN, (len(data) - here) // width, -(-(last - here) // width))
        if most <= 0:
            break
        lengths = data[here : here + most * width : width]
        other = np.flatnonzero(lengths != expected)
        count += int(other[0]) if len(other) else most
        if len(other):
            break
    return at + np.arange(count, dtype=np.int64) * width


class Stream(Protocol):
    """Bytes of frames, piece by piece."""

    def pieces(self, nbytes: int) -> Iterator[tuple[bytes, list[int]]]:
        """Yield bytes, and where in the whole stream readouts begin in them."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class BinaryStream:
    """A file of frames."""

    def __init__(self, path: PathLike) -> None:
        self._file = MappedFile(path)

    def pieces(self, nbytes: int) -> Iterator[tuple[bytes, list[int]]]:
        """Yield about `nbytes` at a time; the whole is one readout."""
        for begin in range(0, self._file.size, nbytes):
            self._file.check()
            piece = self._file.data[begin : begin + nbytes].tobytes()
            self._file.release(begin, begin + nbytes)
            yield piece, [0] if begin == 0 else []

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class TextStream:
    """A text log whose lines ``INFO:b'hex'`` are readouts; half bytes are left out."""

    def __init__(self, path: PathLike) -> None:
        self._file = MappedFile(path)

    def pieces(self, nbytes: int) -> Iterator[tuple[bytes, list[int]]]:
        """Yield the readouts of about `nbytes` of text at a time."""
        at, begin, size = 0, 0, self._file.size
        while begin < size:
            self._file.check()
            end = self._end_of_line(min(begin + nbytes, size))
            parts, begins = [], []
            for found in _INFO.finditer(self._file.data[begin:end].tobytes()):
                digits = found[2].decode()
                parts.append(bytes.fromhex(digits[: len(digits) // 2 * 2]))
                begins.append(at)
                at += len(parts[-1])
            self._file.release(begin, end)
            yield b"".join(parts), begins
            begin = end

    def _end_of_line(self, at: int) -> int:
        """Return the end of the line in which byte `at` lies."""
        data, size = self._file.data, self._file.size
        while at < size:
            newlines = np.flatnonzero(data[at : at + 4096] == ord("\n"))
            if len(newlines):
                return at + int(newlines[0]) + 1
            at = min(at + 4096, size)
        return at

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def opened(path: PathLike) -> Stream:
    """Return the stream of a file; a name that ends with ``.log`` is that of a text log."""
    return TextStream(path) if os.fspath(path).endswith(".log") else BinaryStream(path)


@dataclass(slots=True)
class HitFrames:
    """The frames that begin in one piece of a stream.

    Parameters
    ----------
    rows
        u1, shape (n, 11) or (n, 14): whole frames of hits.
    readout, order
        i8, shape (n,): in which readout each begins, and as which of its hits; from 0.
    frames
        Their places in the whole stream, and what else was found.
    """

    rows: NDArray[np.uint8]
    readout: NDArray[np.int64]
    order: NDArray[np.int64]
    frames: Frames


def hit_frames(stream: Stream, version: int, nbytes: int) -> Iterator[HitFrames]:
    """Yield the frames of hits, from about `nbytes` of the file at a time."""
    width = LENGTHS[version] + 1
    rest, base = b"", 0  # what was not framed yet, and its place
    begins: list[int] = []  # of readouts that reach into what is framed next
    known, last, count = 0, -1, 0  # readouts before `begins`; the last that had a hit, and its hits
    pieces = stream.pieces(nbytes)
    piece = next(pieces, None)
    while piece is not None:
        following = next(pieces, None)
        data = rest + piece[0]
        begins += piece[1]
        found, end = frame(data, version, None if following is None else max(len(data) - _AHEAD, 0))
        rows = np.empty((0, width), np.uint8)
        if len(found.hits):
            rows = windows(np.frombuffer(data, np.uint8), width)[found.hits].view(np.uint8)
        found.hits += base
        found.odd = [(at + base, length) for at, length in found.odd]
        readout = np.searchsorted(np.array(begins, np.int64), found.hits, side="right") - 1 + known
        order = np.arange(len(readout)) - np.searchsorted(readout, readout)
        order[readout == last] += count
        if len(readout):
            last = int(readout[-1])
            count = int(order[-1]) + 1
        yield HitFrames(rows.reshape(-1, width), readout, order, found)
        rest, base = data[end:], base + end
        over = max(int(np.searchsorted(np.array(begins, np.int64), base, side="right")) - 1, 0)
        known, begins = known + over, begins[over:]
        piece = following
