"""Protocol 0: objects one after the other, each behind its length and checksum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.icf.block import Block
from sapwood.fileio.icf.layout import CHUNK
from sapwood.fileio.icf.runs import Index, Run

__all__ = ["index", "load"]

_RUN_BYTES = 1 << 20  # of file in a run, but for a longer object
_RELEASED = 16 << 20  # bytes of file that are let go of together
_FEW = 16  # shorter streaks of equal objects are walked one by one
_STEP = 512  # objects walked one by one before equal ones are looked for again


def index(data: NDArray[np.uint8], begin: int, file: str, release: Callable[[int, int], None]) -> Index:
    """Return the runs of whole objects from byte `begin` to the end of `data`, the file.

    Its payload is not looked at. What comes after the first object that is not whole is torn.

    Parameters
    ----------
    release
        Called with the first byte and the end of what was looked at.
    """
    runs = []
    at = done = begin
    while at < len(data):
        if at - done >= _RELEASED:
            release(done, at)
            done = at
        starts = _chunks(data, at, min(at + _RUN_BYTES, len(data)))
        if not len(starts):
            break
        end = int(starts[-1]) + CHUNK.size + _length(data, int(starts[-1]))
        count = len(starts)
        runs.append(Run(at, end, count, end - at - CHUNK.size * count))
        at = end
    tail = _problem(data, at, file) if at < len(data) else None
    return Index(begin, len(data), runs, tail=tail)


def _problem(data: NDArray[np.uint8], at: int, file: str) -> str:
    left = len(data) - at
    if left < CHUNK.size:
        return f"{file}, offset {at}: the file ends within the header of an object, {left} bytes are left"
    length = _length(data, at)
    return (
        f"{file}, offset {at}: an object of {length} bytes does not fit, "
        f"{left - CHUNK.size} bytes are left: the file is cut or the length is damaged"
    )


def _length(data: NDArray[np.uint8], at: int) -> int:
    return int.from_bytes(data[at : at + 4].tobytes(), "little")


def _chunks(data: NDArray[np.uint8], at: int, limit: int) -> NDArray[np.int64]:
    """Return where the chunks of whole objects begin, i8, from byte `at` on.

    The last one is the first that reaches `limit`.
    """
    found: list[NDArray[np.int64]] = []
    while at < limit:
        streak = _equal_chunks(data, at, limit)
        if len(streak) < _FEW:
            streak = _walk(data, at, limit)
        if not len(streak):
            break
        found.append(streak)
        last = int(streak[-1])
        at = last + CHUNK.size + _length(data, last)
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _equal_chunks(data: NDArray[np.uint8], at: int, limit: int) -> NDArray[np.int64]:
    """Return the chunks from `at` on that have the length of the first."""
    if len(data) - at < CHUNK.size:
        return np.empty(0, np.int64)
    pitch = CHUNK.size + _length(data, at)
    count = min((len(data) - at) // pitch, -(-(limit - at) // pitch))
    lengths = np.ndarray((count,), "<u4", data, at, (pitch,))
    same = lengths == pitch - CHUNK.size
    run = count if bool(same.all()) else int(same.argmin())
    return at + np.arange(run, dtype=np.int64) * pitch


def _walk(data: NDArray[np.uint8], at: int, limit: int) -> NDArray[np.int64]:
    """Return the next chunks, `_STEP` at most, whatever their lengths."""
    unpack = CHUNK.unpack_from
    starts: list[int] = []
    size = len(data)
    view = data.data
    while at < limit and len(starts) < _STEP:
        if size - at < CHUNK.size:
            break
        following = at + CHUNK.size + unpack(view, at)[0]
        if following > size:
            break
        starts.append(at)
        at = following
    return np.array(starts, np.int64)


def load(data: NDArray[np.uint8], run: Run) -> Block:
    """Return the objects of `run`; they stay where they are."""
    chunks = _chunks(data, run.begin, run.end)
    words = np.ndarray((len(data) - CHUNK.size + 1, 2), "<u4", data, strides=(1, 4))
    sizes, crcs = words[chunks].T
    return Block(data, sizes.astype(np.int64), np.ascontiguousarray(crcs), chunks + CHUNK.size)
