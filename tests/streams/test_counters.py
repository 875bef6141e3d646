"""Counters of a stage."""

from __future__ import annotations

import contextlib
import threading

from sapwood.streams import StageCounters


def test_accepting_dropping_clearing() -> None:
    counters = StageCounters()
    counters.accept(5, 50)
    counters.drop("full", 2, 20)
    counters.drop("full", 1, 10)
    counters.drop("stopped", 1)
    assert (counters.frames, counters.bytes, counters.dropped_total) == (5, 50, 4)
    assert (counters.dropped, counters.dropped_bytes) == (
        {"full": 3, "stopped": 1},
        {"full": 30, "stopped": 0},
    )
    counters.clear()
    assert counters == StageCounters()


def test_two_threads_that_drop_at_once_are_both_counted() -> None:
    meeting = threading.Barrier(2)

    class Slow(dict[str, int]):
        """Between reading and writing a count, lets the other thread read it too."""

        def get(self, key: str, default: int = 0) -> int:  # type: ignore[override]  # as `drop` calls it
            value = super().get(key, default)
            with contextlib.suppress(threading.BrokenBarrierError):
                meeting.wait(0.2)
            return value

    counters = StageCounters(dropped=Slow())
    threads = [threading.Thread(target=counters.drop, args=("full", 1, 10)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.dropped == {"full": 2}
