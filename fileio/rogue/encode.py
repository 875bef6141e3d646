"""Frames to Rogue records.

A framed record is ``u4 payload bytes + 4, u2 flags, u1 error, u1 channel, payload``, little
endian. A raw record is the payload alone.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import StreamError
from sapwood.fileio.filelayer import Buffer
from sapwood.fileio.recording.iovector import IoVector, address_of
from sapwood.fileio.recording.records import Records
from sapwood.streams import Frame, FrameBatch
from sapwood.streams.windows import windows

__all__ = ["HEADER_BYTES", "MAX_PAYLOAD", "RogueEncoder"]

HEADER_BYTES = 8
MAX_PAYLOAD = 0xFFFF_FFFF - 4  # bytes; the length word counts the second header word too

_LENGTH_EXTRA = 4  # the length word counts the second header word, not itself
_PACK = struct.Struct("<IHBB").pack
_OWN_BELOW = 32768  # smaller views are copied: they may keep a much larger buffer alive
_VIEW_FROM = 4096  # mean payload bytes from which payloads are written from where they lie
_SCRATCH = 1 << 20
# Headers as one number each, or the bytes of the one that all have.
_Heads = NDArray[np.uint64] | bytes
_JOIN_SHARE = 8  # records of one size, on average, below which bytes are joined one by one


class RogueEncoder:
    """Encodes frames as framed records or, when `raw` is set, as bare payloads."""

    def __init__(self, *, raw: bool = False) -> None:
        self.raw = raw
        self._scratch = _Scratch()

    def record(self, frame: Frame, channel: int) -> tuple[bytes, Buffer]:
        """Return header and payload; `channel` 0 keeps the frame's own.

        Raises
        ------
        StreamError
            When size or metadata do not fit the header.
        """
        body = frame.buffer
        if type(body) is not bytes and len(body) < _OWN_BELOW:
            body = bytes(body)
        if self.raw:
            return b"", body
        try:
            return _PACK(len(body) + _LENGTH_EXTRA, frame.flags, frame.error, channel or frame.channel), body
        except struct.error as error:
            raise StreamError(
                "The frame does not fit a Rogue record",
                expected=f"payload <= {MAX_PAYLOAD} bytes, flags of 16 bits, error and channel of 8",
                seen=repr(frame),
            ) from error

    def records(self, batch: FrameBatch, channel: int) -> Records:
        """Return the records of `batch`; `channel` 0 keeps each frame's own.

        Raises
        ------
        StreamError
            When a frame is too large for the length word.
        """
        uniform = batch.uniform_size
        largest = int(batch.size.max(initial=0)) if uniform is None else uniform
        if largest > MAX_PAYLOAD and not self.raw:
            raise StreamError(
                "A frame does not fit a Rogue record", expected=f"<= {MAX_PAYLOAD} bytes", seen=largest
            )
        heads = None if self.raw else _headers(batch, channel)
        if uniform:
            return _EqualRecords(batch, uniform, heads, self._scratch)
        return _MixedRecords(batch, heads, self._scratch)


def _headers(batch: FrameBatch, channel: int) -> _Heads:
    """Return the record headers: one for all frames when they are alike, else one each."""
    size, flags, error, channels = batch.size, batch.flags, batch.error, batch.channel
    alike = not (size.strides[0] or flags.strides[0] or error.strides[0])
    if alike and len(size) and (channel or not channels.strides[0]):
        return _PACK(int(size[0]) + _LENGTH_EXTRA, flags[0], error[0], channel or channels[0])
    heads = (size + _LENGTH_EXTRA).astype(np.uint64)
    heads |= flags.astype(np.uint64) << np.uint64(32)
    heads |= error.astype(np.uint64) << np.uint64(48)
    heads |= (np.uint64(channel) if channel else channels.astype(np.uint64)) << np.uint64(56)
    return heads.astype("<u8", copy=False)


def _numbers(heads: _Heads, first: int, last: int) -> NDArray[np.uint64] | int:
    """Return the headers of records `first` to ``last - 1`` as numbers; one when all have it."""
    return int.from_bytes(heads, "little") if isinstance(heads, bytes) else heads[first:last]


class _Scratch:
    """Memory that records are put together in, used again for each call."""

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)
        self._head = np.empty(HEADER_BYTES, np.uint8)
        self._head_at = address_of(self._head)
        self._make_table(0)

    def _make_table(self, count: int) -> None:
        self._table = np.empty((count, 4), np.intp)  # address and bytes of header, then of payload
        self._table_at = address_of(self._table)
        self._alike: bytes | None = None  # the header, and so the size, that all rows are filled for
        self._column = self._table[:, 2]  # addresses of as many payloads as there were last

    def take(self, size: int) -> NDArray[np.uint8]:
        """Return `size` bytes of any content; what was taken before is no longer valid."""
        if size > len(self._bytes):
            self._bytes = np.empty(max(size, _SCRATCH), np.uint8)
        return self._bytes[:size]

    def vector(self, batch: FrameBatch, heads: _Heads | None, first: int, last: int) -> Sequence[Buffer]:
        """Return headers and payloads of the records where they lie, in turn."""
        if heads is None:
            return _views(batch, None, first, last)
        count, start = last - first, batch.start
        if count > len(self._table):
            self._make_table(max(count, 512))
        if count != len(self._column):
            self._column = self._table[:count, 2]
        if count != len(start):
            start = start[first:last]
        np.add(start, address_of(batch.payload), self._column)
        if not isinstance(heads, bytes) or heads != self._alike:
            self._fill(batch, heads, first, last)
        return IoVector(self._table_at, 2 * count, self._table, _views, (batch, heads, first, last))

    def _fill(self, batch: FrameBatch, heads: _Heads, first: int, last: int) -> None:
        """Fill the table but for the addresses of the payloads."""
        self._table[:, 1] = HEADER_BYTES
        if isinstance(heads, bytes):
            self._head[:] = np.frombuffer(heads, np.uint8)
            self._table[:, 0] = self._head_at
            self._table[:, 3] = batch.size[0]
            self._alike = heads
        else:
            rows = self._table[: last - first]
            rows[:, 0] = np.arange(first, last) * HEADER_BYTES + address_of(heads)
            rows[:, 3] = batch.size[first:last]
            self._alike = None


def _views(batch: FrameBatch, heads: _Heads | None, first: int, last: int) -> Sequence[Buffer]:
    """Return headers and payloads of the records as buffers, payloads not copied."""
    data = batch.payload.data
    starts = batch.start[first:last]
    ends = (starts + batch.size[first:last]).tolist()
    payloads = [data[start:end] for start, end in zip(starts.tolist(), ends, strict=True)]
    if heads is None:
        return payloads
    packed = heads * len(payloads) if isinstance(heads, bytes) else heads[first:last].tobytes()
    pieces: list[Buffer] = [b""] * (2 * len(payloads))
    pieces[::2] = [packed[k : k + HEADER_BYTES] for k in range(0, len(packed), HEADER_BYTES)]
    pieces[1::2] = payloads
    return pieces


class _EqualRecords:
    """Records of one size."""

    def __init__(self, batch: FrameBatch, size: int, heads: _Heads | None, scratch: _Scratch) -> None:
        self._batch = batch
        self._heads = heads
        self._scratch = scratch
        self._payload = size
        self._head = HEADER_BYTES if heads is not None else 0
        self._size = self._head + self._payload
        self.count = len(batch.size)

    def _pitch(self) -> int | None:
        """Return the bytes from each payload to the next, or None when they are not the same."""
        starts = self._batch.start
        if self.count < 2:
            return self._payload
        pitch = int(starts[1] - starts[0])
        return None if bool((starts[1:] - starts[:-1] != pitch).any()) else pitch

    def span(self, first: int, last: int) -> int:
        """Return the bytes of records `first` to ``last - 1``."""
        return (last - first) * self._size

    def fit(self, first: int, room: int) -> int:
        """Return how many records from `first` on lie wholly within `room` bytes."""
        return max(min(room // self._size, self.count - first), 0)

    def sizes(self, first: int, last: int) -> NDArray[np.int64]:
        """Return the bytes of each record."""
        return np.full(last - first, self._size, np.int64)

    def pieces(self, first: int, last: int) -> Sequence[Buffer]:
        """Return the records: large payloads from where they lie, small ones encoded together."""
        if self._payload >= _VIEW_FROM:
            return self._scratch.vector(self._batch, self._heads, first, last)
        count, size, width = last - first, self._size, self._payload
        out = self._scratch.take(count * size)
        if self._heads is not None:
            np.ndarray((count,), "<u8", out, strides=(size,))[:] = _numbers(self._heads, first, last)
        kind = np.dtype((np.void, width))
        target = np.ndarray((count,), kind, out, self._head, (size,))
        payload, starts = self._batch.payload, self._batch.start[first:last]
        pitch = self._pitch()
        if pitch is not None:
            target[:] = np.ndarray((count,), kind, payload, int(starts[0]), (pitch,))
        else:
            target[:] = windows(payload, width)[starts]
        return [out.data]


class _MixedRecords:
    """Records of several sizes."""

    def __init__(self, batch: FrameBatch, heads: _Heads | None, scratch: _Scratch) -> None:
        self._batch = batch
        self._heads = heads
        self._scratch = scratch
        self._head = HEADER_BYTES if heads is not None else 0
        self.count = len(batch)
        self._ends = np.cumsum(batch.size + self._head)

    def _before(self, first: int) -> int:
        return int(self._ends[first - 1]) if first else 0

    def span(self, first: int, last: int) -> int:
        """Return the bytes of records `first` to ``last - 1``."""
        return self._before(last) - self._before(first)

    def fit(self, first: int, room: int) -> int:
        """Return how many records from `first` on lie wholly within `room` bytes."""
        if room < 0:
            return 0
        return int(np.searchsorted(self._ends, self._before(first) + room, side="right")) - first

    def sizes(self, first: int, last: int) -> NDArray[np.int64]:
        """Return the bytes of each record."""
        return np.diff(self._ends[first:last], prepend=self._before(first))

    def pieces(self, first: int, last: int) -> Sequence[Buffer]:
        """Return the records: large payloads from where they lie, small ones encoded together."""
        count, nbytes = last - first, self.span(first, last)
        if nbytes >= count * _VIEW_FROM:
            return self._scratch.vector(self._batch, self._heads, first, last)
        groups = self._groups(first, last)
        if groups is None:
            return [b"".join(_views(self._batch, self._heads, first, last))]
        out = self._scratch.take(nbytes)
        payload, starts = self._batch.payload, self._batch.start[first:last]
        sizes = self._batch.size[first:last]
        targets = self._ends[first:last] - sizes - self._before(first)  # of the payloads
        if self._heads is not None:
            windows(out, HEADER_BYTES).view("<u8")[targets - HEADER_BYTES] = _numbers(
                self._heads, first, last
            )
        for group in groups:
            width = int(sizes[group[0]])
            if width:
                windows(out, width)[targets[group]] = windows(payload, width)[starts[group]]
        return [out.data]

    def _groups(self, first: int, last: int) -> list[NDArray[np.int64]] | None:
        """Return the records by size, as indices from `first` on; None when hardly two are alike."""
        sizes = self._batch.size[first:last]
        if int(sizes.max()) <= np.iinfo(np.uint16).max:
            sizes = sizes.astype(np.uint16)  # sorted by radix, several times faster
        order = np.argsort(sizes, kind="stable")
        bounds = np.flatnonzero(np.diff(sizes[order])) + 1
        if len(bounds) * _JOIN_SHARE > len(order):
            return None
        return np.split(order, bounds)
