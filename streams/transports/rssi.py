"""RSSI links between stream ends: a client or server that runs `RssiCore`."""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import replace

import numpy as np

from sapwood.errors import StreamError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.counters import StageCounters
from sapwood.streams.fifo import Fifo
from sapwood.streams.frame import Frame
from sapwood.streams.gap import Gap
from sapwood.streams.link import Master, Slave
from sapwood.streams.protocols.rssi import Received, Role, RssiCore
from sapwood.streams.protocols.rssisend import Data
from sapwood.streams.sinkerrors import SinkErrors
from sapwood.streams.transports.rssiloads import Outbox, bytes_of, count_of, whole
from sapwood.streams.transports.rssisettings import RssiSettings

__all__ = ["Application", "Client", "Server", "Transport"]

_MOST_ARRIVED = 4096  # segments that may wait to be taken; more are as good as lost on the way
_TURNS = 16  # that a thread which brought something goes on for others
_WINDOWS = 4  # of payloads that the application may leave waiting before this end is busy
_DRAIN_S = 1.0  # that a stop gives the other end to acknowledge
_JOIN_S = 2.0
_JUST_NOW = 1e-6  # s that a link is closed at least, where the clock says 0, which means open
_log = logging.getLogger("sapwood.stream.rssi")


class Transport(Master, Slave):
    """The end of a link that is joined to the network, such as `sapwood.streams.transports.udp.Client`."""

    def __init__(self, link: _Link) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self._link = link

    def _acceptFrame(self, frame: Frame) -> None:
        Slave._acceptFrame(self, frame)
        self._link._arrive(frame.buffer, 1)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        Slave._acceptBatch(self, batch)
        self._link._arrive(batch, len(batch))

    @property
    def counters(self) -> StageCounters:
        """Segments that came, and those not used by reason, as they are now."""
        link = self._link
        dropped = link.getDropReasons()
        if link.arrivalsDropped:
            dropped["full"] = link.arrivalsDropped
        return StageCounters(self.getFrameCount(), self.getByteCount(), dropped=dropped)


class Application(Master, Slave):
    """The end of a link that payloads come out of, and go into: one frame, one segment.

    Frames that are empty, or carry an error, are dropped; so are frames sent while the link is closed.
    When the link breaks the receivers get a gap (``link``): nobody knows how many frames are lost.
    Senders wait while more is under way than the two ends agreed on.
    """

    def __init__(self, link: _Link) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self._link = link

    def maxPayload(self) -> int:
        """Return the largest frame that can be sent, bytes."""
        return self._link.maxPayload()

    @property
    def counters(self) -> StageCounters:
        """The link's own."""
        return self._link.counters

    def _acceptFrame(self, frame: Frame) -> None:
        self._link._offer_frame(frame)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self._link._offer_batch(batch)

    def closedFor(self) -> float:
        """Return how long the link has been closed, s; 0 while it is open, infinite while it is stopped."""
        return self._link.closedFor()

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

    def _acceptGap(self, gap: Gap) -> None:
        self._link.application()._sendGap(gap)


class _Link(RssiSettings):
    """What client and server share: who runs the state machine, and what waits for it.

    One thread at a time runs the state machine: whoever brings something for it, from the network or
    from the application. Who comes meanwhile leaves what he brings to that thread, and goes. A thread
    of the link's own does what becomes due when nobody comes. Whatever the sinks at both ends raise
    is counted and logged once for each kind. One more thread hands payloads to the application, so
    that a slow sink holds back the other end and not the link.
    """

    def __init__(self, role: Role, segSize: int) -> None:
        super().__init__(RssiCore(role, segSize))
        self.counters = StageCounters()
        """Frames of the application; dropped by ``error``, ``empty``, ``oversize``, ``closed`` and, as far
        as they were under way when the link broke or stopped, ``unacknowledged``."""
        self.arrivalsDropped = 0
        """Segments that came faster than the link could take them."""
        self._name = f"rssi.{type(self).__name__}"
        self._transport = Transport(self)
        self._application = Application(self)
        self._arrived: Fifo = Fifo(policy="block")
        self._direct = _Arrivals(self)
        self._arrived >> self._direct
        self._faults = SinkErrors(_log)
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)  # for the link's own thread
        self._room = threading.Condition(self._lock)  # for senders
        self._news = threading.Condition(self._lock)  # for those who wait for a state
        self._inbox: list[Data | FrameBatch] = []
        self._waiting = 0  # segments in the inbox
        self._outbox = Outbox()
        self._worker: threading.Thread | None = None
        self._retired: threading.Thread | None = None  # the own thread before this one
        self._serving: int | None = None  # thread that runs the state machine
        self._alarm = math.inf  # when the own thread looks after the link by itself
        self._relieved = False
        self._was_open = False
        self._delivering = False  # payloads that are acknowledged are not handed over yet
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

    def closedFor(self) -> float:
        """Return how long the link has been closed, s; 0 while it is open, infinite while it is stopped."""
        return 0.0 if self._core.is_open else max(_JUST_NOW, time.monotonic() - self._core.closed_at)

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
            retired = self._retired
            if retired is not None and not retired.is_alive():
                retired = self._retired = None
            if retired is None:
                self._inbox, self._waiting = [], 0
                self._core.start(time.monotonic())
            self._arrived._start()
            self._worker = threading.Thread(target=self._run, args=(retired,), name=self._name, daemon=True)
            self._worker.start()

    def waitOpen(self, timeout: float) -> bool:
        """Wait until the link is open; False after `timeout` seconds."""
        with self._lock:
            return self._news.wait_for(lambda: self._core.is_open, timeout)

    def _quiesce(self, deadline: float) -> bool:
        """Wait until the other end has acknowledged everything, and the sinks here have taken all."""
        acknowledged = self._wait_acknowledged(deadline)
        with self._lock:
            if self._serving != threading.get_ident():
                left = max(0.0, deadline - time.monotonic())
                acknowledged &= self._news.wait_for(lambda: not self._delivering, left)
        return self._arrived._drain(deadline) and acknowledged

    def _stop(self, deadline: float | None = None) -> None:
        """Have everything acknowledged (for 1 s at most), close the link, hand over what arrived.

        Parameters
        ----------
        deadline
            Monotonic time (s) at which what is not handed over is dropped; None for 2 s after the closing.
        """
        self._wait_acknowledged(time.monotonic() + _DRAIN_S)
        self._end()
        self._arrived._stop(deadline)

    def abort(self) -> None:
        """Close the link at once; what is not acknowledged or handed over is dropped."""
        self._end()
        self._arrived.abort()

    def _end(self) -> None:
        """Have the own thread close the link, which it does when nobody runs the state machine."""
        with self._lock:
            worker, self._worker = self._worker, None
            inside = self._serving == threading.get_ident()
            self._retired = worker or self._retired
            self._wake.notify()
        if worker is not None and not inside:
            worker.join(_JOIN_S)
            if worker.is_alive():
                _log.warning("%s ends when the sink that holds it back returns", self._name)

    def _wait_acknowledged(self, deadline: float) -> bool:
        with self._lock:
            if self._serving == threading.get_ident():
                return self._quiet
            return self._news.wait_for(lambda: self._quiet, max(0.0, deadline - time.monotonic()))

    # ------------------------------------------------------------ from all sides

    def _arrive(self, segments: Data | FrameBatch, count: int) -> None:
        """Take segments from the network, one or a batch of `count`."""
        with self._lock:
            if self._waiting + count > _MOST_ARRIVED or self._worker is None:
                self.arrivalsDropped += count
                return
            self._inbox.append(segments)
            self._waiting += count
            mine = self._claim()
        if mine:
            self._serve()

    def _relieve(self) -> None:
        """Note that the application has taken something."""
        if self._core.local_busy and self._arrived.size() < self._most_waiting() // 2:
            with self._lock:
                self._relieved = True
                mine = self._worker is not None and self._claim()
            if mine:
                self._serve()

    def _offer_frame(self, frame: Frame) -> None:
        """Take a payload of the application, waiting for room."""
        size = frame.size
        self.counters.accept(1, size)
        if frame.error or not size:
            self.counters.drop("error" if frame.error else "empty", 1, size)
        elif size > self.maxPayload():
            self._refuse(1, size, size)
        else:
            self._queue(frame.buffer, 1, size)

    def _offer_batch(self, batch: FrameBatch) -> None:
        """Take payloads of the application, waiting for room."""
        self.counters.accept(len(batch), batch.nbytes)
        batch = self.counters.keep(batch, batch.error == 0, "error")
        batch = self.counters.keep(batch, batch.size > 0, "empty")
        most = self.maxPayload()
        largest = int(batch.size.max()) if len(batch) else 0
        if largest <= most:
            self._queue(batch, len(batch), largest)
            return
        fits = batch.size <= most
        self._queue(batch[fits], int(np.count_nonzero(fits)), most)
        large = batch.size[~fits]
        self._refuse(len(large), int(large.sum()), int(large.max()))

    def _refuse(self, count: int, nbytes: int, largest: int) -> None:
        self.counters.drop("oversize", count, nbytes)
        raise StreamError(
            "Frame is larger than an RSSI segment",
            path=self._name,
            expected=f"at most {self.maxPayload()} bytes",
            seen=f"{largest} bytes",
        )

    def _queue(self, payloads: Data | FrameBatch, count: int, largest: int) -> None:
        core, outbox = self._core, self._outbox
        while count:
            with self._lock:
                if not core.is_open or self._worker is None:
                    self.counters.drop("closed", count, bytes_of(payloads))
                    return
                if largest > core.max_payload:  # it opened again meanwhile, with smaller segments
                    self._refuse(count, bytes_of(payloads), largest)
                room = 2 * core.current.max_buffers - outbox.segments
                if room <= 0:
                    self.counters.blocked += 1
                    self._room.wait()
                    continue
                if count > room and isinstance(payloads, FrameBatch):
                    outbox.add(payloads[:room], room)
                    payloads, count = payloads[room:], count - room
                else:
                    outbox.add(payloads, count)
                    count = 0
                self._quiet = False
                mine = core.room > 0 and self._claim()
            if mine:
                self._serve()

    # ------------------------------------------------------------ the state machine

    def _claim(self) -> bool:
        """Under the lock: become the thread that runs the state machine, if there is none."""
        if self._serving is not None:
            return False
        self._serving = threading.get_ident()
        return True

    def _serve(self) -> None:
        """Run the state machine, once claimed, until there is nothing to do; after a while others go on."""
        turns = _TURNS
        while True:
            with self._lock:
                due = 0.0 if self._has_work() else self._core.deadline()
                if not turns or self._worker is None or due > time.monotonic():
                    self._serving = None
                    if due < self._alarm or self._worker is None:
                        self._wake.notify()
                    return
                segments, payloads = self._take_work()
            try:
                self._work(segments, payloads)
            except BaseException:  # an interrupt, in the thread of a sender: the link goes on without it
                with self._lock:
                    self._serving = None
                    self._wake.notify()
                raise
            turns -= 1

    def _has_work(self) -> bool:
        return bool(self._inbox or self._relieved or (self._outbox.segments and self._core.room))

    def _take_work(self) -> tuple[list[Data | FrameBatch], list[Data | FrameBatch]]:
        """Return segments that arrived and payloads there is room for."""
        self._relieved = False
        segments, self._inbox, self._waiting = self._inbox, [], 0
        return segments, self._outbox.take(self._core.room)

    def _run(self, retired: threading.Thread | None) -> None:
        """Look after the link when it is time, and close it in the end: the own thread."""
        if retired is not None:
            retired.join()
        self._core.start(time.monotonic())  # unless it is
        me = threading.current_thread()
        while self._await_turn(me):
            self._serve()
        self._core.stop()
        self._hand_over(self._core.take_received())
        self._transmit()
        self._tell()
        with self._lock:
            self._serving = None

    def _await_turn(self, me: threading.Thread) -> bool:
        """Claim the state machine when there is something to do; False when the link is to be closed."""
        with self._lock:
            while True:
                left = math.inf
                if self._serving is None:
                    if self._worker is not me:
                        return not self._claim()
                    due = 0.0 if self._has_work() else self._core.deadline()
                    left = due - time.monotonic()
                    if left <= 0:
                        return self._claim()
                    self._alarm = due
                self._wake.wait(min(left, threading.TIMEOUT_MAX))
                self._alarm = math.inf

    def _work(self, segments: list[Data | FrameBatch], payloads: list[Data | FrameBatch]) -> None:
        """Do what there is to do."""
        core = self._core
        now = time.monotonic()
        for segment in segments:
            if isinstance(segment, FrameBatch):
                core.receive_batch(segment, now)
            else:
                core.receive(segment, now)
        received = core.take_received()
        if any(isinstance(one, Gap) for one in received):  # it broke, and is maybe open again
            self._give_up(payloads)
        else:
            self._send(payloads, now)
        self._note_busy(sum(map(count_of, received)))
        core.advance(now)
        received += core.take_received()  # that it broke
        self._delivering = bool(received)
        self._transmit()  # first the acknowledge, for which the other end waits
        self._hand_over(received)
        self._tell()

    def _send(self, payloads: list[Data | FrameBatch], now: float) -> None:
        for payload in payloads:
            if isinstance(payload, FrameBatch):
                self._core.send_batch(payload, now)
            else:
                self._core.send(payload, now)

    def _give_up(self, payloads: list[Data | FrameBatch]) -> None:
        """Drop `payloads` and all others that waited to go over a link that broke."""
        with self._lock:
            count, nbytes = self._outbox.clear()
        count, nbytes = count + sum(map(count_of, payloads)), nbytes + sum(map(bytes_of, payloads))
        if count:
            self.counters.drop("closed", count, nbytes)

    def _note_busy(self, received: int) -> None:
        """Find whether the application leaves too much waiting, `received` payloads among it."""
        core, most = self._core, self._most_waiting()
        core.set_busy(self._arrived.size() + received >= most // (2 if core.local_busy else 1))
        if core.local_busy and self._arrived.size() + received < most // 2:
            core.set_busy(False)  # taken before the application could see that it is waited for

    def _hand_over(self, received: list[Received]) -> None:
        """Pass payloads on: here to a sink that takes them at once, else by the thread of the queue."""
        for load in whole(received):
            if isinstance(load, Gap):
                self._arrived._acceptGap(replace(load, time=time.time_ns()))
            else:
                self._pass_on(load)

    def _pass_on(self, load: Frame | FrameBatch) -> None:
        sinks = self._application._slaves
        takes = getattr(sinks[0], "takesAtOnce", None) if len(sinks) == 1 else None
        frames, nbytes = (1, load.size) if isinstance(load, Frame) else (len(load), load.nbytes)
        direct = (
            takes is not None
            and self._arrived._drain(0.0)  # nothing before these is on its way
            and takes(frames, nbytes)
        )
        receiver: Slave = self._direct if direct else self._arrived
        try:
            if isinstance(load, Frame):
                receiver._acceptFrame(load)
            else:
                receiver._acceptBatch(load)
        except Exception as error:  # noqa: BLE001  # whatever a sink raises, the link goes on
            self._faults.note(error)
            self.counters.errors = self._faults.count

    def _transmit(self) -> None:
        for load in whole(self._core.take_outgoing()):
            try:
                if isinstance(load, Frame):
                    self._transport._sendFrame(load)
                else:
                    self._transport._sendBatch(load)
            except Exception as error:  # noqa: BLE001  # whatever the network's end raises, the link goes on
                self._faults.note(error)
                self.counters.errors = self._faults.count

    def _tell(self) -> None:
        """Drop what cannot be sent any more, and wake those who wait."""
        core = self._core
        if (core.lost, core.lost_bytes) != self._lost:
            frames, nbytes = core.lost - self._lost[0], core.lost_bytes - self._lost[1]
            self.counters.drop("unacknowledged", frames, nbytes)
            _log.warning("%s: frames unacknowledged when the link closed: %d", self._name, frames)
            self._lost = core.lost, core.lost_bytes
        is_open = core.is_open
        with self._lock:
            if not is_open and self._outbox.segments:
                self.counters.drop("closed", *self._outbox.clear())
            self._quiet = not (self._outbox.segments or core.under_way)
            if self._outbox.segments <= core.current.max_buffers:
                self._room.notify_all()
            delivered, self._delivering = self._delivering, False
            if self._quiet or delivered or is_open != self._was_open:
                self._news.notify_all()
        if is_open != self._was_open:
            self._was_open = is_open
            _log.info("%s: the link is %s", self._name, core.state)

    def _most_waiting(self) -> int:
        return _WINDOWS * self._core.current.max_buffers


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
