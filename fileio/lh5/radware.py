"""Radware's compression of waveforms: sections of samples with as few bits as they need.

A row is a sequence of big-endian words of 16 bits: the number of samples, then sections. An
absolute section holds samples minus their minimum, a difference section the first sample and then
steps minus the smallest step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.lh5.bits import GROUP, WIDEST, groups_of, pack, unpack
from sapwood.fileio.lh5.errors import CodecError
from sapwood.fileio.lh5.sections import Sections, Signal, cut, in_order

__all__ = ["LONGEST", "decode_rows", "encode_rows"]

LONGEST = 0xFFFF  # samples of a row: the first word counts them
_BY_STEPS = 32  # added to the width of difference sections
_CODES = 2 * _BY_STEPS  # one above the largest code of a section
_NEVER = 1 << 60  # words: more than any row has


def encode_rows(
    values: NDArray[Any], lengths: NDArray[np.int64], shift: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the bytes of all rows, and the bytes of each.

    Parameters
    ----------
    values
        Integer samples of all rows, one after the other; plus `shift` they fit 16 bits.
    lengths
        Samples of each row, i8.
    shift
        Added to every sample.

    Raises
    ------
    CodecError
        When a row is too long, or a sample does not fit.
    """
    if lengths.max(initial=0) > LONGEST:
        raise CodecError("A waveform is too long", expected=f"{LONGEST} samples at most", seen=lengths.max())
    signal = Signal(_as_words(values, shift).view(np.int16))
    sections = cut(signal, lengths)
    size = sections.words
    per_row = 1 + np.bincount(sections.row, size, len(lengths)).astype(np.int64)
    per_row += per_row & 1
    begin = np.cumsum(per_row) - per_row
    ends = np.cumsum(size)
    before = np.concatenate([[0], ends])[np.searchsorted(sections.row, np.arange(len(lengths)))]
    total = int(per_row.sum())
    words = np.zeros(total + GROUP, np.uint16)
    words[begin] = lengths
    _put_sections(words, signal, sections, ends - size + (begin + 1 - before)[sections.row])
    return words[:total].astype(">u2").view(np.uint8), per_row * 2


def _as_words(values: NDArray[Any], shift: int) -> NDArray[np.uint16]:
    """Return samples plus `shift`, modulo 2**16."""
    low, high = (int(values.min()), int(values.max())) if len(values) else (-shift, -shift)
    if low + shift < -(1 << 15) or high + shift >= 1 << 16:
        raise CodecError(
            "Samples do not fit 16 bits",
            seen=f"{low} to {high}, shifted by {shift}",
            hint="Choose another codec_shift, or ULEB128ZigZagDiff.",
        )
    words: NDArray[np.uint16] = values.astype(np.uint16) + np.uint16(shift & 0xFFFF)
    return words


def _put_sections(
    words: NDArray[np.uint16], signal: Signal, sections: Sections, at: NDArray[np.int64]
) -> None:
    """Set heads and packed values of all sections, which begin at word `at`."""
    values = signal.both.view(np.uint16)
    least = sections.least.astype(np.uint16)
    words[at] = sections.samples
    words[at + 1] = sections.width + _BY_STEPS * sections.steps
    words[at + 2] = np.where(sections.steps, values[sections.first], least)
    by = np.flatnonzero(sections.steps)
    words[at[by] + 3] = least[by]
    place = sections.first + sections.steps * (signal.shift + 1)
    groups = groups_of(place, sections.packed, sections.width, at + sections.head, least)
    pack(values, groups, words)


def decode_rows(
    data: NDArray[np.uint8], sizes: NDArray[np.int64], lengths: NDArray[np.int64], shift: int
) -> NDArray[np.int32]:
    """Return the samples of all rows, i4.

    Parameters
    ----------
    data
        Bytes of all rows, one after the other.
    sizes, lengths
        Bytes and samples of each row, i8.
    shift
        Subtracted from every sample.

    Raises
    ------
    CodecError
        When the bytes of a row do not give its number of samples.
    """
    if (sizes & 1).any() or (sizes < 2).any():
        raise CodecError("An encoded row does not consist of words of 16 bits")
    words = np.zeros(len(data) // 2 + 2 * GROUP, np.uint16)
    words[: len(data) // 2] = data.view(">u2")
    begin = (np.cumsum(sizes) - sizes) // 2
    wrong = np.flatnonzero(words[begin] != lengths)
    if len(wrong):
        row = int(wrong[0])
        raise CodecError(
            f"Encoded row {row} says another number of samples",
            expected=int(lengths[row]),
            seen=int(words[begin[row]]),
        )
    sections, at = _walk(words, begin, sizes // 2, lengths)
    samples = _samples(words, sections, at, int(lengths.sum())).view(np.int16)
    return np.subtract(samples, np.int32(shift), dtype=np.int32)


def _walk(
    words: NDArray[np.uint16], begin: NDArray[np.int64], size: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[Sections, NDArray[np.int64]]:
    """Find the sections of all rows and their first words, checking that each lies inside its row."""
    stop, end = begin + size, np.cumsum(lengths)
    row = np.flatnonzero(lengths)
    at, first = begin[row] + 1, (end - lengths)[row]
    stop, end = stop[row], end[row]
    found: list[tuple[NDArray[Any], ...]] = []
    while len(row):
        count = words.take(at).astype(np.int64)
        code = np.minimum(words.take(at + 1), _CODES)
        behind = at + _HEAD.take(code) + ((count - _IS_STEPS.take(code)) * _WIDTH.take(code) + 15 >> 4)
        last = first + count
        bad = (count == 0) | (behind > stop) | (last > end)
        if bad.any():
            raise CodecError(f"Encoded row {int(row[bad][0])} has an impossible section, or ends too early")
        found.append((row, first, count, code, at))
        at, first = behind, last
        on = last < end
        if not on.all():
            row, at, first, stop, end = row[on], at[on], first[on], stop[on], end[on]
    if not found:
        return Sections.none(), np.zeros(0, np.int64)
    row, first, count, code, at = in_order(found)
    steps = _IS_STEPS.take(code)
    least = words.take(at + 2 + steps).view(np.int16).astype(np.int64)
    return Sections(row, first, count, steps.astype(bool), _WIDTH.take(code), least), at


def _samples(
    words: NDArray[np.uint16], sections: Sections, at: NDArray[np.int64], total: int
) -> NDArray[np.uint16]:
    """Return the samples of all sections, which begin at word `at`, modulo 2**16 and not yet shifted."""
    values = np.empty(total + GROUP, np.uint16)
    place = sections.first + sections.steps
    least = sections.least.astype(np.uint16)
    groups = groups_of(place, sections.packed, sections.width, at + sections.head, least)
    unpack(words, groups, values)
    values = values[:total]
    by = np.flatnonzero(sections.steps)
    if not len(by):
        return values
    start = sections.first[by]
    values[start] = words[at[by] + 2]
    sums = np.cumsum(values, dtype=np.uint16)
    base = np.zeros(len(sections.first), np.uint16)
    base[by] = sums[start] - values[start]
    if len(by) < len(base):
        absolute = np.repeat(~sections.steps, sections.samples)
        np.copyto(sums, values, where=absolute)
    sums -= np.repeat(base, sections.samples)
    return sums


def _code_tables() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return width, head in words, and whether steps are packed (0, 1), by the code of a section."""
    codes = np.arange(_CODES + 1)
    steps = codes // _BY_STEPS
    width = codes - _BY_STEPS * steps
    head = np.where((width == 0) | (width > WIDEST) | (codes == _CODES), _NEVER, 3 + steps)
    return width, head, steps


_WIDTH, _HEAD, _IS_STEPS = _code_tables()
