"""Where radware's encoder divides waveforms: each section with the fewest bits its first samples need.

A section takes up to 48 samples, decides by them whether samples or steps span less, and then goes
on, up to 128 samples, as long as their span fits its width. Rows are walked side by side. Spans of 4
and of 16 samples are found beforehand for every place, so that a section takes a few look-ups; the
last samples of rows, and rows that jump, are walked sample by sample.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.lh5.bits import GROUP, WIDEST

__all__ = ["Sections", "Signal", "cut", "in_order"]

_LOOK, _MOST = 48, 128  # samples that decide a section; samples it may have
_STEP_MAX, _STEP_MIN = -16000, 16000  # where the search for the range of steps begins
_PIECE = 1 << 14  # samples whose spans are found at once: they stay in the cache

_BITS = np.maximum(2, np.frexp(np.arange(1 << 16))[1]).astype(np.uint8)  # that a span needs
_LIMIT = (np.int32(1) << _BITS) - np.int32(1)  # the largest span of these bits
_FULL = -1  # the limit of sections that may not grow
_NO_STEP = np.array([[_STEP_MAX], [~_STEP_MIN]], np.int16)


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
        self.all = np.zeros(4 * self.shift, np.int16)
        self.both = self.all[: 2 * self.shift]  # behind them is room for the same inverted
        self.samples, self.steps = self.both[: self.shift], self.both[self.shift :]
        self.samples[:size] = samples
        np.subtract(self.samples[1:], self.samples[:-1], out=self.steps[1:])

    def jumps(self) -> NDArray[np.int64]:
        """Return the indices of samples whose step from the one before does not fit 16 bits."""
        now, before = self.samples[1:], self.samples[:-1]
        return np.flatnonzero((now ^ before) & (now ^ self.steps[1:]) < 0) + 1


class _Spans:
    """Extremes of 1, 4 and 16 values from every place on: the largest, and the largest of the inverted.

    Parameters
    ----------
    signal
        What they are of; places are indices of its `both`.
    """

    def __init__(self, signal: Signal) -> None:
        self._shift, self._one, size = signal.shift, signal.all, len(signal.all)
        np.invert(signal.both, out=self._one[2 * signal.shift :])
        self._four, self._sixteen = np.empty_like(self._one), np.empty_like(self._one)
        for start in range(0, size - GROUP, _PIECE):
            values = self._one[start : start + _PIECE + GROUP]
            count = len(values) - GROUP
            four = _wider(_wider(values, 1), 2)
            self._four[start : start + count] = four[:count]
            eight = _wider(four, 4)
            np.maximum(eight[:count], eight[8 : 8 + count], out=self._sixteen[start : start + count])
        samples, steps = np.array([0, 16, 32]), np.array([1, 17, 32]) + self._shift  # 48, and 47
        self._first = np.stack([samples, steps])[:, :, np.newaxis, np.newaxis] + self._inverted
        self._near = np.arange((_MOST - _LOOK) // 16)[:, np.newaxis, np.newaxis]

    @property
    def _inverted(self) -> NDArray[np.int64]:
        """Where the extremes of a place are, relative to it."""
        return np.array([[0], [2 * self._shift]])

    def next_section(self, here: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        """Return count, kind, width and least value of the sections at `here`, 128 samples before an end."""
        seen = self._sixteen.take(self._first + here).max(axis=1)
        known, steps = seen[0], np.maximum(seen[1], _NO_STEP)
        span, of_steps = _span(known), _span(steps)
        by_steps = span > of_steps
        np.copyto(known, steps, where=by_steps)
        np.copyto(span, of_steps, where=by_steps)
        limit = _LIMIT.take(span)
        place = here + (by_steps * self._shift + _LOOK)
        count, known = self._fitting(self._sixteen, place, known, limit, 16, (_MOST - _LOOK) // 16)
        limit[count == _MOST - _LOOK] = _FULL
        for table, size in ((self._four, 4), (self._one, 1)):
            more, known = self._fitting(table, place + count, known, limit, size, 3)
            count = count + more
        return _LOOK + count, by_steps, _BITS.take(span), ~known[1]

    def _fitting(
        self,
        table: NDArray[np.int16],
        place: NDArray[np.int64],
        known: NDArray[np.int16],
        limit: NDArray[np.int32],
        size: int,
        most: int,
    ) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
        """Return how many samples from `place` on fit sections, in steps of `size`; and the new extremes.

        Parameters
        ----------
        table
            Extremes of `size` values from every place on.
        known
            Extremes of each section so far, shape (2, rows).
        limit
            The largest span of each.
        size, most
            Samples of a step, and steps.
        """
        rows = len(place)
        found = np.empty((most + 1, 2, rows), np.int16)
        found[0] = known
        found[1:] = table.take((self._near[:most] * size + self._inverted) + place)
        for i in range(most):
            np.maximum(found[i], found[i + 1], out=found[i + 1])
        steps = np.add.reduce(_span(found[1:]) <= limit, axis=0)
        last = steps * (2 * rows) + np.arange(rows)
        return steps * size, found.reshape(-1).take(np.stack([last, last + rows]))


def _wider(extremes: NDArray[np.int16], by: int) -> NDArray[np.int16]:
    """Return those of twice as many values, `by` fewer."""
    return np.maximum(extremes[:-by], extremes[by:])


def _span(extremes: NDArray[np.int16]) -> NDArray[np.uint16]:
    """Return largest minus smallest, of shape (..., 2, rows)."""
    whole = extremes.view(np.uint16)
    span: NDArray[np.uint16] = whole[..., 0, :] + whole[..., 1, :]
    span += np.uint16(1)
    return span


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
    if len(row):
        spans = _Spans(signal)
    here, last = at[row], stop[row] - _MOST
    while len(row):
        count, steps, width, least = spans.next_section(here)
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
        count, steps, width, least = _next_section(window, left)
        found.append((row, begin, count, steps, width, least))
        at[row] += count
        row = row[at[row] < stop[row]]


def _next_section(window: NDArray[np.int32], left: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
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
