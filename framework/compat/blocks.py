"""PyRogue's functions on blocks, with its former names and keywords."""
# ruff: noqa: N802, N803  # the names are PyRogue's

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

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


def writeBlocks(
    blocks: Iterable[Any], force: bool = False, waitEach: bool = False, index: int = -1, **kwargs: Any
) -> None:
    """Request writes of all `blocks` that hold staged values, or of all with `force`."""
    bulk.writeBlocks(blocks, force=force, waitEach=waitEach, index=index)


def verifyBlocks(blocks: Iterable[Any], waitEach: bool = False, **kwargs: Any) -> None:
    """Request verification of what was last written to `blocks`."""
    bulk.verifyBlocks(blocks, waitEach=waitEach)


def readBlocks(blocks: Iterable[Any], waitEach: bool = False, **kwargs: Any) -> None:
    """Request reads of all `blocks`."""
    bulk.readBlocks(blocks, waitEach=waitEach)


def waitBlocks(blocks: Iterable[Any], **kwargs: Any) -> None:
    """Wait for the transactions of all `blocks`, then raise what went wrong in any of them."""
    bulk.waitBlocks(blocks)


def writeAndVerifyBlocks(
    blocks: Iterable[Any], force: bool = False, waitEach: bool = False, **kwargs: Any
) -> None:
    """Write and verify all `blocks` and wait for them."""
    bulk.writeAndVerifyBlocks(blocks, force=force, waitEach=waitEach)


def readAndWaitBlocks(blocks: Iterable[Any], waitEach: bool = False, **kwargs: Any) -> None:
    """Read all `blocks` and wait for them."""
    bulk.readAndWaitBlocks(blocks, waitEach=waitEach)
