"""PyRogue's functions on blocks, with its former names and keywords."""
# ruff: noqa: N802, N803  # the names are PyRogue's

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sapwood.memory import Read, Verify, Write
from sapwood.tree import bulk

__all__ = [
    "readAndWaitBlocks",
    "readBlocks",
    "startTransaction",
    "verifyBlocks",
    "waitBlocks",
    "waitTransaction",
    "writeAndVerifyBlocks",
    "writeBlocks",
]


def startTransaction(
    block: Any,
    *,
    type: int,
    forceWr: bool = False,
    wait: bool = False,
    variable: Any = None,
    index: int = -1,
    **kwargs: Any,
) -> None:
    """Request a transaction of `block`, for one variable (or element) when given.

    Parameters
    ----------
    block
        A block of a device, or any object with a method ``_startTransaction``.
    type
        ``Read``, ``Write``, ``Post`` or ``Verify``.
    forceWr
        Write even what was not changed.
    wait
        Wait for the answer.
    kwargs
        Keywords of former releases (``checkEach``): without effect.
    """
    own = getattr(block, "_startTransaction", None)
    if own is not None:
        own(type, forceWr, wait, variable, index)
    else:
        bulk.startTransaction(block, type=type, forceWr=forceWr, wait=wait, variable=variable, index=index)


def waitTransaction(block: Any, **kwargs: Any) -> None:
    """Wait for the transaction of `block`; publishes its variables and raises what went wrong."""
    own = getattr(block, "_waitTransaction", None)
    if own is not None:
        own()
    else:
        bulk.waitTransaction(block)


class _Waited:
    """A block for `bulk.waitBlocks`, which collects what goes wrong."""

    def __init__(self, block: Any) -> None:
        self._block = block

    def waitTransaction(self) -> None:
        waitTransaction(self._block)


def writeBlocks(
    blocks: Iterable[Any], force: bool = False, waitEach: bool = False, index: int = -1, **kwargs: Any
) -> None:
    """Request writes of all `blocks` that hold staged values, or of all with `force`."""
    for block in blocks:
        startTransaction(block, type=Write, forceWr=force, wait=waitEach, index=index)


def verifyBlocks(blocks: Iterable[Any], waitEach: bool = False, **kwargs: Any) -> None:
    """Request verification of what was last written to `blocks`."""
    for block in blocks:
        startTransaction(block, type=Verify, wait=waitEach)


def readBlocks(blocks: Iterable[Any], waitEach: bool = False, **kwargs: Any) -> None:
    """Request reads of all `blocks`."""
    for block in blocks:
        startTransaction(block, type=Read, wait=waitEach)


def waitBlocks(blocks: Iterable[Any], **kwargs: Any) -> None:
    """Wait for the transactions of all `blocks`, then raise what went wrong in any of them."""
    bulk.waitBlocks(map(_Waited, blocks))


def writeAndVerifyBlocks(
    blocks: Iterable[Any], force: bool = False, waitEach: bool = False, **kwargs: Any
) -> None:
    """Write and verify all `blocks` and wait for them."""
    chosen = list(blocks)
    writeBlocks(chosen, force=force, waitEach=waitEach)
    verifyBlocks(chosen, waitEach=waitEach)
    waitBlocks(chosen)


def readAndWaitBlocks(blocks: Iterable[Any], waitEach: bool = False, **kwargs: Any) -> None:
    """Read all `blocks` and wait for them."""
    chosen = list(blocks)
    readBlocks(chosen, waitEach=waitEach)
    waitBlocks(chosen)
