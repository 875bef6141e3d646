"""A bounded queue of frames, batches and gaps between threads."""

from __future__ import annotations

import mmap
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from sapwood.errors import StreamError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.counters import StageCounters
from sapwood.streams.frame import Frame
from sapwood.streams.gap import Gap

__all__ = ["QUEUE_BYTES", "Flow", "FrameQueue", "Policy", "lean"]

Policy = Literal["block", "drop_new", "drop_old"]

QUEUE_BYTES = 256 << 20
"""Payload bytes that a queue holds at most, unless it is told otherwise."""

Load: TypeAlias = Frame | FrameBatch

_FULL = "full"
_STOPPED = "stopped"
_SPARE_BYTES = 4096  # kept alive besides the frames themselves, without a copy
_FRAME_COST = 256  # bytes that an empty frame takes, about
_LEAST_MOST = 1 << 16  # frames that may be held whatever the byte bound
_STALL_S = 1.0  # that a sender waits for room before that is told


class Flow(NamedTuple):
    """Frames at one instant: ``accepted == passed + queued + dropped``."""

    accepted: int
    passed: int
    queued: int
    dropped: int


class FrameQueue:
    """Frames in order, under a bound on their number and on their bytes.

    A batch is one entry that counts as its frames and bytes; it is split where a bound falls.
    A frame larger than the byte bound is taken when the queue is empty. Dropped frames leave a
    `Gap` in their place. One thread takes entries out, any number put them in.

    Parameters
    ----------
    depth
        Most frames held; 0 = as many as `limit` allows, but for tiny ones: no more than one for each
        256 bytes of it (65536 at least), since a frame takes memory beside its payload.
    limit
        Most payload bytes held.
    policy
        For frames without room: ``block`` makes the sender wait, ``drop_new`` drops them,
        ``drop_old`` drops the oldest of the queue.
    counters
        Counts what comes in, what is dropped and how often a sender waits.

    Attributes
    ----------
    stalled
        Called without a lock when a sender has waited for room for a second; None = nobody is told.

    Raises
    ------
    StreamError
        For a bound or policy that makes no sense.
    """

    def __init__(self, depth: int, limit: int, policy: Policy, counters: StageCounters) -> None:
        if depth < 0 or limit < 1:
            raise StreamError(
                "Invalid queue bound", expected="frames >= 0, bytes >= 1", seen=f"{depth}, {limit}"
            )
        if policy not in get_args(Policy):
            raise StreamError("Unknown queue policy", expected=" | ".join(get_args(Policy)), seen=policy)
        self.stalled: Callable[[], None] | None = None
        self.depth = depth
        self._most = depth or max(limit // _FRAME_COST, _LEAST_MOST)
        self.limit = limit
        self.policy = policy
        self._counters = counters
        self._entries: deque[tuple[Load | Gap, int, int]] = deque()
        self._frames = self._bytes = self._passed = 0
        self._lock = threading.Lock()
        self._ready = threading.Condition(self._lock)  # for the consumer
        self._room = threading.Condition(self._lock)  # for senders without room
        self._idle = threading.Condition(self._lock)  # for those who wait for an empty queue
        self._hungry = self._busy = False  # the consumer waits; it works on an entry
        self._starved = 0  # senders that wait
        self._consumer: int | None = None  # thread that takes entries out
        self._open = True

    # In

    def put_frame(self, frame: Frame) -> None:
        """Add one frame under the policy, as `put` does: the short way when there is room."""
        size = frame.size
        item = lean(frame) if type(frame.buffer) is memoryview else frame
        with self._lock:
            if self._open and self._frames < self._most and self._bytes + size <= self.limit:
                counters = self._counters
                counters.frames += 1
                counters.bytes += size
                self._frames += 1
                self._bytes += size
                self._entries.append((item, 1, size))
                if self._hungry:
                    self._ready.notify()
                return
        self.put(item)

    def put(self, item: Load) -> None:
        """Add a frame or a batch under the policy.

        The consumer's own thread never waits for itself: what it puts in may exceed the bound.
        """
        rest: Load | None = item
        waits = False
        with self._lock:
            while rest is not None:
                if not self._open:
                    self._refuse(rest, _STOPPED)
                    return
                head, rest = self._divide(rest)
                if head is not None:
                    self._push(head)
                if rest is None:
                    return
                if self.policy == "drop_new":
                    self._append_gap(self._refuse(rest, _FULL))
                    return
                if self.policy == "drop_old":
                    rest = self._displace(rest)
                elif threading.get_ident() == self._consumer:
                    self._push(rest)
                    return
                else:
                    waits = self._wait_for_room(waits)

    def _wait_for_room(self, told: bool) -> bool:
        """Wait until there may be room; return True when that takes so long that it was told meanwhile."""
        self._counters.blocked += not told
        self._starved += 1
        found = self._room.wait(None if told or self.stalled is None else _STALL_S)
        self._starved -= 1
        if found or self.stalled is None:
            return False
        self._lock.release()
        try:
            self.stalled()
        finally:
            self._lock.acquire()
        return True

    def pass_by(self, nbytes: int) -> bool:
        """Count a frame that its sender hands on itself; False when that is not its turn, or not open."""
        with self._lock:
            if not self._open or self._entries or self._busy:
                return False
            self._counters.accept(1, nbytes)
            self._passed += 1
            return True

    def has_room(self, frames: int, nbytes: int) -> bool:
        """Say whether so much can be added without making the sender wait."""
        if self.policy != "block":
            return True
        return self._frames + frames <= self._most and self._bytes + nbytes <= self.limit

    def put_gap(self, gap: Gap) -> None:
        """Add a note of lost frames; it takes no room."""
        with self._lock:
            if self._open:
                self._append_gap(gap)

    def _divide(self, item: Load) -> tuple[Load | None, Load | None]:
        """Return the head of `item` that there is room for, and the rest."""
        frames, nbytes = self._most - self._frames, self.limit - self._bytes
        if isinstance(item, Frame):
            fits = frames > 0 and (item.size <= nbytes or not self._frames)
            return (item, None) if fits else (None, item)
        count = min(len(item), frames)
        if item.nbytes > nbytes:
            fitting = _count_within(item.size, nbytes)
            count = min(count, fitting if self._frames else max(fitting, 1))
        return _cut(item, count)

    def _push(self, item: Load) -> None:
        frames, nbytes = _measure(item)
        self._counters.accept(frames, nbytes)
        self._entries.append((lean(item), frames, nbytes))
        self._frames += frames
        self._bytes += nbytes
        if self._hungry:
            self._ready.notify()

    def _append_gap(self, gap: Gap) -> None:
        last = self._entries[-1][0] if self._entries else None
        if isinstance(last, Gap) and last.reason == gap.reason:
            self._entries.pop()
            gap = _joined(last, gap)
        self._entries.append((gap, 0, 0))
        if self._hungry:
            self._ready.notify()

    # Dropping

    def _refuse(self, item: Load, reason: str) -> Gap:
        frames, nbytes = _measure(item)
        self._counters.accept(frames, nbytes)
        self._counters.drop(reason, frames, nbytes)
        return _gap_for(item, reason)

    def _displace(self, item: Load) -> Load:
        """Drop what is oldest until the returned newest part of `item` fits; all of it, where possible."""
        if isinstance(item, FrameBatch):
            keep = min(max(_count_within(item.size[::-1], self.limit), 1), self._most)
            old, new = _cut(item, len(item) - keep)
            if old is not None and new is not None:
                self._evict(self._frames, self._bytes)
                self._append_gap(self._refuse(old, _FULL))
                item = new
        frames, nbytes = _measure(item)
        self._evict(self._frames + frames - self._most, self._bytes + nbytes - self.limit)
        return item

    def _evict(self, frames: int, nbytes: int) -> None:
        """Drop at least `frames` frames and `nbytes` bytes from the head, as far as there are any."""
        gaps: list[Gap] = []
        while self._frames and (frames > 0 or nbytes > 0):
            item, count, size = self._entries.popleft()
            if isinstance(item, Gap):
                gaps.append(item)
                continue
            self._frames -= count
            self._bytes -= size
            lost: Load | None = item
            if isinstance(item, FrameBatch):
                enough = max(frames, _count_within(item.size, nbytes - 1) + 1 if nbytes > 0 else 0)
                lost, left = _cut(item, min(enough, count))
                if left is not None:
                    self._restore(left)
            if lost is not None:
                lost_frames, lost_bytes = _measure(lost)
                frames -= lost_frames
                nbytes -= lost_bytes
                self._counters.drop(_FULL, lost_frames, lost_bytes)
                gaps.append(_gap_for(lost, _FULL))
        for gap in reversed(_merged(gaps)):
            self._entries.appendleft((gap, 0, 0))

    def _restore(self, item: FrameBatch) -> None:
        self._entries.appendleft((lean(item), len(item), item.nbytes))
        self._frames += len(item)
        self._bytes += item.nbytes

    def discard(self, reason: str) -> int:
        """Drop everything in the queue, counted under `reason`; return the frames dropped."""
        with self._lock:
            lost = self._frames
            for _, frames, nbytes in self._entries:
                if frames:
                    self._counters.drop(reason, frames, nbytes)
            self._entries.clear()
            self._frames = self._bytes = 0
            self._room.notify_all()
            self._idle.notify_all()
            return lost

    # Out

    def get(self) -> Load | Gap | None:
        """Return the next entry, waiting for one; None once the queue is closed and empty.

        The entry returned before counts as worked on until this call.
        """
        with self._lock:
            self._consumer = threading.get_ident()
            self._busy = False
            while not self._entries:
                self._idle.notify_all()
                if not self._open:
                    self._consumer = None
                    return None
                self._hungry = True
                self._ready.wait()
                self._hungry = False
            item, frames, nbytes = self._entries.popleft()
            self._frames -= frames
            self._bytes -= nbytes
            self._passed += frames
            self._busy = True
            if self._starved and self._roomy():
                self._room.notify_all()
            return item

    def take(self, most: int, deadline: float | None) -> list[Load | Gap] | None:
        """Return up to `most` of the next entries, waiting for the first one as `get` does.

        Returns
        -------
        list or None
            Empty when monotonic time `deadline` came before any; None once the queue is closed and empty.
        """
        with self._lock:
            self._consumer = threading.get_ident()
            self._busy = False
            while not self._entries:
                self._idle.notify_all()
                if not self._open:
                    self._consumer = None
                    return None
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return []
                self._hungry = True
                self._ready.wait(left)
                self._hungry = False
            self._busy = True
            taken: list[Load | Gap] = []
            while self._entries and len(taken) < most:
                item, frames, nbytes = self._entries.popleft()
                self._frames -= frames
                self._bytes -= nbytes
                self._passed += frames
                taken.append(item)
            if self._starved and self._roomy():
                self._room.notify_all()
            return taken

    def _roomy(self) -> bool:
        """Return whether there is room enough to wake senders for: a quarter, or all of a small queue."""
        if not self._frames:
            return True
        return self._frames <= self._most * 3 // 4 and (
            bool(self.depth) or self._bytes <= self.limit * 3 // 4
        )

    def wait_idle(self, deadline: float) -> bool:
        """Wait until all was taken and worked on; False when monotonic time `deadline` came first."""
        with self._lock:
            while self._entries or self._busy:
                left = deadline - time.monotonic()
                if left <= 0 or not self._idle.wait(left):
                    return not (self._entries or self._busy)
            return True

    # State

    def close(self) -> None:
        """Refuse frames from now on, and let waiting senders go; entries can still be taken."""
        with self._lock:
            self._open = False
            self._room.notify_all()
            self._ready.notify_all()

    def successor(self) -> FrameQueue:
        """Return an open and empty queue of the same bounds whose `flow` continues this one's."""
        twin = FrameQueue(self.depth, self.limit, self.policy, self._counters)
        twin._passed, twin.stalled = self._passed, self.stalled
        return twin

    @property
    def is_open(self) -> bool:
        """Frames are accepted."""
        return self._open

    @property
    def frames(self) -> int:
        """Frames held."""
        return self._frames

    @property
    def nbytes(self) -> int:
        """Payload bytes held."""
        return self._bytes

    def flow(self) -> Flow:
        """Return the frames accepted, passed on, held and dropped, all at one instant."""
        with self._lock:
            counters = self._counters
            return Flow(counters.frames, self._passed, self._frames, counters.dropped_total)


def lean(item: Load) -> Load:
    """Return `item`, copied when it keeps far more memory alive than it uses (as views of a buffer can)."""
    if isinstance(item, FrameBatch):
        return item.compact() if _held_bytes(item.payload) > 2 * item.nbytes + _SPARE_BYTES else item
    data = item.buffer
    if isinstance(data, memoryview) and _held_bytes(data) > 2 * len(data) + _SPARE_BYTES:
        return Frame(bytes(data), channel=item.channel, flags=item.flags, error=item.error)
    return item


def _held_bytes(view: object) -> int:
    """Return the memory that an array or memoryview keeps alive, bytes; 0 for a mapped file."""
    owner = view
    while (base := getattr(owner, "obj" if isinstance(owner, memoryview) else "base", None)) is not None:
        owner = base
    if isinstance(owner, mmap.mmap):
        return 0
    try:
        return memoryview(owner).nbytes  # type: ignore[arg-type]  # refused below when it has no buffer
    except TypeError:
        return 0  # memory of a foreign library, of unknown size


def _measure(item: Load) -> tuple[int, int]:
    return (1, item.size) if isinstance(item, Frame) else (len(item), item.nbytes)


def _cut(batch: FrameBatch, count: int) -> tuple[FrameBatch | None, FrameBatch | None]:
    if count <= 0:
        return None, batch
    if count >= len(batch):
        return batch, None
    return batch[:count], batch[count:]


def _count_within(size: npt.NDArray[np.int64], nbytes: int) -> int:
    """Return how many of the first frames have at most `nbytes` bytes together."""
    return int(np.searchsorted(np.cumsum(size), nbytes, side="right"))


def _gap_for(item: Load, reason: str) -> Gap:
    frames, nbytes = _measure(item)
    if isinstance(item, Frame):
        channel: int | None = item.channel
    else:
        channel = int(item.channel[0]) if (item.channel == item.channel[0]).all() else None
    return Gap(channel, frames, nbytes, reason, time.time_ns())


def _joined(first: Gap, second: Gap) -> Gap:
    channel = first.channel if first.channel == second.channel else None
    frames, nbytes = first.frames + second.frames, first.bytes + second.bytes
    return Gap(channel, frames, nbytes, first.reason, first.time)


def _merged(gaps: list[Gap]) -> list[Gap]:
    merged: list[Gap] = []
    for gap in gaps:
        if merged and merged[-1].reason == gap.reason:
            merged[-1] = _joined(merged[-1], gap)
        else:
            merged.append(gap)
    return merged
