"""Threads that work ahead of a reader."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from sapwood.fileio.workers import ahead

WAIT_S = 20.0


def test_results_come_in_order() -> None:
    assert list(ahead((lambda n=n: n * n for n in range(50)), depth=3)) == [n * n for n in range(50)]


def test_nothing_is_under_way_after_an_early_end() -> None:
    """The file that the jobs read may be cut as soon as its reader is closed."""
    begun, may_end, ended = threading.Event(), threading.Event(), []

    def slow() -> int:
        begun.set()
        assert may_end.wait(WAIT_S)
        ended.append(True)
        return 2

    results = ahead(iter([lambda: 1, slow, lambda: 3]), depth=1)
    assert next(results) == 1
    assert begun.wait(WAIT_S)
    closing = threading.Thread(target=results.close, daemon=True)  # type: ignore[attr-defined]
    closing.start()
    closing.join(0.1)
    assert closing.is_alive()
    may_end.set()
    closing.join(WAIT_S)
    assert not closing.is_alive()
    assert ended == [True]


def test_nothing_is_under_way_after_an_interrupt() -> None:
    """Ctrl-C comes while the reader waits for a result."""
    asked, ended, reader = threading.Event(), [], threading.main_thread().ident
    assert reader is not None

    def interrupting() -> None:
        assert asked.wait(WAIT_S)
        while "result" not in _calls(reader):
            threading.Event().wait(0.001)
        threading.Event().wait(0.05)  # it sleeps: a signal before would be heard at the end of the job only
        signal.pthread_kill(reader, signal.SIGINT)
        threading.Event().wait(0.2)  # so long does it go on
        ended.append(True)

    def jobs() -> Iterator[Callable[[], None]]:
        yield interrupting
        asked.set()

    with pytest.raises(KeyboardInterrupt):
        next(ahead(jobs(), depth=1))
    assert ended == [True]


def _calls(thread: int) -> list[str]:
    """Return the names of the functions that a thread is in."""
    names, frame = [], sys._current_frames().get(thread)
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names
