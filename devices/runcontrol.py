"""RunControl: the owner of a run, with its number, its targets and its comment."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from sapwood.devices.polled import POLL_S, add_polled
from sapwood.devices.recorderdevice import StateVariable
from sapwood.devices.runnumber import RunNumber
from sapwood.devices.runsequence import FAULT, RUNNING, RunSequence, Source, find_recorders, find_sources
from sapwood.devices.schedule import Schedule
from sapwood.errors import DeviceError, SapwoodError
from sapwood.tree import Device, LocalCommand, LocalVariable

__all__ = ["RunControl"]

WATCH_S = 0.05  # how often targets and recorders are looked at
JOIN_S = 5.0

All = Literal["all"]


class _RunState(LocalVariable):
    """The state of the run; its hook is not called under the variable's lock.

    A run that stops waits for the thread that calls ``cmd``, which may be setting the state too:
    what that thread asks for while the run is being stopped is left out.
    """

    def set(
        self,
        value: Any,
        *,
        index: int = -1,
        write: bool = True,
        verify: bool = True,
        wait: bool | None = None,
        check: bool | None = None,
    ) -> None:
        """Change the state; the run has started or stopped when this returns."""
        device: Any = self._owner
        with device._turn() as mine:
            if not mine:
                return
            try:
                self._switch(device, self._fit(value))
            finally:
                device._show()

    def _switch(self, device: RunControl, value: Any) -> None:
        old, self._value = self._value, value
        device._leaving = value != device._runValue
        try:
            if self._setter is not None:
                self._setter(device, self, value, old != value)
        except BaseException:
            self._value = old
            raise
        finally:
            if not device.sequence.active and device.sequence.state == FAULT:
                self._value = device._faultValue


class RunControl(Device):
    """Starts and stops runs, by ``runState`` or by the commands ``StartRun`` and ``StopRun``.

    While a run is on, a thread calls `cmd` at ``runRate``, on a schedule that does not drift. With
    `recorders` or `sources` a run goes through the steps of `RunSequence` and has a number; a
    recorder that fails ends it, in good order, with the state ``Fault``, which lasts until the next
    start or stop. Subclasses may override `_setRunState`, `_setRunRate` and `_run`.

    Parameters
    ----------
    hidden
        Put the device into the group ``Hidden``.
    rates
        Calls of `cmd` a second -> text; 0 calls it without a pause.
    states
        Values of ``runState`` -> text; the first is the state without a run, ``Running`` that with.
    cmd
        Called without arguments.
    recorders
        Recorder devices that a run opens and closes, ``"all"`` for all of the tree.
    sources
        What a run starts and stops: devices, variables or functions (see `as_source`), ``"all"``
        for all devices of the tree that are sources.
    checks
        Functions called first; one that raises keeps the run from starting.
    numberFile
        File with the number of the last run, below the root's data folder.
    autoName
        First value of ``AutoName``.
    kwargs
        As for `Device`.

    Attributes
    ----------
    sequence
        The present run, or the last one.
    sequenced
        Whether runs have recorders or sources.
    """

    def __init__(
        self,
        *,
        hidden: bool = True,
        rates: Mapping[Any, str] | None = None,
        states: Mapping[Any, str] | None = None,
        cmd: Callable[[], Any] | None = None,
        recorders: Iterable[Any] | All = (),
        sources: Iterable[Any] | All = (),
        checks: Iterable[Callable[[], Any]] = (),
        numberFile: str = "run_number",
        autoName: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(hidden=hidden, **kwargs)
        self._cmd = cmd
        self._recorders = recorders if recorders == "all" else list(recorders)
        self._sources = sources if sources == "all" else list(sources)
        self._checks = list(checks)
        self._numberFile = numberFile
        self.sequenced = bool(self._recorders or self._sources)
        self._clock: Callable[[], float] = time.monotonic
        self._switching = threading.RLock()
        self._leaving = False
        self._thread: threading.Thread | None = None
        self._watcher: threading.Thread | None = None
        self._halt = threading.Event()
        self._over = threading.Event()
        self._schedule = Schedule(0.0)
        self._told = ""
        self.sequence = RunSequence()
        self._add_state(dict(states or {0: "Stopped", 1: RUNNING}), dict(rates or {1: "1 Hz", 10: "10 Hz"}))
        self._add_run(autoName)

    # ---- nodes

    def _add_state(self, states: dict[Any, str], rates: dict[Any, str]) -> None:
        """Add the peer's variables."""
        if self.sequenced and FAULT not in states.values():
            numbers = all(isinstance(key, int) for key in states)
            states[max(states) + 1 if numbers else FAULT] = FAULT
        values = {text: value for value, text in states.items()}
        self._idleValue = next(iter(states))
        self._runValue = values.get(RUNNING, self._idleValue)
        self._faultValue = values.get(FAULT, self._idleValue)
        self.add(
            _RunState(
                name="runState",
                description="Whether a run is on; set it to start and stop runs",
                mode="RW",
                groups=["NoConfig"],
                value=self._idleValue,
                disp=states,
                localSet=self._setRunState,
            )
        )
        self.add(
            LocalVariable(
                name="runRate",
                description="How often the run's command is called",
                mode="RW",
                value=next(iter(rates)),
                disp=rates,
                localSet=self._setRunRate,
            )
        )
        self._add_status("runCount", "Calls of the run's command", value=0, typeStr="UInt32")

    def _add_run(self, autoName: bool) -> None:
        """Add what makes a run more than a state."""
        self.add(LocalCommand(name="StartRun", description="Start a run", function=self.startRun))
        self.add(LocalCommand(name="StopRun", description="Stop the run", function=self.stopRun))
        self._add_status("RunNumber", "Number of this run, or of the last one", value=0, typeStr="UInt64")
        self._add_setting("Comment", "What this run is about", "")
        self._add_setting("TargetTime", "Ends a run after so long, 0 = never", 0.0, units="s", minimum=0)
        self._add_setting("TargetFrames", "Ends a run after so many frames, 0 = never", 0, minimum=0)
        self._add_setting("AutoName", "Data files are named by the number of the run", autoName)
        elapsed: dict[str, Any] = {"value": 0.0, "units": "s", "disp": "{:.1f}", "noUpdateRecord": True}
        add_polled(self, "Elapsed", "Length of the run", lambda: self.sequence.elapsed, **elapsed)
        recorded = "Frames of data recorded in the run"
        add_polled(self, "Frames", recorded, lambda: self.sequence.frames, noUpdateRecord=True)
        self.add(
            StateVariable(
                name="Status",
                description="State of the run, with the reason of a fault",
                mode="RO",
                value="",
                pollInterval=POLL_S,
                localGet=self._status,
            )
        )

    def _add_status(self, name: str, description: str, **kwargs: Any) -> None:
        self.add(LocalVariable(name=name, description=description, mode="RO", pollInterval=POLL_S, **kwargs))

    def _add_setting(self, name: str, description: str, value: Any, **kwargs: Any) -> None:
        self.add(
            LocalVariable(
                name=name, description=description, mode="RW", groups=["NoConfig"], value=value, **kwargs
            )
        )

    def _status(self) -> str:
        fault = self.sequence.fault
        return str(self.runState.valueDisp()) if fault is None else f"{FAULT}: {fault}"

    def _show(self) -> None:
        for name in ("runState", "Status", "RunNumber", "runCount", "Elapsed", "Frames"):
            self.node(name).get()

    # ---- hooks

    def _setRunState(self, value: Any, changed: bool) -> None:
        """Start or stop the run."""
        if not changed:
            return
        if self.runState.enum.get(value) == RUNNING:
            self._begin()
        else:
            self._end()

    def _setRunRate(self, value: Any) -> None:
        """Take note of a new rate; the thread of the run reads it before each call."""

    def _run(self) -> None:
        """Call ``cmd`` at ``runRate`` while the run is on; the body of the thread."""
        while self.runState.valueDisp() == RUNNING and not self._halt.is_set():
            schedule, now = self._schedule, self._clock()
            rate = float(self.runRate.value())
            due = schedule.next(now, 1.0 / rate if rate > 0 else 0.0)
            if self._halt.wait(max(0.0, due - now)):
                continue
            if self._call() and schedule is self._schedule:  # the command may start another run
                with self.runCount.lock:
                    self.runCount.set(self.runCount.value() + 1, write=False)

    def _call(self) -> bool:
        try:
            if self._cmd is not None:
                self._cmd()
        except Exception as error:  # noqa: BLE001  # the command is the user's; the run goes on
            text = f"{type(error).__name__}: {error}"
            if text != self._told:
                self._log.error("The run's command failed: %s", text)
            self._told = text
            return False
        self._told = ""
        return True

    # ---- start and stop

    def startRun(self) -> None:
        """Start a run.

        Raises
        ------
        DeviceError
            A run is on already.
        SapwoodError
            A check refused it, a recorder did not open, or a source did not start: nothing runs.
        """
        if self.runState.value() == self._runValue:
            raise DeviceError("A run is on already", path=self.path, hint="Stop it first")
        self.runState.set(self._runValue)

    def stopRun(self) -> None:
        """Stop the run, or take note of a fault; does nothing when no run is on.

        Raises
        ------
        SapwoodError
            A source did not stop or a recorder did not close; all others did.
        """
        self.runState.set(self._idleValue)

    @contextlib.contextmanager
    def _turn(self) -> Any:
        """Let one thread at a time change the state; tells whether it is the caller's turn.

        The threads of a run do not wait for the one that ends it, which may wait for them.
        """
        own = threading.current_thread() in (self._thread, self._watcher)
        mine = self._switching.acquire(timeout=WATCH_S if own else -1)
        while not mine and not self._leaving:
            mine = self._switching.acquire(timeout=WATCH_S)
        try:
            yield mine
        finally:
            if mine:
                self._switching.release()

    def _begin(self) -> None:
        root = self.root
        recorders = find_recorders(root) if self._recorders == "all" else self._recorders
        sources = find_sources(root) if self._sources == "all" else self._sources
        self.sequence = RunSequence(
            recorders,
            [*sources, Source("cmd", self._switch_cmd)],
            checks=[*self._checks, lambda: self._prepare(recorders)],
            clock=self._clock,
        )
        self.sequence.start()
        if self.sequenced or self.TargetTime.value() > 0:
            self._over.clear()
            self._watcher = threading.Thread(target=self._watch, name=f"sapwood run {self.path}", daemon=True)
            self._watcher.start()

    def _end(self) -> None:
        self._over.set()
        if self._watcher is not threading.current_thread() and self._watcher is not None:
            self._watcher.join(JOIN_S)
        self._watcher = None
        if self.sequence.active:
            self.sequence.stop()
        else:
            self.sequence.clear()

    def _prepare(self, recorders: Iterable[Any]) -> None:
        """Take a number for the run and name the files after it."""
        enabled = [recorder for recorder in recorders if recorder.enable.value() is True]
        if self.TargetFrames.value() > 0 and not enabled:
            raise DeviceError("Frames are counted by recorders, and none is enabled", path=self.path)
        self.RunNumber.set(self._numbers().advance() if self.sequenced else self.RunNumber.value() + 1)
        if not self.AutoName.value():
            return
        for recorder in enabled:
            if not recorder.IsOpen.get():
                self._name_file(recorder, several=len(enabled) > 1)

    def _name_file(self, recorder: Any, *, several: bool) -> None:
        """Set the data file to ``run000042.dat`` or ``run000042_Recorder.dat``, in its present folder."""
        folder, name = os.path.split(str(recorder.DataFile.value()))
        tag = "_" + recorder.path.partition(".")[2].replace(".", "_") if several else ""
        ending = os.path.splitext(name)[1] or recorder.fileEnding
        recorder.DataFile.set(os.path.join(folder, f"run{self.RunNumber.value():06d}{tag}{ending}"))

    def _numbers(self) -> RunNumber:
        return RunNumber(self.root.dataPath(self._numberFile))

    # ---- threads

    def _switch_cmd(self, on: bool) -> None:
        """Start or stop the thread that calls ``cmd``; that thread may itself ask for it."""
        thread = self._thread
        if not on:
            self._halt.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(JOIN_S)
            if thread.is_alive():
                raise DeviceError("The run's command does not return", path=self.path, waited_s=JOIN_S)
            self._thread = thread = None
        if not on or (self.sequenced and self._cmd is None and type(self)._run is RunControl._run):
            return
        self._halt.clear()
        self.runCount.set(0)
        self._schedule = Schedule(self._clock())
        if thread is None:
            self._thread = threading.Thread(target=self._run, name=f"sapwood run of {self.path}", daemon=True)
            self._thread.start()

    def _watch(self) -> None:
        """End the run when a target is reached or a recorder fails."""
        while not self._over.wait(self._patience()):
            state = self.sequence.poll()
            if state != FAULT and not self._reached():
                continue
            try:
                self.runState.set(self._faultValue if state == FAULT else self._idleValue)
            except SapwoodError as error:
                self._log.error("%s", error)

    def _patience(self) -> float:
        """Seconds until the watch looks again."""
        left = self.TargetTime.value() - self.sequence.elapsed
        return min(WATCH_S, left) if left > 0 else WATCH_S

    def _reached(self) -> bool:
        seconds, frames = self.TargetTime.value(), self.TargetFrames.value()
        return bool(
            (seconds > 0 and self.sequence.elapsed >= seconds)
            or (frames > 0 and self.sequence.frames >= frames)
        )

    # ---- with the tree

    def _start(self) -> None:
        """Show the number of the last run."""
        super()._start()
        if self.sequenced:
            try:
                self.RunNumber.set(self._numbers().last())
            except (SapwoodError, OSError) as error:  # told again, to the caller, when a run starts
                self._log.error("The number of the last run is not known: %s", error)

    def _quiesce(self, deadline: float) -> None:
        """Stop the sources of the run."""
        try:
            with self._turn() as mine:
                if mine:
                    self.sequence.stop_sources()
        finally:
            super()._quiesce(deadline)

    def _runDry(self, deadline: float) -> None:
        """Stop the run: queues run empty, recorders close."""
        try:
            self.stopRun()
        finally:
            super()._runDry(deadline)

    def _stop(self) -> None:
        """Stop the run."""
        try:
            self.stopRun()
        finally:
            super()._stop()
