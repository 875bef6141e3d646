"""Calls that may hang with the disk, made in threads so that nobody has to wait for their end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

__all__ = ["BoundedCall"]


class BoundedCall:
    """One call of `target` with `lock` held, begun now in a daemon thread.

    Where the interpreter ends and starts no more threads, it is made here and now.
    """

    def __init__(self, lock: AbstractContextManager[None], target: Callable[[], None], name: str) -> None:
        self._lock = lock
        self._target = target
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = threading.Thread(name=name)  # never started, so never waited for
            self._run()

    def _run(self) -> None:
        with self._lock:
            self._target()

    def ended_within(self, timeout_s: float) -> bool:
        """Wait for its end, `timeout_s` seconds at most; tell whether it has ended."""
        if self._thread.ident is not None:
            self._thread.join(max(timeout_s, 0.0))
        return not self._thread.is_alive()
