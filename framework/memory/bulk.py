"""Accesses of many blocks at once, contiguous ones joined where the slave allows it."""

from __future__ import annotations

from collections.abc import Iterable

from sapwood.memory.block import Block
from sapwood.memory.hub import forward
from sapwood.memory.slave import Slave
from sapwood.memory.transaction import Read, Transaction, Verify

__all__ = ["startTransactions"]


class _Run:
    """Accesses of neighbouring blocks that travel as one transaction."""

    def __init__(self) -> None:
        self._parts: list[Transaction] = []
        self._slave: Slave | None = None
        self._master: object = None
        self._limit = 0
        self._end = -1
        self._bytes = 0

    def add(self, block: Block, part: Transaction) -> None:
        """Take up `part`, after sending what came before when it does not continue it."""
        size = part.size()
        follows = (
            part.address() == self._end
            and block._slave is self._slave
            and block._master is self._master
            and self._bytes + size <= self._limit
        )
        if not follows:
            self.send()
        self._slave, self._master, self._limit = block._slave, block._master, block._limit
        self._parts.append(part)
        self._end = part.address() + size
        self._bytes += size

    def send(self) -> None:
        """Request what was collected."""
        parts, self._parts, self._bytes, self._end = self._parts, [], 0, -1
        if self._slave is None or not parts:
            return
        if len(parts) == 1:
            forward(self._slave, parts[0], self._limit)
            return
        first = parts[0]
        reads = first.type() in (Read, Verify)
        data = bytearray(sum(part.size() for part in parts)) if reads else b"".join(p.data for p in parts)
        whole = Transaction(first.address(), memoryview(data), first.type(), first._timeout)

        def share(whole: Transaction) -> None:
            start = 0
            for part in parts:
                if whole.errorText:
                    part.error(whole.errorText)
                    continue
                if reads:
                    part.setData(whole.data[start : start + part.size()])
                start += part.size()
                part.done()

        whole.on_done(share)
        forward(self._slave, whole, self._limit)
        for part in parts:
            part._keeper = whole._keeper
            part.start_timer()


def startTransactions(blocks: Iterable[Block], type: int, *, force: bool = False) -> None:
    """Request one access of each block, as a whole, without waiting for the answers.

    Blocks of one master that are neighbours in address and in `blocks` share a transaction when
    their slave says ``coalesce``; staging, verify, errors and waiting stay each block's own.

    Parameters
    ----------
    blocks
        In order of address, to be joined.
    type, force
        As for ``Block.startTransaction``.
    """
    run = _Run()
    for block in blocks:
        with block.lock:
            if not block._prepare(type, force, None, -1):
                continue
            if block._direct is None and block._slave.coalesce:
                run.add(block, block._new_transaction())
            else:
                run.send()
                block._launch()
    run.send()
