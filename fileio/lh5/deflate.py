"""HDF5's filters shuffle and gzip on single chunks, in threads.

The package isal is used where it is installed (extra `raw`): its streams are ordinary zlib streams.
"""

from __future__ import annotations

import zlib
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import MissingExtra
from sapwood.extras import need
from sapwood.fileio.lh5.errors import LH5DecodeError

__all__ = ["compress", "decompress"]

_ISAL_LEVEL = 2  # within some percent of zlib's level 4, at many times its speed
_ISAL_REPLACES = 4  # higher levels are wanted for small files: zlib does them
_SPED_UP = (3, 4)  # noise, as in waveforms: level 2 needs half the time and some percent of space
_FAST_LEVEL = 2


@cache
def _isal() -> ModuleType | None:
    try:
        return need("isal.isal_zlib", extra="raw")
    except MissingExtra:
        return None


def compress(chunk: NDArray[Any], shuffle: bool, level: int) -> bytes:
    """Return `chunk` as HDF5 stores it.

    Parameters
    ----------
    chunk
        All elements of the chunk, in C order.
    shuffle
        Put first bytes of all elements first, then second ones ...
    level
        Of gzip, 0 to 9.
    """
    size = chunk.dtype.itemsize
    data = np.ascontiguousarray(chunk).reshape(-1).view(np.uint8)
    if shuffle and size > 1:
        by_byte = np.empty((size, len(data) // size), np.uint8)
        for i in range(size):
            by_byte[i] = data[i::size]
        data = by_byte.reshape(-1)
    isal = _isal()
    if isal is not None and 1 <= level <= _ISAL_REPLACES:
        packed: bytes = isal.compress(data.data, _ISAL_LEVEL)
        return packed
    if level in _SPED_UP:
        packed = zlib.compress(data.data, _FAST_LEVEL)
        if len(packed) > len(data) // 8:  # what shrinks more is packed quickly at any level
            return packed
    return zlib.compress(data.data, level)


def decompress(stored: bytes, out: NDArray[Any], shuffle: bool) -> None:
    """Fill `out`, the contiguous elements of a chunk, with what is `stored`.

    Raises
    ------
    LH5DecodeError
        When it is damaged or of another size; no more than that of `out` is ever unpacked.
    """
    library: Any = _isal() or zlib
    try:
        unpacker = library.decompressobj()
        data = unpacker.decompress(stored, out.nbytes + 1)
    except (zlib.error, library.error) as error:
        raise LH5DecodeError("A chunk cannot be decompressed", seen=str(error)) from error
    if len(data) != out.nbytes or not unpacker.eof:
        raise LH5DecodeError(
            "A chunk has not the size it should have", expected=out.nbytes, seen=f"{len(data)} or more"
        )
    flat, size = out.reshape(-1).view(np.uint8), out.dtype.itemsize
    found = np.frombuffer(data, np.uint8)
    if not shuffle or size == 1:
        flat[:] = found
        return
    for i, part in enumerate(found.reshape(size, -1)):
        flat[i::size] = part
