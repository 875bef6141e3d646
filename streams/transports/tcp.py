"""Frames over TCP: the two ends of a stream bridge, wire compatible with Rogue's.

The server takes frames at a port and sends from the next one. With several clients on one
server each frame goes to one of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from threading import Event, Lock, Thread, current_thread
from typing import TYPE_CHECKING, Any

from sapwood.errors import ProtocolError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.counters import StageCounters
from sapwood.streams.frame import Frame
from sapwood.streams.framequeue import QUEUE_BYTES, Flow, FrameQueue, Policy
from sapwood.streams.gap import Gap
from sapwood.streams.link import Master, Slave
from sapwood.streams.sinkerrors import SinkErrors
from sapwood.streams.transports.bridgemessage import (
    MAX_FRAMES,
    MAX_PART,
    Greeting,
    decode,
    encode_batch,
    encode_frame,
    encode_gap,
    encode_greeting,
)
from sapwood.streams.transports.bridgepeers import BridgePeers

if TYPE_CHECKING:
    from sapwood.streams.transports.bridgesockets import BridgeSockets

__all__ = ["TcpClient", "TcpCore", "TcpServer"]

_RUN_BYTES = 1 << 18  # of frames that go out as one message, about
_RUN_FRAMES = 1000  # single frames that go out as one message, at most
_TAKE = 1000  # messages taken between looks at the clock
_ASK_S = 0.2  # between greetings that nobody answers
_GRACE_S = 0.5  # that an end new on the line has to say that it takes empty frames
_POLL_S = 0.02
_LOOK_S = 1.0  # between looks for ends that came or went, while nothing is sent
_STOP_S = 1.0  # that a stop takes, unless its owner gives it another time
_STUCK_S = 0.2  # without a frame taken: the far end does not read
_LINGER_S = 0.5  # of that, at most, for what was handed to the sockets to leave
_JOIN_S = 1.0  # for threads to end, when there is no time left
_WAKE = Gap(None, 0, 0, "")  # lets the sending thread look around


class TcpCore(Master, Slave):
    """One end of a stream bridge: sends on what it accepts, delivers what arrives.

    Frames wait in a queue while no far end is there or takes them. The connection comes up and
    comes back by itself; frames on the wire when it breaks are lost. Far ends that are
    Sapwood's get many frames in one message, empty frames, times and gaps; to a Rogue end,
    which would lose its next frame to an empty one, empty frames are not sent but counted
    (``empty``). The ports are taken at once, the two threads are made at the first link or
    frame, or by ``_start``. What sinks raise is counted and logged, and reception goes on.

    Parameters
    ----------
    addr, port
        Interface and lower port of the server.
    maxDepth, maxBytes
        Most frames (0 = as many as `maxBytes` allows) and payload bytes that wait.
    policy
        For frames without room: ``block`` makes the sender wait, ``drop_new``, ``drop_old``.

    Attributes
    ----------
    counters
        Frames accepted for the far end, and dropped: ``full``, ``empty``, ``oversize`` (over 1 GiB),
        ``stopped``, ``aborted``.
    received
        Frames that arrived; ``errors`` of the sinks; dropped: ``malformed`` messages.

    Raises
    ------
    StreamError
        When a port is taken, or for a bound or policy that makes no sense.
    """

    _role = ""

    def __init__(
        self,
        addr: str,
        port: int,
        *,
        maxDepth: int = 0,
        policy: Policy = "block",
        maxBytes: int = QUEUE_BYTES,
    ) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self.counters, self.received = StageCounters(), StageCounters()
        self._addr, self.port = addr, port
        self._queue = FrameQueue(maxDepth, maxBytes, policy, self.counters)
        self._peers = BridgePeers()
        self._reconnects = 0  # before the last stop
        self._bridgeLock = Lock()
        self._threads: list[Thread] = []
        self._running = 0
        self._hand = self._sent = 0
        self._asked = self._changed = 0.0
        self._greeted = Event()
        self._lingerUntil, self._endReason = 0.0, "stopped"
        self._sockets: BridgeSockets | None = self._open()
        self._log = logging.getLogger(f"sapwood.stream.TcpCore.{addr}.{self._role}.{self.port}")
        self._faults = SinkErrors(self._log)

    def _open(self) -> BridgeSockets:
        from sapwood.streams.transports.bridgesockets import BridgeSockets

        sockets = BridgeSockets()
        self._attach(sockets)
        return sockets

    def _attach(self, sockets: BridgeSockets) -> None:
        """Take or reach the ports."""
        raise NotImplementedError

    # In

    def _acceptFrame(self, frame: Frame) -> None:
        if not self._threads:
            self._launch()
        self._queue.put_frame(frame.snapshot())

    def _acceptBatch(self, batch: FrameBatch) -> None:
        if len(batch):
            self._launch()
            self._queue.put(batch)

    def _acceptGap(self, gap: Gap) -> None:
        self._launch()
        self._queue.put_gap(gap)

    def _addSlave(self, slave: Any) -> None:
        """Link `slave`, and start to take what arrives."""
        super()._addSlave(slave)
        self._launch()

    # State

    def size(self) -> int:
        """Return the frames that wait."""
        return self._queue.frames

    def flow(self) -> Flow:
        """Return the frames accepted, sent, waiting and dropped; exact while nothing moves."""
        accepted, _, queued, dropped = self._queue.flow()
        return Flow(accepted, self._sent, queued + self._hand, dropped)

    @property
    def connected(self) -> int:
        """Far ends that are there; up to a second old while nothing is sent."""
        return self._peers.connected

    @property
    def reconnects(self) -> int:
        """How often a far end came when one had gone."""
        return self._reconnects + self._peers.reconnects

    @property
    def agreed(self) -> bool:
        """All far ends are Sapwood's and known to be."""
        return self._peers.agreed

    @property
    def lastError(self) -> Exception | None:
        """The newest exception that a sink raised."""
        return self._faults.last

    # Life

    def _launch(self) -> None:
        with self._bridgeLock:
            sockets = self._sockets
            if sockets is None or self._threads:
                return
            name = f"TcpCore-{self._role}-{self.port}"
            loops = ((self._run_sending, "send"), (self._run_receiving, "receive"))
            self._threads = [
                Thread(target=loop, args=(sockets,), name=f"{name}-{what}", daemon=True)
                for loop, what in loops
            ]
            self._running = len(self._threads)
            for thread in self._threads:
                thread.start()

    def _start(self) -> None:
        """Start the threads; after a stop, take the ports and accept frames again."""
        with self._bridgeLock:
            if self._sockets is None:
                self._sockets = self._open()
                self._queue = self._queue.successor()
                self._reconnects += self._peers.reconnects
                self._peers = BridgePeers()
                self._greeted.clear()
        self._launch()

    def _drain(self, deadline: float) -> bool:
        """Wait until all is sent; False at monotonic time `deadline` (s), or when no far end is there."""
        while not self._queue.wait_idle(min(deadline, time.monotonic() + _STUCK_S)):
            if not self._peers.connected or time.monotonic() >= deadline:
                return False
        return True

    def _stop(self, deadline: float | None = None) -> None:
        """Refuse frames, send what waits, free the ports.

        What a far end does not take is dropped: at once when there is none, after 0.2 s when it takes
        nothing at all, and in any case at the deadline.

        Parameters
        ----------
        deadline
            Monotonic time (s) at which it is over; None for a second from now. A sink that holds
            the receiving thread may add a second to it.
        """
        self._end("stopped", time.monotonic() + _STOP_S if deadline is None else deadline)

    def abort(self) -> None:
        """Refuse frames, drop what waits and what the sockets still hold, free the ports."""
        self._end("aborted", time.monotonic())

    def close(self) -> None:
        """Do what ``_stop`` does."""
        self._stop()

    def _end(self, reason: str, deadline: float) -> None:
        with self._bridgeLock:
            sockets, self._sockets = self._sockets, None
            threads, self._threads = self._threads, []
        self._queue.close()
        if sockets is None:
            return
        inside = current_thread() in threads
        taken = bool(self._peers.connected) and (inside or self._send_rest(deadline))
        self._endReason = reason
        self._lingerUntil = min(deadline, time.monotonic() + _LINGER_S) if taken else 0.0
        lost = self._queue.discard(reason)
        if lost:
            self._log.warning("%d frames that were not sent are dropped: %s", lost, reason)
        sockets.ring()
        self._greeted.set()
        if not threads:
            sockets.close()
        elif not inside:
            self._join(threads, max(deadline, time.monotonic() + _JOIN_S))

    def _send_rest(self, deadline: float) -> bool:
        """Wait until what is queued was sent; False at `deadline`, or when the far end takes no more."""
        while (now := time.monotonic()) < deadline:
            before = self._sent
            if self._queue.wait_idle(min(deadline, now + _STUCK_S)):
                return True
            if self._sent == before:
                break
        return False

    def _join(self, threads: Iterable[Thread], deadline: float) -> None:
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self._log.warning("%s ends when the sink that holds it back returns", thread.name)

    def _leave(self, sockets: BridgeSockets) -> None:
        """Close the sockets when both threads are through."""
        with self._bridgeLock:
            self._running -= 1
            last = not self._running
        if last:
            sockets.close(max(0.0, self._lingerUntil - time.monotonic()))

    # Sending thread

    def _run_sending(self, sockets: BridgeSockets) -> None:
        queue = self._queue
        try:
            while self._await_end(sockets) and (item := queue.get()) is not None:
                if isinstance(item, Frame):
                    self._send_run(sockets, queue, item)
                elif isinstance(item, FrameBatch):
                    self._send_batch(sockets, item)
                else:
                    self._send_gap(sockets, item)
        except Exception:  # noqa: BLE001  # outermost loop of the thread: the owner learns of it
            self._log.exception("Sending ended")
            queue.close()
            queue.discard("stopped")
        finally:
            self._leave(sockets)

    def _await_end(self, sockets: BridgeSockets) -> bool:
        """Wait until a far end takes messages; False when the bridge stops first."""
        while not sockets.rung:
            self._talk(sockets)
            if sockets.writable:
                return True
            sockets.wait_writable()
        return False

    def _talk(self, sockets: BridgeSockets) -> None:
        """Take note of far ends that came or went; greet them, answer their greetings, if one listens."""
        now = time.monotonic()
        for change in sockets.changes():
            self._peers.changed(change)
            self._changed = now
        if now - self._asked > _ASK_S and not self._peers.agreed:
            self._peers.ask_again()
            self._asked = now
        for greeting in self._peers.greetings() if sockets.writable else ():
            sockets.send(encode_greeting(greeting))

    def _send_run(self, sockets: BridgeSockets, queue: FrameQueue, first: Frame) -> None:
        """Send `first` and the single frames queued behind it, together where the far end can take it."""
        frames, nbytes = [first], first.size
        behind: Frame | FrameBatch | Gap | None = None
        while nbytes < _RUN_BYTES and len(frames) < _RUN_FRAMES and queue.frames:
            behind = queue.get()
            if not isinstance(behind, Frame):
                break
            frames.append(behind)
            nbytes += behind.size
            behind = None
        if (len(frames) > 1 and self.agreed) or not all(frames):
            self._send_piece(sockets, FrameBatch.gather(frames))
        else:
            self._send_singly(sockets, frames, len(frames))
        if isinstance(behind, FrameBatch):
            self._send_batch(sockets, behind)
        elif isinstance(behind, Gap):
            self._send_gap(sockets, behind)

    def _send_batch(self, sockets: BridgeSockets, batch: FrameBatch) -> None:
        for at in range(0, len(batch), MAX_FRAMES):
            for piece in batch[at : at + MAX_FRAMES].split(_RUN_BYTES):
                self._send_piece(sockets, piece)

    def _send_piece(self, sockets: BridgeSockets, piece: FrameBatch) -> None:
        """Send a batch of moderate size, as one message where every far end can take it."""
        self._hand = len(piece)
        while self._await_end(sockets) and self._agreed_for(sockets, piece):
            if piece.nbytes <= MAX_PART and sockets.send(encode_batch(piece)):
                self._sent += len(piece)
                self._hand = 0
                return
        self._send_singly(sockets, piece.frames(), len(piece))

    def _agreed_for(self, sockets: BridgeSockets, piece: FrameBatch) -> bool:
        """Return whether every far end takes batches; for empty frames, give a new one time to say so."""
        if not self.agreed and not piece.size.all():
            deadline = self._changed + _GRACE_S
            while not (self.agreed or sockets.rung) and time.monotonic() < deadline:
                self._greeted.wait(_POLL_S)
                self._greeted.clear()
                self._talk(sockets)
        return self.agreed

    def _send_singly(self, sockets: BridgeSockets, frames: Iterable[Frame], count: int) -> None:
        """Send `count` frames as messages of their own, the only way to a Rogue end."""
        self._hand = count
        for frame in frames:
            size = frame.size
            if not 0 < size <= MAX_PART:
                self._lose(frame, "oversize" if size else "empty")
            else:
                parts = encode_frame(frame)
                while not sockets.send(parts):
                    if not self._await_end(sockets):
                        self._lose(frame, self._endReason)
                        break
                else:
                    self._sent += 1
            self._hand -= 1

    def _lose(self, frame: Frame, reason: str) -> None:
        if not self.counters.dropped.get(reason):
            self._log.warning("Frames that cannot be sent are dropped (logged once): %s", reason)
        self.counters.drop(reason, 1, frame.size)

    def _send_gap(self, sockets: BridgeSockets, gap: Gap) -> None:
        """Tell Sapwood ends of lost frames; a Rogue end has no word for it."""
        if gap.reason != _WAKE.reason and self._await_end(sockets) and self.agreed:
            sockets.send(encode_gap(gap))

    # Receiving thread

    def _run_receiving(self, sockets: BridgeSockets) -> None:
        try:
            while not sockets.rung:
                if not sockets.wait_readable(_LOOK_S):
                    self._queue.put_gap(_WAKE)
                    continue
                for _ in range(_TAKE):
                    parts = sockets.receive()
                    if parts is None or sockets.rung:
                        break
                    self._take(parts)
        except Exception:  # noqa: BLE001  # outermost loop of the thread: the owner learns of it
            self._log.exception("Reception ended")
        finally:
            self._leave(sockets)

    def _take(self, parts: list[Any]) -> None:
        """Deliver what a message holds; whatever a sink raises, reception goes on."""
        try:
            item = decode(parts)
        except ProtocolError as problem:
            self.received.drop("malformed", 1, sum(map(len, parts)))
            self._log.warning("%s", problem)
            return
        try:
            if isinstance(item, Frame):
                self.received.accept(1, item.size)
                self._sendFrame(item)
            elif isinstance(item, FrameBatch):
                self.received.accept(len(item), item.nbytes)
                self._sendBatch(item)
            elif isinstance(item, Gap):
                self._sendGap(item)
            elif isinstance(item, Greeting):
                self._answer(item)
        except Exception as error:  # noqa: BLE001  # sinks are the user's
            self._faults.note(error)
            self.received.errors = self._faults.count

    def _answer(self, greeting: Greeting) -> None:
        """Have the sending thread answer `greeting`, and go on if it waited for it."""
        if self._peers.take(greeting):
            self._queue.put_gap(_WAKE)
        self._greeted.set()


class TcpServer(TcpCore):
    """Receives frames at a port and sends from the one above; see `TcpCore` for the keywords.

    Parameters
    ----------
    addr
        Interface to bind to, ``*`` for all.
    port
        Lower one of the two ports; 0 takes a free pair, whose lower one is then ``port``.
    """

    _role = "Server"

    def _attach(self, sockets: BridgeSockets) -> None:
        self.port = sockets.bind(self._addr, self.port)


class TcpClient(TcpCore):
    """Connects to a server, which may come later, go and come back; see `TcpCore` for the keywords.

    Parameters
    ----------
    addr, port
        Of the server; frames go to `port` and come from the one above.
    """

    _role = "Client"

    def _attach(self, sockets: BridgeSockets) -> None:
        sockets.connect(self._addr, self.port)
