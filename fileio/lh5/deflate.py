"""HDF5's filters shuffle and gzip on single chunks, in threads.

The package isal is used where it is installed (extra `raw`): its streams are ordinary zlib streams.
Without it, every plane of bytes that shuffle makes is tried on a few samples: the search for
repetitions, which takes most of the time, is left out where it finds next to none, as in the low
bytes of waveforms.
"""

from __future__ import annotations

import sys
import zlib
from functools import cache
from itertools import groupby
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
_SEARCHING = 4  # up to this level the search may be left out
_WORTH = 1.04  # how many times larger what is packed without it may be
_EASY = 8  # times smaller
_LEAST_PLANE = 1 << 13  # smaller planes are not worth a trial
_SAMPLE, _APART = 1 << 11, 1 << 16  # bytes tried, of so many
_WINDOW = 1 << 15  # how far deflate looks back
_ZLIB_HEAD = b"\x78\x5e"


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
        All elements of the chunk.
    shuffle
        Put first bytes of all elements first, then second ones ...
    level
        Of gzip, 0 to 9.
    """
    size = chunk.dtype.itemsize
    if chunk.strides[-1] != size:
        chunk = np.ascontiguousarray(chunk)
    if shuffle and size > 1:
        data = _shuffled(chunk).reshape(-1)
    else:
        data = np.ascontiguousarray(chunk).reshape(-1).view(np.uint8)
    isal = _isal()
    if isal is not None and 1 <= level <= _ISAL_REPLACES:
        packed: bytes = isal.compress(data.data, _ISAL_LEVEL)
        return packed
    planes = size if shuffle else 1
    if 1 <= level <= _SEARCHING and len(data) >= planes * _LEAST_PLANE:
        return _by_planes(data.reshape(planes, -1), level)
    return zlib.compress(data.data, level)


def _shuffled(chunk: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the bytes of all elements, shape (size of one, ...): all first ones, all second ones ..."""
    size = chunk.dtype.itemsize
    out = np.empty((size, *chunk.shape), np.uint8)
    if size == 2 and sys.byteorder == "little":
        words = chunk.view(np.uint16)
        out[0] = words
        out[1] = words >> 8
        return out
    data = chunk.view(np.uint8)
    for i in range(size):
        out[i] = data[..., i::size]
    return out


def _by_planes(planes: NDArray[np.uint8], level: int) -> bytes:
    """Return a zlib stream of `planes`, each packed as suits it."""
    parts, left = [_ZLIB_HEAD], len(planes)
    for choice, alike in groupby(planes, lambda plane: _choice(plane.data, level)):
        packer = _packer(*choice)
        for plane in alike:
            parts.append(packer.compress(plane.data))
            left -= 1
        parts.append(packer.flush(zlib.Z_SYNC_FLUSH if left else zlib.Z_FINISH))
    parts.append(zlib.adler32(planes.reshape(-1).data).to_bytes(4, "big"))
    return b"".join(parts)


def _packer(level: int, strategy: int, known: memoryview | bytes = b"") -> Any:
    return zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, strategy, known)


def _choice(plane: memoryview, level: int) -> tuple[int, int]:
    """Return the level and the strategy that pack `plane` soonest without making it much larger."""
    searched, runs = (level, zlib.Z_DEFAULT_STRATEGY), (1, zlib.Z_RLE)
    size, by_runs = _tried(plane, *runs)
    if by_runs * _EASY < size:  # any search is quick
        return searched
    if by_runs <= _tried(plane, *searched)[1] * _WORTH:
        return runs
    return searched


def _tried(plane: memoryview, level: int, strategy: int) -> tuple[int, int]:
    """Return the bytes of some samples of `plane`, and those that they are packed to.

    Where repetitions are searched, the bytes before a sample are known.
    """
    size = packed = 0
    for stop in range(len(plane), 0, -_APART):
        start = max(0, stop - min(_SAMPLE, len(plane) // 8))
        window = b"" if strategy == zlib.Z_RLE else plane[max(0, start - _WINDOW) : start]
        packer = _packer(level, strategy, window)
        packed += len(packer.compress(plane[start:stop])) + len(packer.flush())
        size += stop - start
    return size, packed


def decompress(stored: bytes, out: NDArray[Any], shuffle: bool) -> None:
    """Fill `out`, the elements of a chunk, with what is `stored`; those of the last axis lie side by side.

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
    size, found = out.dtype.itemsize, np.frombuffer(data, np.uint8)
    flat = out.view(np.uint8)
    if not shuffle or size == 1:
        flat[...] = found.reshape(flat.shape)
        return
    for i, part in enumerate(found.reshape(size, *out.shape)):
        flat[..., i::size] = part
