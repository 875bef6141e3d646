"""One access of a register bus: what to move, and how it ended."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from threading import Condition, RLock
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["DEFAULT_TIMEOUT_S", "Joined", "Post", "Read", "Transaction", "Verify", "Write"]

Read, Write, Post, Verify = 1, 2, 3, 4

DEFAULT_TIMEOUT_S = 1.0
"""How long an answer is waited for when nobody says otherwise (s)."""

SILENT_REPEATS = 2
"""After so many repeated parts of a failed joined read that nobody answered the others are given up."""

_OPEN, _DONE, _FAILED, _EXPIRED = 0, 1, 2, 3

_next_id: Callable[[], int] = itertools.count(1).__next__


class Keeper(Protocol):
    """What keeps the timers of pending transactions alive: the slave that answers them."""

    lastAnswer: float
    lastAnswerId: int


class Transaction:
    """One access of a register bus, completed by the slave in any thread.

    Ids count up from 1 in the whole process. The first of `done`, `error` and expiry ends the
    transaction; whatever the slave says later is ignored. A slave that answers from another
    thread holds `lock` while it touches the data and looks at `expired` first.

    Parameters
    ----------
    address
        Byte address; hubs on the way add their offsets.
    data
        The bytes to write, or the space that receives what is read.
    type
        ``Read``, ``Write``, ``Post`` or ``Verify``.
    timeout
        Seconds the slave has to answer.
    """

    names: ClassVar[dict[int, str]] = {Read: "Read", Write: "Write", Post: "Post", Verify: "Verify"}
    # Defaults live on the class: an access that is answered at once never stores them.
    _state = _OPEN
    _text = ""
    _deadline = 0.0
    _keeper: Keeper | None = None
    _asked: tuple[int, ...] = ()  # what a slave wants to find in the answer
    _fetch: Callable[[Transaction], None] | None = None  # brings the answer in the thread of who waits
    _waiter: Condition | None = None
    _callbacks: tuple[Callable[[Transaction], None], ...] = ()
    _children: tuple[Transaction, ...] = ()

    def __init__(self, address: int, data: memoryview, type: int, timeout: float = DEFAULT_TIMEOUT_S) -> None:
        self._id = _next_id()
        self._address = address
        self.data = data
        self._type = type
        self._timeout = timeout
        self._lock = RLock()

    def __repr__(self) -> str:
        kind = self.names.get(self._type, str(self._type))
        return f"<Transaction {self._id} {kind} 0x{self._address:08x} {self.size()} bytes>"

    def id(self) -> int:
        """Return the number of this transaction, unique in the process."""
        return self._id

    def address(self) -> int:
        """Return the byte address, offsets of the hubs passed so far included."""
        return self._address

    def size(self) -> int:
        """Return the number of bytes to move."""
        return self.data.nbytes

    def type(self) -> int:
        """Return ``Read``, ``Write``, ``Post`` or ``Verify``."""
        return self._type

    def getData(self, data: Buffer, offset: int = 0) -> None:
        """Copy the bytes from `offset` into all of `data` (a writable buffer).

        Raises
        ------
        IndexError
            `data` is longer than the bytes from `offset`.
        """
        target = memoryview(data).cast("B")
        target[:] = self._part(target.nbytes, offset)

    def setData(self, data: Buffer, offset: int = 0) -> None:
        """Copy all of `data` to the bytes from `offset`; ignored after the end of the transaction.

        Raises
        ------
        IndexError
            `data` is longer than the space from `offset`.
        """
        source = memoryview(data).cast("B")
        with self._lock:
            if self._state == _OPEN:
                data = self.data
                target = self._part(source.nbytes, offset) if offset or len(source) != len(data) else data
                target[:] = source

    def _part(self, count: int, offset: int) -> memoryview:
        if offset < 0 or offset + count > self.data.nbytes:
            raise IndexError(
                f"transaction {self._id}: bytes {offset}..{offset + count} are outside 0..{self.size()}"
            )
        return self.data[offset : offset + count]

    def lock(self) -> RLock:
        """Return the lock to hold (``with t.lock():``) while touching the data."""
        return self._lock

    def done(self) -> None:
        """End the transaction with success."""
        self._end(_DONE, "")

    def error(self, text: str) -> None:
        """End the transaction with an error."""
        self._end(_FAILED, text or "Unknown error")

    def expired(self) -> bool:
        """Say whether nobody waits for this transaction any more."""
        return self._state == _EXPIRED

    @property
    def ended(self) -> bool:
        """Whether the transaction was answered or has expired."""
        return self._state != _OPEN

    @property
    def errorText(self) -> str:
        """Why the transaction failed, or the empty string."""
        return self._text

    def on_done(self, callback: Callable[[Transaction], None]) -> None:
        """Call `callback` with this transaction when it ends (at once if it has ended)."""
        with self._lock:
            if self._state == _OPEN:
                self._callbacks += (callback,)
                return
        callback(self)

    def _end(self, state: int, text: str) -> None:
        with self._lock:
            if self._state != _OPEN:
                return
            if text:
                self._text = text
            self._state = state
            if self._waiter is not None:
                self._waiter.notify_all()
            callbacks = self._callbacks
        for callback in callbacks:
            callback(self)

    def expire(self) -> None:
        """Give up: the space for the answer is taken away, later answers go nowhere."""
        with self._lock:
            if self._state == _OPEN:
                self.data = memoryview(bytearray(self.data))
            children = self._children
            self._end(_EXPIRED, f"Timeout waiting for register transaction {self._id} message response.")
        for child in children:
            child.expire()

    def wait(self) -> bool:
        """Wait until the transaction has ended; expire it when its time is over.

        Time counts from the request, or from the last answer of its slave if that was to an earlier one.

        Returns
        -------
        bool
            True when the slave reported success.
        """
        if self._state == _OPEN:
            if self._fetch is not None:
                self._fetch(self)
            if self._state == _OPEN:
                self._await_answer()
        return self._state == _DONE

    def start_timer(self) -> None:
        """Start counting the time the slave has to answer."""
        self._deadline = time.monotonic() + self._timeout

    def _await_answer(self) -> None:
        with self._lock:
            if self._waiter is None:
                self._waiter = Condition(self._lock)
            if not self._deadline:
                self.start_timer()
            while self._state == _OPEN:
                deadline = self._deadline
                keeper = self._keeper
                if keeper is not None and keeper.lastAnswerId < self._id:
                    deadline = max(deadline, keeper.lastAnswer + self._timeout)
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._waiter.wait(left)
        if self._state == _OPEN:
            self.expire()


class Joined(Transaction):
    """One access in place of those of several neighbouring blocks; each takes its part of the answer.

    The blocks wait for it from the moment they have joined; its data is given when it is sent.
    """

    _expiries = 0

    def __init__(self, address: int, type: int, timeout: float) -> None:
        super().__init__(address, memoryview(b""), type, timeout)
        self.buffer = bytearray()

    def give(self, buffer: bytearray) -> None:
        """Take the bytes to write, or the space for those that are read."""
        self.buffer = buffer
        self.data = memoryview(buffer)

    @property
    def succeeded(self) -> bool:
        """Whether the slave has reported success."""
        return self._state == _DONE

    def worth_repeating(self) -> bool:
        """Say whether a block may repeat its part of a failed read: not on a bus that stays silent."""
        return self._expiries < SILENT_REPEATS

    def repeated(self, expired: bool) -> None:
        """Note how a repeated part ended."""
        self._expiries += expired
