"""How far a recording has come: watermarks, counters and the rate."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["RateMeter", "RecorderCounters", "Watermark"]

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
        Reason (``closed``, ``fault``, ``aborted``, ``error``, ``empty``, ``invalid``) -> frames, and
        their bytes.
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
