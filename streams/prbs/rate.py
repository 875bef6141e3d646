"""Frames and bytes per second from running totals."""

from __future__ import annotations

import threading
import time

__all__ = ["RateMeter"]

_PERIOD_S = 1.0


class RateMeter:
    """Rates over the last second or more; they fall to zero when the totals stand still.

    A new value is worked out by `update`, when totals move and when rates are read, once more
    than a second has passed since the last; until then the last value stays.

    Attributes
    ----------
    due
        Monotonic time before which `update` changes nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rates = (0.0, 0.0)
        self.rebase()

    def rebase(self) -> None:
        """Start again from totals of zero; the rates stay until the next update that is due."""
        with self._lock:
            self._move(0, 0, time.monotonic())

    def update(self, frames: int, nbytes: int) -> tuple[float, float]:
        """Return (frames/s, bytes/s), given the totals so far."""
        if time.monotonic() > self.due:
            with self._lock:
                now = time.monotonic()
                if now > self.due:
                    elapsed = now - self._since
                    self._rates = (
                        max(frames - self._frames, 0) / elapsed,
                        max(nbytes - self._bytes, 0) / elapsed,
                    )
                    self._move(frames, nbytes, now)
        return self._rates

    def _move(self, frames: int, nbytes: int, now: float) -> None:
        self._frames, self._bytes, self._since = frames, nbytes, now
        self.due = now + _PERIOD_S
