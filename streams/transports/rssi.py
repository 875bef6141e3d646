"""RSSI links between stream ends: a client or server that runs `RssiCore` on a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence

import numpy as np

from sapwood.errors import StreamError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.counters import StageCounters
from sapwood.streams.fifo import Fifo
from sapwood.streams.frame import Frame
from sapwood.streams.link import Master, Slave
from sapwood.streams.protocols.rssi import Role, RssiCore
from sapwood.streams.protocols.rssisend import Data
from sapwood.streams.sinkerrors import SinkErrors
from sapwood.streams.transports.rssisettings import RssiSettings

__all__ = ["Application", "Client", "Server", "Transport"]

_MOST_ARRIVED = 4096  # segments that may wait for the thread; more are as good as lost on the way
_WINDOWS = 4  # of payloads that the application may leave waiting before this end is busy
_DRAIN_S = 1.0  # that a stop gives the other end to acknowledge
_JOIN_S = 2.0
_log = logging.getLogger("sapwood.stream.rssi")


class Transport(Master, Slave):
    """The end of a link that is joined to the network, such as `sapwood.streams.transports.udp.Client`."""

    def __init__(self, link: _Link) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self._link = link

    def _acceptFrame(self, frame: Frame) -> None:
        self._link._arrive((frame.buffer,))

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self._link._arrive(_buffers(batch))


class Application(Master, Slave):
    """The end of a link that payloads come out of, and go into: one frame, one segment.

    Frames that are empty, or carry an error, are dropped; so are frames sent while the link is closed.
    Senders wait while more is under way than the two ends agreed on.
    """

    def __init__(self, link: _Link) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self._link = link

    def maxPayload(self) -> int:
        """Return the largest frame that can be sent, bytes."""
        return self._link.maxPayload()

    def _acceptFrame(self, frame: Frame) -> None:
        self._link._offer((frame.buffer,), (frame.error,))

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self._link._offer(_buffers(batch), batch.error.tolist())

    def _drain(self, deadline: float) -> bool:
        """Wait until everything is acknowledged; False when monotonic time `deadline` (s) came first."""
        return self._link._wait_acknowledged(deadline)


class _Arrivals(Slave):
    """Passes on to the application what the thread of the queue of arrived payloads hands over."""

    def __init__(self, link: _Link) -> None:
        super().__init__()
        self._link = link

    def _acceptFrame(self, frame: Frame) -> None:
        try:
            self._link.application()._sendFrame(frame)
        finally:
            self._link._relieve()

    def _acceptBatch(self, batch: FrameBatch) -> None:
        try:
            self._link.application()._sendBatch(batch)
        finally:
            self._link._relieve()


def _buffers(batch: FrameBatch) -> list[memoryview]:
    view = batch.payload.data
    ends = (batch.start + batch.size).tolist()
    return [view[start:end] for start, end in zip(batch.start.tolist(), ends, strict=True)]


class _Link(RssiSettings):
    """What client and server share: the thread that runs the state machine, and what waits for it.

    One thread owns the state machine. Whatever the sinks at both ends raise is counted and logged
    once for each kind; the thread goes on. A second thread hands payloads to the application, so
    that a slow sink holds back the other end and not the link.
    """

    def __init__(self, role: Role, segSize: int) -> None:
        super().__init__(RssiCore(role, segSize))
        self.counters = StageCounters()
        """Frames of the application; dropped by ``error``, ``empty``, ``oversize``, ``closed`` and, as far
        as they were under way when the link broke or stopped, ``unacknowledged``."""
        self.arrivalsDropped = 0
        """Segments that came faster than the thread could take them."""
        self._name = f"rssi.{type(self).__name__}"
        self._transport = Transport(self)
        self._application = Application(self)
        self._arrived: Fifo = Fifo(policy="block")
        self._arrived >> _Arrivals(self)
        self._faults = SinkErrors(_log)
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)  # for the thread
        self._news = threading.Condition(self._lock)  # for those who wait for room, or for a state
        self._inbox: list[Data] = []
        self._outbox: deque[Data] = deque()
        self._worker: threading.Thread | None = None
        self._stopping = self._relieved = False
        self._sleeping = self._has_room = False  # the thread waits; it could send
        self._quiet = True  # nothing waits to be sent or acknowledged
        self._lost = 0, 0

    def transport(self) -> Transport:
        """Return the end for the network."""
        return self._transport

    def application(self) -> Application:
        """Return the end for payloads."""
        return self._application

    @property
    def lastError(self) -> Exception | None:
        """The newest exception that a sink raised, at either end."""
        return self._faults.last or self._arrived.lastError

    def resetCounters(self) -> None:
        """Set all counters to zero."""
        super().resetCounters()
        self.counters.clear()
        self.arrivalsDropped = 0

    # ------------------------------------------------------------ life

    def _start(self) -> None:
        """Open the link as soon as the other end is there; returns at once."""
        with self._lock:
            if self._worker is not None:
                return
            self._stopping = False
            self._inbox = []
            self._arrived._start()
            self._worker = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._worker.start()

    def waitOpen(self, timeout: float) -> bool:
        """Wait until the link is open; False after `timeout` seconds."""
        with self._lock:
            return self._news.wait_for(lambda: self._core.is_open, timeout)

    def _quiesce(self, deadline: float) -> bool:
        """Wait until the other end has acknowledged everything, and the sinks here have taken all."""
        acknowledged = self._wait_acknowledged(deadline)
        return self._arrived._drain(deadline) and acknowledged

    def _stop(self) -> None:
        """Have everything acknowledged (for 1 s at most), close the link, hand over what arrived."""
        self._wait_acknowledged(time.monotonic() + _DRAIN_S)
        self._end()
        self._arrived._stop()

    def abort(self) -> None:
        """Close the link at once; what is not acknowledged or handed over is dropped."""
        self._end()
        self._arrived.abort()

    def _end(self) -> None:
        with self._lock:
            worker, self._worker = self._worker, None
            self._stopping = True
            self._wake.notify()
        if worker is not None and worker is not threading.current_thread():
            worker.join(_JOIN_S)
            if worker.is_alive():
                _log.warning("%s ends when the sink that holds it back returns", self._name)

    def _wait_acknowledged(self, deadline: float) -> bool:
        with self._lock:
            if threading.current_thread() is self._worker:
                return self._quiet
            return self._news.wait_for(lambda: self._quiet, max(0.0, deadline - time.monotonic()))

    # ------------------------------------------------------------ other threads

    def _arrive(self, segments: Sequence[Data]) -> None:
        """Take segments from the network."""
        with self._lock:
            if len(self._inbox) + len(segments) > _MOST_ARRIVED or self._worker is None:
                self.arrivalsDropped += len(segments)
                return
            self._inbox.extend(segments)
            if self._sleeping:
                self._wake.notify()

    def _relieve(self) -> None:
        """Note that the application has taken something."""
        if self._core.local_busy and self._arrived.size() < self._most_waiting() // 2:
            with self._lock:
                self._relieved = True
                self._wake.notify()

    def _offer(self, payloads: Sequence[Data], errors: Sequence[int]) -> None:
        """Take payloads of the application, waiting for room."""
        self.counters.accept(len(payloads), sum(map(len, payloads)))
        limit, oversize = self.maxPayload(), 0
        fitting = []
        for payload, error in zip(payloads, errors, strict=True):
            size = len(payload)
            if error or not size:
                self.counters.drop("error" if error else "empty", 1, size)
            elif size > limit:
                self.counters.drop("oversize", 1, size)
                oversize = max(oversize, size)
            else:
                fitting.append(payload)
        self._queue(fitting)
        if oversize:
            raise StreamError(
                "Frame is larger than an RSSI segment",
                path=self._name,
                expected=f"at most {limit} bytes",
                seen=f"{oversize} bytes",
            )

    def _queue(self, payloads: list[Data]) -> None:
        done = 0
        with self._lock:
            while done < len(payloads):
                if not self._core.is_open or self._stopping:
                    self._drop_closed(payloads[done:])
                    return
                room = 2 * self._core.current.max_buffers - len(self._outbox)
                if room <= 0:
                    self.counters.blocked += 1
                    self._news.wait()
                    continue
                self._outbox.extend(payloads[done : done + room])
                done += room
                self._quiet = False
                if self._sleeping and self._has_room:
                    self._wake.notify()

    def _drop_closed(self, payloads: Sequence[Data]) -> None:
        if payloads:
            self.counters.drop("closed", len(payloads), sum(map(len, payloads)))

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        core = self._core
        core.start(time.monotonic())
        was_open = False
        while self._work():
            if core.is_open != was_open:
                was_open = core.is_open
                _log.info("%s: the link is %s", self._name, core.state)
        core.stop()
        self._finish()

    def _work(self) -> bool:
        """Wait for something to do and do it; False once the link is to be stopped."""
        core = self._core
        segments, payloads = self._await_work()
        if self._stopping:
            return False
        now = time.monotonic()
        for segment in segments:
            core.receive(segment, now)
        for at, payload in enumerate(payloads):
            if not core.room:  # the link broke, and maybe opened again, since
                self._put_back(payloads[at:])
                break
            core.send(payload, now)
        self._hand_over(core.take_received())
        core.set_busy(self._arrived.size() >= self._most_waiting() // (2 if core.local_busy else 1))
        if core.local_busy and self._arrived.size() < self._most_waiting() // 2:
            core.set_busy(False)  # taken before the application could see that it is waited for
        core.advance(now)
        self._transmit()
        self._tell()
        return True

    def _await_work(self) -> tuple[list[Data], list[Data]]:
        """Return segments that arrived and payloads there is room for, once there are any or time is up."""
        core = self._core
        with self._lock:
            room = core.room
            while not (self._inbox or (room and self._outbox) or self._stopping or self._relieved):
                left = core.deadline() - time.monotonic()
                if left <= 0:
                    break
                self._sleeping, self._has_room = True, room > 0
                self._wake.wait(min(left, threading.TIMEOUT_MAX))
                self._sleeping = False
            self._relieved = False
            segments, self._inbox = self._inbox, []
            outbox = self._outbox
            return segments, [outbox.popleft() for _ in range(min(room, len(outbox)))]

    def _put_back(self, payloads: list[Data]) -> None:
        with self._lock:
            self._outbox.extendleft(reversed(payloads))

    def _hand_over(self, payloads: list[Data]) -> None:
        if len(payloads) == 1:
            self._arrived._acceptFrame(Frame(payloads[0]))
        elif payloads:
            self._arrived._acceptBatch(_batch(payloads))

    def _transmit(self) -> None:
        outgoing = self._core.take_outgoing()
        if not outgoing:
            return
        segments = [header + payload if len(payload) else header for header, payload in outgoing]
        try:
            if len(segments) == 1:
                self._transport._sendFrame(Frame(segments[0]))
            else:
                self._transport._sendBatch(_batch(segments))
        except Exception as error:  # noqa: BLE001  # whatever the network's end raises, the link goes on
            self._faults.note(error)
            self.counters.errors = self._faults.count

    def _tell(self) -> None:
        """Drop what cannot be sent any more, and wake those who wait."""
        core = self._core
        if (core.lost, core.lost_bytes) != self._lost:
            frames, nbytes = core.lost - self._lost[0], core.lost_bytes - self._lost[1]
            self.counters.drop("unacknowledged", frames, nbytes)
            _log.warning("%s: the link closed with %d frames unacknowledged", self._name, frames)
            self._lost = core.lost, core.lost_bytes
        with self._lock:
            if not core.is_open and self._outbox:
                self._drop_closed(self._outbox)
                self._outbox.clear()
            self._quiet = not (self._outbox or core.under_way)
            self._news.notify_all()

    def _finish(self) -> None:
        self._hand_over(self._core.take_received())
        self._transmit()
        self._tell()

    def _most_waiting(self) -> int:
        return _WINDOWS * self._core.current.max_buffers


def _batch(payloads: Sequence[Data]) -> FrameBatch:
    size = np.fromiter(map(len, payloads), np.int64, len(payloads))
    return FrameBatch(b"".join(payloads), np.cumsum(size) - size, size)


class Client(_Link):
    """The end of a link that calls the other one.

    Parameters
    ----------
    segSize
        Largest segment, header included, bytes: a datagram's ``maxPayload()`` - 8, as is custom.

    Raises
    ------
    StreamError
        For a size that makes no sense.
    """

    def __init__(self, segSize: int) -> None:
        super().__init__("client", segSize)


class Server(_Link):
    """The end of a link that waits for the other one; parameters as of `Client`."""

    def __init__(self, segSize: int) -> None:
        super().__init__("server", segSize)
