"""Accesses of many blocks at once, contiguous ones joined where the slave allows it."""

from __future__ import annotations

from collections.abc import Iterable

from sapwood.memory.block import Block
from sapwood.memory.hub import forward
from sapwood.memory.slave import Many, Slave, many_accesses
from sapwood.memory.transaction import Joined, Read, Transaction, Verify

__all__ = ["startTransactions"]

_MOST = 64  # accesses that are sent together: what goes before leaves early
_SMALL = 256  # bytes of one of them


def startTransactions(blocks: Iterable[Block], type: int, *, force: bool = False) -> None:
    """Request one access of each block, as a whole, without waiting for the answers.

    Small accesses go together to a slave that can send several at once. Blocks of one master that are
    neighbours in address and in `blocks` share a transaction when their slave says ``coalesce``;
    staging, verify, errors and waiting stay each block's own. A shared read that fails is repeated
    block by block, so that the error names the one at fault; a shared write that fails is the error
    of each of its blocks.

    Parameters
    ----------
    blocks
        In order of address, to be joined.
    type, force
        As for ``Block.startTransaction``.
    """
    together, neighbours = _Together(), _Neighbours(type)
    try:
        for block in blocks:
            before = block._transaction
            if before is not None and not before.ended:  # it is waited for now, and is to be sent before
                together.send()
                neighbours.send()
            with block.lock:
                if not block._prepare(type, force, None, -1):
                    continue
                if block._slave.coalesce:
                    together.send()
                    neighbours.take(block)
                    continue
                neighbours.send()
                if not together.take(block):
                    together.send()
                    block._launch()
    finally:
        together.send()
        neighbours.send()


class _Together:
    """Accesses that wait to be sent together to one slave."""

    def __init__(self) -> None:
        self._slave: Slave | None = None
        self._many: Many | None = None
        self._accesses: list[Transaction] = []

    def take(self, block: Block) -> bool:
        """Take the access that `block` has prepared, where its slave can send it with others."""
        if block._slave is not self._slave:
            self.send()
            self._slave, self._many = block._slave, many_accesses(block._slave)
        most = min(_SMALL, block._limit)
        if self._many is None or block._direct is not None or block._high - block._low > most:
            return False
        self._accesses.append(block._new_transaction())
        if len(self._accesses) == _MOST:
            self.send()
        return True

    def send(self) -> None:
        """Send what waits."""
        if not self._accesses or self._many is None:
            return
        accesses, self._accesses = self._accesses, []
        try:
            self._many(accesses)
        except Exception as problem:  # noqa: BLE001  # slaves are user code
            for access in accesses:
                access.error(f"{type(problem).__name__}: {problem}")


class _Neighbours:
    """The access of blocks that follow each other, which waits for the next one to join."""

    def __init__(self, type: int) -> None:
        self._type = type
        self._writes = type not in (Read, Verify)
        self._whole: Joined | None = None
        self._first: Block | None = None
        self._written = bytearray()
        self._size, self._end = 0, -1

    def take(self, block: Block) -> None:
        """Join the access that `block` has prepared to those before it, or send these and begin anew."""
        first, low, size = self._first, block._low, block._high - block._low
        address = block._base + low
        if (
            address != self._end
            or first is None
            or block._slave is not first._slave
            or block._master is not first._master
            or self._size + size > first._limit
        ):
            self.send()
            self._whole, self._first = Joined(address, self._type, block._timeout), block
        block._transaction = self._whole
        block._place = self._size
        if self._writes:
            self._written += block._sent[low : block._high]
        self._size += size
        self._end = address + size

    def send(self) -> None:
        """Send what waits."""
        whole, first = self._whole, self._first
        if whole is None or first is None:
            return
        written, size = self._written, self._size
        self._whole = self._first = None
        self._written, self._size, self._end = bytearray(), 0, -1
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
