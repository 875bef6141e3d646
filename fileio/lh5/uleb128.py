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

_LONGEST = 5  # bytes of a number of 32 bits


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
    wide = values.astype(np.int64)
    if len(wide) and (int(wide.min()) < -(1 << 31) or int(wide.max()) >= 1 << 32):
        raise CodecError("Samples do not fit 32 bits", seen=f"{int(wide.min())} to {int(wide.max())}")
    steps = np.diff(wide, prepend=0)
    starts = np.cumsum(lengths) - lengths
    firsts = starts[lengths > 0]
    steps[firsts] = wide[firsts]
    signed = steps.astype(np.int32)
    folded = ((signed >> 31) ^ (signed << 1)).view(np.uint32)
    sizes = np.ones(len(folded), np.int64)
    for bits in range(7, 7 * _LONGEST, 7):
        sizes += folded >= np.uint32(1 << bits)
    ends = np.cumsum(sizes)
    out = np.empty(int(ends[-1]) if len(ends) else 0, np.uint8)
    at = ends - sizes
    for group in range(int(sizes.max(initial=0))):
        if group:
            longer = sizes > group
            at, folded, sizes = at[longer], folded[longer], sizes[longer]
        more = np.where(sizes > group + 1, np.uint32(0x80), np.uint32(0))
        out[at + group] = (folded >> np.uint32(7 * group)) & np.uint32(0x7F) | more
    bounds = np.concatenate([[0], ends])
    return out, bounds[starts + lengths] - bounds[starts]


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
    last = np.flatnonzero(data < 0x80)
    row_ends = np.cumsum(sizes)
    found = np.searchsorted(last, row_ends) - np.searchsorted(last, row_ends - sizes)
    cut = (sizes > 0) & (data[row_ends - 1] >= 0x80) if len(data) else sizes > 0
    wrong = np.flatnonzero((found != lengths) | cut)
    if len(wrong):
        row = int(wrong[0])
        raise CodecError(
            f"Encoded row {row} does not hold its samples", expected=int(lengths[row]), seen=int(found[row])
        )
    begin = np.concatenate([[0], last[:-1] + 1]) if len(last) else last
    width = last - begin + 1
    if (width > _LONGEST).any() or (data[last[width == _LONGEST]] > 0x0F).any():
        raise CodecError("An encoded number has more than 32 bits")
    folded = np.zeros(len(last), np.uint32)
    for group in range(int(width.max(initial=0))):
        longer = np.flatnonzero(width > group) if group else np.arange(len(last))
        part = (data[begin[longer] + group] & 0x7F).astype(np.uint32)
        folded[longer] |= part << np.uint32(7 * group)
    steps = (folded >> np.uint32(1)).view(np.int32) ^ -(folded & np.uint32(1)).view(np.int32)
    total = np.cumsum(steps, dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    before = np.concatenate([[0], total])[starts]
    samples: NDArray[np.int64] = total - np.repeat(before, lengths)
    return samples.astype(np.int32)
