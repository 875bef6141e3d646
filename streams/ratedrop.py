"""`RateDrop`: thin out a stream by count or by time."""

from __future__ import annotations

import math
import threading
import time

from sapwood.errors import StreamError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.counters import StageCounters
from sapwood.streams.frame import Frame
from sapwood.streams.link import Master, Slave

__all__ = ["RateDrop"]


class RateDrop(Master, Slave):
    """Passes one frame of many; gaps pass always.

    Parameters
    ----------
    period
        True: pass at most one frame in each `value` seconds, the first one `value` seconds after
        construction. False: pass the first frame, drop the next `value` (whole) ones, and so on.
    value
        Seconds or frames; 0 passes everything.

    Attributes
    ----------
    counters
        What came in and what was dropped (reason ``rate``).

    Raises
    ------
    StreamError
        When `value` is negative, or no number.
    """

    forwards = True

    def __init__(self, period: bool, value: float) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        if not 0 <= value < math.inf:
            raise StreamError("Invalid rate", expected="0 or more", seen=value)
        self.counters = StageCounters()
        self._seconds = float(value) if period else 0.0
        self._skip = 0 if period else int(value)
        self._lock = threading.Lock()
        self._position = 0  # in the cycle of 1 + skip frames; 0 passes
        self._next = time.monotonic() + self._seconds

    def _acceptFrame(self, frame: Frame) -> None:
        self.counters.accept(1, frame.size)
        if self._passing(1).stop:
            self._sendFrame(frame)
        else:
            self.counters.drop("rate", 1, frame.size)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self.counters.accept(len(batch), batch.nbytes)
        passed = batch[self._passing(len(batch))]
        if len(passed) < len(batch):
            self.counters.drop("rate", len(batch) - len(passed), batch.nbytes - passed.nbytes)
        if len(passed):
            self._sendBatch(passed)

    def _passing(self, count: int) -> slice:
        """Return which of the next `count` frames pass (an empty slice stops at 0)."""
        with self._lock:
            if self._seconds:
                now = time.monotonic()
                if now < self._next:
                    return slice(0, 0)
                self._next = now + self._seconds
                return slice(0, 1)
            cycle = self._skip + 1
            first = -self._position % cycle
            self._position = (self._position + count) % cycle
            return slice(first, count, cycle) if first < count else slice(0, 0)
