"""Polling: one thread reads the blocks of polled variables when they are due."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sapwood.memory import Read

__all__ = ["Poller"]

JOIN_S = 5.0
"""How long `Poller.stop` waits for the thread (s)."""


class _Entry:
    """A polled block."""

    __slots__ = ("block", "due", "interval")

    def __init__(self, block: Any, due: float, interval: float) -> None:
        self.block = block
        self.due = due
        self.interval = interval


class Poller:
    """Reads blocks at their intervals; a block's interval is the smallest of its variables.

    A block is due at once, then its interval after each pass: late passes are not made up for.
    All blocks due are requested first, then waited for, as one batch of updates.

    Parameters
    ----------
    log
        Where failed reads are told.
    updates
        Makes the context that collects the updates of a pass.
    """

    def __init__(
        self,
        log: Callable[[], logging.Logger],
        updates: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._log = log
        self._updates = updates
        self._entries: dict[Any, _Entry] = {}
        self._heap: list[tuple[float, int, _Entry]] = []
        self._count = 0
        self._change = threading.Condition()
        self._enabled = False
        self._held = 0
        self._busy = False
        self._running = False
        self._thread: threading.Thread | None = None
        self._told: dict[Any, str] = {}

    def update(self, block: Any) -> None:
        """Take up the poll intervals of the variables in `block`."""
        owners = block.variables if hasattr(block, "variables") else [one.spec.owner for one in block.fields]
        interval = min((owner._pollInterval for owner in owners if owner._pollInterval > 0), default=0)
        with self._change:
            known = self._entries.get(block)
            if known is not None and known.interval == interval:
                return
            self._entries.pop(block, None)
            if interval > 0:
                entry = self._entries[block] = _Entry(block, time.monotonic(), interval)
                self._push(entry)
            self._change.notify_all()

    def _push(self, entry: _Entry) -> None:
        self._count += 1
        heapq.heappush(self._heap, (entry.due, self._count, entry))

    def enable(self, on: bool) -> None:
        """Let the polling run, or hold it."""
        with self._change:
            self._enabled = on
            self._change.notify_all()

    @contextmanager
    def hold(self, wait_s: float) -> Iterator[None]:
        """Keep the poller off meanwhile; waits up to `wait_s` for the pass under way. Nests."""
        with self._change:
            self._held += 1
            if threading.current_thread() is not self._thread:
                self._change.wait_for(lambda: not self._busy, wait_s)
        try:
            yield
        finally:
            with self._change:
                self._held -= 1
                self._change.notify_all()

    def start(self, name: str) -> None:
        """Start the thread."""
        self._running = True
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the pass under way."""
        with self._change:
            self._running = False
            self._change.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(JOIN_S)
        self._thread = None

    def _run(self) -> None:
        while True:
            entries = self._due()
            if entries is None:
                return
            try:
                with self._updates():
                    self._read(entries)
            finally:
                now = time.monotonic()
                with self._change:
                    self._busy = False
                    for entry in entries:
                        if self._entries.get(entry.block) is entry:
                            entry.due = now + entry.interval
                            self._push(entry)
                    self._change.notify_all()

    def _due(self) -> list[_Entry] | None:
        """Wait until something is due and may be read; returns None when the poller is stopped."""
        with self._change:
            while self._running:
                if not self._enabled or self._held or not self._heap:
                    self._change.wait()
                    continue
                left = self._heap[0][0] - time.monotonic()
                if left > 0:
                    self._change.wait(left)
                    continue
                entries = self._take(time.monotonic())
                if entries:
                    self._busy = True
                    return entries
        return None

    def _take(self, now: float) -> list[_Entry]:
        entries = []
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)[2]
            if self._entries.get(entry.block) is entry:  # others were replaced or removed
                entries.append(entry)
        return entries

    def _read(self, entries: list[_Entry]) -> None:
        blocks = [entry.block for entry in entries]
        for block in [one for one in blocks if self._attempt(one, lambda one: one.startTransaction(Read))]:
            if self._attempt(block, lambda block: block.waitTransaction()) and self._told:
                self._told.pop(block, None)

    def _attempt(self, block: Any, action: Callable[[Any], None]) -> bool:
        """Do `action`; a failure is logged, once as long as it stays the same."""
        try:
            action(block)
        except Exception as error:  # noqa: BLE001  # a failing register must not end the polling
            kind = f"{type(error).__name__}: {error}"
            if self._told.get(block) != kind:
                self._told[block] = kind
                self._log().error("Polling of %s failed: %s", block.path, kind)
            return False
        return True
