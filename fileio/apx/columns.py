"""Decoding many readouts at once: all first hits, then all second hits, and so on.

Readouts with damage, or with bytes in a hit that look like the start of another one, go to the
decoder of single readouts (`scan`). Joining hits that were split over two readouts is done for all
together at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.apx.layout import IDLE, LAYOUT_QUAD, PADDING, HitLayout, reverse_bits
from sapwood.fileio.apx.scan import Scan, scan
from sapwood.fileio.apx.status import Decoding
from sapwood.streams.windows import windows

__all__ = ["Hits", "decode", "strip_padding"]

_FEW = 12  # readouts; fewer are decoded one by one
_NEAR = 6  # bytes of filler passed one by one before they are searched
_REVERSED = np.frombuffer(reverse_bits(bytes(range(256))), np.uint8)

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


def strip_padding(data: Bytes, begin: Ints, size: Ints, strip: str = "all") -> Ints:
    """Return the sizes of readouts without the 0xFF at their ends; `strip` as in `stripped`."""
    end = begin + size
    rows = np.flatnonzero(size > 0)
    rows = rows[data[end[rows] - 1] == PADDING]
    for _ in range(64):
        if not len(rows):
            break
        end[rows] -= 1
        rows = rows[end[rows] > begin[rows]]
        rows = rows[data[end[rows] - 1] == PADDING]
    for row in rows.tolist():  # long runs
        first, last = int(begin[row]), int(end[row])
        end[row] = first + len(data[first:last].tobytes().rstrip(b"\xff"))
    if strip == "idle":
        kept = end > begin
        kept[kept] = data[end[kept] - 1] != IDLE
        end[kept] = (begin + size)[kept]
    return end - begin


@dataclass(slots=True)
class Hits:
    """The hits of many readouts, in order.

    Parameters
    ----------
    raw
        u1, shape (n, hit size), in logical bit order.
    row, order
        i8, shape (n,): the readout that holds each hit, and its number in there.
    count, status
        Shape (readouts,): hits of each, and its flags, see `Decoding`.
    carry
        Extra bytes of the last readout; None when there are none.
    joined
        Hits put together from two readouts.
    skipped, orphans, extras
        Bytes: dropped between or from incomplete hits, before the first hit and not joined, at the
        end and not joined.
    """

    raw: Bytes
    row: Ints
    order: Ints
    count: Ints
    status: NDArray[np.uint16]
    carry: bytes | None
    joined: int
    skipped: int
    orphans: int
    extras: int

    def __len__(self) -> int:
        return len(self.row)


@dataclass(slots=True)
class _Found:
    """What was found in each readout, before hits are joined; orphan -1 for none, extra -1 for none."""

    orphan: Ints
    orphan_end: Ints
    extra: Ints
    status: NDArray[np.uint16]
    steps: list[tuple[Ints, Ints]]  # of each step the readouts and where their hits begin
    slow: NDArray[np.bool_]
    singles: dict[int, list[int]]  # of readouts decoded one by one where their hits begin
    skipped: int = 0


def decode(
    data: Bytes, begin: Ints, size: Ints, layout: HitLayout, carry: bytes | None = None, *, chain: bool = True
) -> Hits:
    """Return the hits of readouts.

    Parameters
    ----------
    data
        The bytes of a file.
    begin, size
        i8, shape (n,): where the data of each readout lie, without filler at their ends.
    carry
        Extra bytes of the readout before the first; None when there are none.
    chain
        Join hits that were split over two readouts.
    """
    found = _find(data, begin, begin + size, layout)
    return _assemble(data, begin + size, layout, found, carry, chain)


def _find(data: Bytes, begin: Ints, end: Ints, layout: HitLayout) -> _Found:
    n = len(begin)
    none = np.full(n, -1, np.int64)
    found = _Found(none, none.copy(), none.copy(), np.zeros(n, np.uint16), [], np.zeros(n, np.bool_), {})
    if layout is LAYOUT_QUAD or n < _FEW or not len(data):
        found.slow[:] = True
    else:
        _Stepper(data, layout, found).run(begin, end)
    for row in np.flatnonzero(found.slow).tolist():
        _single(data, int(begin[row]), int(end[row]), row, layout, found)
    return found


def _single(data: Bytes, begin: int, end: int, row: int, layout: HitLayout, found: _Found) -> None:
    one = scan(data[begin:end].tobytes(), layout, Scan())
    found.singles[row] = [begin + at for at in one.hits]
    found.status[row] = one.status
    found.extra[row] = begin + one.extra if one.extra >= 0 else -1
    found.orphan[row], found.orphan_end[row] = -1, -1
    if one.orphan is not None:
        found.orphan[row], found.orphan_end[row] = begin + one.orphan[0], begin + one.orphan[1]
    found.skipped += one.skipped


class _Skip:
    """Moves places over filler; long runs are jumped over."""

    def __init__(self, data: Bytes, filler: Sequence[int]) -> None:
        self._data = data
        self._filler = np.zeros(256, np.bool_)
        self._filler[list(filler)] = True
        self._busy: Ints | None = None  # where bytes lie that are none

    def __call__(self, at: Ints, end: Ints) -> Ints:
        """Return for each place the first byte from there on that is no filler, at most `end`.

        `at` itself is returned when no place moves.
        """
        inside = at < end
        inside &= self._filler[np.take(self._data, at, mode="clip")]
        rows = np.flatnonzero(inside)
        if not len(rows):
            return at
        at = at.copy()
        here, stop = at[rows], end[rows]
        for _ in range(_NEAR):
            here += 1
            at[rows] = here
            on = here < stop
            on &= self._filler[np.take(self._data, here, mode="clip")]
            rows, here, stop = rows[on], here[on], stop[on]
            if not len(rows):
                return at
        at[rows] = self._jump(here, stop)
        return at

    def _jump(self, at: Ints, end: Ints) -> Ints:
        if self._busy is None:
            self._busy = np.append(np.flatnonzero(~self._filler[self._data]), len(self._data))
        return np.minimum(self._busy[np.searchsorted(self._busy, at)], end)


class _Stepper:
    """Takes one hit of every readout at each step."""

    def __init__(self, data: Bytes, layout: HitLayout, found: _Found) -> None:
        self._data = data
        self._size = layout.size
        self._is_start = np.frombuffer(layout.is_start, np.bool_)
        self._skip = _Skip(data, (IDLE, PADDING))
        self._skip_idle = _Skip(data, (IDLE,))
        self._found = found

    def _starts(self, at: Ints) -> NDArray[np.bool_]:
        return self._is_start[np.take(self._data, at, mode="clip")]

    def run(self, begin: Ints, end: Ints) -> None:
        """Fill what was found; readouts for the other decoder are marked slow."""
        at = self._lead_in(begin, end)
        rows = np.flatnonzero((at < end) & ~self._found.slow)
        at, end = at[rows], end[rows]
        while len(rows) >= _FEW:
            rows, at, end = self._step(rows, at, end)
        self._found.slow[rows] = True

    def _lead_in(self, begin: Ints, end: Ints) -> Ints:
        """Pass orphan bytes of up to a hit; return where the first hits begin."""
        at = self._skip(begin.copy(), end)
        rows = np.flatnonzero((at < end) & ~self._starts(at))
        if not len(rows):
            return at
        found, here, stop = self._found, at[rows], end[rows]
        last = here.copy()  # last byte of the orphan that is not idle
        for _ in range(self._size + _NEAR):
            here = here + 1
            inside = here < stop
            value = np.take(self._data, here, mode="clip")
            done = ~inside | self._is_start[value]
            if done.any():
                ready = rows[done]
                at[ready] = here[done]
                found.orphan_end[ready] = last[done] + 1
            last = np.where(value != IDLE, here, last)
            on = ~done
            rows, here, stop, last = rows[on], here[on], stop[on], last[on]
            if not len(rows):
                break
        found.slow[rows] = True
        ready = np.flatnonzero(found.orphan_end >= 0)
        found.orphan[ready] = self._skip(begin[ready], end[ready])
        return at

    def _step(self, rows: Ints, at: Ints, end: Ints) -> tuple[Ints, Ints, Ints]:
        """Take one hit of each of `rows`; return the readouts that go on, and where."""
        found, size = self._found, self._size
        start = self._starts(at)
        left = end - at
        whole = start & (left >= size)
        if not whole.all():
            tail = left < size
            tail |= (left == size) & ~start
            self._tails(rows[tail], at[tail], start[tail])
            found.slow[rows[~whole & ~tail]] = True
            rows, at, end = rows[whole], at[whole], end[whole]
        behind = self._skip_idle(at + size, end)
        odd = np.flatnonzero((behind < end) & ~self._starts(behind))
        if len(odd):
            doubtful = self._look_alikes(at[odd])
            found.slow[rows[odd[doubtful]]] = True
            keep = np.ones(len(rows), np.bool_)
            keep[odd[doubtful]] = False
            behind[odd] = self._skip(behind[odd], end[odd])
            rows, at, end, behind = rows[keep], at[keep], end[keep], behind[keep]
        found.steps.append((rows, at))
        on = behind < end
        return (rows, behind, end) if on.all() else (rows[on], behind[on], end[on])

    def _look_alikes(self, at: Ints) -> NDArray[np.bool_]:
        """Tell for each hit whether a byte of it but the first could begin one."""
        alike = np.zeros(len(at), np.bool_)
        for offset in range(1, self._size):
            alike |= self._starts(at + offset)
        return alike

    def _tails(self, rows: Ints, at: Ints, start: NDArray[np.bool_]) -> None:
        found = self._found
        found.status[rows] |= np.where(
            start, 1 << Decoding.VALID_EXTRA_BYTES, 1 << Decoding.INVALID_EXTRA_BYTES
        ).astype(np.uint16)
        found.extra[rows[start]] = at[start]


def _assemble(
    data: Bytes, end: Ints, layout: HitLayout, found: _Found, carry: bytes | None, chain: bool
) -> Hits:
    """Join split hits and bring all hits in order."""
    n = len(end)
    single = np.flatnonzero(found.slow)
    joined, raw_joined, lost_orphans, lost_extras = _join(data, end, layout, found, carry, chain)
    count = np.zeros(n, np.int64)
    for rows, _ in found.steps:
        count[rows] += 1
    count[single] = [len(found.singles[row]) for row in single.tolist()]
    count[joined] += 1
    first = np.cumsum(count) - count
    total = int(count.sum())
    at = np.zeros(total, np.int64)
    behind = first.copy()  # where the hits of each readout go, behind a joined one
    behind[joined] += 1
    fast = ~found.slow
    for step, (rows, places) in enumerate(found.steps):
        if len(single):
            kept = fast[rows]
            rows, places = rows[kept], places[kept]
        at[behind[rows] + step] = places
    for row in single.tolist():
        places_of = found.singles[row]
        at[behind[row] : behind[row] + len(places_of)] = places_of
    raw = np.empty((total, layout.size), np.uint8)
    if total > len(joined):
        raw = windows(data, layout.size)[at].view(np.uint8).reshape(total, layout.size)
    raw[first[joined]] = raw_joined
    owner = np.repeat(np.arange(n), count)
    extra = bytes(data[found.extra[-1] : end[-1]]) if n and found.extra[-1] >= 0 else None
    return Hits(
        _REVERSED[raw] if layout.reversed else raw,
        owner,
        np.arange(total) - first[owner],
        count,
        found.status,
        extra if n else carry,
        len(joined),
        found.skipped,
        lost_orphans,
        lost_extras,
    )


def _join(
    data: Bytes, end: Ints, layout: HitLayout, found: _Found, carry: bytes | None, chain: bool
) -> tuple[Ints, Bytes, int, int]:
    """Return the readouts whose orphan bytes complete a hit, these hits, and the bytes left over.

    The extra bytes of the last readout are not counted: they may still find their end.
    """
    orphans = np.flatnonzero(found.orphan >= 0)
    length = found.orphan_end - found.orphan
    carried = np.zeros(len(end), np.int64)
    carried[1:] = np.where(found.extra >= 0, end - found.extra, 0)[:-1]
    carried[:1] = 0 if carry is None else len(carry)
    if not chain:
        found.status[orphans] |= 1 << Decoding.ORPHAN_BYTES_NOT_USED
        return orphans[:0], _no_hits(layout), int(length[orphans].sum()), int(carried.sum())
    fits = (carried[orphans] > 0) & (carried[orphans] + length[orphans] == layout.size)
    alone = carried[orphans] == 0
    found.status[orphans] |= np.select(
        [fits, alone],
        [1 << Decoding.ORPHAN_BYTES_MATCHED, 1 << Decoding.ORPHAN_BYTES_NOT_USED],
        1 << Decoding.ORPHAN_BYTES_DROPPED,
    ).astype(np.uint16)
    joined = orphans[fits]
    lost = int(length[orphans[~fits]].sum()), int(carried.sum() - carried[joined].sum())
    if not len(joined):
        return joined, _no_hits(layout), *lost
    return joined, _joined_bytes(data, end, layout, found, joined, carry), *lost


@cache
def _no_hits(layout: HitLayout) -> Any:
    return np.empty((0, layout.size), np.uint8)


def _joined_bytes(
    data: Bytes, end: Ints, layout: HitLayout, found: _Found, joined: Ints, carry: bytes | None
) -> Bytes:
    """Return the hits that end in the readouts `joined`, shape (n, hit size), as on the wire."""
    index = np.arange(layout.size)
    rest = joined if joined[0] else joined[1:]
    head = (end - found.extra)[rest - 1]  # bytes that lie in the readout before
    place = np.where(
        index < head[:, None],
        found.extra[rest - 1][:, None] + index,
        found.orphan[rest][:, None] + index - head[:, None],
    )
    raw = data[place]
    if len(rest) == len(joined):
        return raw
    orphan = data[int(found.orphan[0]) : int(found.orphan_end[0])].tobytes()
    first = np.frombuffer((carry or b"") + orphan, np.uint8)
    return np.concatenate([first[None, :], raw])
