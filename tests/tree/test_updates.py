"""Updates, listeners, update groups."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest

import sapwood.tree as pr


class Batches:
    """A batch listener that remembers the paths below the device."""

    def __init__(self) -> None:
        self.got: list[list[str]] = []

    def __call__(self, batch: dict[str, pr.VariableValue]) -> None:
        paths = [path for path in batch if path.startswith("top.D.")]
        if paths:
            self.got.append(paths)


@pytest.fixture
def batches(top: pr.Root) -> Batches:
    listener = Batches()
    top.waitOnUpdate()
    top.addBatchListener(listener)
    return listener


def test_one_batch_for_a_block(top: pr.Root, batches: Batches) -> None:
    top.D.u.set(1)
    top.D.l.set(2)
    top.D.f.get()
    top.waitOnUpdate()
    assert batches.got == [["top.D.u", "top.D.v"], ["top.D.l", "top.D.twice"], ["top.D.f"]]


def test_group_collects_and_merges(top: pr.Root, batches: Batches) -> None:
    values: list[int] = []
    top.D.l.addListener(lambda path, value: values.append(value.value))
    with top.updateGroup():
        with top.updateGroup():
            top.D.l.set(1)
            top.D.u.set(1)
        top.D.l.set(2)
        top.waitOnUpdate()
        assert batches.got == []
    top.waitOnUpdate()
    assert batches.got == [["top.D.l", "top.D.u", "top.D.v", "top.D.twice"]]
    assert values == [2]


def test_group_belongs_to_its_thread(top: pr.Root, batches: Batches) -> None:
    with top.updateGroup():
        thread = threading.Thread(target=lambda: top.D.l.set(4))
        thread.start()
        thread.join(20)
        top.waitOnUpdate()
        assert batches.got == [["top.D.l", "top.D.twice"]]


def test_group_with_a_period_passes_on_in_between(top: pr.Root, batches: Batches) -> None:
    with top.updateGroup(period=0.01):
        top.D.l.set(1)
        end = time.monotonic() + 20
        while not batches.got and time.monotonic() < end:
            top.D.l.set(2)
            top.waitOnUpdate()
    assert batches.got


def test_group_is_closed_by_an_exception(top: pr.Root, batches: Batches) -> None:
    with pytest.raises(AttributeError), top.updateGroup():
        top.D.l.set(1).and_more()
    top.D.u.set(1)
    top.waitOnUpdate()
    assert len(batches.got) == 2


def test_what_does_not_publish(top: pr.Root, batches: Batches, start: Any) -> None:
    top.D.l.set(1, write=False)
    top.D.l.value()
    top.D.u.set(1, write=False)
    top.waitOnUpdate()
    assert batches.got == []
    device = pr.Device(name="D")
    device.add(pr.LocalVariable(name="x", value=0, updateNotify=False))
    other = start(device)
    mine = Batches()
    other.addBatchListener(mine)
    device.x.set(1)
    other.waitOnUpdate()
    assert mine.got == []


def test_root_listener(top: pr.Root) -> None:
    got: list[Any] = []
    done: list[int] = []

    def listener(path: str, value: pr.VariableValue) -> None:
        got.append((path, value.value, value.valueDisp))

    for _ in range(2):  # the second time has no effect
        top.addVarListener(
            listener, done=lambda: done.append(len(got)), incGroups="NoConfig", excGroups=["Hidden"]
        )
    with top.updateGroup():
        top.D.cfg.set(5)
        top.D.l.set(6)
    top.D.l.set(7)
    top.waitOnUpdate()
    assert got == [("top.D.cfg", 5, "5")]
    assert done == [1]
    top.delVarListener(listener)
    top.D.cfg.set(6)
    top.waitOnUpdate()
    assert len(got) == 1


def test_only_changes(top: pr.Root) -> None:
    got: list[Any] = []
    top.addVarListener(lambda path, value: got.append(value.value), incGroups="NoConfig", onlyChanges=True)
    for value in (5, 5, 6, 6, 5):
        top.D.cfg.set(value)
        top.waitOnUpdate()
    assert got == [5, 6, 5]


def test_variable_listener_can_be_removed(top: pr.Root) -> None:
    got: list[int] = []

    class Owner:
        def heard(self, path: str, value: pr.VariableValue) -> None:
            got.append(value.value)

    owner = Owner()
    top.D.l.addListener(owner.heard)
    top.D.l.addListener(owner.heard)
    top.D.l.set(1)
    top.waitOnUpdate()
    top.D.l.delListener(owner.heard)
    top.D.l.set(2)
    top.waitOnUpdate()
    assert got == [1]


def test_worker_survives_listeners_that_fail(top: pr.Root, caplog: pytest.LogCaptureFixture) -> None:
    got: list[int] = []

    def bad(*args: Any) -> None:
        raise RuntimeError("listener is broken")

    top.D.l.addListener(bad)
    top.D.l.addListener(lambda path, value: got.append(value.value))
    top.addVarListener(bad)
    top.addBatchListener(bad)
    for value in (1, 2, 3):
        top.D.l.set(value)
        top.waitOnUpdate()
    assert got == [1, 2, 3]
    told = [record for record in caplog.records if "broken" in record.getMessage()]
    assert len(told) == 1  # the same function failing in the same way
    assert told[0].exc_info is not None


def test_a_failing_listener_of_the_log_does_not_feed_itself(top: pr.Root) -> None:
    calls: list[str] = []

    def bad(path: str, value: pr.VariableValue) -> None:
        calls.append(path)
        raise RuntimeError(f"call {len(calls)}")  # another text each time

    top.SystemLogLast.addListener(bad)
    logging.getLogger("pyrogue").warning("first")
    for _ in range(5):
        top.waitOnUpdate()
    assert len(calls) == 1


def test_worker_survives_bytes_that_mean_nothing(top: pr.Root, bus: Any, caplog: Any) -> None:
    got: list[int] = []
    top.addVarListener(lambda path, value: got.append(1) if path == "top.D.l" else None)

    def fail() -> int:
        raise ValueError("cannot decode")

    top.D.twice._getter = lambda *args: fail()
    top.D.l.set(1)
    top.waitOnUpdate()
    assert got == [1]
    assert "Update of top.D.twice failed: ValueError: cannot decode" in caplog.text


def test_wait_on_update_in_a_listener_returns(top: pr.Root) -> None:
    done = threading.Event()

    def listener(path: str, value: pr.VariableValue) -> None:
        top.waitOnUpdate()
        done.set()

    top.D.l.addListener(listener)
    top.D.l.set(1)
    assert done.wait(20)


def test_wait_on_update_with_a_listener_that_sets_its_own_variable(top: pr.Root) -> None:
    top.D.l.addListener(lambda path, value: top.D.l.set(value.value + 1) if top.running else None)
    top.D.l.set(1)
    thread = threading.Thread(target=top.waitOnUpdate)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


def test_wait_on_update_under_a_constant_producer(top: pr.Root) -> None:
    stop = threading.Event()

    def produce() -> None:
        while not stop.is_set():
            top.D.l.set(1)

    producer = threading.Thread(target=produce)
    producer.start()
    waiter = threading.Thread(target=top.waitOnUpdate)
    waiter.start()
    waiter.join(20)
    stop.set()
    producer.join(20)
    assert not waiter.is_alive()


def test_waiters_are_let_go_when_the_tree_stops() -> None:
    root = pr.Root(name="top", pollEn=False)
    root.add(pr.LocalVariable(name="x", value=0))
    root.start()
    hold, entered = threading.Event(), threading.Event()

    def slow(path: str, value: pr.VariableValue) -> None:
        entered.set()
        hold.wait(20)

    root.x.addListener(slow)
    root.x.set(1)
    assert entered.wait(20)
    waiter = threading.Thread(target=root.waitOnUpdate)
    waiter.start()
    stopper = threading.Thread(target=root.stop)
    stopper.start()
    hold.set()
    for thread in (waiter, stopper):
        thread.join(20)
        assert not thread.is_alive()
    root.waitOnUpdate()  # returns at once when nothing runs


def test_updates_before_stop_are_delivered() -> None:
    root = pr.Root(name="top", pollEn=False)
    root.add(pr.LocalVariable(name="x", value=0))
    got: list[int] = []
    root.x.addListener(lambda path, value: got.append(value.value))
    with root:
        for _ in range(100):
            root.x.set(1)
    assert got == [1] * 100


def test_time_beats(top: pr.Root) -> None:
    assert pr.VariableWait([top.Time, top.LocalTime], timeout=20)


class TestVariableWait:
    def test_times_out(self, top: pr.Root) -> None:
        assert pr.VariableWait(top.D.l, lambda values: values[0].value == 99, timeout=0.01) is False

    def test_true_at_once(self, top: pr.Root) -> None:
        assert pr.VariableWait([top.D.l], lambda values: values[0].value == 5, timeout=20)

    def test_armed_before_the_update(self, top: pr.Root) -> None:
        wait = pr.VariableWaitClass([top.D.l, top.D.lf], timeout=20)
        wait.arm()
        top.D.l.set(9)
        top.D.lf.set(1)
        assert wait.wait()
        assert {var.name: value.value for var, value in wait.get_values().items()} == {"l": 9, "lf": 1.0}
        assert top.D.l._functions == ()
        wait.arm()
        top.D.l.set(10)
        top.D.lf.set(2)
        assert wait.wait()

    def test_update_from_another_thread(self, top: pr.Root) -> None:
        thread = threading.Timer(0.02, lambda: top.D.l.set(77))
        thread.start()
        assert pr.VariableWait(top.D.l, lambda values: values[0].value == 77, timeout=20)
        thread.join()


def test_silent_variables_that_follow_each_other(start: Any) -> None:
    device = pr.Device(name="D")
    device.add(pr.LocalVariable(name="x", value=0))
    for name in ("one", "two"):
        device.add(pr.LocalVariable(name=name, value=0, updateNotify=False))
    device.add(pr.LocalVariable(name="last", value=0))
    root = start(device)
    for source, follower in (("x", "one"), ("one", "two"), ("two", "one"), ("two", "last")):
        device.node(source).addListener(device.node(follower))
    mine = Batches()
    root.addBatchListener(mine)
    device.x.set(1)
    waiter = threading.Thread(target=root.waitOnUpdate, daemon=True)
    waiter.start()
    waiter.join(30)
    assert not waiter.is_alive()
    assert mine.got == [["top.D.x", "top.D.last"]]
