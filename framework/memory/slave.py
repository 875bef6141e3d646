"""The answering end of a register bus."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

from sapwood.memory.link import busConnect
from sapwood.memory.transaction import Transaction

__all__ = ["MAX_ACCESS", "Direct", "Many", "Slave", "direct_access", "many_accesses"]

Direct = Callable[[int, int, bytearray, int, int], None]
Many = Callable[[Sequence[Transaction]], None]

MAX_ACCESS = 0xFFFFFFFF
"""Largest access of a slave without a limit of its own (bytes)."""

UNCONNECTED = "Unsupported transaction using unconnected memory bus"

_next_slave: Callable[[], int] = itertools.count(1).__next__


class Slave:
    """Base of everything that answers register accesses: override ``_doTransaction``.

    Parameters
    ----------
    min, max
        Smallest and largest access in bytes; addresses and sizes are multiples of `min`.
    """

    coalesce = False
    """Whether contiguous words of one bulk operation may be joined into one access."""

    def __init__(self, min: int = 4, max: int = MAX_ACCESS) -> None:
        self._busMin = min
        self._busMax = max
        self._slaveId = _next_slave()
        self._slaveName = f"Unnamed_{self._slaveId}"
        self._busPending: WeakValueDictionary[int, Transaction] | None = None
        self._busLock = Lock()
        self.lastAnswer = 0.0
        self.lastAnswerId = 0

    def setName(self, name: str) -> None:
        """Set the name shown in messages."""
        self._slaveName = name

    def _doTransaction(self, transaction: Transaction) -> None:
        """Execute `transaction`, here or later in any thread; to be overridden."""
        transaction.error(UNCONNECTED)

    def _doMinAccess(self) -> int:
        return self._busMin

    def _doMaxAccess(self) -> int:
        return self._busMax

    def _doAddress(self) -> int:
        return 0

    def _doSlaveId(self) -> int:
        return self._slaveId

    def _doSlaveName(self) -> str:
        return self._slaveName

    def _addTransaction(self, transaction: Transaction) -> None:
        """Keep `transaction` findable by its id for as long as somebody waits for it."""
        transaction._keeper = self
        with self._busLock:
            if self._busPending is None:
                self._busPending = WeakValueDictionary()
            self._busPending[transaction._id] = transaction

    def _getTransaction(self, id: int) -> Transaction | None:
        """Take the pending transaction `id`, or None; the timers of the later ones start anew."""
        with self._busLock:
            transaction = None if self._busPending is None else self._busPending.pop(id, None)
        if transaction is not None:
            self.lastAnswerId = id
            self.lastAnswer = time.monotonic()
        return transaction

    def _getMemorySlave(self) -> Slave:
        return self

    def __lshift__(self, master: Any) -> Any:
        """Connect ``slave << master`` and return `master`."""
        busConnect(master, self)
        return master


def direct_access(slave: Slave) -> Direct | None:
    """Return the ``_direct`` method of a slave that answers at once, or None.

    A slave whose accesses neither block nor fail silently may define
    ``_direct(type, address, buffer, low, high)`` beside ``_doTransaction``: it moves the bytes
    ``buffer[low:high]`` from or to `address` and raises what goes wrong. Blocks then need no
    transaction. A subclass that overrides ``_doTransaction`` alone is asked by transactions.
    """
    found: Direct | None = _beside(slave, "_direct")
    return found


def many_accesses(slave: Slave) -> Many | None:
    """Return the ``_doTransactions`` method of a slave that sends several accesses together, or None.

    A slave may define it beside ``_doTransaction``, for small accesses, none of them larger than its
    largest: it executes them in order and starts the timers of those that go on; what it raises becomes
    the error of all that have not ended. A subclass that overrides ``_doTransaction`` alone gets the
    accesses one by one.
    """
    found: Many | None = _beside(slave, "_doTransactions")
    return found


def _beside(slave: Slave, name: str) -> Any:
    """Return the method `name`, or None where a subclass of its class overrides ``_doTransaction`` alone."""
    for kind in type(slave).__mro__:
        if name in vars(kind):
            return getattr(slave, name)
        if "_doTransaction" in vars(kind):
            break
    return None
