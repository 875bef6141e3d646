"""`EventBuilder`: frames of several channels that belong together become one frame.

Each event is one frame, a super-frame of batcher version 1 (words of 8 bytes unless chosen otherwise),
which firmware users know, `SplitterV1` takes apart and batched file readers read after `InverterV1`.
One frame, because stages further on then keep or drop, queue and record whole events; frames in order
of events would be torn apart by the first filter or full queue. What is missing is told by the flags of
the event frame, not its error byte: splitters refuse frames with an error.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import StreamError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.eventassembly import DUPLICATE, INCOMPLETE, LATE, UNKEYED, Assembly, Due
from sapwood.streams.fifo import Fifo
from sapwood.streams.frame import Frame
from sapwood.streams.framequeue import QUEUE_BYTES, Flow, FrameQueue, Policy
from sapwood.streams.gap import Gap
from sapwood.streams.link import Master, Slave
from sapwood.streams.payloadfield import PayloadField, Unwrapper
from sapwood.streams.protocols.batcher_codec import lay_out
from sapwood.streams.protocols.batcher_layout import MAX_CODE
from sapwood.streams.protocols.rarelog import RareLog
from sapwood.streams.protocols.scatter import place

__all__ = ["DUPLICATE", "INCOMPLETE", "LATE", "UNKEYED", "EventBuilder"]

_log = logging.getLogger("sapwood.stream.EventBuilder")

_TAKE = 4096  # queue entries looked at together
_FEW = 64  # frames; after a look at fewer, the next waits a little for more to come
_REST_S = 0.001
_PIECE_BYTES = 4 << 20  # of events that are sent as one batch, about
_FLUSH = Gap(None, 0, 0, "")  # asks the thread to pass on all that waits
_MAX_CHANNEL = 255

KeyFunction = Callable[[Frame], int]
BatchKeyFunction = Callable[[FrameBatch], NDArray[Any]]


class EventBuilder(Fifo):
    """Joins frames of several channels with equal, or nearly equal, keys to event frames.

    A member of an event is told by the channel of its frame, or by the input it comes in: what is linked
    to ``getChannel(n)`` counts as channel n. Frames wait until the event is complete. An event that stays
    incomplete is passed on with the flag ``INCOMPLETE`` after `timeout`; as soon as every channel that
    misses has delivered a later key; when `maxBytes` are reached; at a flush, drain or stop. A frame whose
    event is gone (``LATE``), of which the event has one already (``DUPLICATE``), or that has no key
    (``UNKEYED``) is passed on in an event frame of its own with that flag. Every frame of the channels
    comes out once. Event frames leave in order of their keys, from a thread of their own; what sinks raise
    is counted as at a `Fifo`. Gaps from upstream pass.

    An event frame is a batcher super-frame whose TDESTs are the channels. Its error is that of its
    members, joined by OR; its time the earliest of theirs.

    Parameters
    ----------
    key
        What tells the event of a frame: a `PayloadField`, ``(offset, dtype)`` for one, ``time`` for the
        time column of batches (single frames have none), or a function of a frame.
    window
        How far the keys of one event may differ, 0 = equal; nanoseconds for ``time``. Keys of different
        events have to lie further apart.
    timeout
        Seconds after which an event is passed on as it is.
    channels
        Those that an event has, one frame of each.
    keys
        The key function for a whole batch, returns integers [n]; saves calling `key` frame by frame.
    bits
        Width of the counter that the key is: it starts again from zero after 2**bits. Known for a
        `PayloadField`; 64 otherwise.
    ordered
        Each channel delivers in order of keys. False: one that has overtaken may still come, up to
        `timeout`; events wait for it.
    channel
        Channel of the event frames.
    widthCode
        0..5: words of ``2 << widthCode`` bytes that the data of members are padded to. With 0 and 1 an
        event of one member of a few bytes is too small for splitters, see `CombinerV1`.
    policy
        For frames without room, as at a `Fifo`.
    maxBytes
        Most payload bytes held: half of them in the queue, half in events that wait.

    Attributes
    ----------
    counters
        Frames that came in and were dropped: ``channel`` (not one of `channels`), ``full``, ``stopped``,
        ``aborted``.

    Raises
    ------
    StreamError
        For arguments that make no sense.
    """

    def __init__(
        self,
        key: PayloadField | tuple[int, Any] | Literal["time"] | KeyFunction,
        window: int = 0,
        timeout: float = 1.0,
        *,
        channels: Sequence[int],
        keys: BatchKeyFunction | None = None,
        bits: int | None = None,
        ordered: bool = True,
        channel: int = 0,
        widthCode: int = 2,
        policy: Policy = "block",
        maxBytes: int = QUEUE_BYTES,
    ) -> None:
        super().__init__(policy=policy, maxBytes=max(maxBytes // 2, 1))
        _check(window, timeout, [*channels], channel, widthCode)
        self._key = PayloadField(*key) if isinstance(key, tuple) else key
        if not (isinstance(self._key, PayloadField) or self._key == "time" or callable(self._key)):
            raise StreamError("No such event key", expected="a field, time or a function", seen=repr(key))
        self._keys = keys
        self._bits = bits or (self._key.bits if isinstance(self._key, PayloadField) else 64)
        self._unwrap = Unwrapper(self._bits)
        self._channel, self._code, self._timeout = channel, widthCode, timeout
        self._assembly = Assembly(
            np.array(sorted(set(channels)), np.uint8), window, round(timeout * 1e9), maxBytes // 2, ordered
        )
        self._held = threading.Condition()  # guards the assembly and what was sent or lost of it
        self._sent = self._lost = self._sequence = 0
        self._rare = RareLog(_log)
        self._ended = ""

    # In

    def getChannel(self, channel: int) -> _Input:
        """Return an input whose frames count as those of `channel`, whatever theirs is."""
        if not 0 <= channel <= _MAX_CHANNEL:
            raise StreamError("No such channel", expected=f"0..{_MAX_CHANNEL}", seen=channel)
        return _Input(self, channel)

    def flush(self) -> None:
        """Have everything that waits passed on, complete or not."""
        self._acceptGap(_FLUSH)

    def reset(self) -> None:
        """Have everything passed on, and keys start anew: before a run whose counters begin again."""
        self._acceptGap(Gap(None, 0, 0, "restart"))

    # State

    @property
    def complete(self) -> int:
        """Events passed on complete."""
        return self._assembly.counts["complete"]

    @property
    def incomplete(self) -> int:
        """Events passed on with members missing."""
        return self._assembly.counts["incomplete"]

    @property
    def late(self) -> int:
        """Frames that came after their event was passed on."""
        return self._assembly.counts["late"]

    @property
    def duplicate(self) -> int:
        """Frames of a channel that their event had one of already."""
        return self._assembly.counts["duplicate"]

    @property
    def unkeyed(self) -> int:
        """Frames without a key."""
        return self._assembly.counts["unkeyed"]

    def size(self) -> int:
        """Return the frames held."""
        return self._queue.frames + self._assembly.frames

    def flow(self) -> Flow:
        """Return the frames accepted, passed on, held and dropped, all at one instant."""
        with self._held:
            accepted, taken, queued, dropped = self._queue.flow()
            return Flow(accepted, self._sent, queued + taken - self._sent - self._lost, dropped)

    # Thread

    @staticmethod
    def _loop(queue: FrameQueue, owner: weakref.ref[Any]) -> None:
        """Look at entries together until the queue is closed and empty, or its owner is gone."""
        due: float | None = None
        while True:
            items = queue.take(_TAKE, due)
            builder = owner()
            if builder is None:
                return
            if items is None:
                builder._flush()
                return
            few = builder._work(items) < _FEW
            due = builder._due()
            del builder, items
            if few:
                time.sleep(_REST_S)

    def _due(self) -> float | None:
        due = self._assembly.due_ns()
        return None if due is None else due * 1e-9

    def _work(self, items: list[Frame | FrameBatch | Gap]) -> int:
        """Take entries of the queue and send what is due; return the frames taken."""
        frames = 0
        singles: list[Frame] = []
        for item in items:
            if isinstance(item, Frame):
                singles.append(item)
                continue
            frames += self._add_singles(singles)
            if isinstance(item, FrameBatch):
                frames += len(item)
                self._add(item)
            else:
                self._take_gap(item)
        frames += self._add_singles(singles)
        with self._held:
            due = self._assembly.due(time.monotonic_ns())
        self._pass_on(due)
        return frames

    def _add_singles(self, singles: list[Frame]) -> int:
        count = len(singles)
        if count:
            self._add(FrameBatch.gather(singles))
            singles.clear()
        return count

    def _take_gap(self, gap: Gap) -> None:
        if gap.reason in (_FLUSH.reason, "restart"):
            self._flush()
            if gap.reason == "restart":
                self._unwrap = Unwrapper(self._bits)
                self._assembly.restart()
            return
        with self._held:
            due = self._assembly.due(time.monotonic_ns())
        self._pass_on(due)
        self._forward(gap)

    def _add(self, load: FrameBatch) -> None:
        known = self._assembly.members(load)
        if not known.all():
            load = self._without(load, known)
        if not len(load):
            return
        keys, keyed = self._read_keys(load)
        with self._held:
            if self._ended == "aborted":
                self._lose(self._ended, len(load), load.nbytes)
                return
            alone = self._assembly.add(load, keys, keyed, time.monotonic_ns())
        self._pass_on(alone)

    def _without(self, load: FrameBatch, known: NDArray[np.bool_]) -> FrameBatch:
        foreign = load[~known]
        with self._held:
            self._lose("channel", len(foreign), foreign.nbytes)
        self._rare.warning("Dropped frames of channel %d, which events do not have", foreign.channel[0])
        self._forward(Gap(None, len(foreign), foreign.nbytes, "channel", time.time_ns()))
        return load[known]

    def _lose(self, reason: str, frames: int, nbytes: int) -> None:
        self._lost += frames
        self.counters.drop(reason, frames, nbytes)

    def _read_keys(self, load: FrameBatch) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the keys, and which frames have one."""
        if isinstance(self._key, PayloadField):
            keys, keyed = self._key.read(load)
        elif self._key == "time":
            keys, keyed = np.ascontiguousarray(load.time), load.time != 0
        else:
            keys, keyed = self._call_keys(load)
        if keyed.all():
            return self._unwrap(keys), keyed
        keys = keys.copy()
        keys[keyed] = self._unwrap(keys[keyed])
        return keys, keyed

    def _call_keys(self, load: FrameBatch) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        keys, keyed = np.zeros(len(load), np.int64), np.ones(len(load), np.bool_)
        try:
            if self._keys is not None:
                keys[:] = self._keys(load)
                return keys, keyed
        except Exception as error:  # noqa: BLE001  # user code: its frames are passed on without a key
            self._note(error)
            return keys, ~keyed
        for row, frame in enumerate(load.frames()):
            try:
                keys[row] = self._key(frame)  # type: ignore[operator]  # it is a function here
            except Exception as error:  # noqa: BLE001  # user code: the frame is passed on without a key
                self._note(error)
                keyed[row] = False
        return keys, keyed

    def _note(self, error: Exception) -> None:
        self._faults.note(error)
        self.counters.errors = self._faults.count

    def _flush(self) -> None:
        with self._held:
            due = self._assembly.due(time.monotonic_ns(), everything=True)
        self._pass_on(due)

    # Out

    def _pass_on(self, due: Due | None) -> None:
        """Send event frames, in batches of about 4 MiB."""
        if due is None or not len(due.counts):
            return
        sizes = self._assembly.sizes(due)
        last_row = np.cumsum(due.counts)
        done = np.cumsum(sizes)[last_row - 1]
        first = row = 0
        while first < len(done):
            spent = int(done[first - 1]) if first else 0
            end = max(int(np.searchsorted(done, spent + _PIECE_BYTES, side="right")), first + 1)
            stop = int(last_row[end - 1])
            piece = Due(due.table[:, row:stop], due.counts[first:end], due.flags[first:end])
            batch = self._compose(piece)
            if batch is not None:
                self._forward(batch)
            first, row = end, stop
        with self._held:
            self._assembly.release(due)
            self._held.notify_all()

    def _compose(self, due: Due) -> FrameBatch | None:
        """Return the event frames; None when their data were discarded meanwhile."""
        sizes = self._assembly.sizes(due)
        with self._held:
            try:
                parts = self._assembly.parts(due)
            except KeyError:
                self._lose(self._ended, len(sizes), int(sizes.sum()))
                return None
            self._sent += len(sizes)
        columns = _Columns(len(sizes))
        for at, load in parts:
            columns.put(at, load)
        found = lay_out(columns, due.counts, 1, self._code, self._sequence)
        self._sequence = (self._sequence + len(due.counts)) & 0xFF
        for at, load in parts:
            place(found.out, found.data[at], load)
        begin = np.cumsum(due.counts) - due.counts
        size = np.diff(np.append(found.start, len(found.out)))
        return FrameBatch(
            found.out, found.start, size, channel=self._channel, flags=due.flags,
            error=np.bitwise_or.reduceat(columns.error, begin), time=_earliest(columns.time, begin),
        )  # fmt: skip

    # Life

    def _start(self) -> None:
        """Accept frames again after a stop; keys start anew."""
        if not self._queue.is_open:
            with self._held:
                self._ended = ""
                self._unwrap = Unwrapper(self._bits)
                self._assembly.restart()
            super()._start()

    def _drain(self, deadline: float) -> bool:
        """Wait until everything is sent; False when monotonic time `deadline` (s) came first.

        What waits for the rest of its event is given its time to come, but for half of the time there
        is; then it is passed on as it is.
        """
        now = time.monotonic()
        patience = now + min(self._timeout, max(deadline - now, 0.0) / 2)
        if self._queue.wait_idle(patience):
            with self._held:
                self._held.wait_for(lambda: not self._assembly.frames, max(patience - time.monotonic(), 0.0))
        empty = False
        while self._queue.wait_idle(deadline) and not (empty := not self._assembly.frames):
            if not self._queue.is_open or time.monotonic() >= deadline:
                break
            self.flush()
        return empty

    def abort(self) -> None:
        """Refuse frames, drop what is held and end the thread."""
        self._queue.close()
        self._give_up("aborted")
        super().abort()

    def _end(self, reason: str, deadline: float) -> None:
        super()._end(reason, deadline)
        self._give_up(reason)

    def _give_up(self, reason: str) -> None:
        """Drop what a thread that is gone, or held back by a sink, will not send."""
        with self._held:
            self._ended = reason
            frames, nbytes = self._assembly.discard()
            if frames:
                self._lose(reason, frames, nbytes)
                _log.warning("%d frames of events that were not passed on are dropped: %s", frames, reason)


class _Input(Master, Slave):
    """An input of an `EventBuilder`, for one channel."""

    forwards = True

    def __init__(self, builder: EventBuilder, channel: int) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self._channel = channel
        self._addSlave(builder)

    def _acceptFrame(self, frame: Frame) -> None:
        if frame.channel != self._channel:
            frame = frame.snapshot()
            frame.channel = self._channel
        self._sendFrame(frame)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self._sendBatch(batch.replace(channel=self._channel))


class _Columns:
    """Columns of frames that are put together from several batches."""

    def __init__(self, count: int) -> None:
        self.size = np.empty(count, np.int64)
        self.channel = np.empty(count, np.uint8)
        self.flags = np.empty(count, np.uint16)
        self.error = np.empty(count, np.uint8)
        self.time = np.empty(count, np.int64)

    def __len__(self) -> int:
        return len(self.size)

    def put(self, at: NDArray[np.int64] | slice, load: FrameBatch) -> None:
        """Take the columns of `load`, for the rows `at`."""
        for name, column in vars(self).items():
            column[at] = getattr(load, name)


def _earliest(times: NDArray[np.int64], begin: NDArray[np.int64]) -> NDArray[np.int64] | int:
    """Return the earliest known time of each group of rows; 0 where none is known."""
    if not times.any():
        return 0
    never = np.iinfo(np.int64).max
    found = np.minimum.reduceat(np.where(times == 0, never, times), begin)
    return np.where(found == never, 0, found)


def _check(window: int, timeout: float, channels: list[int], channel: int, code: int) -> None:
    if window < 0 or timeout <= 0:
        raise StreamError(
            "Invalid event window or timeout", expected="0 or more, over 0 s", seen=f"{window}, {timeout} s"
        )
    wrong = [one for one in (*channels, channel) if not 0 <= one <= _MAX_CHANNEL]
    if wrong or not channels:
        raise StreamError("No such channels", expected=f"some of 0..{_MAX_CHANNEL}", seen=wrong)
    if not 0 <= code <= MAX_CODE:
        raise StreamError("No such width code", expected=f"0..{MAX_CODE}", seen=code)
