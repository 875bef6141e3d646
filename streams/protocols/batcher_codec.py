"""Batcher super-frames taken apart, put together and turned round."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import ProtocolError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.frame import Frame
from sapwood.streams.protocols.batcher_layout import LAYOUT_V1, LAYOUT_V2, Layout, Reason, layout_of, walk
from sapwood.streams.protocols.scatter import place, place_rows, words_at

__all__ = [
    "Refused",
    "SubFrameColumns",
    "SubFrames",
    "SuperFrames",
    "combine",
    "invert",
    "lay_out",
    "locate",
    "split",
    "split_batch",
]

_MANY = 32  # sub-frames of a super-frame from which columns are quicker than steps, about
_ZERO = np.zeros(1, np.int64)
_HEADER_FIRST = 8  # bytes of a header that stands before its data, in words of up to 8 bytes


class SubFrames(NamedTuple):
    """Where the data of each sub-frame begin (byte, i8[n]) and its tail as a number (u8[n]; see `walk`)."""

    start: NDArray[np.int64]
    tail: NDArray[np.uint64]


class SubFrameColumns(Protocol):
    """What a tail tells of its frame: size, and channel and flags, one each; a `FrameBatch` has them."""

    size: NDArray[np.int64]
    channel: NDArray[np.uint8]
    flags: NDArray[np.uint16]

    def __len__(self) -> int:
        """Return the number of frames."""
        ...


class Refused(NamedTuple):
    """A super-frame that is no such thing: its bytes, and why."""

    size: int
    reason: Reason


# Taking apart


def split(frame: Frame, version: int) -> FrameBatch | Refused:
    """Return the sub-frames of a super-frame as views, channel = TDEST."""
    data = memoryview(frame.buffer)
    found = Reason("error") if frame.error else locate(data, 0, len(data), version)
    return Refused(len(data), found) if isinstance(found, Reason) else _views(data, found)


def split_batch(batch: FrameBatch, version: int) -> Iterator[FrameBatch | Refused]:
    """Yield the sub-frames of super-frames, as views of their buffer, and in order what is refused.

    Sub-frames have the time of their super-frame.
    """
    data = batch.payload.data
    columns = batch.start.tolist(), batch.size.tolist(), batch.error.tolist()
    found: list[SubFrames] = []
    first = 0
    for index, (start, size, error) in enumerate(zip(*columns, strict=True)):
        one = Reason("error") if error else locate(data, start, start + size, version)
        if isinstance(one, Reason):
            yield from _run(batch, first, found)
            yield Refused(size, one)
            first = index + 1
            found = []
        else:
            found.append(one)
    yield from _run(batch, first, found)


def _run(batch: FrameBatch, first: int, found: list[SubFrames]) -> Iterator[FrameBatch]:
    if found:
        times = batch.time[first : first + len(found)]
        if times.any():
            times = np.repeat(times, [len(one.start) for one in found])
        else:
            times = np.broadcast_to(np.int64(0), (sum(len(one.start) for one in found),))
        start = np.concatenate([one.start for one in found])
        tail = np.concatenate([one.tail for one in found])
        yield _views(batch.payload, SubFrames(start, tail)).replace(time=times)


def _views(payload: memoryview | NDArray[np.uint8], found: SubFrames) -> FrameBatch:
    """Return the sub-frames as a batch; what `locate` found lies inside and is not checked again."""
    start, tail = found
    data = payload if isinstance(payload, np.ndarray) else np.frombuffer(payload, np.uint8)
    count = len(start)
    return FrameBatch._view(
        data,
        (
            np.ndarray((count,), np.uint8, tail, 4, (8,)),
            np.ndarray((count,), np.dtype("<u2"), tail, 5, (8,)).astype(np.uint16),
            np.ndarray((count,), np.uint8, _ZERO, 0, (0,)),
            np.ndarray((count,), np.int64, _ZERO, 0, (0,)),
            start,
            np.ndarray((count,), np.dtype("<u4"), tail, 0, (8,)).astype(np.int64),
        ),
    )


def locate(data: memoryview, base: int, end: int, version: int) -> SubFrames | Reason:
    """Find the sub-frames of the super-frame in bytes `base` to `end` of `data`."""
    layout = layout_of(version, data[base] if end > base else 0, end - base)
    if isinstance(layout, Reason):
        return layout
    found = _equal_steps(data, base, end, layout)
    if found is not None:
        return found
    steps = walk(data, layout, base, end)
    if steps is None:
        return Reason("tail")
    return SubFrames(np.array(steps[0], np.int64), np.array(steps[1], np.dtype("<u8")))


def _equal_steps(data: memoryview, base: int, end: int, layout: Layout) -> SubFrames | None:
    """Find many sub-frames of one size without a step for each; None when they are few or differ."""
    head, word, tail, back, _ = layout
    length = int.from_bytes(data[end - tail : end - tail + 4], "little")
    pitch = tail + -(-length // word) * word
    count, rest = divmod(end - base - head, pitch)
    if rest or count < _MANY:
        return None
    start = np.arange(base + head, end, pitch)
    tails = words_at(np.frombuffer(data, np.uint8), start + (pitch - tail - back))
    if back:
        tails = tails >> np.uint64(8 * back)
    return SubFrames(start, tails) if not ((tails & 0xFFFFFFFF) != length).any() else None


# Putting together


def combine(frames: FrameBatch, version: int, code: int, sequence: int) -> Frame:
    """Return the super-frame of `frames`, TDEST = channel.

    Parameters
    ----------
    version
        1 or 2.
    code
        Width code, 0..5, of version 1; without effect in version 2.
    sequence
        Number of the super-frame; 8 bits of it are sent.

    Raises
    ------
    ProtocolError
        When a frame is too long for its tail.
    """
    found = lay_out(frames, np.array([len(frames)]), version, code, sequence)
    place(found.out, found.data, frames)
    return Frame(found.out)


class SuperFrames(NamedTuple):
    """Super-frames but for their data: the bytes, where each begins, and where the data of each frame go."""

    out: NDArray[np.uint8]
    start: NDArray[np.int64]
    data: NDArray[np.int64]


def lay_out(
    frames: SubFrameColumns, count: NDArray[np.int64], version: int, code: int, sequence: int
) -> SuperFrames:
    """Return one super-frame after the other, of ``count[k]`` of the frames each, without their data.

    Parameters are those of `combine`; super-frame k has the number ``sequence + k``.

    Raises
    ------
    ProtocolError
        When a frame is too long for its tail.
    """
    layout = LAYOUT_V1[code] if version == 1 else LAYOUT_V2
    size = np.ascontiguousarray(frames.size)
    if len(size) and int(size.max()) > 0xFFFFFFFF:
        raise ProtocolError("A frame is too long for a batcher", expected="32 bits", seen=int(size.max()))
    padded = -(-size // layout.word) * layout.word
    rank = np.repeat(np.arange(1, len(count) + 1), count)  # super headers up to that of each frame
    stop = np.cumsum(padded + layout.tail) + rank * layout.head
    first = np.cumsum(count) - count
    ends = np.concatenate(([0], np.cumsum(padded + layout.tail)))
    start = ends[first] + np.arange(len(count)) * layout.head
    out = np.zeros(int(ends[-1]) + len(count) * layout.head, np.uint8)
    out[start] = version | (code << 4 if version == 1 else 0)
    out[start + 1] = (sequence + np.arange(len(count))) & 0xFF
    place_rows(out, stop - layout.tail, _tail_rows(frames, size, code if version == 1 else 0, layout.tail))
    return SuperFrames(out, start, stop - layout.tail - padded)


def _tail_rows(frames: SubFrameColumns, size: NDArray[np.int64], code: int, width: int) -> NDArray[np.uint8]:
    """Return tails, or headers, of `width` bytes, u1[n, width]."""
    fields = size | frames.channel.astype(np.int64) << 32 | frames.flags.astype(np.int64) << 40
    rows = np.zeros((len(frames), max(width, 8)), np.uint8)
    rows[:, :8] = fields.astype("<i8").view(np.uint8).reshape(-1, 8)
    rows[:, 7] = code
    return np.ascontiguousarray(rows[:, :width])


# Turning round


def invert(frame: Frame, version: int) -> Frame | Refused:
    """Return the super-frame with each tail before its data, without super header, as file readers want it.

    In version 1 the word has 8 bytes at least, and is kept. Sub-frames of version 2 come as those of
    version 1 in words of 2 bytes.
    """
    data = memoryview(frame.buffer)
    found = Reason("error") if frame.error else locate(data, 0, len(data), version)
    if not isinstance(found, Reason) and version == 1 and data[0] >> 4 < 2:
        found = Reason("width")
    if isinstance(found, Reason):
        return Refused(len(data), found)
    out = _inverted_v1(data, found) if version == 1 else _inverted_v2(data, found)
    return Frame(out, channel=frame.channel, flags=frame.flags)


def _inverted_v1(data: memoryview, found: SubFrames) -> NDArray[np.uint8]:
    """Move each tail into the place of the tail, or super header, before it."""
    width = 2 << (data[0] >> 4)
    source = np.frombuffer(data, np.uint8)
    out = source[:-width].copy()
    tails = np.concatenate((found.start[1:] - width, [len(data) - width]))
    rows = np.lib.stride_tricks.sliding_window_view(source, width)[tails]
    place_rows(out, found.start - width, np.ascontiguousarray(rows))
    return out


def _inverted_v2(data: memoryview, found: SubFrames) -> NDArray[np.uint8]:
    frames = _views(data, found)
    padded = frames.size + (frames.size & 1)
    stop = np.cumsum(padded + _HEADER_FIRST)
    out = np.zeros(int(stop[-1]), np.uint8)
    place(out, stop - padded, frames)
    size = np.ascontiguousarray(frames.size)
    place_rows(out, stop - padded - _HEADER_FIRST, _tail_rows(frames, size, 0, _HEADER_FIRST))
    return out
