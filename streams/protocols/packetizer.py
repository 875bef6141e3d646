"""Virtual channels over one transport: `Core` (packets of version 1) and `CoreV2` (version 2).

::

    transport (RSSI, UDP, bridge) == core.transport()
    core.application(tdest) >> receiver
    sender >> core.application(tdest)
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from sapwood.errors import StreamError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.counters import StageCounters
from sapwood.streams.fifo import Fifo
from sapwood.streams.frame import Frame
from sapwood.streams.framequeue import QUEUE_BYTES, Policy
from sapwood.streams.gap import Gap
from sapwood.streams.link import Master, Slave, closed_for, downstream, drain
from sapwood.streams.protocols.packetizer_assembly import HELD_BYTES, Received
from sapwood.streams.protocols.packetizer_v1 import DecoderV1, EncoderV1
from sapwood.streams.protocols.packetizer_v2 import DecoderV2, EncoderV2
from sapwood.streams.protocols.rarelog import RareLog

__all__ = ["Application", "Core", "CoreV2", "Transport"]

_log = logging.getLogger("sapwood.packetizer")

_MAX_DEST = 255
_STOP_S = 2.0  # that a stop gives all receivers together to take what came
_ANY_SIZE = (1 << 31) & ~7  # of packets, where the transport states no limit


class Transport(Master, Slave):
    """The end of a packetizer that packets go through.

    The slave linked first decides how frames are cut: packets have at most the bytes of its
    ``maxPayload()`` where it has one, else of its pool's buffers, else any number.
    """

    def __init__(self, core: _Packetizer) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self._core = core

    def _acceptFrame(self, frame: Frame) -> None:
        Slave._acceptFrame(self, frame)
        self._core._receive(frame)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        Slave._acceptBatch(self, batch)
        self._core._receive(batch)

    @property
    def counters(self) -> StageCounters:
        """Packets that came, and those dropped by reason, as they are now."""
        return StageCounters(self.getFrameCount(), self.getByteCount(), dropped=self._core.dropped)

    def _acceptGap(self, gap: Gap) -> None:
        """Packets were lost before they came here: whose they were is not known, so tell all."""
        self._core._tell(gap)

    def takesAtOnce(self, packets: int, nbytes: int) -> bool:
        """Return whether so many packets can be taken without waiting for a receiver."""
        return self._core._has_room(packets, nbytes)

    def _drain(self, deadline: float) -> bool:
        return self._core._drain_received(deadline)

    def _packet_size(self) -> int:
        """Return the most bytes of a packet that the transport takes."""
        if not self._slaves:
            return _ANY_SIZE
        first = self._slaves[0]
        ask: Callable[[], int] | None = getattr(first, "maxPayload", None)
        return (ask() if ask is not None else first.getFixedSize()) or _ANY_SIZE


class Application(Slave):
    """One virtual channel: frames sent to it leave as packets, what came for it is sent on from a thread.

    Received frames wait in a queue of their own, so that a slow or failing receiver holds up no
    other channel until that queue is full (and never, when its policy is to drop).

    Attributes
    ----------
    counters
        Frames to be sent, and those that were not, by reason: ``error``, ``empty``, ``stopped``.
    queue
        The queue of received frames, whose own ``counters`` and ``lastError`` tell of the receivers.
    """

    def __init__(self, core: _Packetizer, dest: int, policy: Policy, maxBytes: int) -> None:
        super().__init__()
        self._core = core
        self.dest = dest
        self.counters = StageCounters()
        self.queue = Fifo(0, 0, True, policy=policy, maxBytes=maxBytes)
        self.queue.onStall(self._tell_stall)

    def _getStreamMaster(self) -> Master:
        return self.queue

    def _tell_stall(self) -> None:
        self._core._rare.warning(
            "TDEST %d is full, and its receivers have taken nothing for a second: the whole link waits for "
            "them, registers too. A policy that drops keeps it going.",
            self.dest,
        )

    def closedFor(self) -> float:
        """Return how long the link that packets go by has been closed, s; 0 while it is open."""
        return closed_for(self._core._transport)

    @property
    def received(self) -> Received:
        """What came for this channel, and what was lost of it."""
        return self._core._decoder.received[self.dest]

    def _acceptFrame(self, frame: Frame) -> None:
        size = frame.size
        self.counters.accept(1, size)
        if frame.error or not size:
            self.counters.drop("error" if frame.error else "empty", 1, size)
        elif not self._core._send(frame, self.dest):
            self.counters.drop("stopped", 1, size)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self.counters.accept(len(batch), batch.nbytes)
        batch = self.counters.keep(batch, batch.error == 0, "error")
        batch = self.counters.keep(batch, batch.size > 0, "empty")
        if len(batch) and not self._core._send(batch, self.dest):
            self.counters.drop("stopped", len(batch), batch.nbytes)

    def _acceptGap(self, gap: Gap) -> None:
        """Nothing: packets have no way to tell of lost frames."""

    def _drain(self, deadline: float) -> bool:
        return self._core._drain_sent(deadline)

    # What came leaves by the queue: the methods of a master are its own

    def _addSlave(self, slave: Any) -> None:
        """Link `slave` to what comes for this channel."""
        self.queue._addSlave(slave)

    def _removeSlave(self, slave: Any) -> None:
        """Undo one link to `slave`; LinkError when it is not linked."""
        self.queue._removeSlave(slave)

    def _slaveCount(self) -> int:
        """Return the number of links."""
        return self.queue._slaveCount()

    def _reqFrame(self, size: int, zeroCopy: bool = False) -> Frame:
        """Return an empty frame with room for `size` bytes for the receivers."""
        return self.queue._reqFrame(size, zeroCopy)

    def _sendFrame(self, frame: Frame) -> None:
        """Deliver `frame` to the receivers, as if it had come for this channel."""
        self.queue._sendFrame(frame)

    def _start(self) -> None:
        """Go on after a stop."""
        self.queue._start()

    def _stop(self, deadline: float | None = None) -> None:
        """Let the receivers take what came, up to monotonic time `deadline` (s); None for 2 s from now."""
        self.queue._stop(deadline)


class _Packetizer:
    """What both versions share: ends, counts and life.

    Frames leave in the thread of their sender, one sender at a time, so that the packets of a frame
    stay together; the transport must not wait for a thread that sends through the same packetizer.

    Attributes
    ----------
    undelivered
        Whole frames for a TDEST that nobody asked an application for.
    """

    def __init__(
        self,
        encoder: EncoderV1 | EncoderV2,
        decoder: DecoderV1 | DecoderV2,
        maxPacket: int,
    ) -> None:
        if maxPacket and maxPacket < 24:
            raise StreamError("Packets are too small", expected="24 bytes or more, 0 = any", seen=maxPacket)
        self._encoder = encoder
        self._decoder = decoder
        self._max_packet = maxPacket or _ANY_SIZE
        self._transport = Transport(self)
        self._applications: dict[int, Application] = {}
        self._sending = threading.RLock()  # a frame's packets leave together, in order
        self._receiving = threading.RLock()  # frames of a channel are queued in order
        self._making = threading.Lock()
        self._draining: set[int] = set()  # threads in a drain, which may come back here by a loop
        self._open = True
        self._rare = RareLog(_log)
        self.undelivered = 0

    def transport(self) -> Transport:
        """Return the end for packets."""
        return self._transport

    def application(self, dest: int, *, policy: Policy = "block", maxBytes: int = QUEUE_BYTES) -> Application:
        """Return the end for frames of TDEST `dest`, made when first asked for.

        Parameters
        ----------
        dest
            0..255.
        policy, maxBytes
            Of the queue of received frames; they count at the first call.

        Raises
        ------
        StreamError
            For a TDEST that no packet can have.
        """
        if not 0 <= dest <= _MAX_DEST:
            raise StreamError("No such TDEST", expected=f"0..{_MAX_DEST}", seen=dest)
        with self._making:
            found = self._applications.get(dest)
            if found is None:
                found = self._applications[dest] = Application(self, dest, policy, maxBytes)
            return found

    def _made(self) -> list[Application]:
        with self._making:
            return list(self._applications.values())

    def getDropCount(self) -> int:
        """Return the packets dropped so far."""
        return sum(self.dropped.values())

    def getLostCount(self) -> int:
        """Return the frames of which some packet came, and that could not be completed."""
        return sum(one.lost for one in list(self._decoder.received.values()))

    @property
    def dropped(self) -> dict[str, int]:
        """Reason -> packets dropped.

        ``transport``, ``size``, ``version``, ``valid``, ``order``, ``crc`` or ``oversize``.
        """
        return dict(self._decoder.dropped)

    # Sending

    def _send(self, load: Frame | FrameBatch, dest: int) -> bool:
        """Send frames as packets; False when stopped."""
        with self._sending:
            if not self._open:
                return False
            limit = min(self._max_packet, self._transport._packet_size())
            if isinstance(load, Frame):
                packets = self._encoder.frame(load, dest, limit)
            else:
                packets = self._encoder.batch(load, dest, limit)
            if isinstance(packets, Frame):
                self._transport._sendFrame(packets)
            else:
                self._transport._sendBatch(packets)
            return True

    # Receiving

    def _receive(self, packets: Frame | FrameBatch) -> None:
        with self._receiving:
            before = self.getDropCount()
            if isinstance(packets, Frame):
                events = self._decoder.frame(packets)
            else:
                events = self._decoder.batch(packets)
            if self.getDropCount() != before:
                dropped = self.dropped
                hint = ". Does the other end speak another version?" if "version" in dropped else ""
                self._rare.warning("Packets were dropped, in all: %s%s", dropped, hint)
            for dest, event in events:
                self._deliver(dest, event)

    def _has_room(self, packets: int, nbytes: int) -> bool:
        """Return whether the queues of all applications have room for what packets may bring."""
        nbytes += self._decoder.held
        return all(one.queue.hasRoom(packets, nbytes) for one in self._made())

    def _deliver(self, dest: int, event: Frame | FrameBatch | Gap) -> None:
        application = self._applications.get(dest)
        if application is None:
            if not isinstance(event, Gap):
                self.undelivered += 1 if isinstance(event, Frame) else len(event)
        elif isinstance(event, Frame):
            application.queue._acceptFrame(event)
        elif isinstance(event, FrameBatch):
            application.queue._acceptBatch(event)
        else:
            application.queue._acceptGap(dataclasses.replace(event, time=time.time_ns()))

    def _tell(self, gap: Gap) -> None:
        with self._receiving:
            for application in self._made():
                application.queue._acceptGap(gap)

    # Life

    def _drain_sent(self, deadline: float) -> bool:
        """Wait until the transport passed on what was sent to it."""
        return self._drain_once(lambda: drain(self._transport, deadline))

    def _drain_received(self, deadline: float) -> bool:
        """Wait until all that was received went through the applications and the stages behind them."""

        def wait() -> bool:
            queues = [application.queue for application in self._made()]
            done = [queue._drain(deadline) for queue in queues]
            done += [slave._drain(deadline) for queue in queues for slave in downstream(queue)]
            return all(done)

        return self._drain_once(wait)

    def _drain_once(self, wait: Callable[[], bool]) -> bool:
        """Call `wait` unless this thread does so already: a stream of replies is a loop."""
        thread = threading.get_ident()
        if thread in self._draining:
            return True
        self._draining.add(thread)
        try:
            return wait()
        finally:
            self._draining.discard(thread)

    def _start(self) -> None:
        """Go on after a stop."""
        self._open = True
        for application in self._made():
            application.queue._start()

    def _stop(self, deadline: float | None = None) -> None:
        """Refuse frames, and let the receivers take what came.

        Parameters
        ----------
        deadline
            Monotonic time (s) at which what they have not taken is dropped; None for 2 s from now.
        """
        self._open = False
        until = time.monotonic() + _STOP_S if deadline is None else deadline
        for application in self._made():
            application._stop(until)

    def abort(self) -> None:
        """Refuse frames and drop what the receivers have not taken."""
        self._open = False
        now = time.monotonic()
        for application in self._made():
            application.queue._end("aborted", now)


class Core(_Packetizer):
    """Packetizer of version 1.

    Parameters
    ----------
    enSsi
        SSI framing: mark the start of each frame in first-user, and give a received frame whose
        last-user says so (bit 0, EOFE) the error 0x80.
    maxPacket
        Most bytes of a packet; 0 = as many as the transport takes.
    maxHeld
        Most bytes of an unfinished frame.

    Raises
    ------
    StreamError
        For packets that have no room for payload.
    """

    def __init__(self, enSsi: bool, *, maxPacket: int = 0, maxHeld: int = HELD_BYTES) -> None:
        super().__init__(EncoderV1(enSsi), DecoderV1(enSsi, maxHeld), maxPacket)


class CoreV2(_Packetizer):
    """Packetizer of version 2.

    Parameters
    ----------
    enIbCrc
        Check the checksum of received packets.
    enObCrc
        Send checksums.
    enSsi, maxPacket
        As for `Core`.
    maxHeld
        Most bytes of unfinished frames, of all TDESTs together.

    Raises
    ------
    StreamError
        For packets that have no room for payload.
    """

    def __init__(
        self, enIbCrc: bool, enObCrc: bool, enSsi: bool, *, maxPacket: int = 0, maxHeld: int = HELD_BYTES
    ) -> None:
        super().__init__(EncoderV2(enObCrc, enSsi), DecoderV2(enIbCrc, enSsi, maxHeld), maxPacket)
