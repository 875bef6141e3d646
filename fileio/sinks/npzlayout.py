"""Where the arrays of a ``.npz`` archive lie: members of a zip file, stored and not compressed."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib import format as npy

__all__ = ["Member", "directory"]

_VERSION = 45  # of the zip format: sizes of 64 bits
_UTF8 = 1 << 11  # flag: the name is UTF-8
_DOS_DATE = (1 << 5) | 1  # 1 January 1980: the same rows give the same file
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_LOCAL_EXTRA = struct.Struct("<2H2Q")
_CENTRAL_EXTRA = struct.Struct("<2H3Q")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF  # "see the 64-bit field"


class Member:
    """One array of the archive: its place, and how far it is filled."""

    def __init__(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], begin: int) -> None:
        self.name = f"{name}.npy".encode()
        self.dtype = dtype
        text = io.BytesIO()
        spec = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(text, spec)
        self.header = text.getvalue()
        self.begin = begin
        self.data_begin = begin + _LOCAL.size + len(self.name) + _LOCAL_EXTRA.size
        self.nbytes = len(self.header) + dtype.itemsize * math.prod(shape)
        self.filled = 0
        self.crc = 0

    @property
    def end(self) -> int:
        """Byte behind the member."""
        return self.data_begin + self.nbytes

    def local_header(self) -> bytes:
        """Return what stands before the data, with the checksum so far."""
        extra = _LOCAL_EXTRA.pack(1, 16, self.nbytes, self.nbytes)
        fixed = (_VERSION, _UTF8, 0, 0, _DOS_DATE, self.crc, _FULL32, _FULL32, len(self.name), len(extra))
        return _LOCAL.pack(b"PK\3\4", *fixed) + self.name + extra

    def central_header(self) -> bytes:
        """Return the entry of the central directory."""
        extra = _CENTRAL_EXTRA.pack(1, 24, self.nbytes, self.nbytes, self.begin)
        fixed = (_VERSION, _VERSION, _UTF8, 0, 0, _DOS_DATE, self.crc, _FULL32, _FULL32)
        rest = (len(self.name), len(extra), 0, 0, 0, 0, _FULL32)
        return _CENTRAL.pack(b"PK\1\2", *fixed, *rest) + self.name + extra


def directory(members: Sequence[Member], begin: int) -> bytes:
    """Return the central directory of the archive, which begins at byte `begin`."""
    entries = b"".join(member.central_header() for member in members)
    count, size = len(members), len(entries)
    end64 = _END64.pack(b"PK\6\6", _END64.size - 12, _VERSION, _VERSION, 0, 0, count, count, size, begin)
    locator = _LOCATOR.pack(b"PK\6\7", 0, begin + size, 1)
    end = _END.pack(b"PK\5\6", 0, 0, _FULL16, _FULL16, _FULL32, _FULL32, 0)
    return entries + end64 + locator + end
