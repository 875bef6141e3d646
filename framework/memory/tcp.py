"""Register access over TCP: the two ends of a memory bridge, wire compatible with Rogue's.

The server takes requests at a port and answers from the next one. It may have several clients: each
gets all answers, and takes those to its own requests.
"""

from __future__ import annotations

import itertools
import logging
import secrets
import time
from collections import deque
from threading import Event, Lock
from typing import NamedTuple

from sapwood.errors import BusError, BusTimeout, ProtocolError
from sapwood.memory.hub import forward
from sapwood.memory.master import Master
from sapwood.memory.slave import Slave
from sapwood.memory.tcpchannel import Channel, Parts
from sapwood.memory.tcpmessage import OK, PROBE, Message, decode_reply, decode_request, encode
from sapwood.memory.transaction import Post, Transaction, Write

__all__ = ["MAX_REQUEST", "TcpClient", "TcpServer"]

MAX_REQUEST = 1 << 26
"""Largest access a server executes (bytes)."""

READY_TIMEOUT_S = 10.0
READY_PERIOD_S = 0.1
_RETRY_MS = 10
_ANSWER_S = 1.0
_log = logging.getLogger("sapwood.memory.tcp")


class TcpServer(Master):
    """Executes the accesses a `TcpClient` asks for on the slave it is connected to.

    Accesses are executed one at a time, in order, each to its end. The server starts with
    ``_start``, or when it gets its slave, and ends with ``_stop``.

    Parameters
    ----------
    addr
        Address of the interface to bind to, ``*`` for all.
    port
        Lower one of the two ports; 0 takes a free pair at the first start.

    Raises
    ------
    BusError
        At the start: a port is taken.
    """

    def __init__(self, addr: str, port: int) -> None:
        super().__init__()
        self.port = port
        """Lower one of the two ports."""
        self._bridgeHost = addr
        self._bridgeLock = Lock()
        self._bridgeStopped = False
        self._channel: Channel | None = None
        self._executing: Transaction | None = None

    def _setSlave(self, slave: Slave) -> None:
        """Connect to `slave` and start serving it."""
        super()._setSlave(slave)
        if not self._bridgeStopped:
            self._start()

    def _start(self) -> None:
        """Bind the ports and start serving."""
        with self._bridgeLock:
            if self._channel is not None:
                return
            self._bridgeStopped = False
            channel = Channel(
                f"TcpServer {self._bridgeHost}:{self.port}", lambda parts: self._serve(channel, parts)
            )
            self.port = channel.bind(self._bridgeHost, self.port, MAX_REQUEST)
            self._channel = channel
            channel.start()

    def _stop(self) -> None:
        """Stop serving; the access under way is given up."""
        with self._bridgeLock:
            self._bridgeStopped = True
            channel, self._channel = self._channel, None
        if channel is None:
            return
        channel.stopping = True
        executing = self._executing
        if executing is not None:
            executing.expire()
        channel.stop()

    def close(self) -> None:
        """Do what ``_stop`` does."""
        self._stop()

    def _serve(self, channel: Channel, parts: Parts) -> None:
        """Execute the request in `parts` and answer it."""
        try:
            request = decode_request(parts)
        except ProtocolError as problem:
            _log.warning("TcpServer %s:%s: %s", self._bridgeHost, self.port, problem)
            return
        if not channel.send_to_all(encode(self._answer(channel, request)), _ANSWER_S):
            _log.warning("TcpServer %s:%s: nobody takes answer %s", self._bridgeHost, self.port, request.id)

    def _answer(self, channel: Channel, request: Message) -> Message:
        """Execute `request` and return the reply to it."""
        if request.type == PROBE:
            return request._replace(data=b"", text=OK)
        if request.size > MAX_REQUEST:
            return request._replace(data=b"", text=f"Access of {request.size} bytes is above {MAX_REQUEST}")
        data = bytearray(request.size) if request.data is None else bytearray(request.data)
        access = Transaction(request.address, memoryview(data), request.type, self._busTimeout)
        self._executing = access
        if not channel.stopping:  # else `_stop` may have looked for an access too early
            forward(self._busSlave, access, self._reqMaxAccess())
            access.wait()
        self._executing = None
        success = access.ended and not access.errorText
        return request._replace(data=bytes(data), text=OK if success else access.errorText or "Stopped")


class _Waiting(NamedTuple):
    """A request that could not be sent yet, and until when it is worth sending."""

    transaction: Transaction
    parts: Parts
    deadline: float


class TcpClient(Slave):
    """Passes accesses on to a `TcpServer`, many at a time.

    The connection is made by ``_start`` or the first access, and anew by itself whenever it was
    lost. Requests made without a connection wait for it as long as their time-out allows;
    requests lost with a connection are not repeated, since they may have been executed. Set
    ``coalesce`` when the far slave may be asked for contiguous words in one access.

    Parameters
    ----------
    addr, port
        Of the server; answers come from ``port + 1``.
    waitReady
        ``_start`` waits until the server answers.

    Raises
    ------
    BusTimeout
        From ``_start`` with `waitReady`: no answer within 10 s.
    """

    def __init__(self, addr: str, port: int, waitReady: bool = False) -> None:
        super().__init__()
        self._bridgeHost = addr
        self._bridgePort = port
        self._bridgeWait = waitReady
        self._bridgeLock = Lock()
        self._bridgeStopped = False
        self._channel: Channel | None = None
        self._ready = Event()
        self._probeIds = itertools.count(1)
        self._order = Lock()
        self._waiting: deque[_Waiting] = deque()
        self._lastSent = 0
        self._salt = secrets.randbits(32)  # so that clients in other processes have other numbers
        self.setName(f"TcpClient({addr}:{port})")

    def _start(self) -> None:
        """Connect, and wait for the server where that was asked for."""
        self._connect(again=True)
        if self._bridgeWait and not self.waitReady():
            raise BusTimeout(
                f"Timed out waiting for remote TcpServer readiness on {self._bridgeHost}:{self._bridgePort}",
                waited_s=READY_TIMEOUT_S,
            )

    def _connect(self, again: bool) -> Channel:
        """Return the channel, made now when there is none; after a stop only with `again`."""
        with self._bridgeLock:
            if self._channel is not None:
                return self._channel
            if self._bridgeStopped and not again:
                raise BusError(f"{self._slaveName} is stopped")
            self._bridgeStopped = False
            channel = Channel(self._slaveName, self._take_reply, self._send_waiting)
            channel.connect(self._bridgeHost, self._bridgePort)
            self._channel = channel
            channel.start()
            return channel

    def _stop(self) -> None:
        """Disconnect; accesses under way fail."""
        with self._bridgeLock:
            self._bridgeStopped = True
            channel, self._channel = self._channel, None
        if channel is None:
            return
        channel.stopping = True
        self._ready.set()
        channel.stop()
        with self._order:
            open_ones = [one.transaction for one in self._waiting]
            self._waiting.clear()
        with self._busLock:
            open_ones += list((self._busPending or {}).values())
        for transaction in open_ones:
            transaction.error(f"{self._slaveName} is stopped")

    def close(self) -> None:
        """Do what ``_stop`` does."""
        self._stop()

    def waitReady(self, timeout: float = READY_TIMEOUT_S, period: float = READY_PERIOD_S) -> bool:
        """Ask the server every `period` seconds whether it is there; False after `timeout` seconds."""
        channel = self._connect(again=False)
        self._ready.clear()
        deadline = time.monotonic() + timeout
        while not channel.stopping:
            sent = channel.send(encode(Message(next(self._probeIds), 0, 0, PROBE)))
            left = deadline - time.monotonic()
            pause = period if sent else min(period, _RETRY_MS / 1000)
            if self._ready.wait(max(0.0, min(pause, left))):
                return not channel.stopping
            if left <= pause:
                break
        return False

    # ------------------------------------------------------------ accesses

    def _doTransaction(self, transaction: Transaction) -> None:
        """Send `transaction` to the server; a post is done when it was sent."""
        channel = self._channel or self._connect(again=False)
        type = transaction.type()
        data = bytes(transaction.data) if type in (Write, Post) else None
        number = (transaction.id() + self._salt) & 0xFFFFFFFF
        parts = encode(Message(number, transaction.address(), transaction.size(), type, data))
        if type != Post:
            self._addTransaction(transaction)
        with self._order:
            sent = not self._waiting and self._send(channel, transaction, parts)
            if not sent:
                deadline = time.monotonic() + transaction._timeout
                self._waiting.append(_Waiting(transaction, parts, deadline))
        if not sent:
            channel.ring()
        elif type == Post:
            transaction.done()

    def _send(self, channel: Channel, transaction: Transaction, parts: Parts) -> bool:
        """Send a request if the connection takes it; under `_order`."""
        self._lastSent = max(self._lastSent, transaction.id())
        return channel.send(parts)

    def _send_waiting(self) -> int | None:
        """Send the requests that wait; return when to try the rest (ms), None without a rest."""
        channel = self._channel
        if channel is None:
            return None
        posted: list[Transaction] = []
        lost: list[Transaction] = []
        with self._order:
            while self._waiting:
                transaction, parts, deadline = self._waiting[0]
                if not transaction.ended and time.monotonic() < deadline:
                    if not self._send(channel, transaction, parts):
                        break
                    if transaction.type() == Post:
                        posted.append(transaction)
                else:
                    lost.append(transaction)
                self._waiting.popleft()
            rest = bool(self._waiting)
        for transaction in posted:
            transaction.done()
        for transaction in lost:
            _log.warning("%s: no connection, %r is lost", self._slaveName, transaction)
            transaction.expire()
        return _RETRY_MS if rest else None

    def _take_reply(self, parts: Parts) -> None:
        """End the transaction that `parts` answers; late answers find none."""
        try:
            reply = decode_reply(parts)
        except ProtocolError as problem:
            _log.warning("%s: %s", self._slaveName, problem)
            return
        if reply.type == PROBE:
            self._ready.set()
            return
        newest = self._lastSent
        number = reply.id - self._salt
        transaction = self._getTransaction(newest - ((newest - number) & 0xFFFFFFFF))
        if transaction is None:
            _log.debug("%s: answer %s is late, or for a post", self._slaveName, reply.id)
            return
        text = _use(reply, transaction)
        if text:
            transaction.error(text)
        else:
            transaction.done()


def _use(reply: Message, transaction: Transaction) -> str:
    """Take the data of `reply` into `transaction`; return what is wrong, or the empty string."""
    size = transaction.size()
    if (reply.address, reply.size, reply.type) != (transaction.address(), size, transaction.type()):
        return "Transaction data mismatch in TcpClient"
    if transaction.type() != Write:
        if reply.data is None or len(reply.data) != size:
            return "Received transaction response did not match header size"
        transaction.setData(reply.data)
    return "" if reply.text == OK else reply.text or "Unknown error"
