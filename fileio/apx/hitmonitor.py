"""What readouts hold, counted while they come: hits, times over threshold, pixels."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.apx.columns import decode, strip_padding
from sapwood.fileio.apx.layout import LAYOUT_4, LAYOUT_QUAD
from sapwood.fileio.apx.network import without_heads
from sapwood.fileio.apx.readout import AbstractAstroPixReadout, AstroPix4Readout
from sapwood.streams import FrameBatch, Gap, Slave

__all__ = ["PIXELS", "Histograms", "HitMonitor", "Line"]

PIXELS = 35  # columns of a map
_MOST_US, _MOST_US_3 = 500.0, 25.0
_ROWS = 16  # of AstroPix 4
_PLACES = 64  # values of the field for a place
_CHIPS = 32
_KINDS = ("rows", "columns")
_USED = ("chip_id", "layer", "row", "column", "location", "tot_us")

Line = tuple[str, NDArray[np.int64]]


@dataclass(frozen=True)
class Histograms:
    """What a `HitMonitor` counted so far.

    Parameters
    ----------
    readouts, nbytes, hits, lost
        Totals; bytes of the boards.
    tot
        i8: hits by time over threshold.
    tot_us
        Width of a bin of `tot`.
    above
        Hits whose time over threshold lies above all bins.
    lines
        The map: a name and i8, shape (35,), each. Of AstroPix 4 one line a row of the chip,
        of AstroPix 3 one for the rows and one for the columns of each chip that was hit.
    outside
        Hits at places that no chip has.
    """

    readouts: int
    nbytes: int
    hits: int
    lost: int
    tot: NDArray[np.int64]
    tot_us: float
    above: int
    lines: list[Line]
    outside: int


class HitMonitor(Slave):
    """Counts the hits of readouts that come as frames: the bytes of a board each, or whole records.

    Parameters
    ----------
    readout_class
        Class of the readouts.
    bins
        Of the times over threshold.
    most_us
        End of the last bin, microseconds; when left out 500 for AstroPix 4, 25 for AstroPix 3, whose
        times over threshold reach 20.
    """

    def __init__(
        self,
        readout_class: type[AbstractAstroPixReadout] = AstroPix4Readout,
        *,
        bins: int = 50,
        most_us: float | None = None,
    ) -> None:
        super().__init__()
        self._layout = readout_class.HIT_CLASS.LAYOUT
        self._names = [name for name in _USED if name in self._layout.by_name]
        if most_us is None:
            most_us = _MOST_US if self._layout is LAYOUT_4 else _MOST_US_3
        self._width = most_us / bins
        self._tot = np.zeros(bins, np.int64)
        self._map: dict[int, NDArray[np.int64]] = {}
        self._readouts = self._nbytes = self._hits = self._lost = self._above = 0
        self._carry: bytes | None = None
        self._lock = threading.Lock()

    @property
    def readouts(self) -> int:
        """Readouts that were counted."""
        return self._readouts

    def _acceptBatch(self, batch: FrameBatch) -> None:
        records = without_heads(batch)
        if records is not None:
            batch = records[0]
        data, begin = batch.payload, np.ascontiguousarray(batch.start)
        size = strip_padding(data, begin, np.ascontiguousarray(batch.size))
        with self._lock:
            found = decode(data, begin, size, self._layout, self._carry)
            self._carry = found.carry
            self._nbytes += batch.nbytes
            self._hits += len(found)
            if len(found):
                self._fill(found.raw)
            self._readouts += len(batch)

    def _fill(self, raw: NDArray[np.uint8]) -> None:
        found = self._layout.arrays(raw, {}, self._names)
        bins = (found["tot_us"].astype(np.float64) / self._width).astype(np.int64)
        inside = bins < len(self._tot)
        self._above += int(np.count_nonzero(~inside))
        self._tot += np.bincount(bins[inside], minlength=len(self._tot))
        if self._layout is LAYOUT_4:
            line, place = found["row"].astype(np.int64), found["column"]
        else:
            line, place = found["chip_id"].astype(np.int64) * 2 + found["column"], found["location"]
            if self._layout is LAYOUT_QUAD:
                line += found["layer"].astype(np.int64) * (2 * _CHIPS)
        for one in np.unique(line).tolist():
            counts = np.bincount(place[line == one], minlength=_PLACES)
            self._map[one] = self._map[one] + counts if one in self._map else counts

    def _acceptGap(self, gap: Gap) -> None:
        with self._lock:
            self._lost += gap.frames
            self._carry = None

    def histograms(self) -> Histograms:
        """Return a copy of what was counted so far."""
        with self._lock:
            return Histograms(
                self._readouts,
                self._nbytes,
                self._hits,
                self._lost,
                self._tot.copy(),
                self._width,
                self._above,
                self._lines(),
                sum(int(counts[PIXELS:].sum()) for counts in self._map.values()),
            )

    def _lines(self) -> list[Line]:
        lines = dict(self._map)
        if self._layout is LAYOUT_4:
            none = np.zeros(_PLACES, np.int64)
            rows = max(_ROWS, max(lines, default=0) + 1)
            lines = dict.fromkeys(range(rows), none) | lines
        return [(self._name(key), lines[key][:PIXELS].copy()) for key in sorted(lines)]

    def _name(self, key: int) -> str:
        if self._layout is LAYOUT_4:
            return f"row {key}"
        layer, rest = divmod(key, 2 * _CHIPS)
        chip = f"chip {rest // 2} {_KINDS[rest % 2]}"
        return f"layer {layer} {chip}" if self._layout is LAYOUT_QUAD else chip
