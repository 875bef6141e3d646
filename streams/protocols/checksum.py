"""CRC-32 of packets by the quickest way at hand, without letting go of the interpreter lock."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeAlias

from sapwood.errors import MissingExtra
from sapwood.extras import need

__all__ = ["AT_ONCE", "Checksum", "in_pieces", "quickest"]

Checksum: TypeAlias = Callable[[memoryview | bytes, int], int]
"""Takes bytes and the checksum of those before them (0 for none); returns that of both."""

AT_ONCE = 5 << 10
"""Bytes up to which the libraries keep the interpreter lock."""


@functools.cache
def quickest() -> Checksum:
    """Return the CRC-32 of `isal` where that is installed (extra ``raw``), else that of `zlib`.

    Both let go of the interpreter lock for more than 5 KiB, and getting it back from busy threads
    costs a thousand times more than the sum: so they get less.
    """
    try:
        crc32: Checksum = need("isal.isal_zlib", extra="raw").crc32
    except MissingExtra:
        from zlib import crc32

    return in_pieces(crc32)


def in_pieces(crc32: Checksum) -> Checksum:
    """Return the function that does as `crc32`, at most `AT_ONCE` bytes at a time."""

    def checksum(data: memoryview | bytes, running: int) -> int:
        if len(data) <= AT_ONCE:
            return crc32(data, running)
        for at in range(0, len(data), AT_ONCE):
            running = crc32(data[at : at + AT_ONCE], running)
        return running

    return checksum
