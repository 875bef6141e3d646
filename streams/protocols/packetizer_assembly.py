"""Frames put together from the pieces in packets, for both versions of the packetizer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sapwood.streams.batch import FrameBatch
from sapwood.streams.frame import Frame
from sapwood.streams.gap import Gap

__all__ = ["EOFE_ERROR", "HELD_BYTES", "Event", "Partial", "Reassembly", "Received", "Run", "trimmed"]

EOFE_ERROR = 0x80
"""Error of a frame whose sender marked it bad (SSI: bit 0 of last-user)."""

HELD_BYTES = 256 << 20
"""Bytes of unfinished frames that a decoder holds at most, unless it is told otherwise."""

Event: TypeAlias = tuple[int, Frame | FrameBatch | Gap]
"""TDEST, and what came of it."""


@dataclass(slots=True)
class Received:
    """What came for one TDEST.

    Attributes
    ----------
    frames, bytes
        Whole frames.
    eofe
        Those of them that their sender marked bad.
    lost
        Frames of which some packet came, and that could not be completed.
    dropped
        Reason -> packets: ``order`` (packet number or start of frame), ``crc``, ``oversize``.
    """

    frames: int = 0
    bytes: int = 0
    eofe: int = 0
    lost: int = 0
    dropped: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Partial:
    """An unfinished frame: its bytes so far, and what the next packet must say.

    Attributes
    ----------
    open
        A frame is under way; `dest`, `first` (user), `index` and `data` are its own.
    number
        Packet number that comes next.
    crc
        Checksum so far.
    skipping
        Packets of a frame that is lost already are coming in.
    """

    open: bool = False
    skipping: bool = False
    number: int = 0
    index: int = 0
    crc: int = 0
    dest: int = 0
    first: int = 0
    data: bytearray = field(default_factory=bytearray)


class Run(NamedTuple):
    """Packets in order, each the one expected after the one before it; n of them.

    Attributes
    ----------
    pieces
        Payload of each packet.
    dest, first, last
        TDEST, first-user and last-user, i8[n].
    ends
        The packet ends its frame, bool[n].
    """

    pieces: FrameBatch
    dest: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    ends: NDArray[np.bool_]

    def part(self, begin: int, end: int) -> Run:
        """Return packets `begin` to `end` as views."""
        here = slice(begin, end)
        return Run(self.pieces[here], self.dest[here], self.first[here], self.last[here], self.ends[here])


def trimmed(packets: FrameBatch, start: NDArray[np.int64], size: NDArray[np.int64]) -> FrameBatch:
    """Return a view of other bytes, inside the packets; not checked again, which costs more than it does."""
    pieces = FrameBatch.of_places(packets.payload, start, size)
    pieces.channel, pieces.flags, pieces.error = packets.channel, packets.flags, packets.error
    pieces.time = packets.time
    return pieces


class Reassembly:
    """What the decoders of both versions share: unfinished frames, counts and gaps.

    Attributes
    ----------
    dropped
        Reason -> packets dropped: ``transport`` (error of the packet's frame), ``size``, ``version``,
        ``valid`` and those of `Received`.
    received
        TDEST -> counts.
    """

    def __init__(self, ssi: bool, limit: int) -> None:
        self._ssi = ssi
        self._limit = limit
        self._held = 0
        self.dropped: dict[str, int] = {}
        self.received: defaultdict[int, Received] = defaultdict(Received)

    @property
    def held(self) -> int:
        """Bytes of unfinished frames."""
        return self._held

    # What is lost

    def _drop(self, reason: str, packets: int) -> list[Event]:
        self.dropped[reason] = self.dropped.get(reason, 0) + packets
        return []

    def _keep(self, packets: FrameBatch, mask: NDArray[np.bool_], reason: str) -> FrameBatch:
        if mask.all():
            return packets
        self._drop(reason, int(len(mask) - np.count_nonzero(mask)))
        return packets[mask]

    def _break(
        self, state: Partial, dest: int, reason: str, nbytes: int, *, starts: bool, ends: bool
    ) -> list[Event]:
        """Drop a packet of `nbytes` payload that does not go on with the frame under way, and that frame."""
        self._drop(reason, 1)
        dropped = self.received[dest].dropped
        dropped[reason] = dropped.get(reason, 0) + 1
        known = state.open or state.skipping
        frames = state.open + (1 if starts or not known else 0)
        events = self._lose(state, dest, reason, frames, nbytes)
        state.skipping = not ends
        return events

    def _lose(self, state: Partial, dest: int, reason: str, frames: int, nbytes: int = 0) -> list[Event]:
        """Forget the frame under way; tell of `frames` lost frames."""
        nbytes += len(state.data)
        self._release(state)
        if not frames:
            return []
        self.received[dest].lost += frames
        return [(dest, Gap(0, frames, nbytes, reason))]

    def _release(self, state: Partial) -> bytearray:
        """Return the bytes of the frame under way and wait for the next frame."""
        data = state.data
        self._held -= len(data)
        state.data = bytearray()
        state.open = False
        state.number = state.crc = 0
        return data

    # One packet

    def _add(
        self, state: Partial, dest: int, piece: memoryview,
        *, number: int, first: int, last: int | None, index: int = 0,
    ) -> list[Event]:  # fmt: skip
        """Take a piece that is in order; `last` is the last-user when it ends its frame."""
        if self._held + len(piece) > self._limit and last is None:
            return self._break(state, dest, "oversize", len(piece), starts=not state.open, ends=False)
        state.skipping = False
        if last is not None:
            whole = piece
            if state.open:
                first = state.first
                state.data += piece
                self._held += len(piece)
                whole = memoryview(self._release(state))
            return [self._whole(dest, whole, first, last)]
        if not state.open:
            state.open, state.dest, state.first, state.index = True, dest, first, index
        state.data += piece
        self._held += len(piece)
        state.number = number + 1
        return []

    def _whole(self, dest: int, payload: memoryview, first: int, last: int) -> Event:
        bad = self._ssi and last & 1
        counts = self.received[dest]
        counts.frames += 1
        counts.bytes += len(payload)
        counts.eofe += bool(bad)
        return dest, Frame.of_view(payload, 0, first | last << 8, EOFE_ERROR if bad else 0)

    # Many packets

    def _fits(self, run: Run) -> bool:
        return self._held + run.pieces.nbytes <= self._limit

    def _take(self, state: Partial, run: Run, *, number: int, index: int = 0, crc: int = 0) -> list[Event]:
        """Take packets in order; `number`, `index` and `crc` are those of the last one."""
        ends = np.flatnonzero(run.ends)
        stop = int(ends[-1]) + 1 if len(ends) else 0
        state.skipping = False
        events: list[Event] = []
        begin = 0
        if state.open and stop:  # the frame that an earlier batch began
            begin = int(ends[0]) + 1
            self._append(state, run.part(0, begin))
            payload = memoryview(self._release(state))
            events.append(self._whole(state.dest, payload, state.first, int(run.last[begin - 1])))
        if begin < stop:
            events += self._frames(run.part(begin, stop))
        if stop < len(run.ends):
            if not state.open:
                dest, first = int(run.dest[stop]), int(run.first[stop])
                state.open, state.dest, state.first, state.index = True, dest, first, index
            self._append(state, run.part(stop, len(run.ends)))
            state.number, state.crc = number + 1, crc
        return events

    def _append(self, state: Partial, run: Run) -> None:
        before = len(state.data)
        for index in range(len(run.ends)):
            state.data += run.pieces.frame_bytes(index).data
        self._held += len(state.data) - before

    def _frames(self, run: Run) -> Iterator[Event]:
        """Yield the frames of packets that are all of whole frames; each TDEST's are one batch."""
        ends = np.flatnonzero(run.ends)
        begins, frames = ends, run.pieces
        if len(ends) < len(run.ends):
            begins = np.concatenate(([0], ends[:-1] + 1))
            dense = frames.compact()
            start = dense.start[begins]
            frames = trimmed(dense[begins], start, dense.start[ends] + dense.size[ends] - start)
        else:
            frames = frames[:]
        last, dest = run.last[ends], run.dest[begins]
        frames.channel = np.broadcast_to(np.uint8(0), last.shape)
        frames.flags = (run.first[begins] | last << 8).astype(np.uint16)
        frames.error = ((last & 1) * (EOFE_ERROR if self._ssi else 0)).astype(np.uint8)
        for target in _in_order(dest):
            mine = frames if (dest == target).all() else frames[dest == target]
            counts = self.received[target]
            counts.frames += len(mine)
            counts.bytes += mine.nbytes
            counts.eofe += int(np.count_nonzero(mine.error))
            yield target, mine


def _in_order(values: NDArray[np.int64]) -> list[int]:
    """Return the different values of a column."""
    first = int(values[0])
    return [first] if (values == first).all() else np.unique(values).tolist()
