"""Bulk operations: read, write and verify all blocks of a device, or lists of blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sapwood.errors import BusError, combine
from sapwood.memory import Block, Read, Verify, Write, startTransactions

__all__ = [
    "BulkOperations",
    "readAndWaitBlocks",
    "readBlocks",
    "startTransaction",
    "verifyBlocks",
    "waitBlocks",
    "waitTransaction",
    "writeAndVerifyBlocks",
    "writeBlocks",
]

HOOKS = ("writeBlocks", "verifyBlocks", "readBlocks", "waitBlocks", "checkBlocks")
"""Methods whose override sees every access to a variable of the device."""


def startTransaction(
    block: Any,
    *,
    type: int,
    forceWr: bool = False,
    wait: bool = False,
    variable: Any = None,
    index: int = -1,
    checkEach: bool = False,
) -> None:
    """Request a transaction of `block`, for one variable (or element) when given.

    Parameters
    ----------
    type
        ``Read``, ``Write``, ``Post`` or ``Verify``.
    forceWr
        Write even what was not changed.
    wait
        Wait for the answer.
    checkEach
        Without effect; taken for existing callers.
    """
    field = None if variable is None else _field(variable)
    block.startTransaction(type, force=forceWr, field=field, index=index)
    if wait:
        block.waitTransaction()


def _field(variable: Any) -> Any:
    """Return the variable's place in its block; a local variable stands for itself."""
    return variable._field if hasattr(variable, "_field") else variable


def waitTransaction(block: Any) -> None:
    """Wait for the transaction of `block`; publishes its variables and raises what went wrong."""
    block.waitTransaction()


def _attempt(problems: list[Exception], action: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    """Do `action`; what fails on the bus is added to `problems`, one by one."""
    try:
        action(*args, **kwargs)
    except BusError as problem:
        single = [one for one in problem.problems if isinstance(one, BusError)]
        problems.extend(single or [problem])


def _report(problems: list[Exception], what: str) -> None:
    """Raise the only one of `problems` itself, or one error that lists them all."""
    if problems:
        raise combine(f"{len(problems)} accesses failed in {what}", problems, BusError)


def writeBlocks(blocks: Iterable[Any], force: bool = False, waitEach: bool = False, index: int = -1) -> None:
    """Request writes of all `blocks` that hold staged values, or of all with `force`."""
    for block in blocks:
        startTransaction(block, type=Write, forceWr=force, wait=waitEach, index=index)


def verifyBlocks(blocks: Iterable[Any], waitEach: bool = False) -> None:
    """Request verification of what was last written to `blocks`."""
    for block in blocks:
        startTransaction(block, type=Verify, wait=waitEach)


def readBlocks(blocks: Iterable[Any], waitEach: bool = False) -> None:
    """Request reads of all `blocks`."""
    for block in blocks:
        startTransaction(block, type=Read, wait=waitEach)


def waitBlocks(blocks: Iterable[Any]) -> None:
    """Wait for the transactions of all `blocks`, then raise what went wrong in any of them."""
    problems: list[Exception] = []
    for block in blocks:
        _attempt(problems, block.waitTransaction)
    _report(problems, "a list of blocks")


def writeAndVerifyBlocks(blocks: Iterable[Any], force: bool = False, waitEach: bool = False) -> None:
    """Write and verify all `blocks` and wait for them."""
    chosen = list(blocks)
    writeBlocks(chosen, force=force, waitEach=waitEach)
    verifyBlocks(chosen, waitEach=waitEach)
    waitBlocks(chosen)


def readAndWaitBlocks(blocks: Iterable[Any], waitEach: bool = False) -> None:
    """Read all `blocks` and wait for them."""
    chosen = list(blocks)
    readBlocks(chosen, waitEach=waitEach)
    waitBlocks(chosen)


class BulkOperations:
    """The bulk operations of a device.

    A subclass that overrides `writeBlocks`, `verifyBlocks`, `readBlocks` or `waitBlocks` sees
    every access to its variables, with ``variable=`` set.
    """

    _blocks: list[Any]
    _forceWaitEach: bool
    _path: str
    _devices: dict[str, Any]
    _root: Any

    @property
    def forceWaitEach(self) -> bool:
        """Whether each transaction of a bulk operation is waited for before the next."""
        return self._forceWaitEach

    @forceWaitEach.setter
    def forceWaitEach(self, value: bool) -> None:
        self._forceWaitEach = value

    def _start_all(self, type: int, wait: bool, force: bool = False) -> None:
        """Request a transaction of every block that takes part, neighbours together where allowed."""
        blocks = [block for block in self._blocks if block.bulkOpEn]
        if wait:
            for block in blocks:
                startTransaction(block, type=type, forceWr=force, wait=True)
            return
        hardware = []
        for block in blocks:
            if isinstance(block, Block):
                hardware.append(block)
            else:
                block.startTransaction(type, force=force)
        startTransactions(hardware, type, force=force)

    def _start_below(self, method: str, wait: bool, **request: Any) -> None:
        """Call `method` of the devices below."""
        if wait:
            request["waitEach"] = True
        for device in self._devices.values():
            getattr(device, method)(recurse=True, **request)

    def writeBlocks(
        self,
        *,
        force: bool = False,
        recurse: bool = True,
        variable: Any = None,
        waitEach: bool = False,
        index: int = -1,
        checkEach: bool = False,
    ) -> None:
        """Request writes: of all blocks that hold staged values, or of `variable`.

        Parameters
        ----------
        force
            Write all blocks.
        recurse
            The devices below too.
        variable, index
            Write just this variable, or element.
        waitEach, checkEach
            Wait for each transaction before the next.
        """
        wait = waitEach or checkEach or self._forceWaitEach
        if variable is not None:
            startTransaction(
                variable._block, type=Write, forceWr=force, wait=wait, variable=variable, index=index
            )
            return
        self._start_all(Write, wait, force)
        if recurse:
            self._start_below("writeBlocks", wait, force=force)

    def verifyBlocks(
        self,
        *,
        recurse: bool = True,
        variable: Any = None,
        waitEach: bool = False,
        checkEach: bool = False,
    ) -> None:
        """Request verification of what was last written."""
        wait = waitEach or checkEach or self._forceWaitEach
        if variable is not None:
            startTransaction(variable._block, type=Verify, wait=wait, variable=variable)
            return
        self._start_all(Verify, wait)
        if recurse:
            self._start_below("verifyBlocks", wait)

    def readBlocks(
        self,
        *,
        recurse: bool = True,
        variable: Any = None,
        waitEach: bool = False,
        index: int = -1,
        checkEach: bool = False,
    ) -> None:
        """Request reads: of all blocks, or of `variable` (or one element)."""
        wait = waitEach or checkEach or self._forceWaitEach
        if variable is not None:
            startTransaction(variable._block, type=Read, wait=wait, variable=variable, index=index)
            return
        self._start_all(Read, wait)
        if recurse:
            self._start_below("readBlocks", wait)

    def waitBlocks(self, *, recurse: bool = True, variable: Any = None) -> None:
        """Wait for the requested transactions and publish; raises what went wrong in any block.

        Raises
        ------
        BusError
            The only failure, or one whose ``problems`` lists them all.
        """
        if variable is not None:
            variable._block.waitTransaction()
            return
        problems: list[Exception] = []
        fresh = []
        for block in self._blocks:
            problem, told = block.settle()
            if told:
                fresh.append(block)
            if problem is not None:
                problems.append(problem)
        if fresh:
            self._publish_blocks(fresh)
        if recurse:
            for device in self._devices.values():
                _attempt(problems, device._wait_hook, recurse=True)
        _report(problems, self._path)

    def _publish_blocks(self, blocks: list[Any]) -> None:
        """Publish the variables of `blocks`, which an access has succeeded in."""
        told = [block for block in blocks if block.told is not None]
        if len(told) < len(blocks):
            for block in blocks:
                if block.told is None:
                    block.onUpdate(block)
        self._root._updates.publish_blocks(told)

    def checkBlocks(self, *, recurse: bool = True, variable: Any = None) -> None:
        """Former name of `waitBlocks`."""
        self.waitBlocks(recurse=recurse, variable=variable)

    @property
    def _wait_hook(self) -> Callable[..., None]:
        """`waitBlocks`, or `checkBlocks` in a class that overrides only that."""
        old = type(self).checkBlocks is not BulkOperations.checkBlocks
        return self.checkBlocks if old else self.waitBlocks

    def writeAndVerifyBlocks(
        self, force: bool = False, recurse: bool = True, variable: Any = None, checkEach: bool = False
    ) -> None:
        """Write, verify and wait."""
        extra: dict[str, Any] = {"waitEach": True} if checkEach else {}
        self.writeBlocks(force=force, recurse=recurse, variable=variable, **extra)
        self.verifyBlocks(recurse=recurse, variable=variable, **extra)
        self._wait_hook(recurse=recurse, variable=variable)

    def readAndWaitBlocks(
        self, recurse: bool = True, variable: Any = None, waitEach: bool = False, checkEach: bool = False
    ) -> None:
        """Read and wait."""
        extra: dict[str, Any] = {"waitEach": True} if waitEach or checkEach else {}
        self.readBlocks(recurse=recurse, variable=variable, **extra)
        self._wait_hook(recurse=recurse, variable=variable)

    def readAndCheckBlocks(self, recurse: bool = True, variable: Any = None, checkEach: bool = False) -> None:
        """Former name of `readAndWaitBlocks`."""
        self.readAndWaitBlocks(recurse, variable, checkEach)

    # ---- one variable of a class that overrides some of the above

    def _overrides(self) -> bool:
        """Tell if any of the block methods is overridden, in the class or in this object."""
        kind, own = type(self), self.__dict__
        return any(getattr(kind, name) is not getattr(BulkOperations, name) or name in own for name in HOOKS)

    def _write_variable(self, variable: Any, index: int, verify: bool, wait: bool) -> None:
        self.writeBlocks(force=True, recurse=False, variable=variable, index=index)
        if verify:
            self.verifyBlocks(recurse=False, variable=variable)
        if wait:
            self._wait_hook(recurse=False, variable=variable)

    def _read_variable(self, variable: Any, index: int, wait: bool) -> None:
        self.readBlocks(recurse=False, variable=variable, index=index)
        if wait:
            self._wait_hook(recurse=False, variable=variable)
