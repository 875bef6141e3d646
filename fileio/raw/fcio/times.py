"""Run time, dead time and dead intervals of every trace, event by event."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.raw.columns import distinct

__all__ = ["DeadTimes", "EventTimes", "RowTimes"]

_Ints = NDArray[np.int64]
_CLOCK_NS = 4


@dataclass(frozen=True)
class EventTimes:
    """What events say about time, in order; all of shape (n,), ns.

    Parameters
    ----------
    fpga
        Time of the event.
    start, stop
        Of the dead region before it; `start` 0 for none.
    enable
        When triggers were enabled, if the event tells; else -1.
    first, last
        Traces from `first` to before `last` are affected.
    """

    fpga: _Ints
    start: _Ints
    stop: _Ints
    enable: _Ints
    first: _Ints
    last: _Ints


@dataclass(frozen=True)
class RowTimes:
    """Times of rows, ns; all of shape (rows,).

    Parameters
    ----------
    runtime
        Since the trigger of the trace was enabled.
    deadtime
        Sum of its dead intervals so far.
    deadinterval
        That between the event before and this one.
    """

    runtime: _Ints
    deadtime: _Ints
    deadinterval: _Ints


@dataclass
class _Segment:
    """Neighbouring traces with one history: `first` to before `last`."""

    first: int
    last: int
    enable: int
    total: int
    interval: int
    last_stop: int
    starts: _Ints  # dead regions not over yet
    stops: _Ints

    def within(self, first: _Ints, last: _Ints) -> NDArray[np.bool_]:
        return (first <= self.first) & (last >= self.last)


class DeadTimes:
    """The history of all traces of a stream.

    Parameters
    ----------
    traces
        How many there are.
    """

    def __init__(self, traces: int) -> None:
        none = np.zeros(0, np.int64)
        self._segments = [_Segment(0, traces, -1, 0, 0, 0, none, none)]

    def advance(self, events: EventTimes, row_event: _Ints, row_trace: _Ints) -> RowTimes:
        """Return the times of rows, and remember what the events said.

        Parameters
        ----------
        events
            The next ones of the stream.
        row_event, row_trace
            Event and trace of each row, shape (rows,); events ascending.
        """
        self._split(events)
        enabled = self._enable(events)
        runtime, total, interval = (np.zeros(len(row_event), np.int64) for _ in range(3))
        for segment, (changed, values) in zip(self._segments, enabled, strict=True):
            one = len(self._segments) == 1
            rows = (
                slice(None)
                if one
                else np.flatnonzero((row_trace >= segment.first) & (row_trace < segment.last))
            )
            event = row_event[rows]
            enable = np.array(values)[np.searchsorted(changed, event, "right")]
            runtime[rows] = events.fpga[event] - enable
            total[rows], interval[rows] = _dead(segment, events, event)
        return RowTimes(runtime, total, interval)

    def _split(self, events: EventTimes) -> None:
        """Cut segments where ranges of the events begin and end."""
        cuts = distinct(np.concatenate([events.first, events.last])).tolist()
        new: list[_Segment] = []
        for segment in self._segments:
            begin = segment.first
            for cut in [*(one for one in cuts if segment.first < one < segment.last), segment.last]:
                new.append(replace(segment, first=begin, last=cut))
                begin = cut
        self._segments = new

    def _enable(self, events: EventTimes) -> list[tuple[list[int], list[int]]]:
        """Find when triggers were enabled: for each segment the events that told, and the times."""
        told: list[tuple[list[int], list[int]]] = [([], [one.enable]) for one in self._segments]
        waiting = [one for one in self._segments if one.enable == -1]
        if not waiting or not len(events.fpga):
            return told
        event, said = 0, events.enable
        while waiting:
            covers = np.zeros(len(said), bool)
            for segment in waiting:
                covers |= segment.within(events.first, events.last)
            found = np.flatnonzero(covers[event:] & (said[event:] != -1))
            if not len(found):
                break
            event += int(found[0])
            for segment, (changed, values) in zip(self._segments, told, strict=True):
                if events.first[event] <= segment.first and events.last[event] >= segment.last:
                    segment.enable = int(said[event])
                    changed.append(event)
                    values.append(segment.enable)
            waiting = [one for one in waiting if one.enable == -1]
            event += 1
        return told


def _dead(segment: _Segment, events: EventTimes, row_event: _Ints) -> tuple[_Ints, _Ints]:
    """Return dead time so far and the last dead interval for rows of a segment; bring it up to date."""
    affected = np.flatnonzero(segment.within(events.first, events.last))
    pushing = np.flatnonzero((events.start > 0) & segment.within(events.first, events.last))
    stops = events.stop[pushing]
    before = np.maximum.accumulate(np.concatenate([[segment.last_stop], stops]))
    new = pushing[stops > before[:-1]]
    queue_start = np.concatenate([segment.starts, events.start[new]])
    queue_stop = np.concatenate([segment.stops, events.stop[new]])
    queue_event = np.concatenate([np.full(len(segment.stops), -1, np.int64), new])
    there = np.searchsorted(queue_event, affected, "right")
    over = np.searchsorted(queue_stop, events.fpga[affected] + _CLOCK_NS, "left")
    done = np.maximum.accumulate(np.minimum(there, over)) if len(affected) else np.zeros(0, np.intp)
    length = queue_stop - queue_start
    totals = segment.total + np.concatenate([[0], np.cumsum(length)])
    moved = np.diff(done, prepend=0) > 0
    intervals = np.zeros(len(done), np.int64)
    intervals[moved] = length[done[moved] - 1]
    place = np.searchsorted(affected, row_event, "right")  # 0: before the first of them
    row_total = np.concatenate([[segment.total], totals[done]])[place]
    row_interval = np.concatenate([[segment.interval], intervals])[place]
    segment.last_stop = int(before[-1])
    if len(done):
        segment.total, segment.interval = int(totals[done[-1]]), int(intervals[-1])
        queue_start, queue_stop = queue_start[done[-1] :], queue_stop[done[-1] :]
    segment.starts, segment.stops = queue_start, queue_stop
    return row_total, row_interval
