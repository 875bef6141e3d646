"""Segments that an RSSI link has sent and that are not acknowledged yet."""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

__all__ = ["MAX_WINDOW", "Data", "SendWindow", "Sent"]

Data: TypeAlias = bytes | bytearray | memoryview

MAX_WINDOW = 127
"""Segments that can be under way without two of them looking alike, with numbers of 8 bits."""


class Sent:
    """A segment under way: `time` of its last sending (s), and how often it was sent."""

    __slots__ = ("flags", "payload", "sequence", "time", "tries")

    def __init__(self, sequence: int, flags: int, payload: Data, time: float) -> None:
        self.sequence = sequence
        self.flags = flags
        self.payload = payload
        self.time = time
        self.tries = 1


class SendWindow:
    """The segments under way, oldest first, and which of them have to be sent again.

    Parameters
    ----------
    size
        Most segments under way.
    first
        Sequence number of the first segment.

    Attributes
    ----------
    next
        Sequence number of the segment that comes next.
    """

    def __init__(self, size: int, first: int) -> None:
        self.next = first & 0xFF
        self._size = min(size, MAX_WINDOW)
        self._held: deque[Sent] = deque()
        self._check_at = float("inf")  # no segment is older than its time-out before
        self._recovering = 0  # segments left of those under way when a loss was noticed

    def __len__(self) -> int:
        return len(self._held)

    @property
    def room(self) -> int:
        """Segments that may still be sent."""
        return self._size - len(self._held)

    def add(self, flags: int, payload: Data, now: float) -> Sent:
        """Return the next segment, which counts as sent at `now`."""
        segment = Sent(self.next, flags, payload, now)
        self.next = (self.next + 1) & 0xFF
        self._held.append(segment)
        return segment

    def acknowledge(self, number: int, plain: bool) -> Sent | None:
        """Forget the segments up to `number`; return one that is known to be lost.

        A receiver repeats its acknowledge at once when segments come out of order. So a plain
        acknowledge that brings nothing new says that the oldest segment is missing, and until all
        that were under way then are acknowledged, each one that stops short names the next hole.

        Parameters
        ----------
        number
            The newest sequence number that was received in order.
        plain
            The segment carried nothing but the acknowledge.
        """
        held = self._held
        if not held:
            return None
        count = (number - held[0].sequence + 1) & 0xFF
        if count > len(held):
            return None  # an old one, overtaken on the way
        for _ in range(count):
            held.popleft()
        self._recovering = max(self._recovering - count, 0)
        if not count and plain and not self._recovering:
            self._recovering = len(held)
        if self._recovering and held and held[0].tries == 1 and (count or plain):
            return held[0]
        return None

    def deadline(self, timeout: float) -> float:
        """Return when `overdue` may find something; infinite when nothing is under way."""
        if not self._held:
            self._check_at = float("inf")
        elif self._check_at == float("inf"):
            self._check_at = min(segment.time for segment in self._held) + timeout
        return self._check_at

    def overdue(self, now: float, timeout: float) -> list[Sent]:
        """Return the segments last sent `timeout` seconds ago or earlier, oldest first."""
        if now < self.deadline(timeout):
            return []
        self._check_at = float("inf")
        return [segment for segment in self._held if segment.time + timeout <= now]

    def recheck(self) -> None:
        """Look at every segment again when the next deadline is asked for: the time-out has changed."""
        self._check_at = float("inf")

    def forgive(self) -> None:
        """Let every segment count as sent once: the other end is alive."""
        for segment in self._held:
            segment.tries = 1

    def clear(self) -> list[Sent]:
        """Return what was under way, and forget it."""
        lost = list(self._held)
        self._held.clear()
        return lost
