"""`Framer`: bytes as they come in, whole frames out."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import StreamError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.gap import Gap
from sapwood.streams.protocols.framing import Found, Framing

__all__ = ["MAX_FRAME", "Framer"]

MAX_FRAME = 64 << 20
"""Payload bytes that a frame may have, unless told otherwise."""

_SLAB = 4 << 20  # bytes of memory that batches are made over
_ROOM = 1 << 18  # least room for a read


class Framer:
    """Cuts a stream of bytes into frames by a rule; no socket, no thread.

    Frames are views of the memory that bytes were put into; what is not whole when a piece of memory is
    full moves on to the next one. Bytes that belong to no frame become gaps (reason ``skipped``, frames 0)
    between the frames.

    Parameters
    ----------
    framing
        The rule.
    maxFrame
        Payload bytes that a frame may have.
    channel
        Of the frames.
    """

    def __init__(self, framing: Framing, maxFrame: int = MAX_FRAME, channel: int = 0) -> None:
        if maxFrame < 1:
            raise StreamError("No such bound of a frame", expected="1 byte or more", seen=maxFrame)
        self._framing, self._most, self._channel = framing, maxFrame, channel
        self._slab = np.empty(_SLAB, np.uint8)
        self._begin = self._end = self._scanned = 0
        self._dropped = 0  # bytes given up of a frame that is too large and not over yet

    @property
    def waiting(self) -> int:
        """Bytes that are no whole frame yet."""
        return self._end - self._begin

    def room(self) -> memoryview:
        """Return memory for the next bytes, to be followed by `received`."""
        if len(self._slab) - self._end < _ROOM:
            held = self._end - self._begin
            fresh = np.empty(max(_SLAB, 2 * held + _ROOM), np.uint8)
            fresh[:held] = self._slab[self._begin : self._end]
            self._slab, self._begin, self._end = fresh, 0, held
        return self._slab.data[self._end :]

    def received(self, count: int, time_ns: int | None = None) -> list[FrameBatch | Gap]:
        """Return what is whole now that `count` bytes were put into `room`.

        Raises
        ------
        ProtocolError
            When the stream cannot be followed any further.
        """
        self._end += count
        data = self._slab[self._begin : self._end]
        found = self._framing.find(data, self._most, self._scanned, self._dropped)
        now = time.time_ns() if time_ns is None else time_ns
        items = self._items(data, found, now)
        self._begin += found.used
        self._scanned = found.scanned
        if found.used:
            self._dropped = 0
        self._shorten()
        return items

    def feed(
        self, data: bytes | bytearray | memoryview, time_ns: int | None = None
    ) -> list[FrameBatch | Gap]:
        """Return what is whole with `data`, bytes that came next; see `received`."""
        view = memoryview(data).cast("B")
        items: list[FrameBatch | Gap] = []
        while len(view):
            room = self.room()
            count = min(len(room), len(view))
            room[:count] = view[:count]
            view = view[count:]
            items += self.received(count, time_ns)
        return items

    def end(self) -> list[FrameBatch | Gap]:
        """Return, at the end of the stream, a gap for what is no whole frame (reason ``torn``)."""
        lost = self.waiting + self._dropped
        self._begin = self._end = self._scanned = self._dropped = 0
        return [Gap(self._channel, 1, lost, "torn", time.time_ns())] if lost else []

    def _items(self, data: NDArray[np.uint8], found: Found, now: int) -> list[FrameBatch | Gap]:
        items: list[FrameBatch | Gap] = []
        done, start, size = 0, found.start, found.size
        for place, nbytes in (*found.skipped, (len(start), 0)):
            if place > done:
                items.append(
                    FrameBatch(data, start[done:place], size[done:place], channel=self._channel, time=now)
                )
                done = place
            if nbytes:
                items.append(self._skip(nbytes, now))
        return items

    def _skip(self, nbytes: int, now: int) -> Gap:
        return Gap(self._channel, 0, nbytes, "skipped", now)

    def _shorten(self) -> None:
        """Give up the bytes of a frame that is too large already, but for those that may begin its end."""
        if self._scanned and self._dropped + self.waiting > self._framing.largest(self._most):
            self._dropped += self._scanned
            self._begin += self._scanned
            self._scanned = 0
