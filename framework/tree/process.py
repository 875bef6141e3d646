"""Process: a device that does something lengthy in a thread of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

from sapwood.tree.callbacks import adapt
from sapwood.tree.command import BaseCommand
from sapwood.tree.device import Device
from sapwood.tree.local import LocalVariable
from sapwood.tree.variable import BaseVariable

__all__ = ["JOIN_S", "Process"]

JOIN_S = 5.0
"""How long `Stop` waits for the function to end (s)."""

STEPS = 100
STEP_S = 1.0
LOOKS = 20  # how often a step of the default process looks whether to stop


class _Fraction(LocalVariable):
    """A float that is kept within 0 and 1."""

    def _fit(self, value: Any, index: int = -1) -> Any:
        return super()._fit(min(max(float(value), 0.0), 1.0), index)


class Process(Device):
    """Runs a function in a thread of its own; shows progress and a message, and can be stopped.

    A subclass may override `_process` instead of passing `function`. Either one looks at
    ``_runEn`` from time to time and returns when it is False.

    Parameters
    ----------
    argVariable
        Variable whose value is the function's argument; becomes a child unless it has a parent.
    returnVariable
        Variable that takes the function's result; becomes a child unless it has a parent.
    function
        Called as ``function(root, dev, arg)`` with those of the parameters that it names. Without
        one 100 steps of a second are counted.
    kwargs
        As for `Device`.
    """

    _POLL_S: ClassVar[float] = 1.0

    def __init__(
        self,
        *,
        argVariable: BaseVariable | None = None,
        returnVariable: BaseVariable | None = None,
        function: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._argVariable = argVariable
        self._returnVariable = returnVariable
        self._function = adapt(self._process if function is None else function, ("root", "dev", "arg"))
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._runEn = False
        self.add(
            BaseCommand(name="Start", function=lambda: self._startProcess(), description="Start the process")
        )
        self.add(
            BaseCommand(name="Stop", function=lambda: self._stopProcess(), description="Stop the process")
        )
        self._add_status()
        for variable in (argVariable, returnVariable):
            if variable is not None and variable._owner is None:
                self.add(variable)

    def _add_status(self) -> None:
        polled: dict[str, Any] = {"mode": "RO", "pollInterval": self._POLL_S}
        self.add(LocalVariable(name="Running", value=False, description="True while it runs", **polled))
        self.add(
            _Fraction(
                name="Progress",
                value=0.0,
                minimum=0.0,
                maximum=1.0,
                disp="{:1.2f}",
                units="Pct",
                description="Part that is done, 0.0 to 1.0",
                **polled,
            )
        )
        self.add(LocalVariable(name="Message", value="", description="What it is doing", **polled))
        for name, description in (("Step", "Step that is done"), ("TotalSteps", "Number of steps")):
            self.add(
                LocalVariable(
                    name=name, value=1, localSet=self._step_changed, description=description, **polled
                )
            )
        self.add(
            LocalVariable(
                name="UpdatePeriod",
                value=1.0,
                minimum=0.0,
                units="s",
                hidden=True,
                description="How often updates are passed on while it runs, 0 = at the end only",
            )
        )

    # ---- progress

    def _step_changed(self, changed: bool) -> None:
        """Follow Step and TotalSteps; the defaults staged at the start of the tree are no step."""
        if changed or self.running:
            total = self.TotalSteps.value()
            self.Progress.set(self.Step.value() / total if total > 0 else 0.0)

    def setProgress(self, value: float) -> None:
        """Set the part that is done, which is kept within 0 and 1."""
        self.Progress.set(value)

    def setTotalSteps(self, value: int) -> None:
        """Set the number of steps."""
        self.TotalSteps.set(value)

    def setStep(self, value: int) -> None:
        """Set the step that is done."""
        self.Step.set(value)

    def incrementSteps(self, incr: int) -> None:
        """Add `incr` to the step that is done."""
        with self.Step.lock:
            self.Step.set(self.Step.value() + incr)

    def _setProgress(self, value: float) -> None:
        self.setProgress(value)

    def _setTotalSteps(self, value: int) -> None:
        self.setTotalSteps(value)

    def _setStep(self, value: int) -> None:
        self.setStep(value)

    def _setSteps(self, value: int) -> None:
        self.setStep(value)

    def _incrementSteps(self, incr: int) -> None:
        self.incrementSteps(incr)

    # ---- start and stop

    def __call__(self, arg: Any = None) -> None:
        """Set the argument, if one is given (text is parsed), and start."""
        self._begin(arg)

    def _startProcess(self) -> None:
        self._begin(None)

    def _begin(self, arg: Any) -> None:
        with self._guard:
            if self.Running.value():
                self._log.warning("Process already running!")
                return
            if arg is not None and self._argVariable is not None:
                self._argVariable.setDisp(arg)
            self._runEn = True
            self.Running.set(True)
            self._thread = threading.Thread(
                target=self._run, name=f"sapwood process {self._path}", daemon=True
            )
            self._thread.start()

    def _stopProcess(self) -> None:
        """Ask the process to end and wait for it, not for ever."""
        self._runEn = False
        self._await_end()

    def _await_end(self) -> None:
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        thread.join(JOIN_S)
        if thread.is_alive():
            self._log.warning("%s still runs %g s after it was to stop", self._path, JOIN_S)

    def _stop(self) -> None:
        """Stop the process."""
        self._stopProcess()
        super()._stop()

    # ---- the thread

    def _run(self) -> None:
        root = self._root
        try:
            with root.updateGroup(self.UpdatePeriod.value()) if root else contextlib.nullcontext():
                self._perform()
        finally:
            self.Running.set(False)

    def _perform(self) -> None:
        """Call the function, keep its result, and tell how it ended."""
        try:
            self.Message.set("Running")
            self.Progress.set(0.0)
            arg = None if self._argVariable is None else self._argVariable.get()
            result = self._function(self._root, self, arg)
            if self._returnVariable is not None:
                self._returnVariable.set(result)
        except Exception as error:  # noqa: BLE001  # the function is the user's
            self._failed(error)
        else:
            self.Message.set("Done")
            self.Progress.set(1.0)

    def _failed(self, error: Exception) -> None:
        """Tell that the function raised `error`."""
        self._log.error("Process %s failed: %s", self._path, error, exc_info=error)
        self.Message.set("Stopped after error!")

    def _process(self) -> Any:
        """Count steps; subclasses do their work here and return the result."""
        self.TotalSteps.set(STEPS)
        for step in range(STEPS):
            self.Step.set(step)
            if not self._pause(STEP_S):
                return None
        self.Step.set(STEPS)
        return None

    def _pause(self, seconds: float) -> bool:
        """Wait, unless the process is to end; return whether it goes on."""
        for _ in range(LOOKS):
            if not self._runEn:
                return False
            time.sleep(seconds / LOOKS)
        return self._runEn
