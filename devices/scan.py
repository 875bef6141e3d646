"""ScanDevice: takes data at each point of a grid or list of settings, into a PyMoDAQ file."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sapwood.devices.polled import POLL_S, add_polled
from sapwood.devices.recorderdevice import StateVariable
from sapwood.devices.scanfile import FIXED, GROWING, ScanFile
from sapwood.devices.scanplan import GRID, LIST, ScanAxis, ScanPlan, axes_from_text, axes_to_text
from sapwood.devices.scanrun import FAULT, IDLE, ScanRun, told
from sapwood.devices.scanstream import ScanStream
from sapwood.errors import DeviceError, FileError, SapwoodError
from sapwood.streams import Slave
from sapwood.tree import Device, LocalCommand, LocalVariable

__all__ = ["ScanDevice"]

JOIN_S = 30.0
SHOW_S = 0.1  # variables that follow the scan are refreshed so often


class ScanDevice(Device):
    """Sets variables to the points of a scan and records detectors at each of them.

    ``Start`` begins a scan in a thread of its own; ``Pause``, ``Resume`` and ``Stop`` do what they
    say. The file is opened by the scan, unless ``Open`` opened it before; it can hold many scans and
    be read while one is on. Whatever ends a scan, the points taken until then are in the file.

    Parameters
    ----------
    axes
        Pairs of variable (or its path) and values: numbers, texts, or a mapping with ``start``,
        ``stop`` and ``steps``. The first axis changes slowest. Operators change them in ``Axes``.
    detectors
        Variables (or their paths) that are read at each point; numbers and arrays of numbers.
        Operators change them in ``Detectors``.
    streams
        `ScanStream` objects; ``scan.getStream(name)`` is what a source is linked to.
    trigger
        A command, or a function without arguments, called at each point after the settling time.
    swmr
        Let other processes follow each write, in a file of a single scan.
    settle
        First value of ``Settle``.
    kwargs
        As for `Device`.
    """

    def __init__(
        self,
        *,
        axes: Iterable[tuple[Any, Any]] = (),
        detectors: Iterable[Any] = (),
        streams: Iterable[ScanStream] = (),
        trigger: Callable[[], Any] | None = None,
        swmr: bool = False,
        settle: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._given: tuple[list[Any], list[Any]] | None = (list(axes), list(detectors))
        self._axes: list[ScanAxis] = []
        self._detectors: list[str] = []
        self._streams = {stream.name: stream for stream in streams}
        self._trigger = trigger
        self._swmr = swmr
        self._file: ScanFile | None = None
        self._thread: threading.Thread | None = None
        self._turn = threading.RLock()
        self._over = threading.Event()
        self._over.set()
        self._run: ScanRun | None = None
        self._shown = 0.0
        self._group = ""
        self._add_file()
        self._add_settings(settle)
        self._add_status()

    # ---- nodes

    def _add_file(self) -> None:
        name = "File of the scans, in PyMoDAQ's format; a relative name is below the root's data folder"
        self._add_setting("DataFile", name, "", fileName=True)
        for name, description, function in (
            ("Open", "Open the data file, for several scans", self._open),
            ("Close", "Close the data file", self._close),
            ("AutoName", "Name the data file after date and time", self._genFileName),
            ("Start", "Start a scan", self.startScan),
            ("Pause", "Wait before the next point", self.pauseScan),
            ("Resume", "Go on after a pause", self.resumeScan),
            ("Stop", "End the scan; what was taken is kept", self.stopScan),
        ):
            self.add(LocalCommand(name=name, description=description, function=function))
        self._add_shown("IsOpen", "True while a file is open", lambda: self._file is not None, value=False)
        self._add_shown("CurrentSize", "Size of the file", self._size, units="Bytes")

    def _add_settings(self, settle: float) -> None:
        text = (
            'Axes as JSON, the slowest first: {"Top.X": [0, 1], "Top.Y": {"start": 0, "stop": 1, "steps": 5}}'
        )
        self._add_setting("Axes", text, "{}", localSet=self._setAxes)
        text = 'Variables to record as JSON: ["Top.Level"]'
        self._add_setting("Detectors", text, "[]", localSet=self._setDetectors)
        self._add_setting(
            "Mode", "All combinations of the axes, or their values side by side", GRID, enum=(GRID, LIST)
        )
        self._add_setting(
            "Saving", "Arrays of the scan's shape, or arrays that grow", FIXED, enum=(FIXED, GROWING)
        )
        self._add_setting("Snake", "Turn round at the end of each line", False)
        self._add_setting("Return", "Set the variables back after the scan", True)
        self._add_setting("Settle", "Wait after setting the variables", settle, units="s", minimum=0)
        self._add_setting("OnError", "What an error at a point does", "Stop", enum=("Stop", "Skip"))
        self._add_setting("Comment", "What the scan is about", "")

    def _add_setting(
        self, name: str, description: str, value: Any, enum: tuple[str, ...] = (), **kwargs: Any
    ) -> None:
        if enum:
            kwargs["enum"] = dict(enumerate(enum))
            value = 0
        self.add(LocalVariable(name=name, description=description, mode="RW", value=value, **kwargs))

    def _add_status(self) -> None:
        seconds: dict[str, Any] = {"value": 0.0, "units": "s", "disp": "{:.1f}"}
        points = self._of_run(lambda run: run.plan.points, 0)
        self._add_shown("PointCount", "Points taken", self._of_run(lambda run: run.done, 0))
        skipped = "Points left out because of an error"
        self._add_shown("SkippedCount", skipped, self._of_run(lambda run: run.skipped, 0))
        self._add_shown("TotalPoints", "Points of the scan", points)
        progress = self._of_run(lambda run: run.progress, 0.0)
        self._add_shown("Progress", "Part of the scan that is done", progress, value=0.0, units="%")
        place = self._of_run(lambda run: list(run.place), [0])
        self._add_shown("Index", "Where on each axis the scan is", place, value=[0])
        self._add_shown(
            "Elapsed", "Length of the scan", self._of_run(lambda run: run.elapsed, 0.0), **seconds
        )
        left = self._of_run(lambda run: run.remaining, 0.0)
        self._add_shown("Remaining", "Time the scan still takes", left, **seconds)
        self._add_shown("ScanGroup", "Group of the scan in the file", lambda: self._group, value="")
        self.add(
            StateVariable(
                name="State",
                description="Idle, Running, Paused, Done, Stopped, or Fault with its reason",
                mode="RO",
                value=IDLE,
                pollInterval=POLL_S,
                localGet=self._getState,
            )
        )

    def _add_shown(self, name: str, description: str, getter: Callable[[], Any], **kwargs: Any) -> None:
        add_polled(self, name, description, getter, noUpdateRecord=True, **kwargs)

    def _of_run(self, what: Callable[[ScanRun], Any], otherwise: Any) -> Callable[[], Any]:
        """Return a function that looks at the present scan, or at the last one."""
        return lambda: otherwise if self._run is None else what(self._run)

    def _getState(self) -> str:
        run = self._run
        if run is None:
            return IDLE
        return f"{run.state}: {run.reason}" if run.reason else run.state

    def _size(self) -> int:
        return 0 if self._file is None else self._file.size

    def _show(self) -> None:
        for name in ("State", "IsOpen", "PointCount", "SkippedCount", "TotalPoints", "Progress", "Index",
                     "Elapsed", "Remaining", "ScanGroup", "CurrentSize"):  # fmt: skip
            self.node(name).get()

    # ---- settings

    def setAxes(self, axes: Iterable[tuple[Any, Any]]) -> None:
        """Set the axes, as the parameter of the constructor."""
        self.Axes.set(axes_to_text(ScanAxis.of(variable, values) for variable, values in axes))

    def _setAxes(self, value: str) -> None:
        self._axes = axes_from_text(value)

    def _setDetectors(self, value: str) -> None:
        try:
            found = json.loads(value or "[]")
        except ValueError:
            found = None
        if not isinstance(found, list) or not all(isinstance(path, str) for path in found):
            raise DeviceError("The detectors are a JSON list of paths", path=self.path, seen=value[:80])
        self._detectors = found

    def getStream(self, name: str) -> Slave:
        """Return the `ScanStream` of that name, to be linked to a source.

        Raises
        ------
        DeviceError
            There is none.
        """
        if name not in self._streams:
            raise DeviceError(f"The scan has no stream {name!r}", path=self.path, seen=sorted(self._streams))
        return self._streams[name]

    def _find(self, path: str) -> Any:
        node = self.root.getNode(path) or self.root.getNode(f"{self.root.name}.{path}")
        if node is None or not node.isVariable:
            raise DeviceError(f"There is no variable {path}", path=self.path)
        return node

    # ---- the file

    def _open(self) -> None:
        """Open the file; scans are added to one that is there."""
        with self._turn:
            if self._file is not None:
                raise DeviceError("The file is open already", path=self.path, seen=self._file.path)
            name = str(self.DataFile.value())
            if not name:
                raise FileError("No data file is named", path=self.path, hint="Set DataFile or call AutoName")
            self._file = ScanFile(str(self.root.dataPath(name)), self._swmr)
        self._show()

    def _close(self) -> None:
        """Close the file; without one nothing happens."""
        with self._turn:
            if not self._over.is_set():
                raise DeviceError("A scan is on", path=self.path, hint="Stop it first")
            self._close_file()
        self._show()

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _genFileName(self) -> None:
        """Set DataFile to ``scan_YYYYMMDD_HHMMSS.h5`` (local time) in its present folder."""
        folder, slash, _ = str(self.DataFile.value()).rpartition("/")
        self.DataFile.set(f"{folder}{slash}{time.strftime('scan_%Y%m%d_%H%M%S')}.h5")

    # ---- commands

    def startScan(self) -> None:
        """Start a scan.

        Raises
        ------
        DeviceError
            A scan is on already, or its axes or detectors are not as they should be.
        FileError
            The file cannot be opened.
        """
        with self._turn:
            if not self._over.is_set():
                raise DeviceError("A scan is on already", path=self.path, hint="Stop it first")
            plan = ScanPlan(self._axes, str(self.Mode.valueDisp()), bool(self.Snake.value()))
            moved = [self._find(axis.path) for axis in plan.axes]
            read = [self._find(path) for path in self._detectors]
            own = self._file is None
            if own:
                self._open()
            try:
                self._run = self._begin(plan, moved, read)
            except BaseException:
                if own:
                    self._close_file()
                raise
            self._over.clear()
            self._thread = threading.Thread(
                target=self._work, args=(self._run, own), name=f"sapwood scan {self.path}", daemon=True
            )
            self._thread.start()
        self._show()

    def _begin(self, plan: ScanPlan, moved: list[Any], read: list[Any]) -> ScanRun:
        """Make the groups of the scan in the file, and the scan."""
        file = self._file
        if file is None:
            raise DeviceError("No file is open", path=self.path)
        names = ("Axes", "Detectors", "Mode", "Saving", "Snake", "Settle", "OnError", "Comment")
        settings: Mapping[str, Any] = {name: self.node(name).valueDisp() for name in names}
        file.begin(
            plan,
            str(self.Saving.valueDisp()),
            title=self.path,
            units=[variable.units or "" for variable in moved],
            settings={"scan": settings},
            configuration=self.root.getYaml(readFirst=False, modes=["RW"]),
        )
        self._group = file.group
        return ScanRun(
            plan,
            moved,
            read,
            list(self._streams.values()),
            self._trigger,
            file,
            origin=self.path,
            settle=lambda: float(self.Settle.value()),
            skip=lambda: bool(self.OnError.valueDisp() == "Skip"),
            logger=self._log,
        )

    def pauseScan(self) -> None:
        """Wait before the next point; does nothing without a scan."""
        with self._turn:
            if self._run is not None and not self._over.is_set():
                self._run.pause()
        self._show()

    def resumeScan(self) -> None:
        """Go on after a pause."""
        with self._turn:
            if self._run is not None and not self._over.is_set():
                self._run.resume()
        self._show()

    def stopScan(self) -> None:
        """End the scan, and wait for that; does nothing without one."""
        run, thread = self._run, self._thread
        if run is not None:
            run.halt()
        if thread is not None and thread is not threading.current_thread():
            thread.join(JOIN_S)
            if thread.is_alive():
                raise DeviceError("The scan does not end", path=self.path, waited_s=JOIN_S)

    def waitDone(self, timeout_s: float | None = None) -> bool:
        """Wait for the end of the scan; False when the time was over before.

        Raises
        ------
        DeviceError
            The scan ended with a fault.
        """
        if not self._over.wait(timeout_s):
            return False
        if self._run is not None and self._run.state == FAULT:
            raise DeviceError("The scan failed", path=self.path, seen=self._run.reason)
        return True

    # ---- the thread

    def _work(self, run: ScanRun, own: bool) -> None:
        """Take the points; the body of the thread."""
        outcome = run.run(lambda: bool(self.Return.value()), self._show_sometimes)
        with self._turn:
            try:
                if own:
                    self._close_file()
            except (SapwoodError, OSError) as error:
                outcome, run.reason = FAULT, "; ".join(filter(None, [run.reason, told(error)]))
            if run.reason:
                self._log.error("The scan failed: %s", run.reason)
            run.state = outcome
            self._over.set()
        self._show()

    def _show_sometimes(self) -> None:
        now = time.monotonic()
        if now - self._shown >= SHOW_S:
            self._shown = now
            self._show()

    # ---- with the tree

    def _start(self) -> None:
        """Show the axes and detectors that the device was made with: now their variables have paths."""
        super()._start()
        if self._given is not None:
            (axes, detectors), self._given = self._given, None
            self.setAxes(axes)
            self.Detectors.set(json.dumps([str(getattr(one, "path", one)) for one in detectors]))

    def _quiesce(self, deadline: float) -> None:
        """Stop the scan."""
        try:
            self.stopScan()
        finally:
            super()._quiesce(deadline)

    def _stop(self) -> None:
        """Stop the scan, close the file."""
        try:
            self.stopScan()
            self._close()
        finally:
            super()._stop()
