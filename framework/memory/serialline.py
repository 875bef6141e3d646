"""Registers at the far end of a serial line; ``serialprotocol`` says in what words."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from sapwood.errors import BusError, ProtocolError
from sapwood.memory import serialprotocol
from sapwood.memory.serialio import LineIO, open_line
from sapwood.memory.slave import Slave
from sapwood.memory.transaction import Post, Transaction, Write

__all__ = ["SerialMemorySlave"]

_STOP_S = 2.0
_MARGIN = 256
_log = logging.getLogger("sapwood.memory.serialline")


class SerialMemorySlave(Slave):
    """Executes accesses over a serial line, one at a time, in a thread of its own.

    The thread starts with ``_start`` or the first access and ends with ``_stop``. After an error
    of the line itself the next access opens it anew.

    Parameters
    ----------
    line
        Path of a serial port, a file descriptor, or an object with ``read(count)`` and
        ``write(bytes)`` whose ``read`` returns after a short time without data.
    baud
        Bits per second of a port given by its path.
    minWidth, maxSize
        Smallest and largest access (bytes).

    Raises
    ------
    BusError
        From ``_start``: the line cannot be opened.
    """

    def __init__(self, line: Any, baud: int = 115200, *, minWidth: int = 4, maxSize: int = 256) -> None:
        super().__init__(minWidth, maxSize)
        self._line = line
        self._baud = baud
        self._tag = 0
        self._lineLock = Lock()
        self._stopped = False
        self._io: LineIO | None = None
        self._queue: SimpleQueue[Transaction | None] | None = None
        self._thread: Thread | None = None
        self.setName(f"SerialMemorySlave({line})")

    def _start(self) -> None:
        """Open the line and start executing."""
        self._work_queue(again=True)

    def _work_queue(self, again: bool) -> SimpleQueue[Transaction | None]:
        """Return the queue of the thread, started now when there is none; after a stop only with `again`."""
        with self._lineLock:
            if self._queue is not None:
                return self._queue
            if self._stopped and not again:
                raise BusError(f"{self._slaveName} is stopped")
            self._io = open_line(self._line, self._baud)
            self._stopped = False
            queue: SimpleQueue[Transaction | None] = SimpleQueue()
            self._queue = queue
            self._thread = Thread(target=self._work, args=(queue,), name=self._slaveName, daemon=True)
            self._thread.start()
            return queue

    def _stop(self) -> None:
        """End the thread and close the line; accesses under way fail."""
        with self._lineLock:
            self._stopped = True
            queue, self._queue = self._queue, None
            thread, self._thread = self._thread, None
        if queue is None or thread is None:
            return
        queue.put(None)
        thread.join(_STOP_S)
        if thread.is_alive():
            _log.warning("%s: the line does not return from reading or writing", self._slaveName)

    def _doTransaction(self, transaction: Transaction) -> None:
        """Queue `transaction`."""
        queue = self._queue or self._work_queue(again=False)
        self._addTransaction(transaction)
        queue.put(transaction)

    def _work(self, queue: SimpleQueue[Transaction | None]) -> None:
        """Execute what is queued, until None comes."""
        while (transaction := queue.get()) is not None:
            if queue is not self._queue:
                transaction.error(f"{self._slaveName} is stopped")
            elif not transaction.ended:
                self._execute(transaction, queue)
        self._close_line()

    def _close_line(self) -> None:
        io, self._io = self._io, None
        if io is not None:
            io.close()

    def _execute(self, transaction: Transaction, queue: SimpleQueue[Transaction | None]) -> None:
        """Execute one access and end it."""
        deadline = time.monotonic() + transaction._timeout

        def give_up() -> bool:
            return queue is not self._queue or transaction.ended or time.monotonic() > deadline

        try:
            problem = self._exchange(transaction, give_up)
        except ProtocolError as damage:
            problem = f"{self._slaveName}: {damage}"
        except Exception as trouble:  # noqa: BLE001  # the line may be a user's object
            self._close_line()
            problem = f"{self._slaveName}: {trouble}"
        self._getTransaction(transaction.id())
        if problem:
            transaction.error(problem)
        else:
            transaction.done()

    def _exchange(self, transaction: Transaction, give_up: Callable[[], bool]) -> str:
        """Send a request and use the reply; return what is wrong, or the empty string."""
        if self._io is None:
            self._io = open_line(self._line, self._baud)
        io = self._io
        self._tag = (self._tag + 1) & 0xFF
        writes = transaction.type() in (Write, Post)
        address, size = transaction.address(), transaction.size()
        if writes:
            request = serialprotocol.write_request(self._tag, address, bytes(transaction.data))
        else:
            request = serialprotocol.read_request(self._tag, address, size)
        io.forget()
        reply = self._ask(io, request, 2 * size + _MARGIN, give_up)
        if reply is None:
            silent = "is stopped" if self._stopped else f"had no answer within {transaction._timeout:g} s"
            return f"{self._slaveName} {silent}"
        kind, content = reply
        if kind == "e":
            return content or "Unknown error"
        if kind != ("w" if writes else "r") or (writes and content):
            raise ProtocolError(
                "Unexpected answer", expected="w" if writes else "r", seen=f"{kind} {content}"
            )
        if not writes:
            transaction.setData(_data(content, size))
        return ""

    def _ask(
        self, io: LineIO, request: bytes, limit: int, give_up: Callable[[], bool]
    ) -> tuple[str, str] | None:
        """Return kind and content of the answer to `request`, None without one."""
        if not io.write(request, give_up):
            return None
        while (line := io.read_line(limit, give_up)) is not None:
            kind, _, rest = serialprotocol.unseal(line).partition(" ")
            tag, _, content = rest.partition(" ")
            if tag.lower() == f"{self._tag:02x}":
                return kind, content
            _log.debug("%s: %r is late", self._slaveName, line)
        return None


def _data(content: str, size: int) -> bytes:
    """Return the bytes that `content` writes, which must be `size`."""
    try:
        data = bytes.fromhex(content)
    except ValueError as problem:
        raise ProtocolError("Unexpected answer", expected="hexadecimal data", seen=content) from problem
    if len(data) != size:
        raise ProtocolError("Unexpected answer", expected=f"{size} bytes", seen=f"{len(data)} bytes")
    return data
