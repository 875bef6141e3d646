"""Helpers of the device tests: sinks that collect and fail, bounded waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sapwood.streams import FrameBatch, Slave

WAIT_S = 20.0


class Sink(Slave):
    """Keeps what arrives; `fail` makes it raise instead."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[FrameBatch] = []
        self.fail: Exception | None = None
        self.arrived = threading.Condition()

    def _acceptBatch(self, batch: FrameBatch) -> None:
        with self.arrived:
            self.arrived.notify_all()
            if self.fail is not None:
                raise self.fail
            self.batches.append(batch)

    def all(self) -> FrameBatch:
        return FrameBatch.concat(self.batches)

    def payloads(self) -> list[bytes]:
        return [bytes(frame) for batch in list(self.batches) for frame in batch.frames()]

    def frames(self) -> int:
        return sum(map(len, list(self.batches)))

    def await_frames(self, count: int) -> None:
        deadline = time.monotonic() + WAIT_S
        with self.arrived:
            while self.frames() < count:
                left = deadline - time.monotonic()
                assert left > 0, f"{self.frames()} of {count} frames after {WAIT_S} s"
                self.arrived.wait(left)


@pytest.fixture
def sink() -> Sink:
    return Sink()


def _await(test: Callable[[], Any], what: str = "condition") -> Any:
    """Wait until `test()` is true and return its value; fail after `WAIT_S`."""
    deadline = time.monotonic() + WAIT_S
    while not (value := test()):
        assert time.monotonic() < deadline, f"{what} not met in {WAIT_S} s"
        time.sleep(0.002)
    return value


@pytest.fixture
def await_true() -> Callable[..., Any]:
    return _await


def prbs_reference(sequence: int, size: int) -> bytes:
    """One PRBS frame of width 32, step by step from the text of the specification."""
    state, words = sequence, [sequence, size // 4 - 1]
    while len(words) < size // 4:
        bit = sum(state >> tap for tap in (1, 2, 6, 31)) & 1
        state = (state << 1 | bit) & 0xFFFFFFFF
        words.append(state)
    return np.array(words, "<u4").tobytes()


@pytest.fixture
def reference() -> Callable[[int, int], bytes]:
    return prbs_reference
