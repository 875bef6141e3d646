"""Root: the top of a tree, which starts and stops it."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

from sapwood.errors import BusError, NodeError, SapwoodError, combine
from sapwood.memory import check_overlap
from sapwood.memory.transaction import DEFAULT_TIMEOUT_S
from sapwood.tree import listing, rootnodes, sources, treedict
from sapwood.tree.collector import paused_collector
from sapwood.tree.device import Device
from sapwood.tree.dump import dump_text
from sapwood.tree.groups import GroupFilter, Groups
from sapwood.tree.match import split_path
from sapwood.tree.plan import Plan
from sapwood.tree.polling import Poller
from sapwood.tree.syslog import NAMES, SystemLog
from sapwood.tree.updates import BatchListener, UpdateWorker
from sapwood.tree.variable import Listener
from sapwood.tree.yamlio import dataToYaml

__all__ = ["QUIESCE_S", "Root"]

QUIESCE_S = 5.0
"""How long sources and queues may take to run empty when the tree stops (s)."""

LONG_TIMEOUT_S = 10.0
"""A bus timeout above this is warned about (s)."""


class Root(Device):
    """The top of a tree; a context manager that starts and stops it.

    Parameters
    ----------
    timeout
        Seconds that the bus has to answer.
    initRead, initWrite
        Read, then write everything when the tree starts.
    pollEn
        Initial value of ``PollEn``.
    maxLog
        Records kept in ``SystemLog``.
    unifyLogs
        Accepted for existing callers: all records of Sapwood reach ``SystemLog`` anyway.
    """

    _logFamily: ClassVar[str] = "Root"

    def __init__(
        self,
        *,
        name: str | None = None,
        description: str = "",
        expand: bool = True,
        timeout: float = DEFAULT_TIMEOUT_S,
        initRead: bool = False,
        initWrite: bool = False,
        pollEn: bool = True,
        maxLog: int = 1000,
        unifyLogs: bool = False,
    ) -> None:
        self._timeout = timeout
        self._initRead = initRead
        self._initWrite = initWrite
        self._running = False
        self._stopping = False
        self._attached = False
        self._change = threading.Lock()
        self._dataDir: Path | None = None
        self._known: dict[str, Any] = {}
        super().__init__(name=name, description=description, expand=expand)
        self._systemLog = SystemLog(maxLog, self._publish_log)
        quiet = [f"{self._name}.{variable}" for variable in NAMES]
        self._updates = UpdateWorker(lambda: self._log, self._heartbeat, quiet)
        self._poller = Poller(lambda: self._log, self._updates.group)
        rootnodes.add_variables(self, pollEn=pollEn)
        rootnodes.add_commands(self)
        super()._add_declared()

    def _add_declared(self) -> None:
        """Wait with the declared nodes until the root's own are there."""

    # ---- start and stop

    @property
    def running(self) -> bool:
        """Whether the tree is running."""
        return self._running

    def start(self) -> None:
        """Attach all nodes (the first time), start threads, interfaces and devices.

        When something fails, what was started is stopped again. A tree can be started again
        after it was stopped.

        Raises
        ------
        NodeError
            The tree is running, or registers of two devices overlap.
        """
        if self._running:
            raise NodeError("Root is already started! Can't restart!", path=self._path)
        with paused_collector():
            if not self._attached:
                self._attach()
                self._attached = True
        self._running = True
        self._updates.start(f"sapwood updates of {self._name}")
        self._systemLog.attach()
        try:
            self._start()
            self._initial_access()
            self._poller.start(f"sapwood polling of {self._name}")
            self.PollEn.set(self.PollEn.value())
        except BaseException:
            try:
                self.stop()
            except Exception as error:  # noqa: BLE001  # the failure of the start is the one to raise
                self._log.error("Stopping after a failed start: %s", error)
            raise

    def _attach(self) -> None:
        """Give every node its place, map the registers, stage the defaults."""
        if self._timeout > LONG_TIMEOUT_S:
            self._log.warning(
                "The timeout of %s s is long: a dead link is noticed only after that", self._timeout
            )
        self._rootAttached(self, self)
        for node in self._walk():
            node._finishInit()
        check_overlap([block for device in [self, *self.deviceList] for block in device._hardware])
        self._refresh_enable()

    def _initial_access(self) -> None:
        for wanted, action, what in (
            (self._initRead, self._read, "read"),
            (self._initWrite, self._write, "write"),
        ):
            if not wanted:
                continue
            try:
                action()
            except BusError as error:
                self._log.error("Initial %s failed: %s", what, error)

    def stop(self, quiesce: bool = True) -> None:
        """Stop devices, interfaces and threads; does nothing when the tree is not running or stopping.

        Sources stop and queues run empty first (to a deadline), unless `quiesce` is False. The
        updates queued so far are delivered.

        Raises
        ------
        SapwoodError
            What failed on the way, after everything was stopped.
        """
        with self._change:
            if not self._running or self._stopping:
                return
            self._stopping = True
        try:
            problems = self._shut_down(quiesce)
        finally:
            self._stopping = False
        if problems:
            raise combine(f"Stopping {self._name} failed in part", problems, SapwoodError)

    def _shut_down(self, quiesce: bool) -> list[Exception]:
        """Stop everything; returns what went wrong."""
        problems: list[Exception] = []

        def attempt(action: Callable[[], None]) -> None:
            try:
                action()
            except Exception as problem:  # noqa: BLE001  # the rest is to be stopped all the same
                problems.append(problem)

        self._poller.stop()
        if quiesce:
            deadline = time.monotonic() + QUIESCE_S
            attempt(lambda: self._quiesce(deadline))
            attempt(lambda: self._runDry(deadline))
        self._running = False
        attempt(self._stop)
        self._updates.stop()
        self._systemLog.detach()
        return problems

    def __enter__(self) -> Root:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
            return
        try:
            self.stop()
        except Exception as problem:  # noqa: BLE001  # the error of the body is the one to raise
            self._log.error("Stopping %s: %s", self._name, problem)

    # ---- nodes and files

    def getNode(self, path: str) -> Any:
        """Return the node at the dotted `path` (which may begin with ``root``), or None."""
        node = self._known.get(path)
        if node is not None:
            return node
        first, *rest = split_path(path)
        if first not in (self._name, "root"):
            return None
        node = self
        for name in rest:
            node = node._nodes.get(name)
            if node is None:
                return None
        if self._attached:
            self._known[path] = node
        return node

    @property
    def dataDir(self) -> Path | None:
        """Folder for relative file names; None for the current one."""
        return self._dataDir

    @dataDir.setter
    def dataDir(self, folder: str | Path | None) -> None:
        self._dataDir = None if folder is None else Path(folder)

    def dataPath(self, name: str) -> str:
        """Return where the file `name` lies: below `dataDir` when that is set and `name` is relative."""
        return name if self._dataDir is None else str(self._dataDir / name)

    # ---- updates

    def addVarListener(
        self,
        func: Listener,
        *,
        done: Callable[[], Any] | None = None,
        incGroups: Groups = None,
        excGroups: Groups = None,
        onlyChanges: bool = False,
    ) -> None:
        """Call ``func(path, VariableValue)`` for every update of any variable.

        Parameters
        ----------
        done
            Called after each batch of updates.
        incGroups, excGroups
            Which variables are wanted.
        onlyChanges
            Leave out updates that do not change the value.
        """
        self._updates.add_each(
            func, done=done, incGroups=incGroups, excGroups=excGroups, onlyChanges=onlyChanges
        )

    def delVarListener(self, func: Listener) -> None:
        """Undo `addVarListener`."""
        self._updates.remove(func)

    def addBatchListener(
        self, func: BatchListener, *, incGroups: Groups = None, excGroups: Groups = None
    ) -> None:
        """Call ``func({path: VariableValue})`` for every batch of updates, in the update thread."""
        self._updates.add_batch(func, incGroups=incGroups, excGroups=excGroups)

    def delBatchListener(self, func: BatchListener) -> None:
        """Undo `addBatchListener`."""
        self._updates.remove(func)

    def updateGroup(self, period: float = 0) -> AbstractContextManager[None]:
        """Return a context that collects this thread's updates into one batch.

        With `period` > 0 what was collected is passed on whenever that many seconds have passed.
        """
        return self._updates.group(period)

    def pollBlock(self) -> AbstractContextManager[None]:
        """Return a context in which nothing is polled."""
        return self._poller.hold(2 * self._timeout)

    def waitOnUpdate(self) -> None:
        """Return when every update queued before this call was delivered."""
        self._updates.wait()

    def _heartbeat(self) -> None:
        self.Time._queueUpdate()

    def _publish_log(self) -> None:
        if self._running:
            for name in NAMES:
                self._nodes[name]._queueUpdate()

    # ---- everything at once

    def _read(self) -> bool:
        """Read all blocks and wait."""
        with self.pollBlock(), self.updateGroup():
            self.readBlocks(recurse=True)
            self._wait_hook(recurse=True)
        return True

    def _write(self) -> bool:
        """Write and verify what is staged (or all, with ``ForceWrite``) and wait."""
        with self.pollBlock(), self.updateGroup():
            self.writeBlocks(force=bool(self.ForceWrite.value()), recurse=True)
            self.verifyBlocks(recurse=True)
            self._wait_hook(recurse=True)
        return True

    def hardReset(self) -> None:
        """Reset all devices, then clear the log."""
        super().hardReset()
        self._systemLog.clear()

    def _targets(self, key: str) -> tuple[list[Any], list[str] | None]:
        """Return the nodes that an absolute path (wildcards allowed) of a configuration names."""
        first, *rest = split_path(key)
        if first not in (self._name, "root"):
            return [], None
        nodes: list[Any] = [self]
        keys: list[str] | None = None
        for name in rest:
            if keys is not None:
                return [], None
            found = [node.nodeMatch(name) for node in nodes]
            nodes = [node for matched, _ in found for node in matched]
            keys = next((left for _, left in found if left is not None), None)
        return nodes, keys

    def _take(self, plan: Plan, writeEach: bool) -> None:
        super()._take(plan, writeEach)
        if self.InitAfterConfig.value():
            self.initialize()

    def treeDict(
        self,
        modes: Sequence[str] = ("RW", "RO", "WO"),
        incGroups: Groups = None,
        excGroups: Groups = None,
        properties: bool = True,
    ) -> dict[str, Any]:
        """Return the variables of the tree as nested dicts.

        Parameters
        ----------
        modes, incGroups, excGroups
            What to include.
        properties
            Each variable is the dict of its properties; else its `VariableValue`.
        """
        groups = GroupFilter(incGroups, excGroups)
        return {self._name: treedict.tree_dict(self, modes, groups, properties=properties) or {}}

    def treeYaml(
        self,
        modes: Sequence[str] = ("RW", "RO", "WO"),
        incGroups: Groups = None,
        excGroups: Groups = None,
        properties: bool = True,
    ) -> str:
        """Return what `treeDict` returns as YAML text; classes by their names."""
        return dataToYaml(treedict.writable(self.treeDict(modes, incGroups, excGroups, properties)))

    def saveAddressMap(self, fname: str, headerEn: bool = False) -> None:
        """Write a table of all registers, with address, bits, model and block of each, to a file.

        Parameters
        ----------
        fname
            ``.csv`` has commas between the columns, any other tabs; ``.h`` is a C header.
        headerEn
            Write the C header, whatever the name.
        """
        header = headerEn or fname.endswith(".h")
        text = listing.c_header(self) if header else listing.address_map(self, fname)
        sources.write_text(self.dataPath(fname), text)

    def saveVariableList(self, fname: str, polledOnly: bool = False, incGroups: Groups = None) -> None:
        """Write a table of all variables and commands to a file.

        Parameters
        ----------
        fname
            ``.csv`` has commas between the columns, any other tabs.
        polledOnly
            Leave out what is not polled.
        incGroups
            Only what is in one of these groups.
        """
        sources.write_text(self.dataPath(fname), listing.variable_list(self, fname, polledOnly, incGroups))

    def remoteVariableDump(
        self, name: str | None = None, modes: Sequence[str] = ("RW", "RO", "WO"), readFirst: bool = False
    ) -> str:
        """Write the values of all registers as lines ``path = value`` to a file and return its name.

        Parameters
        ----------
        name
            Empty: ``regdump_`` with date and time.
        modes
            Access modes of the registers to include.
        readFirst
            Read the whole tree from the hardware first.
        """
        if readFirst:
            self._read()
        path = self.dataPath(name or datetime.datetime.now().strftime("regdump_%Y%m%d_%H%M%S.txt"))
        sources.write_text(path, dump_text(self, modes))
        return path
