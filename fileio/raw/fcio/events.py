"""Events of FCIO: the numbers of many records at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FormatError
from sapwood.fileio.raw.fcio.config import FCIOConfig, FCIOState
from sapwood.fileio.raw.fcio.records import EVENT, EVENT_HEADER, SPARSE_EVENT, Layout, by_layout
from sapwood.fileio.raw.fcio.times import EventTimes
from sapwood.streams import FrameBatch

__all__ = ["EventGroup", "Events"]

_SECOND_NS = 1_000_000_000
_SPARSE_TYPE = 11
_NUMBERS = 10  # of time offsets, time stamps and dead regions, at most


@dataclass
class EventGroup:
    """Records of one layout.

    Parameters
    ----------
    layout
        Of all of them.
    index
        Which records of the batch they are, shape (n,).
    rows
        Their bytes, shape (n, nbytes).
    traces
        Trace of each row, shape (n, m).
    """

    layout: Layout
    index: NDArray[np.intp]
    rows: NDArray[np.uint8]
    traces: NDArray[np.int64]

    def same_traces(self) -> bool:
        """Tell whether all records have the same traces."""
        return bool((self.traces == self.traces[:1]).all())

    def samples(self, nsamples: int) -> NDArray[np.uint16]:
        """Return two header words and the samples of every trace, shape (n, m, nsamples + 2).

        A view, but for records whose traces have another length than the configuration says:
        those are cut, or filled up with zeros.
        """
        width, count = nsamples + 2, self.traces.shape[1]
        layout, rows = self.layout, self.rows
        if layout.tag == EVENT_HEADER:
            found = layout.values(rows, 6, "<u2")[:, : 2 * count]
            return _shaped(found, count, width)
        if layout.tag == EVENT:
            found = layout.values(rows, 4, "<u2")[:, : width * count]
            return _shaped(found, count, width)
        if layout.size[7 : 7 + count] == (2 * width,) * count and count:
            first, pitch = layout.begin[7] - 4, 4 + 2 * width
            words = rows[:, first : first + pitch * count].view("<u2")
            return words.reshape(len(rows), count, pitch // 2)[:, :, 2:]
        out = np.zeros((len(rows), count, width), np.uint16)
        for trace in range(count):
            found = layout.values(rows, 7 + trace, "<u2")[:, :width]
            out[:, trace, : found.shape[1]] = found
        return out


def _shaped(found: NDArray[Any], count: int, width: int) -> NDArray[np.uint16]:
    if found.shape[1] != count * width:
        full = np.zeros((len(found), count * width), np.uint16)
        full[:, : found.shape[1]] = found
        found = full
    return found.reshape(len(found), count, width)


class Events:
    """The numbers of a batch of Event, SparseEvent or EventHeader records.

    Parameters
    ----------
    state
        Of the stream; brought up to date.
    packets
        The records, in order.

    Attributes
    ----------
    groups
        Records by layout.
    numbers
        Column -> number of every record, shape (n,).
    count
        Traces of every record, shape (n,).

    Raises
    ------
    FormatError
        When a record makes no sense; nothing is remembered then.
    """

    def __init__(self, state: FCIOState, packets: FrameBatch) -> None:
        config, size = state.config, len(packets)
        self.config = config
        self.groups = [_group(config, *one) for one in by_layout(packets)]
        self._type = np.zeros(size, np.int64)
        offset, stamp, dead = (np.zeros((size, _NUMBERS), np.int64) for _ in range(3))
        widths = np.zeros((3, size), np.int64)
        self.count = np.zeros(size, np.int64)
        whole = np.zeros(size, bool)
        for group in self.groups:
            layout, at = group.layout, group.index
            self._type[at] = layout.number(group.rows, 0)
            whole[at] = layout.tag == EVENT
            self.count[at] = group.traces.shape[1]
            for width, target, frame in zip(
                widths, (offset, stamp, dead), (2, 3, 5 if layout.tag == EVENT else 4), strict=True
            ):
                found = layout.values(group.rows, frame, "<i4")[:, :_NUMBERS]
                target[at, : found.shape[1]] = found
                width[at] = found.shape[1]
        ranged = widths[2] >= 7
        dead[whole, 5], dead[whole, 6] = 0, config.traces  # an Event is of all traces
        widths[2] = np.where(whole & (widths[2] >= 5), np.maximum(widths[2], 7), widths[2])
        for name, values, width in zip(
            ("offset", "stamp", "dead"), (offset, stamp, dead), widths, strict=True
        ):
            state.carry(name, values, width)
        self._fill(offset, stamp, dead, ranged)

    def _fill(
        self,
        offset: NDArray[np.int64],
        stamp: NDArray[np.int64],
        dead: NDArray[np.int64],
        ranged: NDArray[np.bool_],
    ) -> None:
        config = self.config
        fpga = stamp[:, 1] * _SECOND_NS + stamp[:, 2] * 4
        shift = offset[:, 2] * _SECOND_NS if config.gps else offset[:, 0] * _SECOND_NS + offset[:, 1] * 1000
        names = ("mu_offset_sec", "mu_offset_usec", "to_master_sec", "delta_mu_usec", "abs_delta_mu_usec",
                 "to_start_sec", "to_start_usec")  # fmt: skip
        self.numbers: dict[str, NDArray[Any]] = {
            **{name: offset[:, column] for column, name in enumerate(names)},
            "eventnumber": stamp[:, 0],
            "ts_pps": stamp[:, 1],
            "ts_ticks": stamp[:, 2],
            "ts_maxticks": stamp[:, 3],
            "dr_start_pps": dead[:, 0],
            "dr_start_ticks": dead[:, 1],
            "dr_stop_pps": dead[:, 2],
            "dr_stop_ticks": dead[:, 3],
            "dr_maxticks": dead[:, 4],
            "dr_ch_idx": np.where(ranged, dead[:, 5], 0),
            "dr_ch_len": np.where(ranged, dead[:, 6], config.nadcs),
            "event_type": self._type,
            "numtraces": self.count,
            "timestamp": (fpga + shift) / 1e9,
        }
        start = dead[:, 0] * _SECOND_NS + dead[:, 1] * 4
        stop = dead[:, 2] * _SECOND_NS + dead[:, 3] * 4
        limit = config.traces
        sparse = self._type == _SPARSE_TYPE
        first = np.where(sparse, np.clip(dead[:, 5], 0, limit), 0)
        last = np.where(sparse, np.clip(dead[:, 5] + dead[:, 6], 0, limit), limit)
        self.times = EventTimes(
            fpga=fpga,
            start=np.where(dead[:, 6] > 0, start, np.minimum(start, 0)),  # of no traces: no dead region
            stop=stop,
            enable=np.where(
                start == 0, np.where(stop > 0, stop, offset[:, 5] * _SECOND_NS + offset[:, 6] * 1000), -1
            ),
            first=first,
            last=last,
        )

    def rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return event and trace of every row, in order; both of shape (rows,)."""
        event = np.repeat(np.arange(len(self.count)), self.count)
        if len(self.groups) == 1:
            return event, self.groups[0].traces.reshape(-1)
        trace = np.zeros(len(event), np.int64)
        for group in self.groups:
            trace[self.places(group)] = group.traces.reshape(-1)
        return event, trace

    def places(self, group: EventGroup) -> NDArray[np.int64]:
        """Return which rows those of a group are, shape (n * m,)."""
        begin = (np.cumsum(self.count) - self.count)[group.index]
        found: NDArray[np.int64] = (begin[:, np.newaxis] + np.arange(group.traces.shape[1])).reshape(-1)
        return found

    def energies(self, headers: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
        """Return baseline and energy for the two header words of traces, shape (..., 2)."""
        precision = self.config.blprecision or 1
        baseline = (headers[..., 0] / precision).astype(np.int64) & 0xFFFF
        energy: NDArray[Any] = headers[..., 1]
        if self.config.adcbits == 12:
            rise = headers[..., 1] - headers[..., 0]  # wraps, as LEGEND's software has it
            energy = (self.config.sumlength / precision * rise).astype(np.int64) & 0xFFFF
        return baseline.astype(np.uint16), energy.astype(np.uint16)


def _group(
    config: FCIOConfig, layout: Layout, index: NDArray[np.intp], rows: NDArray[np.uint8]
) -> EventGroup:
    frames = 6 if layout.tag == EVENT else 7
    if len(layout.begin) < frames:
        raise FormatError("An event is cut", expected=f"{frames} frames", seen=len(layout.begin))
    if layout.tag == EVENT:
        traces = np.broadcast_to(np.arange(config.traces), (len(rows), config.traces))
        return EventGroup(layout, index, rows, traces)
    list_frame = 6 if layout.tag == SPARSE_EVENT else 5
    listed = layout.values(rows, list_frame, "<u2").astype(np.int64)
    if layout.tag == SPARSE_EVENT:
        number = layout.number(rows, 5)
        count = int(number[0])
        if (number != count).any():
            raise FormatError("Events of one layout differ in the number of traces")
        if len(layout.begin) < 7 + count or listed.shape[1] < count:
            raise FormatError("An event is cut", expected=f"{count} traces", seen=len(layout.begin) - 7)
        listed = listed[:, :count]
    if listed.size and int(listed.max()) >= config.traces:
        raise FormatError(
            "A trace does not exist", expected=f"0..{config.traces - 1}", seen=int(listed.max())
        )
    return EventGroup(layout, index, rows, listed)
