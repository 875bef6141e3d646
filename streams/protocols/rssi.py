"""RSSI as a state machine: segments and times in, segments and payloads out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from sapwood.errors import ProtocolError, StreamError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.gap import BROKEN, Gap
from sapwood.streams.protocols.rssiheader import (
    ACK,
    BUSY,
    HEADER_SIZE,
    NULL,
    RST,
    SYN,
    Header,
    Parameters,
    decode,
    encode,
    encode_run,
    encode_syn,
)
from sapwood.streams.protocols.rssireceive import ReceiveWindow
from sapwood.streams.protocols.rssisend import MAX_WINDOW, Data, SendWindow, Sent
from sapwood.streams.protocols.scatter import place, place_rows, words_at

__all__ = ["FIRST_SEQUENCE", "Received", "Role", "RssiCore", "RssiCounters", "State"]

Role = Literal["client", "server"]
State = Literal["stopped", "closed", "open"]
Received: TypeAlias = Data | FrameBatch | Gap

FIRST_SEQUENCE = 100
"""Sequence number of every SYN."""

_RUN = 4  # segments that are worth a look whether they can be taken at once
_IDLE_PARTS = 3  # a NULL segment is sent after this part of the NULL time-out


@dataclass(slots=True)
class RssiCounters:
    """What a link has seen.

    Attributes
    ----------
    down
        How often an open link broke.
    retransmitted
        Segments sent again.
    dropped
        Reason -> arriving segments that were not used: ``header`` (malformed, or a wrong checksum),
        ``duplicate``, ``window`` (a number out of range), ``closed``.
    local_busy, remote_busy
        How often this end, the other end became busy.
    """

    down: int = 0
    retransmitted: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    local_busy: int = 0
    remote_busy: int = 0

    def drop(self, reason: str) -> None:
        """Count a segment that was not used."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


class RssiCore:
    """One end of a link, without socket, thread or clock; times are seconds of any steady clock.

    Feed it with `receive`, `send` (or `receive_batch`, `send_batch`) and `set_busy`, then call `advance`,
    then fetch what it made with `take_outgoing` and `take_received`; call `advance` again at `deadline`
    at the latest. Acknowledges are made by `advance`, so several segments received before share one.

    Segments lost on the way are noticed by repeated acknowledges, else by their time-out. Any
    bytes may be fed to `receive`: what is no segment of this link is counted and dropped.

    Parameters
    ----------
    role
        ``client`` opens the link, ``server`` waits for it.
    segment
        Largest segment, header included, bytes.

    Attributes
    ----------
    local
        Parameters this end asks for; may be replaced at any time, used at the next opening.
    current
        Parameters agreed on with the other end.
    try_period
        Seconds between two SYNs of a client.
    state
        ``stopped``, ``closed`` (the other end is not there) or ``open``.
    closed_at
        When the link broke, or was started, last; minus infinity while it is stopped.
    remote_busy, local_busy
        The other end, this end takes nothing more for now.
    lost, lost_bytes
        Payloads that were under way when the link broke or stopped, whether they arrived or not.
    """

    def __init__(self, role: Role, segment: int) -> None:
        self.role = role
        self.local = Parameters(max_segment=segment)
        self.current = self.local
        self.try_period = 0.1
        self.counters = RssiCounters()
        self.state: State = "stopped"
        self.closed_at = -math.inf
        self.local_busy = self.remote_busy = False
        self.lost = self.lost_bytes = 0
        self._sender = SendWindow(0, FIRST_SEQUENCE)
        self._receiver = ReceiveWindow(0, 0)
        self._received: list[Received] = []  # of links before this one
        self._outgoing: list[tuple[bytes, Data] | FrameBatch] = []
        self._heard = False  # something besides the SYN came since the link is open
        self._calling = False  # a SYN was sent since the link is closed
        self._try_at = self._ack_at = self._idle_at = math.inf

    # ------------------------------------------------------------ life

    @property
    def is_open(self) -> bool:
        """The other end is there."""
        return self.state == "open"

    @property
    def max_payload(self) -> int:
        """Largest payload of a segment, bytes."""
        return self.current.max_segment - HEADER_SIZE

    def start(self, now: float) -> None:
        """Open the link: a client calls, a server listens."""
        if self.state == "stopped":
            self.closed_at = now
            self.state = "closed"
            self._try_at = now if self.role == "client" else math.inf

    def stop(self) -> None:
        """Close the link, telling the other end; what is not acknowledged counts as lost."""
        if self.is_open:
            self._close()
        self.closed_at = -math.inf
        self.state = "stopped"
        self._calling = False
        self._try_at = math.inf

    def _break(self, now: float) -> None:
        self.closed_at = now
        self._close()
        self._received.append(Gap(None, 0, 0, BROKEN))
        self.counters.down += 1
        if self.role == "client":
            self._try_at = now + self.try_period

    def _close(self) -> None:
        self._emit(encode(RST, self._sender.next, self._receiver.acknowledge(frozen=False)))
        lost = [segment for segment in self._sender.clear() if not segment.flags & NULL]
        self.lost += len(lost)
        self.lost_bytes += sum(len(segment.payload) for segment in lost)
        self._received += self._receiver.received
        self._receiver = ReceiveWindow(0, 0)
        self.state = "closed"
        self.remote_busy = False
        self._ack_at = self._idle_at = math.inf

    def _open(self, header: Header, parameters: Parameters, now: float) -> None:
        self.current = parameters
        self._sender = SendWindow(parameters.max_buffers, FIRST_SEQUENCE + 1)
        self._receiver = ReceiveWindow(parameters.max_buffers, header.sequence)
        self.state = "open"
        self._heard = self._calling = False
        self._try_at = math.inf
        self._idle_from(now)

    # ------------------------------------------------------------ in

    def receive(self, segment: Data, now: float) -> None:
        """Take a segment from the other end."""
        view = memoryview(segment)
        try:
            header = decode(view)
        except ProtocolError:
            self.counters.drop("header")
            return
        if header.parameters is not None:
            self._receive_syn(header, header.parameters, now)
        elif self.state != "open":
            self._receive_closed(header)
        elif header.flags & RST:
            self._sender.acknowledge(header.acknowledge, plain=False)  # valid without the flag
            self._break(now)
        else:
            self._receive_open(header, view[HEADER_SIZE:], now)

    def receive_batch(self, segments: FrameBatch, now: float) -> None:
        """Take segments from the other end; those that are in order are taken together."""
        while len(segments) >= _RUN:
            taken = self._receive_run(segments, now)
            segments = segments[taken:]
            if taken < _RUN:
                break
        view = segments.payload.data
        ends = (segments.start + segments.size).tolist()
        for start, end in zip(segments.start.tolist(), ends, strict=True):
            self.receive(view[start:end], now)

    def _receive_run(self, segments: FrameBatch, now: float) -> int:
        """Take the first segments, as far as they are the next ones and say the same; return how many."""
        if self.state != "open" or int(segments.size.min()) <= HEADER_SIZE:
            return 0
        heads = words_at(segments.payload, segments.start).view(np.uint8).reshape(-1, HEADER_SIZE)
        sequence, acknowledge = int(heads[0, 2]), int(heads[0, 3])
        heads = heads[: self._receiver.room_for_run(sequence)]
        wanted = encode_run(ACK, sequence, len(heads), acknowledge)
        count = len(heads)
        if heads.tobytes() != wanted.tobytes():
            count = int((heads != wanted).any(axis=1).argmax())
        if count:
            start, size = segments.start[:count], segments.size[:count]
            self._note_peer(acknowledge, now, busy=False, plain=False)
            self._receiver.take_run(
                FrameBatch.of_places(segments.payload, start + HEADER_SIZE, size - HEADER_SIZE)
            )
            self._acknowledge_soon(now)
        return count

    def _receive_closed(self, header: Header) -> None:
        """Tell a client that takes the link for open that it broke, so that it need not find out."""
        self.counters.drop("closed")
        if self.role == "server" and self.state == "closed" and not header.flags & RST:
            nothing = (header.sequence + MAX_WINDOW + 1) & 0xFF  # not a number of the client's window
            self._emit(encode(RST, self._sender.next, nothing))

    def _receive_syn(self, header: Header, parameters: Parameters, now: float) -> None:
        """Open the link, answer a SYN again whose answer may be lost, or break a link of another time."""
        answer = bool(header.flags & ACK)
        if answer != (self.role == "client") or self.state == "stopped":
            self.counters.drop("closed")
        elif self.state == "closed":
            if answer and not self._calling:  # to a call of the link that broke
                self.counters.drop("closed")
                return
            self._open(header, parameters if answer else parameters.within(self.local), now)
            self._greet()
        elif answer:
            self.counters.drop("duplicate")
            self._receiver.urgent = True
        elif self._heard:
            self._break(now)
        else:
            self._greet()

    def _receive_open(self, header: Header, payload: memoryview, now: float) -> None:
        flags = header.flags
        null, busy = flags & NULL, bool(flags & BUSY)
        acknowledge = header.acknowledge if flags & ACK else None
        self._note_peer(acknowledge, now, busy=busy, plain=not (null or busy or len(payload)))
        if null or len(payload):
            dropped = self._receiver.take(header.sequence, b"" if null else payload)
            if dropped is not None:
                self.counters.drop(dropped)
            else:
                self._acknowledge_soon(now)

    def _note_peer(self, acknowledge: int | None, now: float, *, busy: bool, plain: bool) -> None:
        """Take note of what a header says of the other end: what it has, and whether it takes more."""
        self._heard = True
        if busy != self.remote_busy:
            self.remote_busy = busy
            self.counters.remote_busy += busy
            self._sender.recheck()
        if busy:
            self._sender.forgive()
        if acknowledge is not None:
            hole = self._sender.acknowledge(acknowledge, plain)
            if hole is not None and not busy:
                self._repeat(hole, now)

    def _acknowledge_soon(self, now: float) -> None:
        if self._receiver.pending and self._ack_at == math.inf:
            self._ack_at = now + self.current.cum_ack_tout / 1000

    def set_busy(self, busy: bool) -> None:
        """Say whether payloads wait here without being taken; nothing is acknowledged meanwhile."""
        if busy != self.local_busy:
            self.local_busy = busy
            self.counters.local_busy += busy
            self._receiver.urgent = True

    @property
    def room(self) -> int:
        """Payloads that `send` takes now; 0 without a link."""
        return self._sender.room if self.is_open else 0

    @property
    def under_way(self) -> int:
        """Segments that are not acknowledged yet."""
        return len(self._sender)

    def send(self, payload: Data, now: float) -> None:
        """Send `payload`, one segment; it must not change until it is acknowledged.

        Raises
        ------
        StreamError
            Without a link or room, or for a payload that is empty or too large.
        """
        self._check_fit(1, len(payload), len(payload))
        self._push(self._sender.add(ACK, payload, now), now)

    def send_batch(self, payloads: FrameBatch, now: float) -> None:
        """Send the frames of `payloads`, one segment each; they are copied.

        Raises
        ------
        StreamError
            As for `send`; then none is sent.
        """
        if not len(payloads):
            return
        self._check_fit(len(payloads), int(payloads.size.min()), int(payloads.size.max()))
        flags = ACK | BUSY if self.local_busy else ACK
        heads = encode_run(flags, self._sender.next, len(payloads), self._acknowledged())
        size = payloads.size + HEADER_SIZE
        stop = np.cumsum(size)
        start = stop - size
        memory = np.empty(int(stop[-1]), np.uint8)
        place_rows(memory, start, heads)
        place(memory, start + HEADER_SIZE, payloads)
        view = memory.data
        for begin, end in zip((start + HEADER_SIZE).tolist(), stop.tolist(), strict=True):
            self._sender.add(ACK, view[begin:end], now)
        self._outgoing.append(FrameBatch.of_places(memory, start, size))
        self._idle_from(now)

    def _check_fit(self, count: int, least: int, most: int) -> None:
        """Raise unless `count` payloads of `least` to `most` bytes can be sent now."""
        if self.room < count:
            raise StreamError(
                "The RSSI link has no room for a segment", expected=f"room >= {count}", seen=self.state
            )
        if least < 1 or most > self.max_payload:
            raise StreamError(
                "A payload does not fit an RSSI segment",
                expected=f"1..{self.max_payload} bytes",
                seen=f"{most if least else 0} bytes",
            )

    # ------------------------------------------------------------ time

    def advance(self, now: float) -> None:
        """Send what is due at `now`: calls, segments again, acknowledges, NULL segments."""
        if self.state != "open":
            if now >= self._try_at:
                self._emit(encode_syn(SYN, FIRST_SEQUENCE, 0, self.local))
                self._calling = True
                self._try_at = now + self.try_period
            return
        for segment in self._sender.overdue(now, self._patience()):
            if segment.tries >= self.current.max_retran:
                self._break(now)
                return
            self._repeat(segment, now)
        if now >= self._idle_at and not self._sender:
            self._push(self._sender.add(ACK | NULL, b"", now), now)
        elif self._acknowledge_due(now):
            self._plain_ack(now)

    def deadline(self) -> float:
        """Return when to call `advance` next, if nothing happens before; infinite for never."""
        if self.state != "open":
            return self._try_at
        due = self._sender.deadline(self._patience())
        if not self._sender:
            due = min(due, self._idle_at)
        if self._receiver.pending and not self.local_busy:
            due = min(due, self._ack_at)
        return due

    def _patience(self) -> float:
        """Return the age at which a segment is sent again, s: a busy end is only probed now and then."""
        return (self.current.null_tout if self.remote_busy else self.current.retran_tout) / 1000

    def _acknowledge_due(self, now: float) -> bool:
        receiver = self._receiver
        if receiver.urgent:
            return True
        if self.local_busy or not receiver.pending:
            return False
        return receiver.pending >= self.current.max_cum_ack or now >= self._ack_at

    # ------------------------------------------------------------ out

    def take_outgoing(self) -> list[tuple[bytes, Data] | FrameBatch]:
        """Return the segments to be sent, in order, as header and payload or in batches; forget them."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def take_received(self) -> list[Received]:
        """Return the payloads that arrived, alone or in batches, in order, and forget them.

        They are views of what was fed. Where the link broke there is a gap (``link``, without a time).
        """
        received = self._received + self._receiver.received
        self._received, self._receiver.received = [], []
        return received

    def _emit(self, header: bytes, payload: Data = b"") -> None:
        self._outgoing.append((header, payload))

    def _greet(self) -> None:
        if self.role == "client":
            self._emit(encode(ACK, self._sender.next, self._acknowledged()))
        else:
            self._emit(encode_syn(SYN | ACK, FIRST_SEQUENCE, 0, self.current))

    def _acknowledged(self) -> int:
        if not self.local_busy:
            self._ack_at = math.inf
        return self._receiver.acknowledge(self.local_busy)

    def _plain_ack(self, now: float) -> None:
        flags = ACK | BUSY if self.local_busy else ACK
        copies = 2 if self._receiver.is_missing else 1
        header = encode(flags, self._sender.next, self._acknowledged())
        for _ in range(copies):
            self._emit(header)
        self._idle_from(now)

    def _push(self, segment: Sent, now: float) -> None:
        flags = segment.flags | BUSY if self.local_busy else segment.flags
        self._emit(encode(flags, segment.sequence, self._acknowledged()), segment.payload)
        self._idle_from(now)

    def _repeat(self, segment: Sent, now: float) -> None:
        segment.tries += 1
        segment.time = now
        self.counters.retransmitted += 1
        self._push(segment, now)

    def _idle_from(self, now: float) -> None:
        self._idle_at = now + self.current.null_tout / (1000 * _IDLE_PARTS)
