"""Parts of packets as matrices of bytes, whatever the packets' sizes and places."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.streams import FrameBatch

__all__ = ["cut", "first_words", "structured"]

_SHORT = 512  # bytes a row up to which one gather beats a copy per row


def cut(packets: FrameBatch, begin: int, nbytes: int) -> NDArray[np.uint8]:
    """Return bytes `begin` to ``begin + nbytes`` of every packet, shape (n, nbytes).

    A view when the packets have one size and equal distances, else a copy. All packets must be
    that long.
    """
    rows = packets.rows()
    if rows is not None:
        return rows[:, begin : begin + nbytes]
    start = packets.start + begin
    if nbytes <= _SHORT:
        gathered: NDArray[np.uint8] = packets.payload[start[:, np.newaxis] + np.arange(nbytes)]
        return gathered
    out = np.empty((len(packets), nbytes), np.uint8)
    for row, first in enumerate(start.tolist()):
        out[row] = packets.payload[first : first + nbytes]
    return out


def structured(rows: NDArray[np.uint8], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return rows of bytes, shape (n, dtype.itemsize), as an array of n records."""
    return np.ascontiguousarray(rows).view(dtype).reshape(len(rows))


def first_words(packets: FrameBatch, count: int) -> NDArray[np.uint32]:
    """Return the first 32-bit words of every packet, shape (n, count)."""
    words: NDArray[np.uint32] = np.ascontiguousarray(cut(packets, 0, 4 * count)).view("<u4")
    return words.reshape(len(packets), count)
