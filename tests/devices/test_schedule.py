"""The schedule of a run's command."""

from __future__ import annotations

import pytest

from sapwood.devices.schedule import Schedule


def test_due_times_do_not_drift():
    schedule, now, due = Schedule(10.0), 10.0, []
    for _ in range(30):
        due.append(schedule.next(now, 0.01))
        now = due[-1] + 0.004  # the work, and waking up late
    assert due == pytest.approx([10.0 + 0.01 * n for n in range(1, 31)])


def test_of_missed_times_only_the_last_counts():
    schedule = Schedule(0.0)
    assert schedule.next(0.0, 1.0) == 1.0
    assert schedule.next(5.5, 1.0) == 5.0  # at once
    assert schedule.next(5.6, 1.0) == 6.0  # and back on the grid
    assert schedule.next(6.1, 1.0) == 7.0


def test_work_that_takes_too_long_is_repeated_at_once():
    schedule, now, calls = Schedule(0.0), 0.0, 0
    while now < 110:
        now = max(now, schedule.next(now, 1.0)) + 1.1
        calls += 1
    assert calls == 100  # not every second one


def test_a_new_rate_counts_from_the_last_call():
    schedule = Schedule(0.0)
    assert schedule.next(0.0, 1.0) == 1.0
    assert schedule.next(1.25, 0.5) == 1.5
    assert schedule.next(1.5, 0.5) == 2.0
    assert schedule.next(2.0, 1.0) == 3.0


def test_no_period():
    schedule = Schedule(0.0)
    assert [schedule.next(now, 0.0) for now in (0.5, 0.7, 9.0)] == [0.5, 0.7, 9.0]
    assert schedule.next(9.5, 1.0) == 10.0
