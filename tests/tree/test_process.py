"""Process: start, stop, progress, argument and result."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

import sapwood.tree as pr
from sapwood.tree import process as module

Start = Callable[..., pr.Root]
WAIT_S = 20.0


class Gate:
    """A function that says when it was called and returns when it is let go."""

    def __init__(self, result: Any = None) -> None:
        self.entered, self.leave = threading.Event(), threading.Event()
        self.calls: list[dict[str, Any]] = []
        self.result = result

    def __call__(self, root: Any, dev: Any, arg: Any) -> Any:
        self.calls.append({"root": root, "dev": dev, "arg": arg})
        self.entered.set()
        assert self.leave.wait(WAIT_S)
        return self.result


def ended(process: pr.Process) -> None:
    """Wait for the end of the thread."""
    thread = process._thread
    assert thread is not None
    thread.join(WAIT_S)
    assert not thread.is_alive()
    assert process.Running.value() is False


def test_nodes() -> None:
    process = pr.Process(name="P")
    names = ["Start", "Stop", "Running", "Progress", "Message", "Step", "TotalSteps", "UpdatePeriod"]
    assert list(process.nodes)[3:] == names
    assert [process.node(name).mode for name in names[2:]] == ["RO"] * 5 + ["RW"]
    assert [process.node(name).pollInterval for name in names[2:]] == [1.0] * 5 + [0]
    assert process.Progress.disp == "{:1.2f}"
    assert process.Progress.units == "Pct"
    assert (process.Step.value(), process.TotalSteps.value()) == (1, 1)
    assert process.UpdatePeriod.value() == 1.0
    assert process.UpdatePeriod.hidden


def test_a_run_to_its_end(start: Start) -> None:
    gate = Gate(result=42)
    process = pr.Process(
        name="P",
        function=gate,
        argVariable=pr.LocalVariable(name="arg", value=7),
        returnVariable=pr.LocalVariable(name="ret", value=0),
    )
    top = start(process)
    assert process.Progress.value() == 0.0  # the defaults of the steps are no progress
    process.Start()
    assert process.Running.value() is True
    assert gate.entered.wait(WAIT_S)
    assert process.Message.value() == "Running"
    gate.leave.set()
    ended(process)
    assert gate.calls == [{"root": top, "dev": process, "arg": 7}]
    assert process.Message.value() == "Done"
    assert process.Progress.value() == 1.0
    assert process.ret.value() == 42


def test_call_with_an_argument(start: Start) -> None:
    seen: list[Any] = []
    arg = pr.LocalVariable(name="arg", value=0)
    process = pr.Process(name="P", argVariable=arg, function=lambda arg: seen.append(arg))
    start(process)
    for given in (5, "0x10", None):
        process(given)
        ended(process)
    assert seen == [5, 16, 16]
    assert arg.parent is process


def test_variables_of_other_devices_stay_there(start: Start) -> None:
    other = pr.Device(name="other")
    other.add(pr.LocalVariable(name="x", value=3))
    seen: list[Any] = []
    process = pr.Process(name="P", argVariable=other.x, function=lambda arg: seen.append(arg))
    start(other, process)
    process()
    ended(process)
    assert seen == [3]
    assert other.x.parent is other


def test_updates_arrive_while_it_runs(start: Start) -> None:
    gate = Gate()
    process = pr.Process(name="P", function=gate)
    top = start(process)
    process.UpdatePeriod.set(1e-9)
    seen: list[tuple[str, Any]] = []
    for name in ("Running", "Message"):
        process.node(name).addListener(lambda path, value: seen.append((path, value.value)))
    process.Start()
    assert gate.entered.wait(WAIT_S)
    top.waitOnUpdate()
    assert ("top.P.Running", True) in seen
    gate.leave.set()
    ended(process)
    top.waitOnUpdate()
    assert seen[-1] == ("top.P.Running", False)
    assert ("top.P.Message", "Done") in seen


def test_no_second_run(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    process = pr.Process(name="P", argVariable=pr.LocalVariable(name="arg", value=1), function=gate)
    start(process)
    process.Start()
    assert gate.entered.wait(WAIT_S)
    for again in (process.Start, lambda: process(9)):
        caplog.clear()
        again()
        assert [record.getMessage() for record in caplog.records] == ["Process already running!"]
        assert caplog.records[0].levelno == logging.WARNING
    assert process.arg.value() == 1
    gate.leave.set()
    ended(process)
    assert len(gate.calls) == 1
    process.Start()
    ended(process)
    assert len(gate.calls) == 2


def test_progress_begins_anew(start: Start) -> None:
    seen: list[float] = []
    process = pr.Process(name="P", function=lambda dev: seen.append(dev.Progress.value()))
    start(process)
    for _ in range(2):
        process.Start()
        ended(process)
    assert seen == [0.0, 0.0]


def test_stop_in_the_middle(start: Start) -> None:
    entered, look = threading.Event(), threading.Event()

    class Loop(pr.Process):
        def _process(self) -> None:
            entered.set()
            while self._runEn:
                look.wait(0.001)

    process = Loop(name="P")
    start(process)
    process.Start()
    assert entered.wait(WAIT_S)
    process.Stop()
    assert process.Running.value() is False
    assert process._thread is not None
    assert not process._thread.is_alive()
    process.Stop()  # nothing runs


def test_stop_from_inside_does_not_wait_for_itself(start: Start) -> None:
    process = pr.Process(name="P", function=lambda dev: dev.Stop())
    start(process)
    process.Start()
    ended(process)
    assert process.Message.value() == "Done"


def test_a_function_that_does_not_stop(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "JOIN_S", 0.01)
    gate = Gate()
    process = pr.Process(name="P", function=gate)
    start(process)
    process.Start()
    assert gate.entered.wait(WAIT_S)
    process.Stop()
    assert "still runs" in caplog.text
    assert process.Running.value() is True
    gate.leave.set()
    ended(process)


def test_stopping_the_tree_stops_the_process() -> None:
    entered = threading.Event()

    def work(dev: Any) -> None:
        entered.set()
        while dev._runEn:
            threading.Event().wait(0.001)

    root = pr.Root(name="top", pollEn=False)
    root.add(pr.Process(name="P", function=work))
    with root:
        root.P.Start()
        assert entered.wait(WAIT_S)
    ended(root.P)


def test_a_failing_function(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("no beam")

    process = pr.Process(name="P", function=fail)
    start(process)
    process.Start()
    ended(process)
    assert process.Message.value() == "Stopped after error!"
    assert process.Progress.value() == 0.0
    assert "no beam" in caplog.text
    assert caplog.records[-1].exc_info is not None


def test_steps_and_progress(start: Start) -> None:
    process = pr.Process(name="P", function=lambda: None)
    start(process)
    process.setTotalSteps(8)
    process.setStep(4)
    process.incrementSteps(2)
    assert process.Step.value() == 6
    assert process.Progress.value() == 0.75
    process.incrementSteps(10)
    assert process.Progress.value() == 1.0
    process.TotalSteps.set(0)
    assert process.Progress.value() == 0.0
    process.TotalSteps.set(-4)
    assert process.Progress.value() == 0.0
    process._setTotalSteps(4)
    process._setStep(1)
    assert process.Progress.value() == 0.25
    process._setSteps(2)
    process._incrementSteps(1)
    assert process.Progress.value() == 0.75
    process.setProgress(0.5)
    assert process.Progress.valueDisp() == "0.50"
    for given, kept in ((1.7, 1.0), (-3, 0.0), (1, 1.0)):
        process.Progress.set(given)
        assert process.Progress.value() == kept
        process._setProgress(given)
        assert process.Progress.value() == kept
    process.Step.set(0)
    process.setProgress(1)
    process.Step.set(0)  # the same value again still counts
    assert process.Progress.value() == 0.0


def test_steps_before_the_tree_runs() -> None:
    process = pr.Process(name="P")
    process.setTotalSteps(8)
    process.setStep(6)
    assert process.Progress.value() == 0.75


def test_steps_from_several_threads(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    process = pr.Process(name="P", function=lambda: None)
    start(process)
    process.setTotalSteps(10)
    read = threading.Event()
    value = process.Step.value
    monkeypatch.setattr(process.Step, "value", lambda *args: (read.set(), value(*args))[1])
    with process.Step.lock:
        thread = threading.Thread(target=process.incrementSteps, args=(1,))
        thread.start()
        assert not read.wait(0.05)  # nobody reads a step that is being changed
        process.Step.set(5)
    thread.join(WAIT_S)
    assert value() == 6
    assert process.Progress.value() == 0.6


def test_the_default_process_counts_steps(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(module.time, "sleep", slept.append)
    process = pr.Process(name="P")
    start(process)
    process.Start()
    ended(process)
    assert sum(slept) == pytest.approx(100.0)
    assert process.Step.value() == process.TotalSteps.value() == 100
    assert process.Message.value() == "Done"


def test_the_default_process_stops_at_the_next_step(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    process = pr.Process(name="P")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        process._runEn = len(slept) < 30

    monkeypatch.setattr(module.time, "sleep", sleep)
    start(process)
    process.Start()
    ended(process)
    assert len(slept) == 30
    assert process.Step.value() == 1


def test_device_stop_calls_stop_process(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    process = pr.Process(name="P")
    start(process)
    calls: list[str] = []
    monkeypatch.setattr(process, "_stopProcess", lambda: calls.append("stop"))
    process._stop()
    assert calls == ["stop"]
