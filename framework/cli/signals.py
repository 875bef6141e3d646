"""Ctrl-C and SIGTERM as a request to stop in good order."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["SIGNALS", "StopRequest", "Terminated", "noted_interrupt", "stop_request", "terminable"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
CHECK_S = 0.05  # how often a condition is looked at


class StopRequest:
    """Set by the first SIGINT or SIGTERM.

    The interpreter itself writes a byte into the pipe the instant a signal comes, in whatever
    thread and place; a handler alone would not end a wait that is just about to begin. No lock is
    taken, for a handler may interrupt the thread that holds it.
    """

    def __init__(self) -> None:
        self._asked = False
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self.writer, False)

    def __bool__(self) -> bool:
        return self._asked

    def set(self) -> None:
        """Ask to stop."""
        if not self._asked:
            self._asked = True
            os.write(self.writer, b"!")

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the request, at most `seconds`; return whether it came."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self._asked:
            left = None if end is None else max(0.0, end - time.monotonic())
            ready, _, _ = select.select([self._reader], [], [], left)
            if not ready:
                break
            os.read(self._reader, 4096)  # any signal that Python handles comes here
        return self._asked

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self._reader)
        os.close(self.writer)

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

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        request.set()
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    if threading.current_thread() is not threading.main_thread():
        try:
            yield request
        finally:
            request.close()
        return
    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    descriptor = signal.set_wakeup_fd(request.writer, warn_on_full_buffer=False)
    try:
        yield request
    finally:
        signal.set_wakeup_fd(descriptor)
        for number, handler in before.items():
            signal.signal(number, handler)
        request.close()


class Terminated(SystemExit):
    """SIGTERM came; a process that it ends has the exit code that shells expect."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM raise `Terminated` in the block: trees are stopped, half files removed.

    A second one ends the process at once.
    """
    with _raising(signal.SIGTERM):
        yield


@contextmanager
def noted_interrupt() -> Iterator[Callable[[], None]]:
    """Let Ctrl-C and SIGTERM raise at once, and give what raises the same again if that was lost.

    The interpreter drops an exception that comes while it runs a callback of the garbage collector.
    """
    with _raising(signal.SIGINT) as interrupted, _raising(signal.SIGTERM) as terminated:

        def check() -> None:
            for noted in (*interrupted, *terminated):
                raise noted

        yield check


@contextmanager
def _raising(number: signal.Signals) -> Iterator[list[BaseException]]:
    """Let a signal raise what it stands for, and give the list of those that came.

    Outside the main thread, where signals cannot be caught, nothing happens.
    """
    came: list[BaseException] = []

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        came.append(KeyboardInterrupt() if number == signal.SIGINT else Terminated())
        if number == signal.SIGTERM:
            signal.signal(number, signal.SIG_DFL)
        raise came[-1]

    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = signal.signal(number, on_signal)
    try:
        yield came
    finally:
        signal.signal(number, before)
