"""Keep the values a subscriber has not taken yet: bounded, the newest of each path, losses counted."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

__all__ = ["DEFAULT_WAITING", "MOST_WAITING", "Subscription"]

DEFAULT_WAITING = 25_000  # values that may wait for a subscriber
MOST_WAITING = 100_000
MAX_WAITING_BYTES = 64 * 2**20

Batch = dict[str, Any]


class Subscription:
    """Values on their way to one subscriber.

    Every value offered is handed out in order while fewer than `limit` wait. When more wait, older
    values of a path are dropped in favour of its newest, and counted: what `take` handed out plus
    what it reported lost is what was offered. The newest value of a path is never dropped, so at
    most ``max(limit, 2 * paths)`` values wait.

    Parameters
    ----------
    limit
        Values that may wait before older ones are dropped.
    on_ready
        Called, from the thread that offers, when values wait again after all were taken.
    """

    def __init__(self, limit: int, on_ready: Callable[[], None]) -> None:
        self.limit = limit
        self._on_ready = on_ready
        self._lock = threading.Lock()
        self._announced = False
        self._fresh: set[str] | None = None  # paths offered since a snapshot began
        self._runs: deque[Batch] = deque()  # each path at most once in a run; runs follow in time
        self._waiting = 0
        self._room = self.limit
        self._bytes = 0
        self._byte_room = MAX_WAITING_BYTES
        self._lost = 0

    def offer(self, values: Iterable[tuple[str, Any]]) -> None:
        """Add the (path, `VariableValue`) pairs of one update, in order."""
        with self._lock:
            for path, value in values:
                self._add(path, value)
                if self._fresh is not None:
                    self._fresh.add(path)
        self._announce()

    def offer_current(self, values: Iterable[tuple[str, Any]]) -> None:
        """Add current values, each unless an update of its path came while they were collected."""
        with self._lock:
            self._fresh = set()
        try:
            for path, value in values:
                with self._lock:
                    if path not in self._fresh:
                        self._add(path, value)
        finally:
            self._fresh = None
            self._announce()

    def _add(self, path: str, value: Any) -> None:
        if not self._runs or path in self._runs[-1]:
            self._runs.append({})
        self._runs[-1][path] = value
        self._waiting += 1
        self._bytes += _weight(value)
        if self._waiting > self._room or self._bytes > self._byte_room:
            self._keep_newest()

    def _announce(self) -> None:
        with self._lock:
            announce = self._waiting > 0 and not self._announced
            self._announced = self._announced or announce
        if announce:
            self._on_ready()

    def _keep_newest(self) -> None:
        newest: Batch = {}
        for run in self._runs:
            newest.update(run)
        self._lost += self._waiting - len(newest)
        self._runs = deque([newest])
        self._waiting = len(newest)
        self._room = max(self.limit, 2 * len(newest))  # or every offer would come here again
        self._bytes = sum(_weight(value) for value in newest.values())
        self._byte_room = max(MAX_WAITING_BYTES, 2 * self._bytes)

    def take(self, count: int, nbytes: int) -> tuple[list[Batch], int]:
        """Return the oldest values, at most `count` and about `nbytes`, and how many were lost before.

        The values come as batches, each holding a path at most once. An empty list means that none
        wait; `on_ready` will be called when there are some.
        """
        taken: list[Batch] = []
        with self._lock:
            lost, self._lost = self._lost, 0
            while self._runs and count > 0 and nbytes > 0:
                run = self._cut(count, nbytes)
                weight = sum(_weight(value) for value in run.values())
                taken.append(run)
                self._waiting -= len(run)
                self._bytes -= weight
                count -= len(run)
                nbytes -= weight
            if not self._runs:
                self._room = self.limit
                self._byte_room = MAX_WAITING_BYTES
            self._announced = bool(taken)
        return taken, lost

    def _cut(self, count: int, nbytes: int) -> Batch:
        """Remove and return the first run, or the part of it that is within the bounds."""
        run = self._runs[0]
        size, weight = 0, 0
        for value in islice(run.values(), count):
            size += 1
            weight += _weight(value)
            if weight >= nbytes:
                break
        if size == len(run):
            return self._runs.popleft()
        return {path: run.pop(path) for path in list(islice(run, size))}


def _weight(value: Any) -> int:
    """Return about how many bytes `value` takes on the wire beyond a small fixed part."""
    data = value.value
    size = getattr(data, "nbytes", None)
    if size is None:
        size = len(data) if isinstance(data, (str, bytes, list, dict, tuple)) else 0
    return int(size)
