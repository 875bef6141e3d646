"""Where requested frames come from: capacity in whole buffers, and a count of those in use."""

from __future__ import annotations

import threading

from sapwood.errors import StreamError
from sapwood.streams.frame import Frame

__all__ = ["FramePool"]

_COUNTS = threading.RLock()  # re-entrant: a buffer may be collected while the counts are changed


class _PooledBuffer(bytearray):
    """The memory of a requested frame; tells its pool when nobody holds it any more."""

    pool: FramePool | None = None
    buffers = 0

    def __del__(self) -> None:
        if self.pool is not None:
            self.pool._count(-self.buffers, -len(self))


class FramePool:
    """Makes frames for masters that request them; every slave is one.

    Memory comes from the interpreter and goes back to it: a pool rounds capacities and counts what is
    in use.
    """

    _fixedSize = 0
    _poolSize = 0
    _allocCount = 0
    _allocBytes = 0

    def setFixedSize(self, size: int) -> None:
        """Give frames in whole buffers of `size` bytes each; 0 gives exactly what is asked for.

        Raises
        ------
        StreamError
            For a negative size.
        """
        if size < 0:
            raise StreamError("A buffer cannot have this size", expected=">= 0 bytes", seen=size)
        self._fixedSize = size

    def getFixedSize(self) -> int:
        """Return the bytes of a buffer, 0 when frames get exactly what is asked for."""
        return self._fixedSize

    def setPoolSize(self, count: int) -> None:
        """Take note of how many free buffers may be kept; the interpreter keeps them as it sees fit."""
        self._poolSize = count

    def getPoolSize(self) -> int:
        """Return what `setPoolSize` was told."""
        return self._poolSize

    def getAllocCount(self) -> int:
        """Return the buffers of requested frames that are in use."""
        return self._allocCount

    def getAllocBytes(self) -> int:
        """Return the bytes of these buffers."""
        return self._allocBytes

    def _allocate(self, size: int) -> Frame:
        """Return an empty frame with room for at least `size` bytes, all zero."""
        if size < 0:
            return Frame.reserve(size)  # which tells what is wrong
        buffers = -(-size // self._fixedSize) if self._fixedSize else 1
        memory = _PooledBuffer(buffers * self._fixedSize or size)
        memory.pool, memory.buffers = self, buffers
        self._count(buffers, len(memory))
        return Frame.over(memory)

    def _count(self, buffers: int, nbytes: int) -> None:
        with _COUNTS:
            self._allocCount += buffers
            self._allocBytes += nbytes
