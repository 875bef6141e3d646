"""Polling."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from typing import Any

import pytest

import sapwood.tree as pr


class Counter:
    """Counts calls and lets a test wait for a number of them."""

    def __init__(self) -> None:
        self.count = 0
        self.change = threading.Condition()

    def __call__(self, *args: Any) -> int:
        with self.change:
            self.count += 1
            self.change.notify_all()
            return self.count

    def reaches(self, count: int, timeout: float = 10) -> bool:
        with self.change:
            return self.change.wait_for(lambda: self.count >= count, timeout)


@pytest.fixture
def polled(start: Any, bus: Any) -> tuple[pr.Root, Counter]:
    counter = Counter()
    plain = bus._doTransaction
    bus._doTransaction = lambda transaction: (plain(transaction), counter())
    device = pr.Device(name="dev", memBase=bus)
    device.add(pr.RemoteVariable(name="a", offset=0, bitSize=8, pollInterval=0.005))
    device.add(pr.RemoteVariable(name="b", offset=0, bitOffset=8, bitSize=8, pollInterval=100))
    return start(device, pollEn=True), counter


def test_reads_again_and_again(polled: tuple[pr.Root, Counter], bus: Any) -> None:
    root, counter = polled
    seen: list[int] = []
    root.dev.a.addListener(lambda path, value: seen.append(value.value))
    assert counter.reaches(5)
    root.PollEn.set(False)
    assert set(bus.take()) == {"R 0x0 4"}
    root.waitOnUpdate()
    assert seen


def test_poll_en_and_poll_block(polled: tuple[pr.Root, Counter]) -> None:
    root, counter = polled
    assert counter.reaches(2)
    with root.pollBlock():
        with root.pollBlock():
            pass
        held = counter.count
        assert not counter.reaches(held + 1, timeout=0.05)
    assert counter.reaches(held + 2)
    with pytest.raises(RuntimeError), root.pollBlock():
        raise RuntimeError
    assert counter.reaches(counter.count + 2)


def test_interval_can_be_changed(polled: tuple[pr.Root, Counter]) -> None:
    root, counter = polled
    assert counter.reaches(2)
    root.dev.setPollInterval(0)
    with root.pollBlock():  # waits for the pass under way
        held = counter.count
    assert not counter.reaches(held + 1, timeout=0.05)
    root.dev.a.pollInterval = 0.005
    assert counter.reaches(held + 2)
    assert root.dev.a.pollInterval == 0.005


def test_a_failing_register_is_told_once(
    polled: tuple[pr.Root, Counter], bus: Any, caplog: pytest.LogCaptureFixture
) -> None:
    root, counter = polled
    bus.broken.add(0)
    assert counter.reaches(counter.count + 10)
    root.PollEn.set(False)
    told = [record for record in caplog.records if "Polling of" in record.getMessage()]
    assert len(told) == 1
    assert "broken register" in told[0].getMessage()


def test_disabled_device_is_not_read(polled: tuple[pr.Root, Counter]) -> None:
    root, counter = polled
    assert counter.reaches(2)
    root.dev.enable.set(False)
    with root.pollBlock():
        held = counter.count
    assert not counter.reaches(held + 1, timeout=0.05)


def test_local_variables_publish(start: Any) -> None:
    counter = Counter()
    device = pr.Device(name="dev")
    device.add(pr.LocalVariable(name="x", localGet=counter, pollInterval=0.005))
    root = start(device, pollEn=True)
    root.addBatchListener(lambda batch: None)
    assert counter.reaches(counter.count + 3)


def test_links_push_their_interval_down(start: Any, bus: Any) -> None:
    device = pr.Device(name="dev", memBase=bus)
    device.add([pr.RemoteVariable(name="a", offset=0), pr.RemoteVariable(name="b", offset=4, pollInterval=9)])
    device.add(
        pr.LinkVariable(name="k", dependencies=[device.a, device.b], linkedGet=lambda: 0, pollInterval=5)
    )
    start(device)
    assert (device.a.pollInterval, device.b.pollInterval, device.k.pollInterval) == (5, 5, 5)
    device.k.setPollInterval(7)
    assert device.a.pollInterval == 5
    device.k.setPollInterval(2)
    assert device.k.pollInterval == 2


def test_no_bursts_after_a_slow_pass(start: Any, bus: Any) -> None:
    counter, gate = Counter(), threading.Event()
    plain = bus._doTransaction
    times: list[float] = []

    def slow(transaction: Any) -> None:
        plain(transaction)
        times.append(time.monotonic())
        if counter() == 1:
            gate.wait(20)

    bus._doTransaction = slow
    device = pr.Device(name="dev", memBase=bus)
    device.add(pr.RemoteVariable(name="a", offset=0, pollInterval=0.02))
    start(device, pollEn=True)
    assert counter.reaches(1)
    assert not counter.reaches(2, timeout=0.1)
    gate.set()
    assert counter.reaches(4)
    assert min(after - before for before, after in pairwise(times[1:])) >= 0.019
