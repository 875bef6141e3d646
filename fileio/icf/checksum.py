"""Checksums of many objects at once: CRC-32 is linear over GF(2), so stored ones can be combined.

The CRC-32 of objects written one after the other is the exclusive or of their own, each advanced
by the bytes that follow it. Advancing by a number of zero bytes is a 32 x 32 matrix over GF(2); as
four tables of 256 words (one a byte of the checksum) it is applied to whole arrays. So one `crc32`
over a run of objects, compared with the combination of what is stored, stands for all of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import MissingExtra
from sapwood.extras import need

__all__ = ["checksums", "combined", "crc32_function"]

_U4 = np.uint32
_DIGIT_BITS = 6  # distances within a block are advanced in two steps, by two digits
_DIGITS = 1 << _DIGIT_BITS
_BLOCK_BITS = 2 * _DIGIT_BITS
_TREE_TABLES = 4096  # sizes times levels kept, 4 KiB each

Words = NDArray[np.uint32]


@cache
def crc32_function() -> Callable[[Any], int]:
    """Return the quicker ``crc32`` there is: that of isal where it is installed."""
    try:
        found: Callable[[Any], int] = need("isal.isal_zlib", extra="raw").crc32
    except MissingExtra:
        return zlib.crc32
    return found


def checksums(objects: Sequence[bytes | memoryview]) -> Words:
    """Return the CRC-32 of each object, u4, shape (n,)."""
    return np.fromiter(map(crc32_function(), objects), "<u4", len(objects))


def _one_byte() -> Words:
    """Return the matrix that advances by one zero byte, as 32 columns."""
    bits = _U4(1) << np.arange(32, dtype=_U4)
    table = np.array([zlib.crc32(bytes([value])) for value in range(256)], _U4)
    table ^= table[0]  # without what zlib adds before and after
    return (bits >> _U4(8)) ^ np.where(bits < 256, table[(bits & _U4(255)).astype(np.intp)], _U4(0))


def _tables(columns: Words) -> Words:
    """Return matrices, shape (..., 32), as tables of their action on each byte, shape (..., 4, 256)."""
    table = np.zeros((*columns.shape[:-1], 4, 256), _U4)
    for bit in range(32):
        byte, place = divmod(bit, 8)
        half = 1 << place
        np.bitwise_xor(
            table[..., byte, :half], columns[..., bit, None], out=table[..., byte, half : 2 * half]
        )
    return table


def _apply(table: Words, crcs: Words) -> Words:
    """Return `crcs`, each advanced by the matrix whose `table` has shape (4, 256)."""
    parts = np.ascontiguousarray(crcs, "<u4").view(np.uint8).reshape(-1, 4)
    result: Words = table[0].take(parts[:, 0])
    for byte in (1, 2, 3):
        result ^= table[byte].take(parts[:, byte])
    return result


@lru_cache(maxsize=_TREE_TABLES)
def _advance(nbytes: int) -> Words:
    """Return the tables that advance by `nbytes` zero bytes."""
    return _tables(_matrix(nbytes))


@lru_cache(maxsize=_TREE_TABLES)
def _matrix(nbytes: int) -> Words:
    if nbytes == 0:
        return _U4(1) << np.arange(32, dtype=_U4)
    if nbytes == 1:
        return _one_byte()
    half = _matrix(nbytes // 2)
    doubled = _apply(_tables(half), half)
    return _apply(_tables(_one_byte()), doubled) if nbytes % 2 else doubled


@lru_cache(maxsize=2)
def _digit_tables(unit: int) -> Words:
    """Return the tables that advance by 0 to 63 times `unit` bytes, flat, one after the other."""
    columns = np.stack([_matrix(unit * digit) for digit in range(_DIGITS)])
    return _tables(columns).reshape(-1)


def _apply_digits(tables: Words, digits: NDArray[np.int64], crcs: Words) -> Words:
    parts = np.ascontiguousarray(crcs, "<u4").view(np.uint8).reshape(-1, 4)
    base = digits << 10
    result: Words = tables.take(base + parts[:, 0])
    for byte in (1, 2, 3):
        base += 256
        result ^= tables.take(base + parts[:, byte])
    return result


def _equal(crcs: Words, nbytes: int) -> int:
    """Combine checksums of objects of `nbytes` each, by pairs, then pairs of pairs."""
    while len(crcs) > 1:
        if len(crcs) % 2:  # a zero in front changes nothing
            crcs = np.concatenate([np.zeros(1, _U4), crcs])
        crcs = _apply(_advance(nbytes), crcs[::2]) ^ crcs[1::2]
        nbytes *= 2
    return int(crcs[0])


def _mixed(crcs: Words, sizes: NDArray[np.int64]) -> int:
    """Combine checksums of objects of several sizes: first to the ends of blocks of 4 KiB."""
    ends = np.cumsum(sizes, dtype=np.int64)
    behind = ends[-1] - ends
    low = behind & ((1 << _BLOCK_BITS) - 1)
    moved = _apply_digits(_digit_tables(1), low & (_DIGITS - 1), crcs)
    moved = _apply_digits(_digit_tables(_DIGITS), low >> _DIGIT_BITS, moved)
    block = behind >> _BLOCK_BITS
    first = np.flatnonzero(np.diff(block, prepend=block[0] + 1))
    blocks = np.zeros(int(block[0]) + 1, _U4)
    blocks[block[0] - block[first]] = np.bitwise_xor.reduceat(moved, first)
    return _equal(blocks, 1 << _BLOCK_BITS)


def combined(crcs: Words, sizes: NDArray[np.int64] | int) -> int:
    """Return the CRC-32 of objects one after the other from their own.

    Parameters
    ----------
    crcs
        u4, shape (n,): the CRC-32 of each object.
    sizes
        Bytes, one number for all, or i8, shape (n,).
    """
    if not len(crcs):
        return 0
    if isinstance(sizes, int):
        return _equal(crcs, sizes)
    return _mixed(crcs, sizes)
