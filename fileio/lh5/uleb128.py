"""Differences of samples, zigzag-folded, as unsigned LEB128: any number of waveforms at once.

A sample is stored as the difference to the one before it (the first as it is), 32 bits, folded so
that small negative numbers stay small: 0, -1, 1, -2 ... become 0, 1, 2, 3 ... The result is cut
into groups of 7 bits, low ones first; bit 7 says that more follow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.lh5.errors import CodecError

__all__ = ["decode_rows", "encode_rows"]

_BITS = 7  # of a group
_LOW = np.uint32(0x7F)
_MORE = np.uint8(0x80)
_LONGEST = 5  # bytes of a number of 32 bits
_LAST = 0x0F  # the largest fifth byte


def encode_rows(
    values: NDArray[Any], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the bytes of all rows, and the bytes of each.

    Parameters
    ----------
    values
        Integer samples of all rows, one after the other.
    lengths
        Samples of each row, i8.
    """
    if values.dtype.itemsize > 4 and len(values):
        low, high = int(values.min()), int(values.max())
        if low < -(1 << 31) or high >= 1 << 32:
            raise CodecError("Samples do not fit 32 bits", seen=f"{low} to {high}")
    folded = _folded(values.astype(np.int32), lengths)
    long = np.flatnonzero(folded > _LOW)
    out = (folded & _LOW).astype(np.uint8)
    if not len(long):
        return out, lengths
    out[long] |= _MORE
    rest = folded[long] >> np.uint32(_BITS)
    extra = np.ones(len(long), np.int64)
    for bits in range(_BITS, _BITS * (_LONGEST - 1), _BITS):
        extra += rest >= np.uint32(1 << bits)
    extras = np.concatenate([[0], np.cumsum(extra)])
    ends = np.cumsum(lengths)
    before = extras[np.searchsorted(long, np.concatenate([[0], ends]))]
    return _with_extra(out, long + 1 + extras[:-1], extra, rest), lengths + np.diff(before)


def _folded(values: NDArray[np.int32], lengths: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return the folded steps of all rows, each of which begins with a step from 0."""
    steps = np.empty_like(values)
    np.subtract(values[1:], values[:-1], out=steps[1:])
    firsts = (np.cumsum(lengths) - lengths)[lengths > 0]
    steps[firsts] = values[firsts]
    return ((steps >> 31) ^ (steps << 1)).view(np.uint32)


def _with_extra(
    lowest: NDArray[np.uint8], at: NDArray[np.int64], extra: NDArray[np.int64], rest: NDArray[np.uint32]
) -> NDArray[np.uint8]:
    """Return the lowest groups of all numbers, with the `extra` groups of long ones put in from `at` on."""
    out = np.empty(len(lowest) + int(extra.sum()), np.uint8)
    is_lowest = np.ones(len(out), bool)
    for group in range(int(extra.max())):
        if group:
            longer = extra > 1
            at, extra, rest = at[longer] + 1, extra[longer] - 1, rest[longer] >> np.uint32(_BITS)
        out[at] = (rest & _LOW) | np.where(extra > 1, _MORE, np.uint8(0))
        is_lowest[at] = False
    out[is_lowest] = lowest
    return out


def decode_rows(
    data: NDArray[np.uint8], sizes: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Return the samples of all rows, i4.

    Parameters
    ----------
    data
        Bytes of all rows, one after the other.
    sizes, lengths
        Bytes and samples of each row, i8.

    Raises
    ------
    CodecError
        When the bytes of a row do not give its number of samples.
    """
    followed = np.flatnonzero(data >= _MORE)
    row_ends = np.cumsum(sizes)
    found = sizes - np.diff(np.searchsorted(followed, np.concatenate([[0], row_ends])))
    cut = (sizes > 0) & (data[row_ends - 1] >= _MORE) if len(data) else sizes > 0
    wrong = np.flatnonzero((found != lengths) | cut)
    if len(wrong):
        row = int(wrong[0])
        raise CodecError(
            f"Encoded row {row} does not hold its samples", expected=int(lengths[row]), seen=int(found[row])
        )
    folded = _numbers(data, followed)
    steps = (folded >> np.uint32(1)).view(np.int32)
    steps ^= -(folded & np.uint32(1)).view(np.int32)
    total = np.cumsum(steps, dtype=np.int32)  # modulo 2**32, as samples are
    before = np.concatenate([np.zeros(1, np.int32), total])[np.cumsum(lengths) - lengths]
    total -= np.repeat(before, lengths)
    return total


def _numbers(data: NDArray[np.uint8], followed: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return the numbers that `data` hold, given which bytes are `followed` by more of the same number."""
    if not len(followed):
        return data.astype(np.uint32)
    more = data >= _MORE
    is_lowest = np.ones(len(data), bool)
    np.logical_not(more[:-1], out=is_lowest[1:])
    wide = (data & np.uint8(_LOW)).astype(np.uint32)
    wide[:-1] |= (wide[1:] << np.uint32(_BITS)) * more[:-1]
    numbers = wide[is_lowest]
    third = followed[:-1][np.diff(followed) == 1] + 2
    if len(third):
        _add_groups(numbers, data, third, third - 1 - np.searchsorted(followed, third - 1))
    return numbers


def _add_groups(
    numbers: NDArray[np.uint32], data: NDArray[np.uint8], at: NDArray[np.int64], number: NDArray[np.int64]
) -> None:
    """Put the bytes `at`, the third ones and all after them, to the numbers they belong to."""
    place = np.arange(len(at))
    group = 2 + place - np.maximum.accumulate(np.where(np.diff(number, prepend=-1) > 0, place, 0))
    bits = data[at]
    if group.max() >= _LONGEST or (bits[group == _LONGEST - 1] > _LAST).any():
        raise CodecError("An encoded number has more than 32 bits")
    for one in range(2, _LONGEST):
        some = np.flatnonzero(group == one)
        numbers[number[some]] |= (bits[some] & _LOW) << np.uint32(_BITS * one)
