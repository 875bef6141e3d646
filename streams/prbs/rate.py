"""Frames and bytes per second from running totals."""

from __future__ import annotations

import threading
import time

__all__ = ["RateMeter"]

_PERIOD_S = 1.0


class RateMeter:
    """Rates over the last second or more; they fall to zero when the totals stand still.

    A new value is worked out, by `update` or when one is read, once more than a second has
    passed since the last; until then the last value stays.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frames = 0
        self._bytes = 0
        self._since = time.monotonic()
        self._rates = (0.0, 0.0)

    def update(self, frames: int, nbytes: int) -> tuple[float, float]:
        """Return (frames/s, bytes/s), given the totals so far."""
        if time.monotonic() - self._since > _PERIOD_S:
            with self._lock:
                now = time.monotonic()
                elapsed = now - self._since
                if elapsed > _PERIOD_S:
                    new_frames, new_bytes = frames - self._frames, nbytes - self._bytes
                    self._rates = max(new_frames, 0) / elapsed, max(new_bytes, 0) / elapsed
                    self._frames, self._bytes, self._since = frames, nbytes, now
        return self._rates

    def rebase(self) -> None:
        """Take note that the totals were set to zero."""
        with self._lock:
            self._frames = self._bytes = 0
            self._since = time.monotonic()
