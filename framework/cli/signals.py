"""Ctrl-C and SIGTERM as a request to stop in good order."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["StopRequest", "stop_request"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
CHECK_S = 0.05  # how often a condition is looked at


class StopRequest:
    """Set by the first SIGINT or SIGTERM."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def set(self) -> None:
        """Ask to stop."""
        self._event.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the request, at most `seconds`; return whether it came."""
        return self._event.wait(seconds)

    def wait_until(self, done: Callable[[], bool], seconds: float | None = None) -> None:
        """Return when asked to stop, when `done()` is true, or after `seconds`."""
        end = None if seconds is None else time.monotonic() + seconds
        while not done():
            left = CHECK_S if end is None else min(CHECK_S, end - time.monotonic())
            if left <= 0 or self.wait(left):
                return


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Catch SIGINT and SIGTERM while the block runs; a second signal ends the process at once.

    Outside the main thread, where signals cannot be caught, the request is only ever set by hand.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        request.set()
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
