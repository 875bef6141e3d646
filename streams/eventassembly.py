"""Which frames belong to one event: keys, members and what is due, without threads or clock."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sapwood.streams.batch import FrameBatch

__all__ = ["DUPLICATE", "INCOMPLETE", "LATE", "UNKEYED", "Assembly", "Due"]

INCOMPLETE = 0x1000
"""Flag of an event in which members are missing."""

LATE = 0x2000
"""Flag of a frame, alone in its event frame, whose event was already passed on."""

DUPLICATE = 0x4000
"""Flag of a frame, alone in its event frame, of a channel that its event had a frame of already."""

UNKEYED = 0x0800
"""Flag of a frame, alone in its event frame, that has no key: it is too short, or has no time."""

_KEY, _MEMBER, _BORN, _LOAD, _ROW, _SIZE = range(6)  # rows of the table of pending frames
_NEVER, _LAST = np.iinfo(np.int64).min, np.iinfo(np.int64).max
_THIN_BYTES = 1 << 16  # of a load from which it is copied when less than half of it is still pending


class Due(NamedTuple):
    """Event frames to send: frames in order (columns of the table), frames in each, and its flags."""

    table: NDArray[np.int64]
    counts: NDArray[np.int64]
    flags: NDArray[np.uint16]


class Assembly:
    """Frames that wait for the rest of their event.

    An event begins at the lowest key that waits and takes the keys up to `window` above it. It is due
    when it is complete; when every channel that misses has delivered a later key (each delivers in
    order of keys, unless `ordered` is False); when its first frame is `timeout_ns` old; when more than
    `limit` bytes wait; or when all is flushed. Events leave in order of their keys: one that is due
    takes those before it along (with `ordered` False a complete event waits for them instead).

    Parameters
    ----------
    channels
        One member of each event is expected of each.
    """

    def __init__(
        self, channels: NDArray[np.uint8], window: int, timeout_ns: int, limit: int, ordered: bool
    ) -> None:
        self._members = len(channels)
        self._member_of = np.full(256, -1, np.int64)
        self._member_of[channels] = np.arange(len(channels))
        self._window, self._timeout, self._limit, self._ordered = window, timeout_ns, limit, ordered
        self._pending = np.empty((6, 0), np.int64)
        self._loads: dict[int, FrameBatch] = {}
        self._live: dict[int, int] = {}
        self._next_load = 0
        self.counts = {"complete": 0, "incomplete": 0, "late": 0, "duplicate": 0, "unkeyed": 0}
        self.restart()

    def restart(self) -> None:
        """Forget which keys were passed on: numbers may start again. Nothing may be pending."""
        self._seen = np.full(self._members, _NEVER, np.int64)
        self._floor = _NEVER  # keys up to here were passed on

    @property
    def frames(self) -> int:
        """Frames that wait."""
        return self._pending.shape[1]

    @property
    def nbytes(self) -> int:
        """Their payload bytes."""
        return int(self._pending[_SIZE].sum())

    def due_ns(self) -> int | None:
        """Return when the next event has waited for too long; None when none waits."""
        born = self._pending[_BORN]
        return int(born.min()) + self._timeout if len(born) else None

    def members(self, batch: FrameBatch) -> NDArray[np.bool_]:
        """Return which frames are of a channel that events have."""
        found: NDArray[np.bool_] = self._member_of[batch.channel] >= 0
        return found

    # In

    def add(self, load: FrameBatch, keys: NDArray[np.int64], keyed: NDArray[np.bool_], now_ns: int) -> Due:
        """Take frames of members with their keys; return those that cannot wait: late or without key."""
        count = len(load)
        table = np.empty((6, count), np.int64)
        table[_KEY], table[_MEMBER] = keys, self._member_of[load.channel]
        table[_BORN], table[_LOAD] = now_ns, self._next_load
        table[_ROW], table[_SIZE] = np.arange(count), load.size
        self._loads[self._next_load], self._live[self._next_load] = load, count
        self._next_load += 1
        fit = keyed & (keys > self._floor) if self._floor != _NEVER else keyed
        if fit.all():
            alone = table[:, :0]
        else:
            alone, table = table[:, ~fit], table[:, fit]
        self._note_keys(table[_MEMBER], table[_KEY])
        if self.frames:
            table = np.concatenate((self._pending, table), axis=1)
        key = table[_KEY]
        if (key[1:] < key[:-1]).any():
            table = table[:, np.argsort(key, kind="stable")]
        self._pending = table
        return self._alone(alone, keyed[~fit])

    def _note_keys(self, member: NDArray[np.int64], key: NDArray[np.int64]) -> None:
        """Keep the highest key of each member."""
        if not len(key):
            return
        if (member != member[0]).any():
            order = np.argsort(member, kind="stable")
            member, key = member[order], key[order]
        begin = np.concatenate(([0], np.flatnonzero(member[1:] != member[:-1]) + 1))
        here = member[begin]
        self._seen[here] = np.maximum(self._seen[here], np.maximum.reduceat(key, begin))

    def _alone(self, frames: NDArray[np.int64], keyed: NDArray[np.bool_]) -> Due:
        late = int(np.count_nonzero(keyed))
        self.counts["late"] += late
        self.counts["unkeyed"] += len(keyed) - late
        flags = np.where(keyed, LATE, UNKEYED).astype(np.uint16)
        return Due(frames, np.ones(len(keyed), np.int64), flags)

    # Out

    def due(self, now_ns: int, everything: bool = False) -> Due | None:
        """Take out the events that are due at `now_ns`, or `everything`; None when none is."""
        table = self._pending
        if not table.shape[1]:
            return None
        begin = self._begins(table[_KEY])
        count = len(begin)
        event = np.zeros(table.shape[1], np.int64)
        event[begin[1:]] = 1
        np.cumsum(event, out=event)
        there = np.zeros((self._members, count), np.bool_)
        there[table[_MEMBER], event] = True
        reach = np.minimum(table[_KEY][begin], _LAST - self._window) + self._window
        complete: NDArray[np.bool_] = np.logical_and.reduce(there, axis=0)
        cut = count if everything else self._cut(table, begin, there, complete, reach, now_ns)
        if not cut:
            return None
        last = int(begin[cut]) if cut < count else table.shape[1]
        self._pending = table[:, last:]
        self._floor = int(reach[cut - 1])
        whole = int(np.count_nonzero(complete[:cut]))
        self.counts["complete"] += whole
        self.counts["incomplete"] += cut - whole
        return self._arranged(table[:, :last], event[:last], complete[:cut])

    def _begins(self, key: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where in the sorted `key` each event begins."""
        steps = np.diff(key).view(np.uint64)  # right even where the difference does not fit i8
        begin = np.concatenate(([0], np.flatnonzero(steps > self._window) + 1))
        if not self._window:
            return begin
        ends = np.concatenate((begin[1:], [len(key)]))
        wide = (key[ends - 1] - key[begin]).view(np.uint64) > self._window
        if not wide.any():
            return begin
        more: list[int] = []
        for at, end in zip(begin[wide].tolist(), ends[wide].tolist(), strict=True):
            while True:
                top = min(int(key[at]) + self._window, _LAST)
                at += int(np.searchsorted(key[at:end], top, side="right"))
                if at >= end:
                    break
                more.append(at)
        return np.sort(np.concatenate((begin, np.array(more, np.int64))))

    def _cut(
        self,
        table: NDArray[np.int64],
        begin: NDArray[np.int64],
        there: NDArray[np.bool_],
        complete: NDArray[np.bool_],
        reach: NDArray[np.int64],
        now_ns: int,
    ) -> int:
        """Return how many of the events leave."""
        if self._ordered:
            settled = np.flatnonzero((there | (self._seen[:, None] > reach)).all(axis=0))
            cut = int(settled[-1]) + 1 if len(settled) else 0
        else:
            cut = len(complete) if complete.all() else int(complete.argmin())
        late = np.flatnonzero(np.minimum.reduceat(table[_BORN], begin) <= now_ns - self._timeout)
        if len(late):
            cut = max(cut, int(late[-1]) + 1)
        nbytes = np.add.reduceat(table[_SIZE], begin)
        left = np.cumsum(nbytes[::-1])[::-1]  # bytes that wait when the events before each leave
        if left[0] > self._limit:
            over = int(np.count_nonzero(left > self._limit))
            cut = max(cut, over)
        return cut

    def _arranged(
        self, frames: NDArray[np.int64], event: NDArray[np.int64], complete: NDArray[np.bool_]
    ) -> Due:
        """Return events with their frames by channel; duplicates come behind, one by one."""
        code = event * self._members + frames[_MEMBER]
        if (code[1:] <= code[:-1]).any():
            order = np.argsort(code, kind="stable")
            frames, code = frames[:, order], code[order]
            again = np.concatenate(([False], code[1:] == code[:-1]))
            if again.any():
                frames = np.concatenate((frames[:, ~again], frames[:, again]), axis=1)
                code = code[~again]
        copies = frames.shape[1] - len(code)
        self.counts["duplicate"] += copies
        count = np.bincount(code // self._members, minlength=len(complete))
        flags = np.where(complete, 0, INCOMPLETE).astype(np.uint16)
        if copies:
            count = np.concatenate((count, np.ones(copies, count.dtype)))
            flags = np.concatenate((flags, np.full(copies, DUPLICATE, np.uint16)))
        return Due(frames, count, flags)

    def discard(self) -> tuple[int, int]:
        """Drop what waits; return frames and bytes."""
        lost = self.frames, self.nbytes
        self._pending = self._pending[:, :0]
        self._loads.clear()
        self._live.clear()
        return lost

    # Frames behind the table

    def sizes(self, due: Due) -> NDArray[np.int64]:
        """Return the payload bytes of each frame."""
        found: NDArray[np.int64] = due.table[_SIZE]
        return found

    def parts(self, due: Due) -> list[tuple[NDArray[np.int64] | slice, FrameBatch]]:
        """Return places in `due`, and the frames that belong there, by the batch that they came in."""
        load, row = due.table[_LOAD], due.table[_ROW]
        numbers = np.unique(load).tolist() if len(load) and (load != load[0]).any() else load[:1].tolist()
        if len(numbers) == 1:
            return [(slice(None), self._loads[numbers[0]][row])]
        places = [np.flatnonzero(load == number) for number in numbers]
        return [(at, self._loads[number][row[at]]) for number, at in zip(numbers, places, strict=True)]

    def release(self, due: Due) -> None:
        """Let go of frames that were sent, and of memory that hardly anything waits in any more."""
        numbers, counts = np.unique(due.table[_LOAD], return_counts=True)
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            if number not in self._live:  # discarded meanwhile
                continue
            self._live[number] -= count
            load = self._loads[number]
            if not self._live[number]:
                del self._loads[number], self._live[number]
            elif self._live[number] * 2 < len(load) and len(load.payload) > _THIN_BYTES:
                self._thin(number, load)

    def _thin(self, number: int, load: FrameBatch) -> None:
        at = np.flatnonzero(self._pending[_LOAD] == number)
        if len(at) != self._live[number]:
            return  # some are on their way out
        self._pending = self._pending.copy()
        self._loads[number] = load[self._pending[_ROW, at]].compact()
        self._pending[_ROW, at] = np.arange(len(at))
