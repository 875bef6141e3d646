"""`RateDrop` by count and by time, in batches as one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.errors import StreamError
from sapwood.streams import Frame, FrameBatch, Gap, RateDrop, Slave, ratedrop


class Sink(Slave):
    def __init__(self) -> None:
        super().__init__()
        self.firsts: list[int] = []
        self.gaps: list[Gap] = []

    def _acceptFrame(self, frame: Frame) -> None:
        self.firsts.append(bytes(frame)[0])

    def _acceptGap(self, gap: Gap) -> None:
        self.gaps.append(gap)


def batch(first: int, count: int) -> FrameBatch:
    return FrameBatch.from_rows(np.arange(first, first + count, dtype=np.uint8).reshape(count, 1))


@pytest.mark.parametrize(("value", "want"), [(3, [0, 4, 8]), (3.9, [0, 4, 8]), (0, list(range(10)))])
def test_by_count(value: float, want: list[int]) -> None:
    stage, sink = RateDrop(False, value), Sink()
    stage >> sink
    for number in range(10):
        stage._acceptFrame(Frame(bytes([number])))
    assert sink.firsts == want
    assert stage.counters.frames == 10
    assert stage.counters.dropped.get("rate", 0) == 10 - len(want)


@given(skip=st.integers(0, 7), parts=st.lists(st.integers(0, 12), max_size=12))
def test_batches_keep_the_cycle(skip: int, parts: list[int]) -> None:
    stage, sink, done = RateDrop(False, skip), Sink(), 0
    stage >> sink
    for count in parts:
        if count == 1:
            stage._acceptFrame(Frame(bytes([done])))
        else:
            stage._acceptBatch(batch(done, count))
        done += count
    assert sink.firsts == list(range(0, done, skip + 1))
    counters = stage.counters
    assert counters.frames == counters.bytes == done
    assert counters.dropped_total == done - len(sink.firsts) == counters.dropped_bytes.get("rate", 0)


def test_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 50.0
    monkeypatch.setattr(ratedrop.time, "monotonic", lambda: now)
    stage, sink = RateDrop(True, 2.0), Sink()
    stage >> sink

    def at(moment: float, number: int, count: int = 1) -> None:
        nonlocal now
        now = moment
        if count == 1:
            stage._acceptFrame(Frame(bytes([number])))
        else:
            stage._acceptBatch(batch(number, count))

    at(50.0, 0)
    at(51.9, 1)
    at(52.5, 2)  # two seconds after construction: passes, next from 54.5 on
    at(54.4, 3, 3)
    at(54.6, 10, 3)
    at(56.5, 20)
    at(56.6, 21)
    assert sink.firsts == [2, 10, 21]
    assert stage.counters.dropped == {"rate": 8}


def test_a_period_of_zero_passes_everything() -> None:
    stage, sink = RateDrop(True, 0), Sink()
    stage >> sink
    stage._acceptFrame(Frame(b"\0"))
    stage._acceptBatch(batch(1, 5))
    assert sink.firsts == [0, 1, 2, 3, 4, 5]


def test_gaps_pass() -> None:
    stage, sink, gap = RateDrop(False, 100), Sink(), Gap(None, 3, 30, "full")
    stage >> sink
    stage._acceptGap(gap)
    assert sink.gaps == [gap]


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
@pytest.mark.parametrize("period", [False, True])
def test_values_that_make_no_sense_are_refused(period: bool, value: float) -> None:
    with pytest.raises(StreamError, match=f"Invalid rate.*seen {value}"):
        RateDrop(period, value)
