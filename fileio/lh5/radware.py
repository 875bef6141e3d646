"""Radware's compression of waveforms: sections of samples with as few bits as they need.

A row is a sequence of big-endian words of 16 bits: the number of samples, then sections. An
absolute section holds samples minus their minimum, a difference section the first sample and then
steps minus the smallest step. Where a section ends depends on the samples before, so rows are
walked section by section, all rows of a block side by side; bits are packed for all at once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.lh5.errors import CodecError
from sapwood.fileio.lh5.vectors import gather

__all__ = ["LONGEST", "decode_rows", "encode_rows"]

LONGEST = 0xFFFF  # samples of a row: the first word counts them
_LOOK, _MOST = 48, 128  # samples that decide a section; samples it may have
_STEP_MAX, _STEP_MIN = -16000, 16000  # where the search for the range of steps begins
_WIDEST = 16  # bits of a value
_BY_STEPS = 32  # added to the width of difference sections


class _Sections(NamedTuple):
    """Sections of many rows as columns, i8, in the order of rows and of samples."""

    row: NDArray[np.int64]
    first: NDArray[np.int64]  # index of the first sample, among all rows
    samples: NDArray[np.int64]  # how many
    steps: NDArray[np.bool_]  # difference sections
    width: NDArray[np.int64]
    least: NDArray[np.int64]  # smallest sample or step
    word: NDArray[np.int64]  # index of the first word, among all rows

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
    shifted = values.astype(np.int64) + shift
    if len(shifted) and (shifted.min() < -(1 << 15) or shifted.max() >= 1 << 16):
        raise CodecError(
            "Samples do not fit 16 bits",
            seen=f"{shifted.min() - shift} to {shifted.max() - shift}, shifted by {shift}",
            hint="Choose another codec_shift, or ULEB128ZigZagDiff.",
        )
    samples = shifted.astype(np.int16)
    sections = _cut(samples, lengths)
    per_row = 1 + np.bincount(sections.row, sections.words, len(lengths)).astype(np.int64)
    per_row += per_row & 1
    begin = np.cumsum(per_row) - per_row
    ends = np.cumsum(sections.words)
    before = np.concatenate([[0], ends])[np.searchsorted(sections.row, np.arange(len(lengths)))]
    at = ends - sections.words + (begin + 1 - before)[sections.row]
    words = np.zeros(int(per_row.sum()), np.uint16)
    words[begin] = lengths
    _pack(words, samples, sections._replace(word=at))
    return words.astype(">u2").view(np.uint8), per_row * 2


def _cut(samples: NDArray[np.int16], lengths: NDArray[np.int64]) -> _Sections:
    """Divide all rows into sections."""
    at = np.cumsum(lengths) - lengths
    stop = at + lengths
    row = np.flatnonzero(lengths)
    padded = np.concatenate([samples, np.zeros(_MOST, np.int16)])
    offsets = np.arange(_MOST)[:, np.newaxis]
    found: list[tuple[NDArray[Any], ...]] = []
    while len(row):
        begin, left = at[row], np.minimum(stop[row] - at[row], _MOST)
        window = padded[begin + offsets].astype(np.int32)
        count, steps, width, least = _next_section(window, left)
        found.append((row, begin, count, steps, width, least))
        at[row] += count
        row = row[at[row] < stop[row]]
    if not found:
        none = np.zeros(0, np.int64)
        return _Sections(none, none, none, none.astype(bool), none, none, none)
    columns = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    order = np.argsort(columns[1], kind="stable")
    row, first, samples_in, steps, width, least = (column[order] for column in columns)
    return _Sections(row, first, samples_in, steps, width, least, word=first)


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
    step[0] = step[1] if _MOST > 1 else 0
    ended = np.arange(_MOST)[:, np.newaxis] >= left
    top, low = window[:_LOOK].max(axis=0), window[:_LOOK].min(axis=0)
    seen = np.where(ended[:_LOOK], _STEP_MAX, step[:_LOOK])
    step_top = np.where(left > 1, np.maximum(seen.max(axis=0), _STEP_MAX), _STEP_MAX)
    seen = np.where(ended[:_LOOK], _STEP_MIN, step[:_LOOK])
    step_low = np.where(left > 1, np.minimum(seen.min(axis=0), _STEP_MIN), _STEP_MIN)
    by_steps = top - low > step_top - step_low
    top, low = np.where(by_steps, step_top, top), np.where(by_steps, step_low, low)
    width = np.full(len(left), 2)
    for bits in range(2, _WIDEST):
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


def _pack(words: NDArray[np.uint16], samples: NDArray[np.int16], sections: _Sections) -> None:
    """Set heads and packed values of all sections in `words`."""
    words[sections.word] = sections.samples
    words[sections.word + 1] = sections.width + _BY_STEPS * sections.steps
    by = np.flatnonzero(sections.steps)
    words[sections.word + 2] = sections.least.astype(np.int16).view(np.uint16)
    words[sections.word[by] + 2] = samples[sections.first[by]].view(np.uint16)
    words[sections.word[by] + 3] = sections.least[by].astype(np.int16).view(np.uint16)
    packed, at, width = _places(sections)
    index = gather(sections.first + sections.steps, packed)
    wide = samples[index].astype(np.int32)
    wide -= np.where(np.repeat(sections.steps, packed), samples[index - 1], 0)
    wide -= np.repeat(sections.least, packed).astype(np.int32)
    if not len(wide):
        return
    pair = wide.astype(np.uint32) << (32 - (at & 15) - width).astype(np.uint32)
    word = at >> 4
    heads = np.flatnonzero(np.diff(word, prepend=-1))
    words[word[heads]] = np.bitwise_or.reduceat(pair >> np.uint32(16), heads)
    over = np.flatnonzero((at & 15) + width > 16)
    words[word[over] + 1] |= (pair[over] & np.uint32(0xFFFF)).astype(np.uint16)


def _places(sections: _Sections) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return how many values each section packs; and of each value its first bit and its width."""
    packed = sections.packed
    width = np.repeat(sections.width, packed)
    rank = np.arange(len(width)) - np.repeat(np.cumsum(packed) - packed, packed)
    return packed, np.repeat((sections.word + sections.head) * 16, packed) + rank * width, width


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
    words = data.view(">u2").astype(np.uint16)
    begin = (np.cumsum(sizes) - sizes) // 2
    wrong = np.flatnonzero(words[begin] != lengths) if len(begin) else begin
    if len(wrong):
        row = int(wrong[0])
        raise CodecError(
            f"Encoded row {row} says another number of samples",
            expected=int(lengths[row]),
            seen=int(words[begin[row]]),
        )
    sections = _walk(words, begin, sizes // 2, lengths)
    return _unpack(words, sections, int(lengths.sum())) - np.int32(shift)


def _walk(
    words: NDArray[np.uint16], begin: NDArray[np.int64], size: NDArray[np.int64], lengths: NDArray[np.int64]
) -> _Sections:
    """Find the sections of all rows, checking that each lies inside its row."""
    padded = np.concatenate([words, np.zeros(4, np.uint16)])
    at, stop = begin + 1, begin + size
    first = np.cumsum(lengths) - lengths
    last = first + lengths
    row = np.flatnonzero(lengths)
    found: list[_Sections] = []
    while len(row):
        word = at[row]
        if (word + 3 > stop[row]).any():
            raise _broken(row[word + 3 > stop[row]], "ends too early")
        count, code = padded[word].astype(np.int64), padded[word + 1].astype(np.int64)
        steps = code >= _BY_STEPS
        width = code - _BY_STEPS * steps
        least = padded[np.where(steps, word + 3, word + 2)].view(np.int16).astype(np.int64)
        part = _Sections(row, first[row], count, steps, width, least, word)
        bad = (count == 0) | (width == 0) | (width > _WIDEST) | (first[row] + count > last[row])
        bad |= word + part.words > stop[row]
        if bad.any():
            raise _broken(row[bad], "has an impossible section")
        found.append(part)
        at[row] += part.words
        first[row] += count
        row = row[first[row] < last[row]]
    if not found:
        none = np.zeros(0, np.int64)
        return _Sections(none, none, none, none.astype(bool), none, none, none)
    columns = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    order = np.argsort(columns[1], kind="stable")
    return _Sections(*(column[order] for column in columns))


def _broken(rows: NDArray[np.int64], what: str) -> CodecError:
    return CodecError(f"Encoded row {int(rows[0])} {what}")


def _unpack(words: NDArray[np.uint16], sections: _Sections, total: int) -> NDArray[np.int32]:
    """Return the samples of all sections, not yet shifted."""
    padded = np.concatenate([words, np.zeros(1, np.uint16)]).astype(np.uint32)
    packed, at, width = _places(sections)
    word = at >> 4
    pair = (padded[word] << np.uint32(16)) | padded[word + 1]
    mask = (np.uint32(1) << width.astype(np.uint32)) - np.uint32(1)
    values = (pair >> (32 - (at & 15) - width).astype(np.uint32)) & mask
    out = np.empty(total, np.int64)
    out[gather(sections.first + sections.steps, packed)] = values + np.repeat(sections.least, packed)
    by = np.flatnonzero(sections.steps)
    if len(by):
        start, count = sections.first[by], sections.samples[by]
        out[start] = words[sections.word[by] + 2].view(np.int16)
        index = gather(start, count)
        sums = np.cumsum(out[index])
        base = np.concatenate([[0], sums])[np.cumsum(count) - count]
        out[index] = sums - np.repeat(base, count)
    return out.astype(np.int16).astype(np.int32)
