"""HDF5's filters on one chunk of rows: checksum, shuffle, compression; in threads of the caller.

A chunk goes through fletcher32, shuffle and the compressor in this order. The compressors release
the interpreter's lock, so that several chunks are worked on at once.
"""

from __future__ import annotations

import bz2
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FormatError
from sapwood.fileio.slowsignal.errors import TornChunk

__all__ = ["ChunkFilter", "fletcher32"]

_BZIP2 = 307  # registered number of the filter
_LIBRARIES = ("zlib", "lzo", "bzip2", "blosc", "blosc2")  # numbered from 1 by PyTables
_CHECKSUM_BYTES = 4
_BLOCK_MARGIN = 50  # bytes of a block of bzip2 that stay free, and more
_SUM_WORDS = 1 << 16  # added up at once
_WEIGHTS = np.arange(_SUM_WORDS, 0, -1, dtype=np.uint64)


@dataclass(frozen=True, slots=True)
class ChunkFilter:
    """What happens to a chunk before it is stored.

    Parameters
    ----------
    level
        Of the compressor, 1 to 9; 0 for none.
    library
        ``bzip2`` or ``zlib``.
    shuffle
        First bytes of all rows first, then second ones ...
    fletcher32
        A checksum is stored with the rows.
    """

    level: int = 9
    library: str = "bzip2"
    shuffle: bool = True
    fletcher32: bool = True

    @classmethod
    def of(cls, filters: Any) -> ChunkFilter:
        """Return what a `Filters` object of PyTables stands for; None stands for the default.

        Raises
        ------
        FormatError
            For compressors and options other than those of slow-signal files.
        """
        if filters is None:
            return cls()
        level, library = int(filters.complevel), str(filters.complib)
        if level and library not in ("bzip2", "zlib"):
            raise FormatError("No such compressor", expected="bzip2 or zlib", seen=library)
        if getattr(filters, "bitshuffle", False):
            raise FormatError("Slow-signal files have no bitshuffle", expected="shuffle", seen="bitshuffle")
        shuffle = bool(filters.shuffle) and bool(level)
        return cls(level, library if level else "zlib", shuffle, bool(filters.fletcher32))

    @classmethod
    def stored(cls, dataset: Any) -> ChunkFilter | None:
        """Return the filters of a dataset; None when it has others."""
        plist = dataset.id.get_create_plist()
        found = [plist.get_filter(number) for number in range(plist.get_nfilters())]
        by_code = {code: values for code, _, values, _ in found}
        order = [code for code, *_ in found]
        if (
            dataset.chunks is None
            or order != [c for c in (3, 2, _BZIP2, 1) if c in by_code]
            or len(order) > 3
        ):
            return None
        library = "bzip2" if _BZIP2 in by_code else "zlib"
        values = by_code.get(_BZIP2 if library == "bzip2" else 1, (0,))
        return cls(int(values[0]), library, 2 in by_code, 3 in by_code)

    @property
    def packed(self) -> int | None:
        """The number that PyTables keeps in the attribute ``FILTERS``; None for no filters."""
        flags = int(self.shuffle) | int(self.fletcher32) << 1
        library = _LIBRARIES.index(self.library) + 1 if self.level else 0
        return (flags << 16 | library << 8 | self.level) or None

    def apply_to(self, plist: Any, row_bytes: int) -> None:
        """Add the filters to the creation properties of a dataset."""
        if self.fletcher32:
            plist.set_fletcher32()
        if self.shuffle:
            plist.set_shuffle()
        if self.level and self.library == "zlib":
            plist.set_deflate(self.level)
        elif self.level:
            plist.set_filter(_BZIP2, 1, (self.level, 27, 0))  # PyTables: level, its version, table

    def encode(self, rows: NDArray[Any]) -> bytes:
        """Return a whole chunk of rows as it is stored."""
        data = rows.view(np.uint8).reshape(-1)
        if self.fletcher32:
            check = np.frombuffer(fletcher32(data).to_bytes(_CHECKSUM_BYTES, "little"), np.uint8)
            data = np.concatenate((data, check))
        if self.shuffle:
            data = _shuffled(data, rows.itemsize)
        if not self.level:
            return data.tobytes()
        if self.library == "bzip2":
            return _bzip2(data, self.level)
        return zlib.compress(data.data, self.level)

    def decode(self, stored: bytes, mask: int, dtype: np.dtype[Any], rows: int) -> NDArray[Any]:
        """Return the rows of a stored chunk.

        Parameters
        ----------
        mask
            Bit n is set when filter n was left out of this chunk.

        Raises
        ------
        TornChunk
            When it is damaged.
        """
        size = rows * dtype.itemsize
        data = self._unpacked(stored, mask, size + _CHECKSUM_BYTES)
        position = int(self.fletcher32)
        if self.shuffle and not mask >> position & 1:
            data = _unshuffled(data, dtype.itemsize)
        if self.fletcher32 and not mask & 1:
            body, check = data[:-_CHECKSUM_BYTES], int.from_bytes(data[-_CHECKSUM_BYTES:].tobytes(), "little")
            if fletcher32(body) != check:
                raise TornChunk("The checksum of a chunk is wrong", expected=check, seen=fletcher32(body))
            data = body
        if len(data) != size:
            raise TornChunk("A chunk has not the size it should have", expected=size, seen=len(data))
        return np.ascontiguousarray(data).view(dtype)

    def _unpacked(self, stored: bytes, mask: int, most: int) -> NDArray[np.uint8]:
        if not self.level or mask >> (int(self.fletcher32) + int(self.shuffle)) & 1:
            return np.frombuffer(stored, np.uint8)
        try:
            if self.library == "bzip2":
                data = bz2.BZ2Decompressor().decompress(stored, most + 1)
            else:
                data = zlib.decompressobj().decompress(stored, most + 1)
        except (OSError, ValueError, zlib.error) as error:
            raise TornChunk("A chunk cannot be decompressed", seen=str(error)) from error
        if len(data) > most:
            raise TornChunk("A chunk is larger than it should be", expected=f"{most} bytes at most")
        return np.frombuffer(data, np.uint8)


def _bzip2(data: NDArray[np.uint8], level: int) -> bytes:
    """Return what ``bz2.compress`` does, with less memory, for which the system has to find pages.

    The level is the size of a block in units of 100,000 bytes, and a digit in the head; where all
    data fit into a smaller block the other bytes are the same. Runs may make a block a quarter
    longer than the data.
    """
    enough = 1 + (len(data) + len(data) // 4 + _BLOCK_MARGIN) // 100_000
    if enough >= level:
        return bz2.compress(data.data, level)
    return b"BZh%d" % level + bz2.compress(data.data, enough)[4:]


def _shuffled(data: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return first bytes first; what is no whole element stays at the end."""
    whole = len(data) // size * size
    made = np.empty_like(data)
    made[:whole].reshape(size, -1)[...] = data[:whole].reshape(-1, size).T
    made[whole:] = data[whole:]
    return made


def _unshuffled(data: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    whole = len(data) // size * size
    made = np.empty_like(data)
    made[:whole].reshape(-1, size)[...] = data[:whole].reshape(size, -1).T
    made[whole:] = data[whole:]
    return made


def fletcher32(data: NDArray[np.uint8]) -> int:
    """Return HDF5's checksum of bytes: two sums modulo 65535 over big-endian words of 16 bits."""
    if len(data) % 2:
        data = np.append(data, np.uint8(0))
    words = data.view(">u2")
    first = second = 0
    for begin in range(0, len(words), _SUM_WORDS):
        part = words[begin : begin + _SUM_WORDS].astype(np.uint64)
        second += first * len(part) + int(part @ _WEIGHTS[-len(part) :])
        first += int(part.sum())
    return _folded(second, first) << 16 | _folded(first, first)


def _folded(total: int, any_word: int) -> int:
    """Return a sum as HDF5 folds it: never 0 unless all words are."""
    return (total - 1) % 0xFFFF + 1 if any_word else 0
