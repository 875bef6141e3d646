"""The answering ends of register access over streams: SRP in front of any memory slave."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

from sapwood.errors import ProtocolError, StreamError, combine
from sapwood.memory.emulate import Emulate
from sapwood.memory.hub import forward
from sapwood.memory.link import busConnect
from sapwood.memory.master import Master as BusMaster
from sapwood.memory.slave import Direct, direct_access
from sapwood.memory.slave import Slave as BusSlave
from sapwood.memory.transaction import DEFAULT_TIMEOUT_S, Post, Read, Transaction, Write
from sapwood.streams import Fifo, Frame, FrameBatch, Gap, Master, Slave, StageCounters
from sapwood.streams.protocols import srp, srpv0, srpv3

__all__ = ["SrpServer", "SrpV0Server", "SrpV3Emulation", "SrpV3Server"]

_DEPTH = 1 << 16  # requests
_QUEUE_BYTES = 64 << 20
_BATCH_BYTES = 1 << 20
_TYPES = {srp.READ: Read, srp.WRITE: Write, srp.POST: Post}
_log = logging.getLogger("sapwood.memory.srp")


class SrpServer(Master, Slave):
    """Executes the accesses that come in as request frames, and sends the responses.

    Requests wait in a queue and are executed one at a time, in order, each to its end, in a thread
    of their own: responses never leave in the stack of whoever delivers a request. Batches of
    requests are answered by batches where `slave` answers at once, else one by one as it does.
    Requests without room in the queue are dropped.

    A lone request passes the queue by, and is answered in the thread that delivers it, where that is
    sure to take no time: nothing is before it, `slave` answers at once, and both directions are
    linked to the same end of plain UDP. That saves a change of threads.

    With `inline` there is neither queue nor thread. That is faster, and right where one thread
    delivers all requests and sending never waits for something to be received, as on plain UDP;
    with RSSI or a responder in the same process it may come to a standstill.

    Parameters
    ----------
    wire
        The version of the protocol.
    slave
        Executes the accesses: a memory slave or an object that offers one.
    timeout
        Seconds that `slave` has for each of them.
    inline
        Execute and answer in the thread that delivers the requests; False never does.

    Attributes
    ----------
    counters
        Requests that came in; dropped by reason: ``errored``, ``malformed``, ``full``, ``stopped``.
        What sinks raised counts in ``errors``.
    """

    def __init__(self, wire: srp.Wire, slave: Any, timeout: float, inline: bool | None) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self._wire = wire
        self._timeout = timeout
        self._bus = BusMaster()
        busConnect(self._bus, slave)
        self._known: BusSlave | None = None
        self._direct: Direct | None = None  # of the slave that is known
        self._sources: tuple[object, ...] = ()  # ends of UDP that bring requests
        self._entry: Fifo | _OpenDesk = _OpenDesk(self) if inline else _Queue(self, inline is None)
        self.counters = self._entry.counters

    @property
    def lastError(self) -> Exception | None:
        """The newest exception that a sink raised; with `inline` the deliverer gets them."""
        return self._entry.lastError

    # ------------------------------------------------------------ who brings the requests

    def _fedBy(self, source: object) -> None:
        """Take note that `source`, an end of UDP, was linked to this end."""
        self._sources = (*self._sources, source)

    def _notFedBy(self, source: object) -> None:
        """Forget `source`, which was unlinked."""
        self._sources = tuple(one for one in self._sources if one is not source)

    def _takes_no_time(self) -> bool:
        """Say whether a request can be executed and answered without waiting for anything."""
        sources, sinks = self._sources, self._slaves
        if len(sources) != 1 or len(sinks) != 1 or sinks[0] is not sources[0]:
            return False
        return self._straight(self._bus._getSlave()) is not None

    def _straight(self, slave: BusSlave) -> Direct | None:
        """Return the short way to `slave`, where it has one."""
        if slave is not self._known:
            self._known, self._direct = slave, direct_access(slave)
        return self._direct

    # ------------------------------------------------------------ in the thread of the sender

    def _acceptFrame(self, frame: Frame) -> None:
        """Queue one request, or answer it here."""
        self._entry._acceptFrame(frame)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        """Queue many requests, or answer them here."""
        self._entry._acceptBatch(batch)

    def _acceptGap(self, gap: Gap) -> None:
        """Ignore that frames were lost: whoever sent them waits for the responses in vain."""

    # ------------------------------------------------------------ in the server's own thread

    def _serve(self, frame: Frame) -> None:
        """Execute the request in `frame` and answer it."""
        answer = self._answer(frame.buffer, frame.error)
        if answer:
            self._sendFrame(Frame(answer))

    def _serve_all(self, batch: FrameBatch) -> None:
        """Execute the requests of `batch` and answer them; all, though answers may not be sent."""
        problems: list[Exception] = []
        for answers in self._answers(batch):
            try:
                if len(answers) == 1:
                    self._sendFrame(Frame(answers[0]))
                else:
                    self._sendBatch(FrameBatch.joined(answers))
            except Exception as problem:  # noqa: BLE001  # sinks are user code; told below
                problems.append(problem)
        if problems:
            raise combine(f"{len(problems)} sendings of answers failed", problems[:8], StreamError)

    def _answers(self, batch: FrameBatch) -> Iterator[list[bytes]]:
        """Execute the requests of `batch` and yield their answers, some together if none waits for others."""
        most = 1 if self._straight(self._bus._getSlave()) is None else _BATCH_BYTES
        answers: list[bytes] = []
        held = 0
        payload = batch.payload.data
        columns = batch.start.tolist(), batch.size.tolist(), batch.error.tolist()
        for start, size, error in zip(*columns, strict=True):
            answer = self._answer(payload[start : start + size], error)
            if not answer:
                continue
            answers.append(answer)
            held += len(answer)
            if held >= most:
                yield answers
                answers, held = [], 0
        if answers:
            yield answers

    def _answer(self, payload: bytes | bytearray | memoryview, error: int) -> bytes:
        """Execute the request in `payload` and return the response, empty for none."""
        if error:
            return self._drop("errored", len(payload), f"error {error:#x}")
        try:
            request = self._wire.decode_request(payload)
        except ProtocolError as problem:
            return self._drop("malformed", len(payload), str(problem))
        data = bytearray(request.size) if request.opcode == srp.READ else bytearray(request.data)
        status = self._execute(request, data)
        if request.opcode == srp.POST:
            return b""
        return self._wire.encode_response(request.head, data, status)

    def _drop(self, reason: str, size: int, text: str) -> bytes:
        self.counters.drop(reason, 1, size)
        _log.warning("Register request dropped: %s", text)
        return b""

    def _execute(self, request: srp.Request, data: bytearray) -> int:
        """Move `data` from or to the registers and return the status."""
        slave = self._bus._getSlave()
        type, limit = _TYPES[request.opcode], slave._doMaxAccess()
        direct = self._straight(slave)
        if direct is not None and request.size <= limit:
            try:
                direct(type, request.address, data, 0, request.size)
            except Exception as problem:  # noqa: BLE001  # slaves are user code
                return self._wire.STATUS.status(str(problem))
            return 0
        access = Transaction(request.address, memoryview(data), type, self._timeout)
        forward(slave, access, limit)
        if access.wait():
            return 0
        return self._wire.TIMED_OUT if access.expired() else self._wire.STATUS.status(access.errorText)

    # ------------------------------------------------------------ life

    def _start(self) -> None:
        """Accept requests again after a stop."""
        self._entry._start()

    def _drain(self, deadline: float) -> bool:
        """Wait until all requests are answered; False when monotonic time `deadline` (s) came first."""
        return self._entry._drain(deadline)

    def _stop(self) -> None:
        """Refuse requests, answer those that wait (for 2 s at most), end the thread."""
        self._entry._stop()


class _Desk(Slave):
    """Takes what the queue of a server hands out."""

    def __init__(self, server: SrpServer) -> None:
        super().__init__()
        self._server = server

    def _acceptFrame(self, frame: Frame) -> None:
        self._server._serve(frame)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self._server._serve_all(batch)


class _Queue(Fifo):
    """The queue of a server, which a lone request may pass by."""

    def __init__(self, server: SrpServer, passable: bool) -> None:
        super().__init__(_DEPTH, policy="drop_new", maxBytes=_QUEUE_BYTES)
        self._addSlave(_Desk(server))
        self._server = server
        self._passable = passable
        self._turn = threading.Lock()  # of who has a request executed

    def _acceptFrame(self, frame: Frame) -> None:
        if self._passable and self._server._takes_no_time() and self._turn.acquire(blocking=False):
            try:
                if self._queue.pass_by(frame.size):
                    super()._forward(frame)
                    return
            finally:
                self._turn.release()
        super()._acceptFrame(frame)

    _acceptBatch = Fifo._acceptBatch

    def _drain(self, deadline: float) -> bool:
        """Wait for the request that may pass by, too."""
        if not super()._drain(deadline) or not self._turn.acquire(
            timeout=max(0.0, deadline - time.monotonic())
        ):
            return False
        self._turn.release()
        return True

    def _forward(self, item: Frame | FrameBatch | Gap) -> None:
        with self._turn:
            super()._forward(item)


class _OpenDesk(_Desk):
    """Serves in the thread of whoever comes, unless it is stopped; has the life of a queue."""

    lastError = None

    def __init__(self, server: SrpServer) -> None:
        super().__init__(server)
        self.counters = StageCounters()
        self._open = True

    def _admits(self, frames: int, nbytes: int) -> bool:
        self.counters.accept(frames, nbytes)
        if not self._open:
            self.counters.drop("stopped", frames, nbytes)
        return self._open

    def _acceptFrame(self, frame: Frame) -> None:
        if self._admits(1, frame.size):
            super()._acceptFrame(frame)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        if self._admits(len(batch), batch.nbytes):
            super()._acceptBatch(batch)

    def _start(self) -> None:
        self._open = True

    def _stop(self) -> None:
        self._open = False


class SrpV3Server(SrpServer):
    """Answers SRP version 3 for `slave`; posted writes are executed and not answered."""

    def __init__(self, slave: Any, timeout: float = DEFAULT_TIMEOUT_S, *, inline: bool | None = None) -> None:
        super().__init__(srpv3, slave, timeout, inline)


class SrpV0Server(SrpServer):
    """Answers SRP version 0 for `slave`."""

    def __init__(self, slave: Any, timeout: float = DEFAULT_TIMEOUT_S, *, inline: bool | None = None) -> None:
        super().__init__(srpv0, slave, timeout, inline)


class SrpV3Emulation(SrpV3Server):
    """Answers SRP version 3 out of emulated memory that begins zeroed."""

    def __init__(self, *, inline: bool | None = None) -> None:
        super().__init__(Emulate(), inline=inline)
