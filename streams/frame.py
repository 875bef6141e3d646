"""One frame: payload bytes with channel, flags and error."""

from __future__ import annotations

import contextlib
import logging
import threading
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sapwood.errors import StreamError

__all__ = ["BytesLike", "Frame", "FrameLock"]

# A contiguous object with the buffer protocol.
BytesLike: TypeAlias = bytes | bytearray | memoryview | NDArray[Any]

_MAX_FLAGS = 0xFFFF
_MAX_BYTE = 0xFF
_MAKE_LOCK = threading.Lock()
_logger = logging.getLogger("sapwood.streams.Frame")


def _as_bytes(source: object) -> memoryview:
    """Return the bytes of `source` as a flat view of format ``B``, or raise `StreamError`."""
    if isinstance(source, np.ndarray):
        contiguous = source.flags.c_contiguous or source.flags.f_contiguous
        return (source if contiguous else np.ascontiguousarray(source)).ravel(order="K").view(np.uint8).data
    try:
        return memoryview(source).cast("B")  # type: ignore[arg-type]  # refused below when it has no buffer
    except TypeError as error:
        raise StreamError(
            "Python Buffer Error In Frame",
            expected="a contiguous bytes-like object",
            seen=type(source).__name__,
        ) from error


def _checked(value: int, limit: int, what: str) -> int:
    if not 0 <= value <= limit:
        raise OverflowError(f"frame {what} {value} is outside 0..{limit}")
    return value


class Frame:
    """Payload bytes with the metadata that travels with them.

    One object is shared by all slaves of the master that sends it. The payload is kept, not
    copied. Writing to a frame replaces its buffer first when somebody else may hold that buffer
    (copy on write), so whoever kept `buffer` or `payload` never sees it change.

    Parameters
    ----------
    payload
        Any contiguous bytes-like object; an array is taken by its bytes in memory order.
    channel
        File / bridge channel, 0..255 (not the TDEST of a packetizer).
    flags
        16 bits; first-user in bits 7:0, last-user in bits 15:8.
    error
        8 bits, 0 for a good frame.

    Raises
    ------
    OverflowError
        For metadata out of range.
    StreamError
        For a payload without a contiguous buffer.
    """

    __slots__ = ("_data", "_lock", "_shared", "_size", "channel", "error", "flags")

    def __init__(self, payload: BytesLike = b"", *, channel: int = 0, flags: int = 0, error: int = 0) -> None:
        self.channel = channel
        self.flags = flags
        self.error = error
        if channel or flags or error:
            _checked(channel, _MAX_BYTE, "channel")
            _checked(flags, _MAX_FLAGS, "flags")
            _checked(error, _MAX_BYTE, "error")
        self._data: bytes | bytearray | memoryview = payload if type(payload) is bytes else _as_bytes(payload)
        self._size = len(self._data)
        self._shared = True

    @classmethod
    def reserve(cls, size: int) -> Frame:
        """Return an empty frame with room for `size` bytes, all zero until written.

        Raises
        ------
        StreamError
            For a negative size.
        """
        if size < 0:
            raise StreamError("A frame cannot have this size", expected="0 bytes or more", seen=size)
        return cls.over(bytearray(size))

    @classmethod
    def over(cls, memory: bytearray) -> Frame:
        """Return an empty frame that will be written into `memory`, which nobody else holds."""
        frame = cls()
        frame._data = memory
        frame._size = 0
        frame._shared = False
        return frame

    @classmethod
    def of_view(cls, view: memoryview, channel: int, flags: int, error: int) -> Frame:
        """Return the frame of a view of format ``B`` and metadata known to be right; nothing is checked."""
        frame = cls.__new__(cls)
        frame._data = view
        frame._size = len(view)
        frame._shared = True
        frame.channel = channel
        frame.flags = flags
        frame.error = error
        return frame

    @property
    def buffer(self) -> bytes | bytearray | memoryview:
        """The payload as a bytes-like object of exactly its length, safe to keep."""
        self._shared = True
        data = self._data
        return data if len(data) == self._size else memoryview(data)[: self._size]

    @property
    def payload(self) -> NDArray[np.uint8]:
        """The payload as a read-only array, shape (size,), not copied."""
        array = np.frombuffer(self.buffer, np.uint8)
        array.flags.writeable = False
        return array

    @property
    def size(self) -> int:
        """Payload bytes."""
        return self._size

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return bytes(self.buffer)

    def __repr__(self) -> str:
        return f"Frame({self._size} bytes, channel={self.channel}, flags={self.flags:#x}, error={self.error})"

    def snapshot(self) -> Frame:
        """Return a frame of the same content that later writes to this one do not reach."""
        twin = Frame.__new__(Frame)
        self._shared = True
        twin._data = self._data
        twin._size = self._size
        twin._shared = True
        twin.channel = self.channel
        twin.flags = self.flags
        twin.error = self.error
        return twin

    # Reading and writing, names as in Rogue

    def getPayload(self) -> int:
        """Return the number of valid bytes."""
        return self._size

    def getSize(self) -> int:
        """Return the capacity, bytes."""
        return len(self._data)

    def getAvailable(self) -> int:
        """Return the bytes that can still be added."""
        return len(self._data) - self._size

    def read(self, dest: bytearray | memoryview | NDArray[Any], offset: int = 0) -> None:
        """Copy ``len(dest)`` payload bytes from `offset` on into `dest`, a writable buffer."""
        view = _as_bytes(dest)
        if view.readonly:
            raise StreamError(
                "Python Buffer Error In Frame", expected="a writable buffer", seen="a read-only one"
            )
        count = len(view)
        if offset < 0 or offset + count > self._size:
            raise StreamError(
                f"Attempt to read {count} bytes from frame at offset {offset} with size {self._size}"
            )
        view[:] = memoryview(self._data)[offset : offset + count]

    def write(self, src: BytesLike, offset: int = 0) -> None:
        """Copy the bytes of `src` into the frame at `offset`; the payload grows up to the capacity."""
        view = _as_bytes(src)
        end = offset + len(view)
        if offset < 0 or end > len(self._data):
            raise StreamError(
                f"Attempt to write {len(view)} bytes to frame at offset {offset} with size {len(self._data)}"
            )
        self._own()[offset:end] = view
        self._size = max(self._size, end)

    def _own(self) -> bytearray:
        """Return the buffer for writing, copied first when somebody else may hold it."""
        data = self._data
        if self._shared or not isinstance(data, bytearray):
            data = bytearray(data)
            self._data = data
            self._shared = False
        return data

    def _range(self, offset: int, count: int) -> slice:
        if offset < 0 or offset > self._size:
            raise StreamError(f"Offset {offset} is past end of frame (size {self._size})")
        end = offset + count if count else self._size
        if count < 0 or end > self._size:
            raise StreamError(
                f"Attempt to read {count} bytes from frame at offset {offset} with size {self._size}"
            )
        return slice(offset, end)

    def getBa(self, offset: int = 0, count: int = 0) -> bytearray:
        """Return a copy of `count` bytes (0 = to the end) from `offset` on."""
        return bytearray(memoryview(self._data)[self._range(offset, count)])

    def getMemoryview(self) -> memoryview:
        """Return a writable view of a private copy of the payload."""
        return memoryview(self.getBa())

    def getNumpy(self, offset: int = 0, count: int = 0, dtype: DTypeLike = np.uint8) -> NDArray[Any]:
        """Return a copy, of type `dtype`, of `count` bytes (0 = to the end) from `offset` on.

        The array is the caller's own, to be changed at will; `payload` is the view without a copy.
        """
        part = np.frombuffer(self.getBa(offset, count), np.uint8)
        if part.size % np.dtype(dtype).itemsize:
            raise StreamError(
                "The payload does not divide into whole items",
                expected=f"a multiple of {np.dtype(dtype).itemsize} bytes",
                seen=f"{part.size} bytes",
            )
        return part.view(dtype)

    def putNumpy(self, array: NDArray[Any], offset: int = 0) -> None:
        """Write the bytes of `array`, in memory order, at `offset`."""
        if not isinstance(array, np.ndarray):
            raise StreamError("Object is not a numpy array", seen=type(array).__name__)
        self.write(array, offset)

    # Metadata, names as in Rogue

    def getFlags(self) -> int:
        """Return the 16 flag bits."""
        return self.flags

    def setFlags(self, flags: int) -> None:
        """Set the 16 flag bits."""
        self.flags = _checked(flags, _MAX_FLAGS, "flags")

    def getError(self) -> int:
        """Return the error byte, 0 for a good frame."""
        return self.error

    def setError(self, error: int) -> None:
        """Set the error byte."""
        self.error = _checked(error, _MAX_BYTE, "error")

    def getChannel(self) -> int:
        """Return the channel."""
        return self.channel

    def setChannel(self, channel: int) -> None:
        """Set the channel, 0..255."""
        self.channel = _checked(channel, _MAX_BYTE, "channel")

    def getFirstUser(self) -> int:
        """Return flag bits 7:0."""
        return self.flags & 0xFF

    def setFirstUser(self, value: int) -> None:
        """Add the bits of `value` to flag bits 7:0 (bits are set, never cleared, as in Rogue)."""
        self.flags |= _checked(value, _MAX_BYTE, "first user")

    def getLastUser(self) -> int:
        """Return flag bits 15:8."""
        return self.flags >> 8

    def setLastUser(self, value: int) -> None:
        """Add the bits of `value` to flag bits 15:8 (bits are set, never cleared, as in Rogue)."""
        self.flags |= _checked(value, _MAX_BYTE, "last user") << 8

    def _debug(self) -> None:
        """Log where the bytes of the frame are."""
        kind = type(self._data).__name__
        _logger.warning("%r: %d of %d bytes of a %s", self, self._size, len(self._data), kind)

    def lock(self) -> FrameLock:
        """Lock the frame for this thread until the returned lock is released; re-entrant."""
        with _MAKE_LOCK:
            lock = getattr(self, "_lock", None) or threading.RLock()
            self._lock = lock
        return FrameLock(lock)


class FrameLock:
    """A held frame lock: released by `unlock` or at the end of a ``with`` block."""

    __slots__ = ("_held", "_lock")

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._lock.acquire()
        self._held = True

    def lock(self) -> None:
        """Take the lock again after `unlock`."""
        if not self._held:
            self._lock.acquire()
            self._held = True

    def unlock(self) -> None:
        """Release the lock; a second call does nothing."""
        if self._held:
            self._held = False
            self._lock.release()

    def __enter__(self) -> FrameLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unlock()

    def __del__(self) -> None:
        with contextlib.suppress(RuntimeError):  # collected in a thread that does not hold it
            self.unlock()
