"""Many frames as columns over one payload buffer."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sapwood.errors import StreamError
from sapwood.streams.frame import BytesLike, Frame
from sapwood.streams.windows import windows

__all__ = ["FrameBatch"]

_UNKNOWN = -1
_LARGE = 1024  # bytes of a frame from which copies of its own are cheaper than those of many at once
_COLUMNS = ("channel", "flags", "error", "time", "start", "size")
_LIMITS: dict[type[np.integer[Any]], tuple[int, int, int]] = {  # and the bytes of an item
    kind: (int(np.iinfo(kind).min), int(np.iinfo(kind).max), kind(0).itemsize)
    for kind in (np.uint8, np.uint16, np.int64)
}
_ZEROS: dict[type[np.integer[Any]], NDArray[Any]] = {  # every column of zeros is a part of these
    kind: np.broadcast_to(kind(0), (sys.maxsize >> 4,)) for kind in _LIMITS
}


def _column(values: ArrayLike | int, dtype: type[np.integer[Any]], count: int, name: str) -> NDArray[Any]:
    """Return `values` as a column of `count` items; a scalar is broadcast, not stored n times, read-only."""
    if isinstance(values, int):  # quick: no array of n items, no scan
        if not values:
            return _ZEROS[dtype][:count]
        low, high, width = _LIMITS[dtype]
        if low <= values <= high:
            return np.ndarray((count,), dtype, values.to_bytes(width, sys.byteorder, signed=low < 0), 0, (0,))
    array = np.asarray(values)
    if array.dtype != dtype:
        if array.size and array.dtype.kind not in "iub":
            raise StreamError(f"Column {name} holds no integers", expected=np.dtype(dtype), seen=array.dtype)
        if array.size and array.dtype.kind in "iu" and np.dtype(dtype).itemsize < 8:
            limits = np.iinfo(dtype)
            if array.min() < limits.min or array.max() > limits.max:
                raise StreamError(
                    f"Column {name} is out of range",
                    expected=f"{limits.min}..{limits.max}",
                    seen=f"{array.min()}..{array.max()}",
                )
        array = array.astype(dtype)
    if array.ndim == 0:
        return np.broadcast_to(array, (count,))
    if array.shape != (count,):
        raise StreamError(f"Column {name} has the wrong shape", expected=(count,), seen=array.shape)
    return array


class FrameBatch:
    """n frames: frame i is ``payload[start[i] : start[i] + size[i]]``.

    Other bytes (file headers, packet tails) may lie between the frames. Columns may be
    broadcasts or views: never write to them. A batch is read-only once it is sent.

    Parameters
    ----------
    payload
        The buffer, any contiguous bytes-like object; kept, not copied.
    start, size
        Bytes, shape (n,); `size` may be one number for all.
    channel, flags, error
        u1, u2, u1; one number for all, or shape (n,).
    time
        Nanoseconds since the epoch, 0 = unknown; one number for all, or shape (n,).

    Raises
    ------
    StreamError
        When a column has the wrong shape or range, or a frame lies outside the payload.
    """

    channel: NDArray[np.uint8]
    flags: NDArray[np.uint16]
    error: NDArray[np.uint8]
    time: NDArray[np.int64]
    start: NDArray[np.int64]
    size: NDArray[np.int64]
    payload: NDArray[np.uint8]
    _nbytes: int = -1  # found when first asked for, as are the next two
    _uniform: int | None = _UNKNOWN
    _dense: bool | None = None

    def __init__(
        self,
        payload: BytesLike,
        start: ArrayLike,
        size: ArrayLike,
        *,
        channel: ArrayLike = 0,
        flags: ArrayLike = 0,
        error: ArrayLike = 0,
        time: ArrayLike = 0,
    ) -> None:
        starts = np.atleast_1d(np.asarray(start))
        count = len(starts)
        self.payload = _payload_array(payload)
        self.start = _column(starts, np.int64, count, "start")
        self.size = _column(size, np.int64, count, "size")
        self.channel = _column(channel, np.uint8, count, "channel")
        self.flags = _column(flags, np.uint16, count, "flags")
        self.error = _column(error, np.uint8, count, "error")
        self.time = _column(time, np.int64, count, "time")
        if count:
            self._check_bounds()

    def _check_bounds(self) -> None:
        first = int(self.start.min())
        last = max(int((self.start + self.size).max()), int(self.start.max()))  # the sum may overflow
        if first < 0 or int(self.size.min()) < 0 or last > len(self.payload):
            raise StreamError(
                "A frame lies outside the payload",
                expected=f"bytes 0..{len(self.payload)}",
                seen=f"bytes {first}..{last}",
            )

    @classmethod
    def _view(cls, payload: NDArray[np.uint8], columns: Iterable[NDArray[Any]]) -> FrameBatch:
        """Make a batch from columns known to be right, in the order of ``_COLUMNS``."""
        batch = cls.__new__(cls)
        batch.payload = payload
        batch.channel, batch.flags, batch.error, batch.time, batch.start, batch.size = columns
        return batch

    # Making batches

    @classmethod
    def of_places(
        cls, payload: NDArray[np.uint8], start: NDArray[np.int64], size: NDArray[np.int64], time: int = 0
    ) -> FrameBatch:
        """Return frames without metadata at places known to be right, i8 of one length; nothing is checked.

        Checks take longer than everything else that is done with a few frames.
        """
        count = len(start)
        nothing = _ZEROS[np.uint8][:count]
        columns = (nothing, _ZEROS[np.uint16][:count], nothing, _column(time, np.int64, count, "time"))
        return cls._view(payload, (*columns, start, size))

    @classmethod
    def joined(cls, payloads: Sequence[bytes | bytearray | memoryview]) -> FrameBatch:
        """Return the frames without metadata of some payloads, views of format ``B``, copied."""
        size = np.fromiter(map(len, payloads), np.int64, len(payloads))
        return cls.of_places(np.frombuffer(b"".join(payloads), np.uint8), np.cumsum(size) - size, size)

    @classmethod
    def empty(cls) -> FrameBatch:
        """Return a batch of no frames."""
        return cls(b"", np.empty(0, np.int64), 0)

    @classmethod
    def gather(cls, frames: Sequence[Frame]) -> FrameBatch:
        """Return the batch of single frames, in order: the one copy of payload that has a name.

        One frame alone is not copied.
        """
        if len(frames) == 1:
            frame = frames[0]
            return cls(
                frame.buffer, 0, frame.size, channel=frame.channel, flags=frame.flags, error=frame.error
            )
        buffers = [frame.buffer for frame in frames]
        size = np.fromiter(map(len, buffers), np.int64, len(frames))
        return cls(
            b"".join(buffers),
            np.cumsum(size) - size,
            size,
            channel=np.array([frame.channel for frame in frames], np.uint8),
            flags=np.array([frame.flags for frame in frames], np.uint16),
            error=np.array([frame.error for frame in frames], np.uint8),
        )

    @classmethod
    def from_rows(
        cls,
        rows: NDArray[Any],
        *,
        channel: ArrayLike = 0,
        flags: ArrayLike = 0,
        error: ArrayLike = 0,
        time: ArrayLike = 0,
    ) -> FrameBatch:
        """Return a batch of equal frames: `rows` has shape (n, items), each row is one frame.

        The array is kept when it is C-contiguous, else copied.
        """
        if rows.ndim != 2:
            raise StreamError("Rows of frames need two dimensions", expected="(n, items)", seen=rows.shape)
        rows = np.ascontiguousarray(rows)
        count, width = rows.shape[0], rows.shape[1] * rows.itemsize
        start = np.arange(count, dtype=np.int64) * width
        return cls(rows.reshape(-1).view(np.uint8), start, width,
                   channel=channel, flags=flags, error=error, time=time)  # fmt: skip

    @classmethod
    def concat(cls, batches: Sequence[FrameBatch]) -> FrameBatch:
        """Return all frames of `batches`, dense, in order (payload is copied)."""
        dense = [batch.compact() for batch in batches]
        if not dense:
            return cls.empty()
        bases = np.cumsum([0] + [len(batch.payload) for batch in dense[:-1]])
        columns = {
            name: np.concatenate([getattr(batch, name) for batch in dense])
            for name in ("channel", "flags", "error", "time", "size")
        }
        start = np.concatenate([batch.start + base for batch, base in zip(dense, bases, strict=True)])
        payload = np.concatenate([batch.payload for batch in dense])
        return cls(payload, start, **columns)

    # Looking at batches

    def __len__(self) -> int:
        return len(self.start)

    def __repr__(self) -> str:
        return f"FrameBatch({len(self)} frames, {self.nbytes} bytes)"

    @overload
    def __getitem__(self, key: int | np.integer[Any]) -> Frame: ...
    @overload
    def __getitem__(self, key: slice | NDArray[Any] | list[int] | list[bool]) -> FrameBatch: ...
    def __getitem__(
        self, key: int | np.integer[Any] | slice | NDArray[Any] | list[int] | list[bool]
    ) -> Frame | FrameBatch:
        """Return frame `key`, or the batch of the frames that a slice, mask or index array selects."""
        if type(key) is not slice and isinstance(key, (int, np.integer)):
            return Frame(
                self.frame_bytes(int(key)),
                channel=int(self.channel[key]),
                flags=int(self.flags[key]),
                error=int(self.error[key]),
            )
        columns = self.channel, self.flags, self.error, self.time, self.start, self.size
        part = self._view(self.payload, [column[key] for column in columns])
        if len(part):
            part._uniform = self._uniform if self._uniform is not None else _UNKNOWN
        return part

    @property
    def nbytes(self) -> int:
        """Sum of the frames' sizes, bytes."""
        if self._nbytes < 0:
            uniform = self.uniform_size
            self._nbytes = int(self.size.sum()) if uniform is None else uniform * len(self)
        return self._nbytes

    @property
    def uniform_size(self) -> int | None:
        """The size all frames have, bytes; None when they differ or there are none."""
        if self._uniform == _UNKNOWN:
            self._uniform = self._find_uniform()
        return self._uniform

    def _find_uniform(self) -> int | None:
        if not len(self):
            return None
        first = int(self.size[0])
        if self.size.strides == (0,) or bool((self.size == first).all()):
            return first
        return None

    def frame_bytes(self, index: int) -> NDArray[np.uint8]:
        """Return the payload of frame `index` as a view, shape (size[index],)."""
        start = int(self.start[index])
        return self.payload[start : start + int(self.size[index])]

    def rows(self) -> NDArray[np.uint8] | None:
        """Return the payloads as a view of shape (n, size), or None.

        None when sizes differ or the frames do not lie at equal distances.
        """
        width = self.uniform_size
        if width is None:
            return None
        start = self.start
        pitch = int(start[1] - start[0]) if len(self) > 1 else width
        if pitch < 0 or (len(self) > 2 and bool((start[1:] - start[:-1] != pitch).any())):
            return None
        rows: NDArray[np.uint8] = np.ndarray(
            (len(self), width), np.uint8, self.payload, int(start[0]), (pitch, 1)
        )
        rows.flags.writeable = False
        return rows

    def frames(self) -> Iterator[Frame]:
        """Yield each frame as an object; payloads are views of the batch."""
        view = self.payload.data
        starts, sizes = self.start.tolist(), self.size.tolist()
        columns = (self.channel.tolist(), self.flags.tolist(), self.error.tolist())
        for start, size, channel, flags, error in zip(starts, sizes, *columns, strict=True):
            yield Frame.of_view(view[start : start + size], channel, flags, error)

    @property
    def offset(self) -> NDArray[np.int64]:
        """Bounds of the frames of a dense batch, i8, shape (n + 1,).

        Raises
        ------
        StreamError
            When bytes lie between the frames; call `compact` first.
        """
        if not self.is_dense:
            raise StreamError("Only a dense batch has offsets", hint="Call compact() first.")
        bounds = np.empty(len(self) + 1, np.int64)
        bounds[0] = 0
        np.cumsum(self.size, out=bounds[1:])
        return bounds

    @property
    def is_dense(self) -> bool:
        """Frames follow each other without other bytes, from byte 0 to the end of the payload."""
        if self._dense is None:
            self._dense = self._find_dense()
        return self._dense

    def _find_dense(self) -> bool:
        if not len(self):
            return len(self.payload) == 0
        return (
            int(self.start[0]) == 0
            and self.nbytes == len(self.payload)
            and bool((self.start[1:] == (self.start + self.size)[:-1]).all())
        )

    # Deriving batches

    def compact(self) -> FrameBatch:
        """Return the same frames over a payload that holds nothing else (self when it is so already)."""
        if self.is_dense:
            return self
        size = np.ascontiguousarray(self.size)
        start = np.cumsum(size) - size
        columns = (self.channel, self.flags, self.error, self.time, start, self.size)
        return self._view(_gather_bytes(self), columns)

    def replace(self, **columns: ArrayLike) -> FrameBatch:
        """Return a batch with some of the columns replaced; a scalar counts for all frames."""
        unknown = columns.keys() - set(_COLUMNS)
        if unknown:
            raise StreamError(f"No such column: {', '.join(sorted(unknown))}", expected=", ".join(_COLUMNS))
        current = {name: getattr(self, name) for name in _COLUMNS}
        return FrameBatch(self.payload, **{**current, **columns})

    def split(self, nbytes: int) -> Iterator[FrameBatch]:
        """Yield runs of frames of at most `nbytes` payload bytes each (one frame may exceed it)."""
        if self.nbytes <= nbytes:
            if len(self):
                yield self
            return
        ends = np.cumsum(self.size)
        first, done = 0, 0
        while first < len(self):
            last = max(int(np.searchsorted(ends, done + nbytes, side="right")), first + 1)
            yield self[first:last]
            first, done = last, int(ends[last - 1])


def _payload_array(payload: BytesLike) -> NDArray[np.uint8]:
    """Return `payload` as a contiguous array u1[]."""
    if isinstance(payload, np.ndarray):
        if not payload.flags.c_contiguous:
            raise StreamError("The payload of a batch must be contiguous", seen=f"strides {payload.strides}")
        flat = payload.ndim == 1 and payload.dtype == np.uint8
        return payload if flat else payload.reshape(-1).view(np.uint8)
    return np.frombuffer(payload, np.uint8)


def _gather_bytes(batch: FrameBatch) -> NDArray[np.uint8]:
    """Return the frames' bytes one after the other, copied; frames of one size move at once."""
    if not len(batch):
        return np.empty(0, np.uint8)
    rows = batch.rows()
    if rows is not None:
        return np.ascontiguousarray(rows).reshape(-1)
    out = np.empty(batch.nbytes, np.uint8)
    size = np.ascontiguousarray(batch.size)
    targets = np.cumsum(size) - size
    order = np.argsort(size, kind="stable")
    bounds = np.flatnonzero(np.diff(size[order])) + 1
    if len(bounds) * 4 > len(batch) or len(out) > _LARGE * len(batch):  # hardly two of a size, or large
        view = batch.payload.data
        ends = (batch.start + size).tolist()
        parts = [view[start:end] for start, end in zip(batch.start.tolist(), ends, strict=True)]
        return np.frombuffer(b"".join(parts), np.uint8)
    for group in np.split(order, bounds):
        width = int(size[group[0]])
        if width:
            windows(out, width)[targets[group]] = windows(batch.payload, width)[batch.start[group]]
    return out
