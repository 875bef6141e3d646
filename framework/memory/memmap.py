"""Registers in mapped memory: UIO devices, PCI base address regions, physical memory, files."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from threading import Lock

from sapwood.errors import BusError
from sapwood.memory.slave import Slave
from sapwood.memory.transaction import Post, Transaction, Write

__all__ = ["MemMap"]

_WORD = 4
_WRITES = (Write, Post)


class MemMap(Slave):
    """The 32-bit words of a mappable file, as registers.

    Each word is one aligned 32-bit access of the processor, in order of address; bytes are never
    copied as a block, which hardware would see as accesses of other widths or repeated ones.
    The file is mapped by ``_start`` or the first access, and unmapped by ``_stop``.

    Parameters
    ----------
    path
        ``/dev/uio0``, ``/sys/bus/pci/devices/.../resource0``, ``/dev/mem``, a file.
    offset
        Where address 0 lies in the file (bytes, a multiple of 4). A UIO device shows its n-th
        region at n pages.
    size
        Bytes to map, a multiple of 4.

    Raises
    ------
    BusError
        `offset` or `size` is not a positive number of words; from ``_start``, also when the file
        cannot be opened or mapped.
    """

    def __init__(self, path: str | os.PathLike[str], offset: int, size: int) -> None:
        super().__init__(_WORD)
        if offset < 0 or offset % _WORD or size <= 0 or size % _WORD:
            raise BusError(
                f"Cannot map {os.fspath(path)}",
                expected=f"offset and size in whole words of {_WORD} bytes",
                seen=f"offset 0x{offset:x}, size 0x{size:x}",
            )
        self._file = Path(path)
        self._fileOffset = offset
        self._size = size
        self._mapLock = Lock()
        self._map: mmap.mmap | None = None
        self._words: memoryview | None = None
        self._stopped = False
        self.setName(f"MemMap({self._file})")

    def _start(self) -> None:
        """Map the file."""
        with self._mapLock:
            self._stopped = False
            self._open()

    def _stop(self) -> None:
        """Unmap the file; accesses fail until the next start."""
        with self._mapLock:
            self._stopped = True
            if self._words is not None:
                self._words.release()
            if self._map is not None:
                self._map.close()
            self._map = self._words = None

    def _open(self) -> memoryview:
        """Return the mapped words, after mapping them when that was not done."""
        if self._words is None:
            lead = self._fileOffset % mmap.ALLOCATIONGRANULARITY
            self._map = self._map_file(self._fileOffset - lead, lead + self._size)
            with memoryview(self._map) as whole, whole[lead:] as part:
                self._words = part.cast("I")
        return self._words

    def _map_file(self, start: int, length: int) -> mmap.mmap:
        """Map `length` bytes from `start`, for reading and writing, shared."""
        try:
            file = os.open(self._file, os.O_RDWR | os.O_SYNC | os.O_CLOEXEC)
        except OSError as problem:
            raise BusError(f"Cannot open {self._file}: {problem.strerror}", path=str(self._file)) from problem
        try:
            return mmap.mmap(file, length, offset=start)
        except (OSError, ValueError, OverflowError) as problem:
            raise BusError(
                f"Cannot map {self._file}: {problem}",
                expected=f"0x{length:x} bytes from 0x{start:x}",
                seen=f"0x{os.fstat(file).st_size:x} bytes in the file",
            ) from problem
        finally:
            os.close(file)

    def _doTransaction(self, transaction: Transaction) -> None:
        """Move the words of `transaction` and end it."""
        data = transaction.data
        self._direct(transaction.type(), transaction.address(), data, 0, data.nbytes)
        transaction.done()

    def _direct(self, type: int, address: int, buffer: bytearray | memoryview, low: int, high: int) -> None:
        """Move the bytes ``buffer[low:high]`` from or to `address`, word by word."""
        size = high - low
        if address % _WORD or size % _WORD or address < 0 or address + size > self._size:
            raise BusError(
                f"No such registers in {self._file}",
                expected=f"whole words of {_WORD} bytes below 0x{self._size:x}",
                seen=f"{size} bytes at 0x{address:x}",
                address=address,
            )
        words = self._words
        if words is None:
            words = self._first_use()
        first = address // _WORD
        with memoryview(buffer)[low:high] as part, part.cast("I") as values:
            if type in _WRITES:
                for index, value in enumerate(values, first):
                    words[index] = value
            else:
                for index in range(len(values)):
                    values[index] = words[first + index]

    def _first_use(self) -> memoryview:
        with self._mapLock:
            if self._stopped:
                raise BusError(f"The mapping of {self._file} is stopped")
            return self._open()
