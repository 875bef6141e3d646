"""Accesses of many blocks at once, contiguous ones joined where the slave allows it."""

from __future__ import annotations

from collections.abc import Iterable

from sapwood.memory.block import Block
from sapwood.memory.hub import forward
from sapwood.memory.transaction import Joined, Read, Verify

__all__ = ["startTransactions"]


def startTransactions(blocks: Iterable[Block], type: int, *, force: bool = False) -> None:
    """Request one access of each block, as a whole, without waiting for the answers.

    Blocks of one master that are neighbours in address and in `blocks` share a transaction when
    their slave says ``coalesce``; staging, verify, errors and waiting stay each block's own. A
    shared read that fails is repeated block by block, so that the error names the one at fault;
    a shared write that fails is the error of each of its blocks.

    Parameters
    ----------
    blocks
        In order of address, to be joined.
    type, force
        As for ``Block.startTransaction``.
    """
    reads = type in (Read, Verify)
    whole: Joined | None = None
    first: Block | None = None
    written = bytearray()
    size, end = 0, -1
    for block in blocks:
        with block.lock:
            if not block._prepare(type, force, None, -1):
                continue
            if not block._slave.coalesce:
                block._launch()
                continue
            low, high = block._low, block._high
            address = block._base + low
            if (
                address != end
                or first is None
                or block._slave is not first._slave
                or block._master is not first._master
                or size + high - low > first._limit
            ):
                if whole is not None and first is not None:
                    _send(whole, first, written, size)
                whole, first = Joined(address, type, block._timeout), block
                written, size = bytearray(), 0
            block._transaction = whole
            block._place = size
            if not reads:
                written += block._sent[low:high]
            size += high - low
            end = address + high - low
    if whole is not None and first is not None:
        _send(whole, first, written, size)


def _send(whole: Joined, first: Block, written: bytearray, size: int) -> None:
    """Request `whole`, an access of `size` bytes that begins with the block `first`."""
    reads = whole.type() in (Read, Verify)
    data = bytearray(size) if reads else written
    whole.give(data)
    if first._direct is None:
        forward(first._slave, whole, first._limit)
        return
    try:
        first._direct(whole.type(), whole.address(), data, 0, size)
    except Exception as error:  # noqa: BLE001  # slaves are user code
        whole.error(f"{type(error).__name__}: {error}")
    else:
        whole.done()
