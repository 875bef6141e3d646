"""How far a recording has come: watermarks, counters and the rate."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["RateMeter", "RecorderCounters", "Tally", "Watermark"]

_BINS_PER_SECOND = 100


class Watermark(NamedTuple):
    """A point in a recording: all frames and bytes of the file(s) before it."""

    frames: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class RecorderCounters:
    """What a recorder has done since it was last opened.

    ``accepted.frames == written.frames + staged + frames lost``; frames lost (in memory when
    the disk failed, or aborted) are part of `dropped`.

    Attributes
    ----------
    accepted
        Taken into memory.
    written
        Given to the operating system.
    durable
        On the disk: they survive a power cut.
    dropped, dropped_bytes
        Reason (``closed``, ``fault``, ``aborted``, ``error``, ``empty``, ``invalid``, ``overrun``: no
        room in memory) -> frames, and their bytes.
    oversize
        Frames larger than the size limit, each written to a part of its own.
    gaps, gap_frames
        Notes of losses upstream, and the frames these stand for.
    syncs
        How often data were synced to the disk.
    """

    accepted: Watermark
    written: Watermark
    durable: Watermark
    dropped: dict[str, int]
    dropped_bytes: dict[str, int]
    oversize: int
    gaps: int
    gap_frames: int
    syncs: int


class RateMeter:
    """Bytes of the last second, in bins of 10 ms; memory is fixed, reading takes no lock."""

    def __init__(self) -> None:
        self.clear()

    def add(self, nbytes: int) -> None:
        """Count bytes written now."""
        tick = int(time.monotonic() * _BINS_PER_SECOND)
        index = tick % _BINS_PER_SECOND
        if self._ticks[index] != tick:
            self._ticks[index] = tick
            self._sums[index] = 0
        self._sums[index] += nbytes

    def bytes_per_second(self) -> float:
        """Return the bytes counted in the last second, over one second."""
        oldest = int(time.monotonic() * _BINS_PER_SECOND) - _BINS_PER_SECOND
        pairs = zip(self._ticks, self._sums, strict=True)
        return float(sum(nbytes for tick, nbytes in pairs if tick > oldest))

    def clear(self) -> None:
        """Forget everything counted."""
        self._sums = [0] * _BINS_PER_SECOND
        self._ticks = [-_BINS_PER_SECOND] * _BINS_PER_SECOND


class Tally:
    """The running counts of one recording; written under the recorder's lock, read without.

    Attributes
    ----------
    accepted_frames, accepted_bytes
        Taken into memory.
    written, durable
        Given to the system; on the disk.
    data_frames
        Of the frames written, those that are no configuration.
    lost_bytes
        Accepted, but neither staged nor written any more.
    oversize, gaps, gap_frames
        As in `RecorderCounters`.
    """

    __slots__ = (
        "_dropped",
        "accepted_bytes",
        "accepted_frames",
        "data_frames",
        "durable",
        "gap_frames",
        "gaps",
        "lost_bytes",
        "oversize",
        "written",
    )

    def __init__(self) -> None:
        self.accepted_frames = self.accepted_bytes = self.lost_bytes = 0
        self.written = self.durable = Watermark()
        self.data_frames = self.oversize = self.gaps = self.gap_frames = 0
        self._dropped: dict[str, tuple[int, int]] = {}

    @property
    def size(self) -> int:
        """Bytes of all files, staged ones included."""
        return self.accepted_bytes - self.lost_bytes

    def accept(self, frames: int, nbytes: int) -> None:
        """Count frames taken into memory."""
        self.accepted_frames += frames
        self.accepted_bytes += nbytes

    def write(self, frames: int, nbytes: int, *, data: bool) -> None:
        """Count accepted frames given to the system."""
        before = self.written
        self.written = Watermark(before[0] + frames, before[1] + nbytes)
        if data:
            self.data_frames += frames

    def drop(self, reason: str, frames: int, nbytes: int) -> None:
        """Count frames that are not recorded."""
        counted = self._dropped.get(reason, (0, 0))
        self._dropped[reason] = counted[0] + frames, counted[1] + nbytes

    def lose(self, reason: str, frames: int, nbytes: int) -> None:
        """Count accepted frames that will never be written."""
        self.lost_bytes += nbytes
        self.drop(reason, frames, nbytes)

    def snapshot(self, syncs: int) -> RecorderCounters:
        """Return the counters as they are now."""
        dropped = dict(self._dropped)
        return RecorderCounters(
            accepted=Watermark(self.accepted_frames, self.accepted_bytes),
            written=self.written,
            durable=self.durable,
            dropped={reason: counted[0] for reason, counted in dropped.items()},
            dropped_bytes={reason: counted[1] for reason, counted in dropped.items()},
            oversize=self.oversize,
            gaps=self.gaps,
            gap_frames=self.gap_frames,
            syncs=syncs,
        )

    def summary(self) -> str:
        """Return what was written and what not, for people."""
        dropped = "".join(f", {counted[0]} {reason}" for reason, counted in self._dropped.items())
        return f"{self.written.frames} frames, {self.written.bytes} bytes{dropped}"
