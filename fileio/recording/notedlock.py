"""A lock under which log lines can be noted: handlers, which are user code, run after its release."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from types import TracebackType

__all__ = ["NotedLock"]


class NotedLock:
    """A lock with log lines to be written once it is free.

    Attributes
    ----------
    lock
        The plain lock, for conditions.
    acquire
        Take the lock.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self.lock = threading.Lock()
        self.acquire = self.lock.acquire
        self._release = self.lock.release
        self._logger = logger
        self._notes: deque[tuple[int, str, tuple[object, ...]]] = deque()

    def note(self, level: int, text: str, *values: object) -> None:
        """Have a line logged after the lock is released."""
        self._notes.append((level, text, values))

    def release(self) -> None:
        """Give the lock back, then write the lines noted."""
        self._release()
        if self._notes:
            with contextlib.suppress(IndexError):  # another thread wrote the rest
                while True:
                    level, text, values = self._notes.popleft()
                    self._logger.log(level, text, *values)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
