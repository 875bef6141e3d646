"""A bus node between masters and a slave: adds its offset, splits what is too large."""

from __future__ import annotations

from sapwood.memory.master import Master, issue
from sapwood.memory.slave import MAX_ACCESS, Slave
from sapwood.memory.transaction import Transaction

__all__ = ["Hub"]


class Hub(Slave, Master):
    """Forwards accesses to its own slave with ``address + offset``, in pieces where needed.

    Override ``_doTransaction`` for registers that are reached indirectly.

    Parameters
    ----------
    offset
        Bytes added to the address of each access.
    min, max
        When both are given the hub is the root of an address space of its own: it reports
        these access limits, address 0 and its own slave id.
    """

    def __init__(self, offset: int = 0, min: int = 0, max: int = 0) -> None:
        Slave.__init__(self, min or 4, max or MAX_ACCESS)
        Master.__init__(self)
        self._hubOffset = offset
        self._hubRoot = bool(min and max)

    def _getOffset(self) -> int:
        return self._hubOffset

    def _getAddress(self) -> int:
        """Return the absolute byte address of this hub."""
        return self._doAddress()

    def _doAddress(self) -> int:
        return 0 if self._hubRoot else self._reqAddress() + self._hubOffset

    def _doMinAccess(self) -> int:
        return self._busMin if self._hubRoot else self._reqMinAccess()

    def _doMaxAccess(self) -> int:
        return self._busMax if self._hubRoot else MAX_ACCESS

    def _doSlaveId(self) -> int:
        return self._slaveId if self._hubRoot else self._reqSlaveId()

    def _doSlaveName(self) -> str:
        return self._slaveName if self._hubRoot else self._reqSlaveName()

    def _doTransaction(self, transaction: Transaction) -> None:
        """Forward `transaction`."""
        transaction._address += self._hubOffset
        slave = self._busSlave
        forward(slave, transaction, slave._doMaxAccess())


def forward(slave: Slave, transaction: Transaction, limit: int) -> None:
    """Hand `transaction` to `slave`, in pieces when it moves more than `limit` bytes."""
    if transaction.data.nbytes > limit:
        _split(slave, transaction, limit)
    else:
        issue(slave, transaction)


def _split(slave: Slave, whole: Transaction, limit: int) -> None:
    """Execute `whole` as accesses of at most `limit` bytes; the first failure is its error."""
    with whole._lock:
        parts = tuple(
            Transaction(
                whole._address + start, whole.data[start : start + limit], whole._type, whole._timeout
            )
            for start in range(0, whole.data.nbytes, limit)
        )
        whole._children = parts
    left = len(parts)
    first = ""

    def ended(part: Transaction) -> None:
        nonlocal left, first
        with whole._lock:
            left -= 1
            if part._text and not first:
                first = f"Transaction error. Subtransaction {part._id} failed with error: {part._text}."
            last = left == 0
        if last and first:
            whole.error(first)
        elif last:
            whole.done()

    for part in parts:
        part.on_done(ended)
        issue(slave, part)
