"""Where radware's encoder divides waveforms: each section with the fewest bits its first samples need.

A section takes up to 48 samples, decides by them whether samples or steps span less, and then goes
on, up to 128 samples, as long as their span fits its width. Rows are walked side by side: the next
128 samples of each are looked at in blocks of 16, and the block that does not fit sample by sample.
The last samples of rows, and rows that jump, are walked sample by sample.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.lh5.bits import GROUP, WIDEST

__all__ = ["Sections", "Signal", "cut", "in_order"]

_LOOK, _MOST = 48, 128  # samples that decide a section; samples it may have
_STEP_MAX, _STEP_MIN = -16000, 16000  # where the search for the range of steps begins
_BLOCK = 16  # samples whose extremes are looked at first
_LOOK_BLOCKS = _LOOK // _BLOCK
_INSIDE = np.arange(_BLOCK - 1)[:, np.newaxis]  # of a block that does not fit as a whole

_BITS = np.maximum(2, np.frexp(np.arange(1 << 16))[1]).astype(np.uint8)  # that a span needs
_LIMIT = ((1 << _BITS.astype(np.int64)) - 1).astype(np.uint16)  # the largest span of these bits


class Sections(NamedTuple):
    """Sections of many rows as columns, in the order of rows and of samples."""

    row: NDArray[np.int64]
    first: NDArray[np.int64]  # index of the first sample, among all rows
    samples: NDArray[np.int64]  # how many
    steps: NDArray[np.bool_]  # difference sections
    width: NDArray[np.int64]
    least: NDArray[np.int64]  # smallest sample or step

    @classmethod
    def none(cls) -> Sections:
        """Return those of no rows."""
        no = np.zeros(0, np.int64)
        return cls(no, no, no, no.astype(bool), no, no)

    @property
    def head(self) -> NDArray[np.int64]:
        """Words before the packed values."""
        return np.where(self.steps, 4, 3)

    @property
    def packed(self) -> NDArray[np.int64]:
        """Packed values."""
        return self.samples - self.steps

    @property
    def words(self) -> NDArray[np.int64]:
        """Words in all."""
        return self.head + (self.packed * self.width + 15) // 16


def in_order(found: list[tuple[NDArray[Any], ...]]) -> list[NDArray[Any]]:
    """Return columns of sections, row by row, of parts that hold at most one section of a row.

    Parameters
    ----------
    found
        Columns, rows first; the sections of a row in their order. At least one part.
    """
    columns = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    rows = columns[0]
    order = np.argsort(rows.astype(np.min_scalar_type(int(rows.max()))), kind="stable")
    return [column[order] for column in columns]


class Signal:
    """Samples of all rows and, `shift` places behind them, their steps, modulo 2**16.

    Parameters
    ----------
    samples
        Of all rows, one after the other.
    """

    def __init__(self, samples: NDArray[np.int16]) -> None:
        size = len(samples)
        self.shift = size + _MOST + 2 * GROUP
        self.both = np.zeros(2 * self.shift, np.int16)
        self.samples, self.steps = self.both[: self.shift], self.both[self.shift :]
        self.samples[:size] = samples
        np.subtract(self.samples[1:], self.samples[:-1], out=self.steps[1:])

    def jumps(self) -> NDArray[np.int64]:
        """Return the indices of samples whose step from the one before does not fit 16 bits."""
        if int(self.samples.max()) - int(self.samples.min()) < 1 << 15:
            return np.zeros(0, np.int64)
        now, before = self.samples[1:], self.samples[:-1]
        return np.flatnonzero((now ^ before) & (now ^ self.steps[1:]) < 0) + 1

    def windows(self, here: NDArray[np.int64]) -> NDArray[np.int16]:
        """Return 128 samples and steps from each of the places `here` on, shape (2, 128, rows).

        The step to the first sample of a window is not in it: the next one is there twice.
        """
        records = np.ndarray((self.shift - _MOST + 1,), f"V{2 * _MOST}", self.samples, strides=(2,))
        found = np.empty((2, _MOST, len(here)), np.int16)
        found[0] = records[here].view(np.int16).reshape(-1, _MOST).T
        np.subtract(found[0, 1:], found[0, :-1], out=found[1, 1:])
        found[1, 0] = found[1, 1]
        return found


def _next_section(windows: NDArray[np.int16]) -> tuple[NDArray[Any], ...]:
    """Return count, kind, width and least value of the sections that begin with `windows`.

    Parameters
    ----------
    windows
        See `Signal.windows`.
    """
    rows = windows.shape[2]
    blocks = windows.reshape(2, _MOST // _BLOCK, _BLOCK, rows)
    top, low = blocks.max(axis=2), blocks.min(axis=2)
    first_top, first_low = top[:, :_LOOK_BLOCKS].max(axis=1), low[:, :_LOOK_BLOCKS].min(axis=1)
    np.maximum(first_top[1], _STEP_MAX, out=first_top[1])
    np.minimum(first_low[1], _STEP_MIN, out=first_low[1])
    spans = _span(first_top, first_low)
    steps = spans[0] > spans[1]
    limit = _LIMIT.take(np.where(steps, spans[1], spans[0]))
    width = _BITS.take(limit)
    top[:, _LOOK_BLOCKS - 1], low[:, _LOOK_BLOCKS - 1] = first_top, first_low
    tops = np.where(steps, top[1, _LOOK_BLOCKS - 1 :], top[0, _LOOK_BLOCKS - 1 :])
    lows = np.where(steps, low[1, _LOOK_BLOCKS - 1 :], low[0, _LOOK_BLOCKS - 1 :])
    more, tops, lows = _fitting(tops, lows, limit)
    count = _LOOK + _BLOCK * more
    short = np.flatnonzero(count < _MOST)
    if len(short):
        begin = steps[short] * _MOST + count[short]
        values = windows.reshape(-1).take((begin + _INSIDE) * rows + short)
        known_tops, known_lows = (np.concatenate([one[np.newaxis, short], values]) for one in (tops, lows))
        more, _, lows[short] = _fitting(known_tops, known_lows, limit[short])
        count[short] += more
    return count, steps, width, lows


def _fitting(
    tops: NDArray[np.int16], lows: NDArray[np.int16], limit: NDArray[np.uint16]
) -> tuple[NDArray[np.intp], NDArray[np.int16], NDArray[np.int16]]:
    """Return how many values after the first of each column keep it within its limit; the extremes then.

    Parameters
    ----------
    tops, lows
        Extremes, in order, of single values or of several; shape (n, rows). They are changed.
    limit
        The largest span of each column.
    """
    for extremes, wider in ((tops, np.maximum), (lows, np.minimum)):
        for i in range(len(extremes) - 1):
            wider(extremes[i], extremes[i + 1], out=extremes[i + 1])
    more = np.add.reduce(_span(tops[1:], lows[1:]) <= limit, axis=0)
    rows = tops.shape[1]
    last = more * rows + np.arange(rows)
    return more, tops.reshape(-1).take(last), lows.reshape(-1).take(last)


def _span(top: NDArray[np.int16], low: NDArray[np.int16]) -> NDArray[np.uint16]:
    """Return the largest value minus the smallest."""
    return (top - low).view(np.uint16)


def cut(signal: Signal, lengths: NDArray[np.int64]) -> Sections:
    """Divide all rows into sections.

    Parameters
    ----------
    signal
        Samples of all rows.
    lengths
        Samples of each row, i8.
    """
    stop = np.cumsum(lengths)
    at = stop - lengths
    found: list[tuple[NDArray[Any], ...]] = []
    row = np.flatnonzero(lengths >= _MOST)
    jumps = signal.jumps()
    if len(jumps):
        inside = np.searchsorted(stop, jumps[~np.isin(jumps, at)], side="right")
        row = row[~np.isin(row, inside)]
    here, last = at[row], stop[row] - _MOST
    while len(row):
        count, steps, width, least = _next_section(signal.windows(here))
        found.append((row, here, count, steps, width, least))
        here = here + count
        on = here <= last
        if not on.all():
            at[row[~on]] = here[~on]
            row, here, last = row[on], here[on], last[on]
    _cut_slowly(signal, at, stop, found)
    if not found:
        return Sections.none()
    row, first, count, steps, width, least = in_order(found)
    return Sections(row, first, count, steps, width.astype(np.int64), least.astype(np.int64))


def _cut_slowly(
    signal: Signal, at: NDArray[np.int64], stop: NDArray[np.int64], found: list[tuple[NDArray[Any], ...]]
) -> None:
    """Divide rows from `at` to `stop`."""
    row = np.flatnonzero(at < stop)
    offsets = np.arange(_MOST)[:, np.newaxis]
    while len(row):
        begin, left = at[row], np.minimum(stop[row] - at[row], _MOST)
        window = signal.samples[begin + offsets].astype(np.int32)
        count, steps, width, least = _next_of_any(window, left)
        found.append((row, begin, count, steps, width, least))
        at[row] += count
        row = row[at[row] < stop[row]]


def _next_of_any(window: NDArray[np.int32], left: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
    """Return count, kind, width and least value of the section at the top of each column.

    Parameters
    ----------
    window
        Samples, shape (128, rows).
    left
        How many of them there are, i8, shape (rows,).
    """
    for k in range(int(left.min()), _MOST):  # beyond its end a row repeats its last sample
        np.copyto(window[k], window[k - 1], where=left <= k)
    step = np.empty_like(window)
    np.subtract(window[1:], window[:-1], out=step[1:])
    step[0] = step[1]
    ended = np.arange(_MOST)[:, np.newaxis] >= left
    top, low = window[:_LOOK].max(axis=0), window[:_LOOK].min(axis=0)
    seen = np.where(ended[:_LOOK], _STEP_MAX, step[:_LOOK])
    step_top = np.where(left > 1, np.maximum(seen.max(axis=0), _STEP_MAX), _STEP_MAX)
    seen = np.where(ended[:_LOOK], _STEP_MIN, step[:_LOOK])
    step_low = np.where(left > 1, np.minimum(seen.min(axis=0), _STEP_MIN), _STEP_MIN)
    by_steps = top - low > step_top - step_low
    top, low = np.where(by_steps, step_top, top), np.where(by_steps, step_low, low)
    width = np.full(len(left), 2)
    for bits in range(2, WIDEST):
        width += top - low >= 1 << bits
    chosen = np.where(by_steps, step, window)
    chosen[_LOOK - 1] = top
    tops = np.maximum.accumulate(chosen[_LOOK - 1 :], axis=0)
    chosen[_LOOK - 1] = low
    lows = np.minimum.accumulate(chosen[_LOOK - 1 :], axis=0)
    fits = (tops - lows < (1 << width)) & ~ended[_LOOK - 1 :]
    more = fits[1:].sum(axis=0)
    least = lows[more, np.arange(len(left))]
    return np.minimum(left, _LOOK) + more, by_steps, width, least
