"""The pool: lanes in order, side by side, bounded."""

from __future__ import annotations

import threading
import time

import pytest

from sapwood.errors import Busy
from sapwood.remote.lanes import Lane, LanePool

PATIENCE_S = 20.0


def stop(pool: LanePool) -> bool:
    return pool.stop(time.monotonic() + PATIENCE_S)


def test_no_threads_before_the_first_job() -> None:
    before = set(threading.enumerate())
    pool = LanePool(4, 4, "t")
    assert set(threading.enumerate()) <= before
    assert stop(pool)


def test_jobs_of_a_lane_run_in_order_one_at_a_time() -> None:
    pool = LanePool(4, 1000, "t")
    lane, seen, done = Lane(), [], threading.Event()
    running = []

    def job(number: int) -> None:
        running.append(number)
        assert len(running) == 1
        seen.append(number)
        running.pop()

    for number in range(500):
        pool.submit(lane, lambda number=number: job(number))  # type: ignore[misc]
    pool.submit(lane, done.set)
    assert done.wait(PATIENCE_S)
    assert seen == list(range(500))
    assert stop(pool)


def test_lanes_do_not_wait_for_each_other() -> None:
    pool = LanePool(3, 10, "t")
    gate = threading.Event()
    entered = threading.Barrier(4)

    def hold() -> None:
        entered.wait(PATIENCE_S)
        gate.wait(PATIENCE_S)

    for _ in range(3):
        pool.submit(Lane(), hold)
    entered.wait(PATIENCE_S)  # all three run at the same time
    gate.set()
    assert stop(pool)


def test_a_lane_with_many_jobs_lets_others_in() -> None:
    pool = LanePool(1, 1000, "t")
    gate, done, seen = threading.Event(), threading.Event(), []
    busy, other = Lane(), Lane()
    pool.submit(busy, lambda: seen.append(gate.wait(PATIENCE_S)))
    for _ in range(100):
        pool.submit(busy, lambda: seen.append("busy"))
    pool.submit(other, lambda: (seen.append("other"), done.set()))
    gate.set()
    assert done.wait(PATIENCE_S)
    assert seen.index("other") < 5
    assert stop(pool)


def test_a_full_pool_refuses_and_recovers() -> None:
    pool = LanePool(2, 3, "t")
    gate, done = threading.Event(), threading.Event()
    lane = Lane()
    for _ in range(5):
        pool.submit(lane, lambda: gate.wait(PATIENCE_S))
    with pytest.raises(Busy, match="nothing was executed"):
        pool.submit(Lane(), lambda: None)
    assert len(lane.jobs) == 5
    gate.set()
    while lane.jobs:
        time.sleep(0.001)
    pool.submit(lane, done.set)
    assert done.wait(PATIENCE_S)
    assert stop(pool)
    with pytest.raises(Busy):
        pool.submit(lane, done.set)


def test_stop_does_not_wait_longer_than_it_may() -> None:
    pool = LanePool(1, 5, "t")
    gate, ran = threading.Event(), []
    lane = Lane()
    pool.submit(lane, lambda: gate.wait(PATIENCE_S))
    pool.submit(lane, lambda: ran.append(1))
    assert not pool.stop(time.monotonic() + 0.05)
    gate.set()
    assert stop(pool)
    assert ran == []  # what waited was dropped
