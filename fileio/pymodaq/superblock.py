"""The superblock of an HDF5 file: whether a writer has it open, and letting a copy be opened again."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sapwood.errors import FormatError
from sapwood.fileio.hdf5 import SIGNATURE

if TYPE_CHECKING:
    from sapwood.fileio.formats import PathLike

__all__ = ["WRITING", "WRITING_SWMR", "Superblock", "clear_flags", "read_superblock", "stated_size"]

WRITING, WRITING_SWMR = 1, 4  # consistency flags of version 3
_FIRST_WITH_FLAGS = 3
_MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class Superblock:
    """Version, and of version 3 and later the consistency flags and what the checksum covers (bytes)."""

    version: int
    flags: int = 0
    covered: int = 0

    @property
    def in_use(self) -> bool:
        """A writer has the file open, or was killed."""
        return bool(self.flags & (WRITING | WRITING_SWMR))


def read_superblock(path: PathLike) -> Superblock:
    """Return the superblock at the beginning of the file.

    Raises
    ------
    FormatError
        When there is none.
    OSError
        When the file cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(12)
    if len(head) < 12 or not head.startswith(SIGNATURE):
        raise FormatError("The file is no HDF5 file", file=path, offset=0, expected=SIGNATURE, seen=head[:8])
    if head[8] < _FIRST_WITH_FLAGS:
        return Superblock(head[8])
    return Superblock(head[8], head[11], 12 + 4 * head[9])


def clear_flags(path: PathLike) -> None:
    """Take away the mark of a writer from a file that no program has open.

    The change is of two fields of the superblock; use it on a copy.
    """
    block = read_superblock(path)
    if not block.in_use:
        return
    with open(path, "r+b") as file:
        head = bytearray(file.read(block.covered))
        head[11] &= ~(WRITING | WRITING_SWMR) & 0xFF
        file.seek(0)
        file.write(bytes(head) + struct.pack("<I", _checksum(bytes(head))))


def stated_size(path: PathLike) -> int:
    """Return the size in bytes that the superblock gives for the file; a longer one is fine."""
    offset = 40 if read_superblock(path).version < 2 else 28
    with open(path, "rb") as file:
        file.seek(offset)
        return int.from_bytes(file.read(8), "little")


def _checksum(data: bytes) -> int:
    """Return Jenkins' lookup3 of `data`, which HDF5 puts behind its metadata."""
    a = b = c = (0xDEADBEEF + len(data)) & _MASK
    blocks = max(0, (len(data) - 1) // 12)
    for at in range(0, 12 * blocks, 12):
        x, y, z = struct.unpack_from("<3I", data, at)
        a, b, c = _mix((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)
    rest = data[12 * blocks :]
    if not rest:
        return c
    x, y, z = struct.unpack("<3I", rest.ljust(12, b"\0"))
    return _final((a + x) & _MASK, (b + y) & _MASK, (c + z) & _MASK)


def _turn(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (32 - bits))) & _MASK


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for bits in (4, 6, 8, 16, 19, 4):
        a = ((a - c) & _MASK) ^ _turn(c, bits)
        c = (c + b) & _MASK
        a, b, c = b, c, a
    return a, b, c


def _final(a: int, b: int, c: int) -> int:
    for bits in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _turn(b, bits)) & _MASK
        a, b, c = b, c, a
    return b  # what was c before the last turn
