"""Stopping in good order on SIGINT and SIGTERM."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from sapwood.cli.signals import SIGNALS, stop_request


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_asks_the_second_is_not_caught(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_request() as stop:
        assert not stop
        assert not stop.wait(0)
        os.kill(os.getpid(), number)
        assert stop.wait(10)
        assert stop
        assert signal.getsignal(number) is signal.SIG_DFL
    assert signal.getsignal(number) is before


def test_a_signal_at_any_instant_is_seen() -> None:
    """The handler runs between any two instructions of the waiting thread."""
    for turn in range(300):
        with stop_request() as stop:
            shot = threading.Timer(turn % 30 * 1e-5, os.kill, (os.getpid(), signal.SIGTERM))
            shot.start()
            assert stop.wait(10)
            shot.join()


def test_wait_until() -> None:
    seen: list[int] = []
    with stop_request() as stop:
        stop.wait_until(lambda: len(seen) == 3 or bool(seen.append(1)), 10)
        assert len(seen) == 3
        begin = time.monotonic()
        stop.wait_until(lambda: False, 0.05)
        assert time.monotonic() - begin >= 0.05
        stop.set()
        stop.wait_until(lambda: False)
        assert stop


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    found: list[object] = []

    def work() -> None:
        with stop_request() as stop:
            found.append(signal.getsignal(signal.SIGTERM))
            stop.set()
            found.append(stop.wait(10))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [handler, True]


def test_no_descriptor_is_left_open() -> None:
    with stop_request():
        pass
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with stop_request() as stop:
            stop.set()
    assert len(os.listdir("/proc/self/fd")) == before
