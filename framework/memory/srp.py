"""Register access over streams: memory slaves that speak SRP with firmware."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from sapwood.errors import BusError, ProtocolError
from sapwood.memory.link import busConnect
from sapwood.memory.slave import Slave
from sapwood.memory.transaction import Post, Read, Transaction, Verify, Write
from sapwood.streams import Frame, FrameBatch, Gap, Master, StageCounters, streamConnect
from sapwood.streams import Slave as StreamSlave
from sapwood.streams.gap import BROKEN
from sapwood.streams.link import closed_for
from sapwood.streams.protocols import srp, srpv0, srpv3
from sapwood.streams.sinkerrors import SinkErrors

__all__ = ["SrpClient", "SrpV0", "SrpV3"]

_READS = (Read, Verify)
_U32 = 0xFFFFFFFF
_HALF = 1 << 31
_CLOSED_S = 1.0  # that a link which has closed has to come back
_LOOK_S = 0.01
_log = logging.getLogger("sapwood.memory.srp")


class Source(Protocol):
    """What may bring responses in the thread of the caller, as UDP does."""

    def receiveWhile(self, waits: Callable[[], bool], deadline: float) -> None:
        """Receive while `waits()`, until monotonic time `deadline` (s), or return at once."""

    def recall(self) -> None:
        """Receive in a thread again."""


class SrpClient(Master, StreamSlave, Slave):
    """Sends register accesses as request frames, and ends them when their responses come in.

    Many accesses may be under way; responses are matched by their ids, in any order and from any
    thread. Nothing is repeated: an access whose request or response was lost ends by its time-out.
    When the RSSI link below breaks, the accesses under way fail. Others wait for it to come back in the
    first second, and fail at once when it is closed for longer.
    Set ``coalesce`` when the far end may be asked for contiguous words in one access.

    Parameters
    ----------
    wire
        The version of the protocol.
    name
        In messages.
    opcodes
        Type of an access -> opcode of its request.

    Attributes
    ----------
    counters
        Responses that came in; dropped by reason: ``errored``, ``short``, ``unknown`` (no access
        waits for it), ``late``, ``mismatch``. What callbacks of accesses, or other sinks beside
        the link to the firmware, raised counts in ``errors``.
    """

    _unknownLevel = logging.WARNING  # of the log when no access waits for a response

    def __init__(self, wire: srp.Wire, name: str, opcodes: dict[int, int]) -> None:
        Master.__init__(self)
        StreamSlave.__init__(self)
        Slave.__init__(self, srp.MIN_ACCESS, wire.MAX_ACCESS)
        self.setName(name)
        self.counters = StageCounters()
        self._wire = wire
        self._opcodes = opcodes
        self._hardwareTimeout = 0
        self._newestId = 0
        self._doubtful = True  # whether the link is open
        self._faults = SinkErrors(_log)
        self._sources: tuple[Source, ...] = ()
        self._source: Source | None = None  # where answers can be fetched

    # ------------------------------------------------------------ who brings the responses

    def _fedBy(self, source: Source) -> None:
        """Take note that `source`, which lets callers receive, was linked to this end."""
        self._feed((*self._sources, source))

    def _notFedBy(self, source: Source) -> None:
        """Forget `source`, which was unlinked."""
        self._feed(tuple(one for one in self._sources if one is not source))

    def _feed(self, sources: tuple[Source, ...]) -> None:
        self._sources = sources
        self._source = sources[0] if len(sources) == 1 else None

    def _bring(self, transaction: Transaction) -> None:
        """Receive the response to `transaction`, the only one under way, in the thread that waits for it.

        That saves a change of threads. With more than one under way the thread of the link does it.
        """
        source, pending = self._source, self._busPending
        if source is None or pending is None:
            return
        if len(pending) == 1:
            if not transaction._deadline:
                transaction.start_timer()
            source.receiveWhile(lambda: not transaction.ended, transaction._deadline)
        if pending:
            source.recall()

    def __lshift__(self, other: Any) -> Any:
        """Take frames of a stream master, or accesses of a memory master; return `other`."""
        if hasattr(other, "_getStreamMaster"):
            streamConnect(other, self)
        else:
            busConnect(other, self)
        return other

    @property
    def lastError(self) -> Exception | None:
        """The newest exception of a callback or of a sink beside the link to the firmware."""
        return self._faults.last

    # ------------------------------------------------------------ requests

    def _doTransaction(self, transaction: Transaction) -> None:
        """Send the request for `transaction`; a post is done when it was sent."""
        payload = self._enter(transaction)
        if payload:
            self._request(Frame(payload))
            if transaction._type == Post:
                transaction.done()

    def _doTransactions(self, transactions: Sequence[Transaction]) -> None:
        """Send the requests for small accesses in one batch; see `many_accesses`."""
        entered: list[Transaction] = []
        payloads: list[bytes] = []
        for transaction in transactions:
            payload = self._enter(transaction)
            if payload:
                entered.append(transaction)
                payloads.append(payload)
        if payloads:
            self._request(FrameBatch.joined(payloads))
        for transaction in entered:
            if transaction._type == Post:
                self._finish(transaction)
            elif not transaction._state:
                transaction.start_timer()

    def _finish(self, transaction: Transaction, text: str = "") -> None:
        """End `transaction`, with the error `text` if any; what its callbacks raise is counted."""
        try:
            if text:
                transaction.error(text)
            else:
                transaction.done()
        except Exception as problem:  # noqa: BLE001  # callbacks of accesses are user code
            self._note(problem)

    def _enter(self, transaction: Transaction) -> bytes:
        """Return the request for `transaction`, which waits for its response from now on.

        Where it cannot be asked for it fails; then, and when it has ended, there is nothing to send.
        """
        refusal = self._refusal(transaction._address, transaction.data.nbytes)
        if self._doubtful and not refusal:
            refusal = self._link_refusal()
        if refusal:
            self._finish(transaction, refusal)
        if transaction._state:  # it may have expired while the link was waited for
            return b""
        type, data = transaction._type, transaction.data
        transaction._asked = head = self._head(transaction)
        payload = self._wire.encode_request(head, data.nbytes, b"" if type in _READS else data)
        if type != Post:
            if transaction._id > self._newestId:
                self._newestId = transaction._id
            self._addTransaction(transaction)
            if self._source is not None:
                transaction._fetch = self._bring
                if transaction._callbacks:  # nobody will wait for it here, but for what it is a part of
                    self._source.recall()
        return payload

    def _refusal(self, address: int, size: int) -> str:
        """Return why an access cannot be asked for, or the empty string."""
        least = self._busMin
        if address % least:
            return f"Transaction address {address:#x} is not aligned to min size {least}"
        if size % least or not size:
            return f"Transaction size {size:#x} is not aligned to min size {least}"
        if size > self._busMax:
            return f"Transaction size {size:#x} exceeds max request size {self._busMax}"
        if not 0 <= address <= self._wire.MAX_ADDRESS:
            return f"Transaction address {address:#x} is above {self._wire.MAX_ADDRESS:#x}"
        return ""

    def _link_refusal(self) -> str:
        """Return that the link is closed, where it is and does not come back in the first second."""
        self._doubtful = False  # before the look: a break from here on makes it so again
        while 0.0 < (closed := closed_for(self)) < _CLOSED_S:
            time.sleep(_LOOK_S)
        if not closed:
            return ""
        self._doubtful = True
        return "The link to the firmware is closed"

    def _head(self, transaction: Transaction) -> tuple[int, ...]:
        """Return the words that the request begins with and the response repeats."""
        return self._wire.head(
            self._opcodes[transaction._type],
            transaction._id & _U32,
            transaction._address,
            transaction.data.nbytes,
            self._hardwareTimeout,
        )

    def _request(self, load: Frame | FrameBatch) -> None:
        """Send requests; what sinks beside the link to the firmware raise does not fail them."""
        links = self._slaveCount()
        if not links:
            raise BusError(f"{self._slaveName} is not connected to a stream")
        try:
            if isinstance(load, Frame):
                self._sendFrame(load)
            else:
                self._sendBatch(load)
        except Exception as problem:  # sinks are user code
            if links == 1:
                raise
            self._note(problem)

    def _note(self, problem: Exception) -> None:
        self._faults.note(problem)
        self.counters.errors = self._faults.count

    # ------------------------------------------------------------ responses

    def _acceptFrame(self, frame: Frame) -> None:
        """Take one response."""
        self.counters.accept(1, frame.size)
        self._take(frame.buffer, frame.error)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        """Take many responses."""
        self.counters.accept(len(batch), batch.nbytes)
        payload = batch.payload.data
        for start, size, error in zip(
            batch.start.tolist(), batch.size.tolist(), batch.error.tolist(), strict=True
        ):
            self._take(payload[start : start + size], error)

    def _acceptGap(self, gap: Gap) -> None:
        """End the accesses under way when their link broke; else those whose response was lost time out."""
        if gap.reason == BROKEN:
            self._doubtful = True
            if closed_for(self):  # else it is open again, and some may be of now
                self._fail_all("The link to the firmware broke")

    def _take(self, payload: bytes | bytearray | memoryview, error: int) -> None:
        """End the access that `payload` answers."""
        size = len(payload)
        if error:
            self._drop("errored", size, f"error {error:#x}")
            return
        try:
            response = self._wire.decode_response(payload)
        except ProtocolError as problem:
            self._drop("short", size, str(problem))
            return
        newest = self._newestId
        transaction = self._getTransaction(newest + ((response.id - newest + _HALF) & _U32) - _HALF)
        if transaction is None:
            self._drop("unknown", size, f"no access waits for Id={response.id}", self._unknownLevel)
        elif transaction.ended:
            self._drop("late", size, f"Transaction expired: Id={response.id}")
        else:
            try:
                self._conclude(transaction, response, size)
            except Exception as problem:  # noqa: BLE001  # callbacks of accesses are user code
                self._note(problem)

    def _drop(self, reason: str, size: int, text: str, level: int = logging.WARNING) -> None:
        self.counters.drop(reason, 1, size)
        _log.log(level, "%s: response dropped: %s", self._slaveName, text)

    def _conclude(self, transaction: Transaction, response: srp.Response, size: int) -> None:
        """End `transaction` as its response says."""
        if response.status:
            transaction.error(self._wire.STATUS.text(response.status))
            return
        if transaction._type in _READS:
            transaction.setData(response.data)
        transaction.done()

    # ------------------------------------------------------------ life

    def _stop(self) -> None:
        """Fail the accesses under way."""
        self._fail_all(f"{self._slaveName} is stopped")

    def _fail_all(self, text: str) -> None:
        with self._busLock:
            waiting = list((self._busPending or {}).values())
        for transaction in waiting:
            self._finish(transaction, text)


class SrpV3(SrpClient):
    """Memory slave for firmware that speaks SRP version 3: accesses of 4 to 4096 bytes.

    Join it to the stream of the firmware in both directions: ``srp == stream``.
    """

    def __init__(self) -> None:
        opcodes = {Read: srp.READ, Verify: srp.READ, Write: srp.WRITE, Post: srp.POST}
        super().__init__(srpv3, "SrpV3", opcodes)
        self._hardwareTimeout = srpv3.DEFAULT_TIMEOUT

    def _setHardwareTimeout(self, code: int) -> None:
        """Set the time-out code (0..255) that later requests give the hardware; before accesses begin."""
        if not 0 <= code <= 0xFF:
            raise ProtocolError("No such hardware time-out", expected="0..255", seen=code)
        self._hardwareTimeout = code

    def _conclude(self, transaction: Transaction, response: srp.Response, size: int) -> None:
        """End `transaction`, with an error when the response is not the one to its request."""
        wanted = transaction._asked
        if response.head != wanted:
            seen, expected = (" ".join(f"{word:#x}" for word in one) for one in (response.head, wanted))
            transaction.error(
                "Received SRPV3 message did not match expected protocol. "
                f"Expected words {expected}, got {seen}."
            )
        elif not response.status and len(response.data) != transaction.size():
            transaction.error(
                "Received SRPV3 message had a header size mismatch. "
                f"Expected {transaction.size()} bytes of data, got {len(response.data)}."
            )
        else:
            super()._conclude(transaction, response, size)


class SrpV0(SrpClient):
    """Memory slave for firmware that speaks SRP version 0: accesses of 4 to 2048 bytes, 32-bit addresses.

    Posted writes go out as writes, and their responses are dropped. So are responses that are not
    what was asked for; their accesses wait on.
    """

    _unknownLevel = logging.DEBUG  # posts are answered, too

    def __init__(self) -> None:
        opcodes = {Read: srp.READ, Verify: srp.READ, Write: srp.WRITE, Post: srp.WRITE}
        super().__init__(srpv0, "SrpV0", opcodes)

    def _conclude(self, transaction: Transaction, response: srp.Response, size: int) -> None:
        """End `transaction` unless the response is not the one to its request."""
        if response.head != transaction._asked or len(response.data) != transaction.size():
            self._addTransaction(transaction)
            self._drop("mismatch", size, f"not the answer to the request Id={response.id}")
        else:
            super()._conclude(transaction, response, size)
