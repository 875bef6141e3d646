"""The one way a run starts and stops: recorders open before sources send, and close after them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sapwood.devices.datawriter import DataWriter
from sapwood.errors import DeviceError, RecorderFault, SapwoodError, StreamError, combine
from sapwood.streams import Master, StreamEnd, drain
from sapwood.tree import BaseVariable, Device

__all__ = [
    "FAULT",
    "RUNNING",
    "STOPPED",
    "RunSequence",
    "Source",
    "as_source",
    "find_recorders",
    "find_sources",
]

STOPPED, RUNNING, FAULT = "Stopped", "Running", "Fault"

QUIET_S = 0.1  # no frame for so long: nothing is on its way any more
STOP_S = 5.0  # longest that a stop waits for quiet, and for queues to run empty
LOOK_S = 0.01

logger = logging.getLogger("sapwood.devices.RunSequence")


@dataclass(frozen=True)
class Source:
    """What sends data during a run.

    Attributes
    ----------
    name
        For messages.
    switch
        Called with True to start it, with False to stop it.
    masters
        Stream masters in this process that it sends from.
    """

    name: str
    switch: Callable[[bool], Any]
    masters: tuple[Master, ...] = ()


def as_source(thing: Any) -> Source:
    """Return `thing` as a source.

    Parameters
    ----------
    thing
        A `Source`; a device whose class names its switch in ``runSwitch`` (`FrontEndBoard`: ``Run``,
        `PrbsTx`: ``txEnable``); a variable that is set to True and False; or a function that is
        called with True and False.

    Raises
    ------
    DeviceError
        For anything else.
    """
    if isinstance(thing, Source):
        return thing
    if isinstance(thing, Device):
        switch = thing.node(getattr(type(thing), "runSwitch", ""))
        if switch is not None:
            return Source(thing.path, switch.set, _masters(thing))
    elif isinstance(thing, BaseVariable) and thing.isVariable:
        return Source(thing.path, thing.set, _masters(thing.parent))
    elif callable(thing):
        return Source(getattr(thing, "__name__", repr(thing)), thing)
    raise DeviceError(
        "This cannot be a source of a run",
        expected="a device with runSwitch, a variable, or a function of True and False",
        seen=repr(thing),
    )


def _enabled(thing: Any) -> bool:
    """Tell whether a device, or the device of a variable, is enabled; what is no node always is."""
    device = thing.parent if isinstance(thing, BaseVariable) else thing
    return not isinstance(device, Device) or device.node("enable").value() is True


def _masters(device: Device) -> tuple[Master, ...]:
    """Return the stream masters of `device` and the devices below it."""
    found = []
    for one in (device, *device.deviceList):
        if isinstance(one, StreamEnd) and hasattr(one, "_getStreamMaster"):
            try:
                found.append(one._getStreamMaster())
            except (DeviceError, StreamError):  # its data do not come through this process
                continue
    return tuple(found)


def find_recorders(root: Device) -> list[DataWriter]:
    """Return all recorders of a tree."""
    return [device for device in root.deviceList if isinstance(device, DataWriter)]


def find_sources(root: Device) -> list[Device]:
    """Return all devices of a tree whose class names a ``runSwitch``."""
    return [device for device in root.deviceList if getattr(type(device), "runSwitch", "")]


class RunSequence:
    """Takes recorders and sources through a run; makes no thread, needs no other node.

    `start` checks, opens all enabled recorders (each records its configuration as it opens), then
    starts the sources. `stop` stops the sources, waits until no more frames come in, lets the
    queues run empty, then closes the recorders. A recorder that is open before the run is used as it
    is, and stays open. `poll`, called now and then, finds recorders that fail. One thread at a time
    may call `start` and `stop`.

    Parameters
    ----------
    recorders
        Recorder devices; those that are disabled stay closed.
    sources
        What `as_source` takes, in the order they start; they stop in the reverse order. Devices that
        are disabled are left out.
    checks
        Functions called before anything else; one that raises keeps the run from starting.
    quiet_s
        How long no frame may have come in before a stop goes on (s).
    stop_s
        How long a stop waits for that, and for the queues, at most (s).
    clock, pause
        Monotonic seconds, and what waits.
    """

    def __init__(
        self,
        recorders: Iterable[Any] = (),
        sources: Iterable[Any] = (),
        *,
        checks: Iterable[Callable[[], Any]] = (),
        quiet_s: float = QUIET_S,
        stop_s: float = STOP_S,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Any] = time.sleep,
    ) -> None:
        self._recorders = list(recorders)
        self._things = list(sources)
        self._checks = list(checks)
        self._quiet_s = quiet_s
        self._stop_s = stop_s
        self._clock = clock
        self._pause = pause
        self._sources: list[Source] = []
        self._used: list[Any] = []
        self._opened: list[Any] = []
        self._active = False
        self._begun = clock()
        self._ended: float | None = self._begun
        self._fault: str | None = None

    # ---- how it stands

    @property
    def state(self) -> str:
        """``Stopped``, ``Running`` or ``Fault``; a fault lasts until `start` or `clear`."""
        if self._fault is not None:
            return FAULT
        return RUNNING if self._active else STOPPED

    @property
    def fault(self) -> str | None:
        """What failed first, or None."""
        return self._fault

    @property
    def active(self) -> bool:
        """Whether a run was started and not stopped yet."""
        return self._active

    @property
    def elapsed(self) -> float:
        """Seconds from the start of the sources to now, or to their stop."""
        return (self._clock() if self._ended is None else self._ended) - self._begun

    @property
    def frames(self) -> int:
        """Frames of data recorded in this run, by all recorders together."""
        return sum(_count(recorder, "DataFrameCount", "FrameCount") for recorder in self._used)

    def poll(self) -> str:
        """Look at the recorders, and return the state."""
        if self._active:
            for recorder in self._used:
                reason = _trouble(recorder)
                if reason is not None:
                    self._failed(f"{recorder.path}: {reason}")
        return self.state

    def clear(self) -> None:
        """Forget the fault."""
        self._fault = None

    def _failed(self, reason: str) -> None:
        if self._fault is None:
            self._fault = reason
            logger.error("The run failed: %s", reason)

    # ---- start

    def start(self) -> None:
        """Check, open the recorders, start the sources.

        When one step fails, what was started is stopped, what was opened closed, and the error
        raised.

        Raises
        ------
        DeviceError
            A run is on already, or something is no source.
        """
        if self._active:
            raise DeviceError("A run is on already", hint="Stop it first")
        self._fault = None
        self._sources = [as_source(thing) for thing in self._things if _enabled(thing)]
        for check in self._checks:
            check()
        self._used, self._opened = [], []
        started: list[Source] = []
        try:
            for recorder in self._recorders:
                if _enabled(recorder):
                    self._open(recorder)
            self._active, self._begun, self._ended = True, self._clock(), None
            for source in self._sources:
                started.append(source)
                source.switch(True)
        except BaseException:
            self._undo(started)
            raise

    def _open(self, recorder: Any) -> None:
        if not recorder.IsOpen.get():
            self._opened.append(recorder)
            recorder.Open()
            if not recorder.IsOpen.get():
                raise RecorderFault(f"{recorder.path} did not open", path=recorder.path)
        self._used.append(recorder)

    def _undo(self, started: Sequence[Source]) -> None:
        """Return to where nothing runs; the error that led here is the one to raise."""
        for problem in [*self._switch_off(started), *self._close()]:
            logger.error("After a failed start: %s", problem)
        self._active, self._ended = False, self._begun

    # ---- stop

    def stop(self) -> None:
        """Stop the sources, wait for quiet, let the queues run empty, close the recorders.

        All steps are done, whatever fails in one of them. Does nothing when no run is on.

        Raises
        ------
        SapwoodError
            What failed on the way; the state is ``Fault`` then.
        """
        if not self._active:
            return
        problems: list[Exception] = []
        try:
            self.stop_sources()
        except Exception as problem:  # noqa: BLE001  # the recorders are to close all the same
            problems.append(problem)
        deadline = self._clock() + self._stop_s
        if not self._await_quiet(deadline):
            logger.warning("Frames still come in %g s after the sources stopped", self._stop_s)
        self._drain(deadline)
        self.poll()
        problems += self._close()
        self._active = False
        if problems:
            self._failed(str(problems[0]))
            raise combine("The run did not stop as it should", problems, SapwoodError)

    def stop_sources(self) -> None:
        """Stop all sources, the first step of `stop`; does nothing when they have been stopped.

        Raises
        ------
        SapwoodError
            Sources that did not stop; the others did.
        """
        if self._ended is not None:
            return
        problems = self._switch_off(self._sources)
        self._ended = self._clock()
        if problems:
            raise combine("Sources did not stop", problems, SapwoodError)

    def _switch_off(self, sources: Sequence[Source]) -> list[Exception]:
        problems: list[Exception] = []
        for source in reversed(sources):
            try:
                source.switch(False)
            except Exception as problem:  # noqa: BLE001  # the other sources are to stop all the same
                problems.append(problem)
        return problems

    def _await_quiet(self, deadline: float) -> bool:
        """Wait until no frame has come in for a while; False when that took too long."""
        seen, since = self._received(), self._clock()
        while self._used:
            now = self._clock()
            if now - since >= self._quiet_s:
                break
            if now >= deadline:
                return False
            self._pause(LOOK_S)
            received = self._received()
            if received != seen:
                seen, since = received, self._clock()
        return True

    def _received(self) -> list[int]:
        return [recorder._getReceivedCount() for recorder in self._used]

    def _drain(self, deadline: float) -> None:
        end = time.monotonic() + max(0.0, deadline - self._clock())
        for source in self._sources:
            done = [drain(master, end) for master in source.masters]
            if not all(done):
                logger.warning("%s: frames are still queued, a sink is too slow", source.name)

    def _close(self) -> list[Exception]:
        problems: list[Exception] = []
        for recorder in self._opened:
            try:
                recorder.Close()
            except Exception as problem:  # noqa: BLE001  # the other recorders are to close all the same
                problems.append(problem)
        self._opened = []
        return problems


def _count(recorder: Any, *names: str) -> int:
    """Return the first counter of `names` that `recorder` has."""
    nodes = [recorder.node(name) for name in names]
    return int(next(node for node in nodes if node is not None).value())


def _trouble(recorder: Any) -> str | None:
    """Return why `recorder` records no longer, or None."""
    if recorder.IsOpen.value():
        return None
    state = recorder.node("State")
    text = "" if state is None else str(state.value())
    if text.startswith(FAULT):
        return text.removeprefix("Fault: ")
    return "it was closed during the run" if recorder.running else None
