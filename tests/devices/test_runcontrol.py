"""RunControl as the peer has it: state, rate, count, command and hooks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from sapwood.devices import RunControl
from sapwood.devices import runcontrol as module
from sapwood.tree import LocalVariable, Root

WAIT_S = 20.0
FAST = {1: "1 Hz", 1000: "1 kHz"}


class Calls:
    """A command that counts, and calls `action` with the number of the call."""

    def __init__(self, action: Callable[[int], Any] = lambda number: None) -> None:
        self.count, self.action = 0, action
        self.changed = threading.Condition()

    def __call__(self) -> None:
        with self.changed:
            self.count += 1
            self.changed.notify_all()
        self.action(self.count)

    def await_count(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.count >= count, WAIT_S)


@pytest.fixture
def start():
    """A function that puts a device under a new root and starts it."""
    roots: list[Root] = []

    def begin(device: Any) -> Any:
        root = Root(name="Top", pollEn=False)
        root.add(device)
        roots.append(root)
        root.start()
        return device

    yield begin
    for root in roots:
        root.stop()


def fast(cmd: Any = None, cls: type = RunControl, **kwargs: Any) -> Any:
    control = cls(name="Run", rates=FAST, cmd=cmd, **kwargs)
    control.runRate._default = 1000
    return control


def run_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("sapwood run")]


def test_nodes_and_defaults():
    control = RunControl(name="Run")
    assert control.hidden
    assert control.runState.enum == {0: "Stopped", 1: "Running"}
    assert control.runRate.enum == {1: "1 Hz", 10: "10 Hz"}
    assert (control.runState.value(), control.runRate.value(), control.runCount.value()) == (0, 1, 0)
    assert (control.runState.mode, control.runRate.mode, control.runCount.mode) == ("RW", "RW", "RO")
    assert control.runState.inGroup("NoConfig")
    assert not control.runRate.inGroup("NoConfig")
    assert control.runCount.pollInterval == 1
    other = RunControl(name="Run", hidden=False, states={5: "Idle", 6: "Running"}, rates={0: "Auto"})
    assert not other.hidden
    assert other.runState.valueDisp() == "Idle"
    assert other.runRate.valueDisp() == "Auto"


def test_a_run(start):
    calls = Calls()
    control = start(fast(calls))
    seen: list[str] = []
    control.runState.addListener(lambda path, value: seen.append(value.valueDisp))
    control.runState.setDisp("Running")
    calls.await_count(3)
    assert len(run_threads()) == 1
    control.runState.setDisp("Stopped")
    assert run_threads() == []
    assert control.runCount.value() == calls.count
    control.root.waitOnUpdate()
    assert seen == ["Running", "Stopped"]
    control.runState.set(0)  # no change
    control.runState.set(1)
    assert control.runCount.value() <= calls.count
    calls.await_count(calls.count + 1)
    control.runState.set(0)
    assert control.runCount.value() < calls.count  # counts from 0 in each run


def test_no_rate_is_as_fast_as_the_command(start):
    calls = Calls()
    control = start(RunControl(name="Run", rates={0: "Auto"}, cmd=calls))
    control.runState.set(1)
    calls.await_count(100)
    control.runState.set(0)


def test_without_a_command_it_counts(start, await_true):
    control = start(fast())
    control.runState.set(1)
    await_true(lambda: control.runCount.value() >= 3)
    control.runState.set(0)


def test_its_command_may_stop_it_while_it_starts(start, await_true):
    class Mine(RunControl):
        def _setRunState(self, value: Any, changed: bool) -> None:
            super()._setRunState(value, changed)
            if value == 1:
                calls.await_count(1)
                threading.Event().wait(3 * module.WATCH_S)  # the command asks, and waits

    calls = Calls(lambda number: control.runState.set(0))
    control = start(fast(calls, cls=Mine))
    control.runState.set(1)
    await_true(lambda: not run_threads())
    assert calls.count == 1
    assert control.runState.value() == 0


def test_a_slow_rate_does_not_hold_up_the_stop(start):
    control = start(RunControl(name="Run", rates={0.001: "1 mHz"}))
    control.runState.set(1)
    control.runState.set(0)
    assert run_threads() == []
    assert control.runCount.value() == 0


def test_it_keeps_to_the_schedule(start):
    """With a clock that only waiting and working move: 100 Hz for 0.3 s are 30 calls."""

    class Halt(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            clock[0] += timeout
            return self.is_set()

    clock, at = [50.0], []
    done = threading.Event()

    def work(number: int) -> None:
        at.append(clock[0])
        clock[0] += 0.007
        if len(at) == 30:
            control.runState.set(0)
            done.set()

    control = RunControl(name="Run", rates={100: "100 Hz"}, cmd=Calls(work))
    control._clock = lambda: clock[0]
    control._halt = Halt()
    start(control)
    control.runState.set(1)
    assert done.wait(WAIT_S)
    assert at == pytest.approx([50.0 + 0.01 * number for number in range(1, 31)])


def test_a_failing_command_does_not_end_the_run(start, caplog):
    def fail(number: int) -> None:
        if number <= 5:
            raise OSError("no trigger")

    calls = Calls(fail)
    control = start(fast(calls))
    control.runState.set(1)
    calls.await_count(8)
    control.runState.set(0)
    assert caplog.text.count("no trigger") == 1
    assert control.runCount.value() == calls.count - 5


def test_stopped_by_its_own_command(start, await_true):
    def action(number: int) -> None:
        if number == 3:
            control.runState.set(0)

    calls = Calls(action)
    control = start(fast(calls))
    control.runState.set(1)
    await_true(lambda: not run_threads())
    assert calls.count == 3
    control.runState.set(1)
    calls.await_count(5)
    control.runState.set(0)


def test_started_again_by_its_own_command(start, await_true):
    threads: set[threading.Thread] = set()

    def action(number: int) -> None:
        threads.add(threading.current_thread())
        if number == 3:
            control.runState.setDisp("Stopped")
            control.runState.setDisp("Running")

    calls = Calls(action)
    control = start(fast(calls))
    control.runState.setDisp("Running")
    calls.await_count(6)
    assert len(threads) == len(run_threads()) == 1
    control.runState.set(0)
    assert control.runCount.value() == calls.count - 3  # a new run
    assert run_threads() == []


def test_stopped_by_its_command_and_by_another_at_the_same_time(start):
    inside, leave = threading.Event(), threading.Event()

    def action(number: int) -> None:
        inside.set()
        assert leave.wait(WAIT_S)
        control.runState.set(0)

    control = start(fast(Calls(action)))
    control.runState.set(1)
    assert inside.wait(WAIT_S)
    other = threading.Thread(target=lambda: control.runState.set(0))
    other.start()
    assert control._halt.wait(WAIT_S)  # the other thread waits for the command
    leave.set()
    other.join(module.JOIN_S / 2)
    assert not other.is_alive()
    assert run_threads() == []
    assert control.runState.value() == 0


def test_a_command_that_does_not_return(start, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "JOIN_S", 0.01)
    inside, leave = threading.Event(), threading.Event()

    def action(number: int) -> None:
        inside.set()
        assert leave.wait(WAIT_S)

    control = start(fast(Calls(action)))
    control.runState.set(1)
    assert inside.wait(WAIT_S)
    with pytest.raises(Exception, match="does not return"):
        control.runState.set(0)
    leave.set()
    (thread,) = run_threads()
    thread.join(WAIT_S)
    control.stopRun()
    control.startRun()
    control.stopRun()
    assert control.runState.value() == 0


def test_stopping_the_tree_ends_the_run():
    for quiesce in (True, False):
        calls = Calls()
        root = Root(name="Top", pollEn=False)
        root.add(fast(calls))
        root.start()
        root.Run.runState.set(1)
        calls.await_count(1)
        root.stop(quiesce)
        assert run_threads() == []
        assert root.Run.runState.value() == 0
        root.start()  # and it can run again
        root.Run.runState.set(1)
        root.stop()


def test_hooks(start):
    seen: list[Any] = []

    class Mine(RunControl):
        def _setRunState(self, value: Any, changed: bool) -> None:
            seen.append(("state", value, changed, self.runState.valueDisp()))
            if value == 1 and len(seen) > 3:
                raise RuntimeError("not now")

        def _setRunRate(self, value: Any) -> None:
            seen.append(("rate", value))

    control = Mine(name="Run")
    start(control)
    seen.clear()
    control.runState.set(1)
    control.runState.set(1)
    control.runRate.set(10)
    assert seen == [("state", 1, True, "Running"), ("state", 1, False, "Running"), ("rate", 10)]
    assert run_threads() == []
    control.runState.set(0)
    with pytest.raises(RuntimeError, match="not now"):
        control.runState.set(1)
    assert control.runState.valueDisp() == "Stopped"


def test_a_body_of_ones_own(start, await_true):
    class Mine(RunControl):
        def _run(self) -> None:
            self.runCount.set(0)
            while self.runState.valueDisp() == "Running":
                with self.runCount.lock:
                    self.runCount.set(self.runCount.value() + 1)
                threading.Event().wait(0.001)

    control = start(Mine(name="Run"))
    control.StartRun()
    await_true(lambda: control.runCount.value() >= 3)
    control.StopRun()
    assert run_threads() == []


def test_the_rate_may_change_during_the_run(start):
    calls = Calls()
    control = start(fast(calls))
    control.runState.set(1)
    calls.await_count(2)
    control.runRate.setDisp("1 Hz")
    control.runRate.setDisp("1 kHz")
    calls.await_count(5)
    control.runState.set(0)


def test_wrong_values_are_refused(start):
    control = start(fast())
    for wrong in ("Bogus", [1]):
        with pytest.raises(Exception, match="Run"):
            control.runState.setDisp(wrong)
    assert control.runState.value() == 0
    assert run_threads() == []


def test_runs_are_no_part_of_a_configuration(start):
    control = start(fast())
    text = control.root.getYaml(modes=["RW", "WO"], excGroups="NoConfig")
    assert "runRate" in text
    for name in ("runState", "Comment", "TargetTime", "AutoName"):
        assert name not in text


def test_a_node_may_be_the_command(start):
    class Mine(RunControl):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(cmd=lambda: self.Trigger(), **kwargs)
            self.add(LocalVariable(name="Triggers", value=0))
            self.command(name="Trigger")(self._trigger)

        def _trigger(self) -> None:
            calls()

    calls = Calls()
    control = start(fast(cls=lambda cmd, **kwargs: Mine(**kwargs)))
    control.runState.set(1)
    calls.await_count(2)
    control.runState.set(0)
