"""ScanRun: one scan, from its first point to its end, and where it is meanwhile. No nodes of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sapwood.devices.scanfile import ScanFile
from sapwood.devices.scanplan import ScanPlan
from sapwood.devices.scanstream import ScanStream
from sapwood.errors import DeviceError
from sapwood.fileio.pymodaq.data_objects import DataRaw

__all__ = ["DONE", "FAULT", "IDLE", "PAUSED", "RUNNING", "STOPPED", "ScanRun", "told"]

IDLE, RUNNING, PAUSED, DONE, STOPPED, FAULT = "Idle", "Running", "Paused", "Done", "Stopped", "Fault"


def told(error: BaseException) -> str:
    """Return an error with its class, as one text."""
    return f"{type(error).__name__}: {error}"


@dataclass
class ScanRun:
    """Goes through the points of a plan; `run` returns when all are taken, or it was halted.

    Parameters
    ----------
    plan
        The points.
    moved, read
        Variables that are set, in the order of the plan's axes, and those that are read.
    streams
        Give their frames to each point.
    trigger
        Called at each point after the settling time.
    file
        Where each point is saved.
    origin
        Of the data of streams.
    settle, skip
        Return the settling time (s), and whether points with errors are left out; asked at each point.
    """

    plan: ScanPlan
    moved: Sequence[Any]
    read: Sequence[Any]
    streams: Sequence[ScanStream]
    trigger: Callable[[], Any] | None
    file: ScanFile
    origin: str
    settle: Callable[[], float]
    skip: Callable[[], bool]
    logger: logging.Logger
    state: str = RUNNING
    reason: str = ""
    done: int = 0
    skipped: int = 0
    place: list[int] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    _halt: threading.Event = field(default_factory=threading.Event)
    _go: threading.Event = field(default_factory=threading.Event)
    _last: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._go.set()
        self.place = [0] * len(self.plan.shape)
        self._last = [None] * len(self.moved)

    @property
    def progress(self) -> float:
        """Per cent of the points that were taken or left out."""
        return 100.0 * (self.done + self.skipped) / self.plan.points

    @property
    def elapsed(self) -> float:
        """Seconds since the start, or from start to end."""
        return (self.ended or time.monotonic()) - self.began

    @property
    def remaining(self) -> float:
        """Seconds that the other points take, if they take as long as those before."""
        gone = self.done + self.skipped
        return self.elapsed / gone * (self.plan.points - gone) if gone else 0.0

    def pause(self) -> None:
        """Wait before the next point."""
        self._go.clear()
        self.state = PAUSED

    def resume(self) -> None:
        """Go on."""
        self.state = RUNNING
        self._go.set()

    def halt(self) -> None:
        """End before the next point."""
        self._halt.set()
        self._go.set()

    def run(self, back: Callable[[], bool], after: Callable[[], Any]) -> str:
        """Take the points, set the variables back and complete the scan in the file; return how it ended.

        Parameters
        ----------
        back
            Returns whether the variables are to be set back.
        after
            Called after each point.
        """
        outcome, reason = DONE, ""
        before: list[Any] = []
        try:
            before = [variable.value() for variable in self.moved]
            if not self._go_through(after):
                outcome = STOPPED
        except Exception as error:  # noqa: BLE001  # devices and disks fail in many ways; the file is kept
            outcome, reason = FAULT, told(error)
        problems = [reason, *(self._set_back(before) if back() else [])]
        reason = "; ".join(filter(None, problems))
        try:
            self.file.end(f"{FAULT}: {reason}" if reason else outcome)
        except Exception as error:  # noqa: BLE001  # what the disk still takes is there
            reason = "; ".join(filter(None, [reason, told(error)]))
        self.reason, self.ended = reason, time.monotonic()
        return FAULT if reason else outcome

    def _go_through(self, after: Callable[[], Any]) -> bool:
        """Take all points; False when the scan was halted before the last."""
        for indexes in self.plan:
            self._go.wait()
            if self._halt.is_set():
                return False
            self.place = list(indexes)
            try:
                data = self._take(self.plan.values(indexes))
            except Exception as error:
                if self._halt.is_set():
                    return False
                if not self.skip():
                    raise
                self.logger.warning("Point %s is left out: %s", indexes, told(error))
                self.skipped += 1
                continue
            self.file.add(indexes, data)
            self.done += 1
            after()
        return True

    def _take(self, values: Sequence[Any]) -> list[DataRaw]:
        """Go to one point and return its data; variables that have their value already are left alone."""
        for i, (variable, value) in enumerate(zip(self.moved, values, strict=True)):
            if self._last[i] is None or self._last[i] != value:
                self._last[i] = None
                (variable.setDisp if isinstance(value, str) else variable.set)(value)
                self._last[i] = value
        self._halt.wait(self.settle())
        for stream in self.streams:
            stream.arm()
        try:
            if self.trigger is not None:
                self.trigger()
            data = [_data_of(variable) for variable in self.read]
            data += [self._data_from(stream) for stream in self.streams]
        finally:
            for stream in self.streams:
                stream.disarm()
        return [*data, DataRaw("time", data=time.time(), labels=["time"], units="s", origin=self.origin)]

    def _data_from(self, stream: ScanStream) -> DataRaw:
        array = np.atleast_1d(stream.take(self._halt))
        return DataRaw(
            stream.name, data=[array], labels=[stream.name], units=stream.units, origin=self.origin
        )

    def _set_back(self, before: Sequence[Any]) -> list[str]:
        """Set the variables to what they were; return what went wrong."""
        problems = []
        for variable, value in zip(self.moved, before, strict=False):
            try:
                variable.set(value)
            except Exception as error:  # noqa: BLE001  # all others are to be set back nevertheless
                problems.append(told(error))
        return problems


def _data_of(variable: Any) -> DataRaw:
    """Read a variable, and return what it shows as data."""
    value = variable.get()
    array = np.atleast_1d(np.asarray(value))
    if array.dtype.kind not in "biufc":
        raise DeviceError(f"{variable.path} does not hold numbers", path=variable.path, seen=repr(value)[:80])
    origin = variable.path.rpartition(".")[0]
    return DataRaw(
        variable.name, data=[array], labels=[variable.name], units=variable.units or "", origin=origin
    )
