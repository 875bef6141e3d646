"""Contiguous registers with one image in memory and one access at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import RLock
from typing import Any

from sapwood.errors import BusError, BusTimeout, VerifyError
from sapwood.memory import topology
from sapwood.memory.field import Field
from sapwood.memory.hub import Hub, forward
from sapwood.memory.master import Master
from sapwood.memory.slave import Direct, Slave, direct_access
from sapwood.memory.transaction import Joined, Post, Read, Transaction, Verify, Write

__all__ = ["Block"]

_NOTHING = (0, 0)
_ALL_TOLD = (None, False)
_NO_BYTES = bytearray()
_log = logging.getLogger("sapwood.memory.block")


def _nobody(block: Block) -> None:
    """Take no notice of an update."""


class Block:
    """Contiguous registers of one device, with one image and one access under way at a time.

    `Field.set` changes the image and marks the bytes as *staged*; a write sends them. While
    bytes are staged, reads and verifies of the block are skipped: the image holds what is to be
    sent. While `enable` is off nothing goes to the bus and staged bytes stay staged.

    Parameters
    ----------
    path
        Name in messages.
    offset, size
        First byte, seen from `master`, and bytes; multiples of the smallest access.
    master
        The hub (device) the block belongs to, or any connected master.

    Attributes
    ----------
    onUpdate
        Called with the block, outside its lock, after each access that succeeded.
    told
        Whatever `onUpdate` wants to find.
    """

    __slots__ = (
        "__weakref__", "_base", "_compared", "_direct", "_epoch", "_fresh", "_high", "_limit", "_low",
        "_mask", "_master", "_place", "_problem", "_received", "_sent", "_slave", "_timeout",
        "_transaction", "_type", "_unverified", "bulkOpEn", "enable", "fields", "image", "lock",
        "minAccess", "mode", "offset", "onUpdate", "path", "retryCount", "size", "stagedHigh",
        "stagedLow", "told", "updateNotify",
    )  # fmt: skip

    def __init__(self, path: str, offset: int, size: int, master: Master) -> None:
        slave = _entry(master)
        self.path = path
        self.offset = offset
        self.size = size
        self.mode = "RW"
        self.bulkOpEn = True
        self.updateNotify = True
        self.retryCount = 0
        self.enable = True
        self.fields: list[Field] = []
        self.lock = RLock()
        self.onUpdate: Callable[[Block], None] = _nobody
        self.told: Any = None
        self.image = bytearray(size)
        self.minAccess = slave._doMinAccess()
        self.stagedLow = size
        self.stagedHigh = 0
        self._master = master
        self._timeout = master._busTimeout
        self._epoch = -1
        self._slave: Slave = slave
        self._base = offset
        self._limit = 0
        self._direct: Direct | None = None
        self._sent = _NO_BYTES  # made with the first write, as is the next with the first read
        self._received = _NO_BYTES
        self._mask = b""
        self._compared: bool | None = False
        self._place = 0
        self._type = 0
        self._unverified = _NOTHING
        self._transaction: Transaction | None = None
        self._problem: BusError | None = None
        self._fresh = False

    def __repr__(self) -> str:
        return f"<Block {self.path} at 0x{self.address:08x}, {self.size} bytes>"

    @property
    def address(self) -> int:
        """Absolute byte address."""
        return _entry(self._master)._doAddress() + self.offset

    @property
    def slaveId(self) -> int:
        """Id of the address space the block is in."""
        return _entry(self._master)._doSlaveId()

    @property
    def staged(self) -> bool:
        """Whether values wait to be written."""
        return self.stagedHigh > 0

    @property
    def lastAccess(self) -> int:
        """Type of the last access that was requested, 0 before the first."""
        return self._type

    @property
    def verified(self) -> bool:
        """Whether the last access was a Verify; what it found was raised by the wait for it."""
        return self._type == Verify

    def set_timeout(self, seconds: float) -> None:
        """Set how long later accesses wait for their answers (s)."""
        self._timeout = seconds

    def set_fields(self, fields: list[Field], mask: bytes) -> None:
        """Take the variables of this block and the mask of the bits that a verify compares."""
        self.fields = fields
        self._mask = mask
        if self.size == self.minAccess:
            self._compared = any(mask)
        else:
            units = {any(mask[at : at + self.minAccess]) for at in range(0, self.size, self.minAccess)}
            self._compared = units.pop() if len(units) == 1 else None
        specs = [field.spec for field in fields]
        if len(specs) == 1:
            spec = specs[0]
            self.mode, self.bulkOpEn = spec.mode, spec.bulkOpEn
            self.updateNotify, self.retryCount = spec.updateNotify, spec.retryCount
            return
        modes = {spec.mode for spec in specs}
        self.mode = modes.pop() if len(modes) == 1 else "RW"
        self.bulkOpEn = any(spec.bulkOpEn for spec in specs)
        self.updateNotify = any(spec.updateNotify for spec in specs)
        self.retryCount = max([spec.retryCount for spec in specs])

    # ------------------------------------------------------------ accesses

    def startTransaction(
        self, type: int, *, force: bool = False, field: Field | None = None, index: int = -1
    ) -> None:
        """Request an access, without waiting for its answer.

        Nothing is requested when it would be without effect: a Write that is neither staged nor
        forced, a Write or Post of read-only registers, a Read of write-only or staged ones, a
        Verify of these or when nothing was written since the last one, and anything while the
        block is disabled. An access that is still under way is waited for first.

        Parameters
        ----------
        type
            ``Read``, ``Write``, ``Post`` or ``Verify``.
        force
            Write although nothing is staged.
        field, index
            Access one variable or one element; else the whole block.
        """
        with self.lock:
            self._start(type, force, field, index)

    def waitTransaction(self) -> None:
        """Wait for the access under way, and raise what went wrong since the last wait.

        Raises
        ------
        BusError, BusTimeout, VerifyError
            After `retryCount` repetitions; naming the block and its address.
        """
        problem, fresh = self.settle()
        self._tell(problem, fresh)

    def settle(self) -> tuple[BusError | None, bool]:
        """Wait for the access under way; return what failed since the last wait, and if any succeeded."""
        if self._transaction is None and self._problem is None and not self._fresh:
            return _ALL_TOLD
        with self.lock:
            return self._collect()

    def read(self, field: Field, index: int = -1, wait: bool = True) -> None:
        """Read the bytes of one variable or element into the image."""
        with self.lock:
            if self._direct is not None and wait and index < 0 and self._idle():
                if self.stagedHigh or self.mode == "WO":
                    return
                low, high = field.low, field.high
                try:
                    self._direct(Read, self._base + low, self.image, low, high)
                    problem, fresh = None, True
                except Exception as error:  # noqa: BLE001  # slaves are user code
                    problem, fresh = self._struggle(Read, low, high, self._refusal(error))
            else:
                self._start(Read, False, field, index)
                if not wait:
                    return
                problem, fresh = self._collect()
        if fresh:
            self.onUpdate(self)
        if problem is not None:
            raise problem

    def write(
        self, field: Field, value: Any, index: int = -1, verify: bool = True, wait: bool = True
    ) -> None:
        """Stage `value`, write it, and read it back where the variable is verified."""
        with self.lock:
            field.set(value, index)
            if self._direct is not None and wait and self.stagedHigh and self._idle():
                problem, fresh = self._write_at_once(self._direct, verify)
            else:
                self._start(Write, True, field, index)
                if verify:
                    self._start(Verify, False, field, index)
                if not wait:
                    return
                problem, fresh = self._collect()
        if fresh:
            self.onUpdate(self)
        if problem is not None:
            raise problem

    def post(self, field: Field, value: Any, index: int = -1) -> None:
        """Stage `value` and write it without verifying; wait until the slave took it."""
        with self.lock:
            field.set(value, index)
            low, high = self.stagedLow, self.stagedHigh
            if self._direct is not None and high and self._idle():
                self.stagedLow, self.stagedHigh = self.size, 0
                try:
                    self._direct(Post, self._base + low, self.image, low, high)
                    problem, fresh = None, True
                except Exception as error:  # noqa: BLE001  # slaves are user code
                    problem, fresh = self._struggle(Post, low, high, self._refusal(error))
            else:
                self._start(Post, True, field, index)
                problem, fresh = self._collect()
        self._tell(problem, fresh)

    # ------------------------------------------------------------ inside, under the lock

    def _idle(self) -> bool:
        """Say whether nothing is under way or left to tell, and the short ways may be used."""
        return (
            self.enable
            and self._transaction is None
            and self._problem is None
            and self._epoch == topology.epoch
        )

    def _write_at_once(self, direct: Direct, verify: bool) -> tuple[BusError | None, bool]:
        """Write what is staged with a slave that answers at once, and read it back."""
        low, high = self.stagedLow, self.stagedHigh
        self.stagedLow, self.stagedHigh = self.size, 0
        address, image = self._base + low, self.image
        try:
            direct(Write, address, image, low, high)
        except Exception as error:  # noqa: BLE001  # slaves are user code
            self._note_sent(low, high)
            return self._struggle(Write, low, high, self._refusal(error), verify)
        compared = self._compared
        if compared is None:
            compared = any(self._mask[low:high])
        if not compared or not verify:
            if compared:
                self._note_sent(low, high)
            self._unverified = (low, high) if compared else _NOTHING
            return None, True
        self._unverified = _NOTHING
        received = self._received or self._new_received()
        try:
            direct(Verify, address, received, low, high)
        except Exception as error:  # noqa: BLE001  # slaves are user code
            self._note_sent(low, high)
            self._fresh = True
            return self._struggle(Verify, low, high, self._refusal(error))
        if received[low:high] == image[low:high]:
            return None, True
        self._note_sent(low, high)
        self._low, self._high = low, high
        self._fresh = True
        return self._struggle(Verify, low, high, self._mismatch())

    def _struggle(
        self, type: int, low: int, high: int, problem: BusError | None, verify: bool = False
    ) -> tuple[BusError | None, bool]:
        """Close an access at once that may have failed, with as many repetitions as are allowed."""
        self._type, self._low, self._high = type, low, high
        self._end(problem, self._at_once)
        if verify and self._problem is None:
            self._unverified = (low, high)
            self._start(Verify, False, None, -1)
        return self._collect()

    def _refusal(self, error: Exception) -> BusError:
        """Return what to raise for an exception of the slave."""
        return self._failure(f"{type(error).__name__}: {error}")

    def _note_sent(self, low: int, high: int) -> None:
        """Keep what is written, for its verification."""
        if high - low == self.size:
            self._sent = self.image[:]
            return
        if not self._sent:
            self._sent = bytearray(self.size)
        self._sent[low:high] = self.image[low:high]

    def _new_received(self) -> bytearray:
        self._received = bytearray(self.size)
        return self._received

    def _start(self, type: int, force: bool, field: Field | None, index: int) -> None:
        """Request an access if it has an effect."""
        if self._prepare(type, force, field, index):
            self._launch()

    def _launch(self) -> None:
        """Request the access that was prepared."""
        if self._direct is None:
            self._request()
            return
        problem = self._at_once()
        if problem is None:
            self._fresh = True
        else:
            self._end(problem, self._at_once)

    def _prepare(self, type: int, force: bool, field: Field | None, index: int) -> bool:
        """Decide whether an access has an effect, and on which bytes; end the one before."""
        if self._transaction is not None:
            self._finish()
        if not self.enable:
            return False
        if type == Read:
            if self.stagedHigh or self.mode == "WO":
                return False
            if field is None:
                self._low, self._high = 0, self.size
            elif index < 0:
                self._low, self._high = field.low, field.high
            else:
                self._low, self._high = field.span(index)
        elif type == Verify:
            low, high = self._unverified
            if not high or self.stagedHigh or self.mode == "WO":
                return False
            self._unverified = _NOTHING
            self._low, self._high = low, high
        else:
            if self.mode == "RO" or (type == Write and not force and not self.stagedHigh):
                return False
            if field is None:
                self._low, self._high = low, high = 0, self.size
                self._sent = self.image[:]
            else:
                self._low, self._high = low, high = self._write_range(field, index)
                self._note_sent(low, high)
            self.stagedLow, self.stagedHigh = self.size, 0
            if type == Write:
                compared = any(self._mask[low:high]) if self._compared is None else self._compared
                self._unverified = (low, high) if compared else _NOTHING
        self._type = type
        if self._epoch != topology.epoch:
            self._find_route()
        return True

    def _write_range(self, field: Field, index: int) -> tuple[int, int]:
        """Return the bytes to write: the variable's that were touched, and all others staged."""
        low, high = field.span(index)
        if field.spec.numValues and self.stagedLow < field.high and self.stagedHigh > field.low:
            return self.stagedLow, self.stagedHigh
        return min(low, self.stagedLow), max(high, self.stagedHigh)

    def _request(self) -> None:
        """Send the access described by `_type`, `_low` and `_high`."""
        forward(self._slave, self._new_transaction(), self._limit)

    def _new_transaction(self) -> Transaction:
        """Make the transaction of the access that was prepared; it is under way from here."""
        data = memoryview(
            self._received or self._new_received() if self._type in (Read, Verify) else self._sent
        )
        self._transaction = transaction = Transaction(
            self._base + self._low, data[self._low : self._high], self._type, self._timeout
        )
        return transaction

    def _at_once(self) -> BusError | None:
        """Do the access with a slave that answers at once; return what went wrong."""
        if self._direct is None:
            return None
        low, high = self._low, self._high
        buffer = self._received or self._new_received() if self._type == Verify else self.image
        try:
            self._direct(self._type, self._base + low, buffer, low, high)
        except Exception as error:  # noqa: BLE001  # slaves are user code
            return self._refusal(error)
        if self._type == Verify and buffer[low:high] != self._sent[low:high]:
            return self._mismatch()
        return None

    def _find_route(self) -> None:
        """Skip the hubs that only add their offsets."""
        self._epoch = topology.epoch
        slave = _entry(self._master)
        self._base = self.offset
        limit = slave._doMaxAccess()
        while isinstance(slave, Hub) and type(slave)._doTransaction is Hub._doTransaction:
            self._base += slave._hubOffset
            slave = slave._busSlave
            limit = min(limit, slave._doMaxAccess())
        self._slave = slave
        self._limit = limit
        self._direct = direct_access(slave) if self.size <= limit else None

    def _collect(self) -> tuple[BusError | None, bool]:
        """End the access under way; return and forget what went wrong and whether any succeeded."""
        if self._transaction is not None:
            self._finish()
        problem, fresh = self._problem, self._fresh
        self._problem, self._fresh = None, False
        return problem, fresh

    def _tell(self, problem: BusError | None, fresh: bool) -> None:
        """Pass on a success to the tree and a failure to the caller; the lock is not held."""
        if fresh:
            self.onUpdate(self)
        if problem is not None:
            raise problem

    def _finish(self) -> None:
        """Take the answer of the access under way."""
        transaction = self._transaction
        if type(transaction) is Joined and transaction.succeeded and self._take_part(transaction):
            self._transaction = None
            self._fresh = True
        else:
            self._end(self._outcome(), self._again)

    def _take_part(self, whole: Joined) -> bool:
        """Use this block's part of the answer; returns False when that takes a closer look."""
        if whole._type == Read:
            if self.stagedHigh:
                return False
            self.image[:] = whole.buffer[self._place : self._place + self.size]
        elif whole._type == Verify:
            low, high, place = self._low, self._high, self._place
            return whole.buffer[place : place + high - low] == self._sent[low:high]
        return True

    def _again(self) -> BusError | None:
        """Repeat the last access and wait for it."""
        self._request()
        return self._outcome()

    def _end(self, problem: BusError | None, repeat: Callable[[], BusError | None]) -> None:
        """Close an access, after repetitions where it failed, and keep what went wrong."""
        for left in range(self.retryCount, 0, -1):
            if problem is None:
                break
            _log.warning("%s; %d tries left", problem, left)
            problem = repeat()
        self._transaction = None
        if problem is None:
            self._fresh = True
            return
        if self._type == Write:
            self._unverified = _NOTHING
        elif isinstance(problem, VerifyError):
            self._take_received()
        self._problem = self._problem or problem

    def _outcome(self) -> BusError | None:
        """Wait for the answer and use it; return what is wrong with it."""
        transaction = self._transaction
        if transaction is None:
            return None
        if not transaction.wait():
            if isinstance(transaction, Joined) and self._worth_repeating(transaction):
                self._request()
                problem = self._outcome()
                transaction.repeated(isinstance(problem, BusTimeout))
                return problem
            return self._failure(transaction.errorText, transaction)
        if isinstance(transaction, Joined) and self._type != Write:
            low, high, place = self._low, self._high, self._place
            received = self._received or self._new_received()
            received[low:high] = transaction.buffer[place : place + high - low]
        if self._type == Read:
            self._take_received()
        elif self._type == Verify:
            return self._mismatch()
        return None

    def _worth_repeating(self, whole: Joined) -> bool:
        """Say whether this block is to ask alone for its part of a joined access that failed."""
        if self._type == Write or whole.size() == self._high - self._low:
            return False
        return whole.worth_repeating()

    def _take_received(self) -> None:
        """Copy what was read into the image, except over bytes staged in the meantime."""
        low, high = self._low, self._high
        if not self.stagedHigh:
            self.image[low:high] = self._received[low:high]
            return
        for first, end in ((low, min(high, self.stagedLow)), (max(low, self.stagedHigh), high)):
            if first < end:
                self.image[first:end] = self._received[first:end]

    def _failure(self, text: str, transaction: Transaction | None = None) -> BusError:
        expired = transaction is not None and transaction.expired()
        return (BusTimeout if expired else BusError)(
            f"Transaction error for block {self.path} with address 0x{self.address:08x}. Error {text}",
            path=self.path,
            address=self.address,
            id=None if transaction is None else transaction.id(),
            waited_s=self._timeout if expired else None,
        )

    def _mismatch(self) -> VerifyError | None:
        """Compare what was read back with what was written, in the bits that are verified."""
        low, high = self._low, self._high
        got, wanted = self._received[low:high], self._sent[low:high]
        if got == wanted:
            return None
        mask = int.from_bytes(self._mask[low:high], "little")
        wrong = (int.from_bytes(got, "little") ^ int.from_bytes(wanted, "little")) & mask
        if not wrong:
            return None
        first = ((wrong & -wrong).bit_length() - 1) >> 3
        return VerifyError(
            f"Verify error for block {self.path} with address 0x{self.address:08x}. Byte: {low + first}. "
            f"Got: 0x{got[first]:02x}, Exp: 0x{wanted[first]:02x}, Mask: 0x{self._mask[low + first]:02x}",
            path=self.path,
            address=self.address,
            id=None if self._transaction is None else self._transaction.id(),
        )


def _entry(master: Master) -> Slave:
    """Return where the accesses of a block of `master` go first."""
    return master if isinstance(master, Slave) else master._getSlave()
