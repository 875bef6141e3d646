"""`Fifo`: a queue with a thread of its own that sends onward."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from sapwood.errors import StreamError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.counters import StageCounters
from sapwood.streams.frame import Frame
from sapwood.streams.framequeue import QUEUE_BYTES, Flow, FrameQueue, Policy
from sapwood.streams.gap import Gap
from sapwood.streams.link import Master, Slave
from sapwood.streams.sinkerrors import SinkErrors

__all__ = ["Fifo"]

_log = logging.getLogger("sapwood.stream.Fifo")

_DRAIN_S = 2.0  # that a stop gives the sinks to take what is queued
_JOIN_S = 1.0


class Fifo(Master, Slave):
    """Takes frames in the sender's thread and sends them onward from its own.

    The thread is made at the first frame. What a sink raises there is counted, logged once for
    each kind and kept in `lastError`; the thread goes on. Frames that are dropped for lack of
    room leave a `Gap` (reason ``full``) in the stream.

    Parameters
    ----------
    maxDepth
        Most frames held; 0 = as many as `maxBytes` allows (at the default no more than a million).
        The frame that is being sent is not held any more.
    trimSize
        With `noCopy` False: bytes kept of each frame; 0 = all.
    noCopy
        Send on the very frame objects that came in. Otherwise later changes to a frame do not
        reach what is queued (payloads are copied only when they are changed or trimmed).
    policy
        ``block``, ``drop_new`` or ``drop_old``; None = ``drop_new`` with a `maxDepth`, else ``block``.
    maxBytes
        Most payload bytes held.

    Attributes
    ----------
    counters
        What came in and what was dropped, by reason: ``full``, ``stopped``, ``aborted``.

    Raises
    ------
    StreamError
        For a bound or policy that makes no sense.
    """

    forwards = True

    def __init__(
        self,
        maxDepth: int = 0,
        trimSize: int = 0,
        noCopy: bool = False,
        *,
        policy: Policy | None = None,
        maxBytes: int = QUEUE_BYTES,
    ) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        if trimSize < 0:
            raise StreamError("Invalid trim size", expected="0 bytes or more", seen=trimSize)
        self.counters = StageCounters()
        self._trim = 0 if noCopy else trimSize
        self._noCopy = noCopy
        self._queue = FrameQueue(
            maxDepth, maxBytes, policy or ("drop_new" if maxDepth else "block"), self.counters
        )
        self._faults = SinkErrors(_log)
        self._starting = threading.Lock()
        self._worker: threading.Thread | None = None
        self._clearedAt = 0
        self._stalled: Callable[[], None] | None = None
        self._end_with_owner()

    def _end_with_owner(self) -> None:
        """Have the queue closed, which ends the thread, when nobody holds this Fifo any more."""
        weakref.finalize(self, self._queue.close).atexit = False

    def _acceptFrame(self, frame: Frame) -> None:
        if self._worker is None:
            self._launch()
        self._queue.put_frame(frame if self._noCopy else self._copied(frame))

    def _acceptBatch(self, batch: FrameBatch) -> None:
        if not len(batch):
            return
        if self._trim and int(batch.size.max()) > self._trim:
            batch = batch.replace(size=np.minimum(batch.size, self._trim)).compact()
        if self._worker is None:
            self._launch()
        self._queue.put(batch)

    def _acceptGap(self, gap: Gap) -> None:
        if self._worker is None:
            self._launch()
        self._queue.put_gap(gap)

    def _copied(self, frame: Frame) -> Frame:
        if 0 < self._trim < frame.size:
            payload = bytes(memoryview(frame.buffer)[: self._trim])
            return Frame(payload, channel=frame.channel, flags=frame.flags, error=frame.error)
        return frame.snapshot()

    def _launch(self) -> None:
        with self._starting:
            if self._worker is None and self._queue.is_open:
                state = self._queue, weakref.ref(self)
                worker = threading.Thread(
                    target=self._loop, args=state, name=f"{type(self).__name__}-{id(self):x}", daemon=True
                )
                worker.start()
                self._worker = worker

    @staticmethod
    def _loop(queue: FrameQueue, owner: weakref.ref[Any]) -> None:
        """Send entries onward until the queue is closed and empty, or its owner is gone."""
        while (item := queue.get()) is not None:
            fifo = owner()
            if fifo is None:
                return
            fifo._forward(item)
            del fifo, item

    def _forward(self, item: Frame | FrameBatch | Gap) -> None:
        try:
            if isinstance(item, Frame):
                self._sendFrame(item)
            elif isinstance(item, FrameBatch):
                self._sendBatch(item)
            else:
                self._sendGap(item)
        except Exception as error:  # noqa: BLE001  # whatever a sink raises, the thread goes on
            self._faults.note(error)
            self.counters.errors = self._faults.count

    # State

    def size(self) -> int:
        """Return the frames held."""
        return self._queue.frames

    def hasRoom(self, frames: int, nbytes: int) -> bool:
        """Return whether so much can be taken without making the sender wait."""
        return self._queue.has_room(frames, nbytes)

    def dropCnt(self) -> int:
        """Return the frames dropped since the last `clearCnt`."""
        return self.counters.dropped_total - self._clearedAt

    def clearCnt(self) -> None:
        """Let `dropCnt` start again from zero."""
        self._clearedAt = self.counters.dropped_total

    def onStall(self, function: Callable[[], None]) -> None:
        """Have `function` called when a sender has waited for room for a second, in its thread."""
        self._stalled = function
        owner = weakref.ref(self)  # the thread holds the queue, and is to end when nobody holds this Fifo

        def tell() -> None:
            fifo = owner()
            if fifo is not None and fifo._stalled is not None:
                fifo._stalled()

        self._queue.stalled = tell

    def flow(self) -> Flow:
        """Return the frames accepted, passed on, held and dropped, all at one instant."""
        return self._queue.flow()

    @property
    def lastError(self) -> Exception | None:
        """The newest exception that a sink raised."""
        return self._faults.last

    # Life

    def _start(self) -> None:
        """Accept frames again after a stop."""
        if not self._queue.is_open:
            self._queue = self._queue.successor()
            self._end_with_owner()

    def _drain(self, deadline: float) -> bool:
        """Wait until everything is sent; False when monotonic time `deadline` (s) came first."""
        return self._queue.wait_idle(deadline)

    def _stop(self, deadline: float | None = None) -> None:
        """Refuse frames, send what is held, end the thread.

        Parameters
        ----------
        deadline
            Monotonic time (s) at which what is still held is dropped; None for 2 s from now. A sink that
            holds the thread may add a second to it.
        """
        self._end("stopped", time.monotonic() + _DRAIN_S if deadline is None else deadline)

    def abort(self) -> None:
        """Refuse frames, drop what is held and end the thread."""
        self._end("aborted", time.monotonic())

    def _end(self, reason: str, deadline: float) -> None:
        self._queue.close()
        with self._starting:
            worker, self._worker = self._worker, None
        inside = worker is threading.current_thread()
        if not inside:
            self._queue.wait_idle(deadline)
        lost = self._queue.discard(reason)
        if lost:
            _log.warning("%d frames that the sinks had not taken are dropped: %s", lost, reason)
        if worker is not None and not inside:
            worker.join(max(0.0, deadline + _JOIN_S - time.monotonic()))
            if worker.is_alive():
                _log.warning("%s ends when the sink that holds it back returns", worker.name)
