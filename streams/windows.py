"""Runs of bytes of one length as items of an array, to be gathered and scattered at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["windows"]


def windows(buffer: NDArray[np.uint8], width: int) -> NDArray[np.void]:
    """Return every run of `width` bytes of `buffer` as one item, without a copy.

    Parameters
    ----------
    buffer
        u1, shape (m,), contiguous.
    width
        Bytes of an item, 1 or more.

    Returns
    -------
    ndarray
        Shape (m - width + 1,), or (0,) when `buffer` is shorter: item k starts at byte k. Items
        overlap; assigning to several that do leaves any of their bytes.
    """
    count = max(len(buffer) - width + 1, 0)
    return np.ndarray((count,), np.dtype((np.void, width)), buffer, strides=(1,))
