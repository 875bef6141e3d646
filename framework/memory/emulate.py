"""Memory that answers at once: for tests, demonstrations and development without hardware."""

from __future__ import annotations

from sapwood.memory.slave import MAX_ACCESS, Slave
from sapwood.memory.transaction import Post, Transaction, Write

__all__ = ["Emulate"]

_PAGE_BITS = 12
_PAGE = 1 << _PAGE_BITS
_IN_PAGE = _PAGE - 1
_BLANK = bytearray(_PAGE)
_WRITES = (Write, Post)


class Emulate(Slave):
    """Zeroed RAM without bounds, kept in pages of 4 KiB that exist once they were written."""

    coalesce = True

    def __init__(self, min: int = 4, max: int = MAX_ACCESS) -> None:
        super().__init__(min, max)
        self._pages: dict[int, bytearray] = {}
        self.setName("Emulate")

    def _doTransaction(self, transaction: Transaction) -> None:
        """Move the bytes of `transaction` and end it."""
        data = transaction.data
        self._direct(transaction._type, transaction._address, data, 0, data.nbytes)
        transaction.done()

    def _direct(self, type: int, address: int, buffer: bytearray | memoryview, low: int, high: int) -> None:
        """Move the bytes ``buffer[low:high]`` from or to `address`."""
        start = address & _IN_PAGE
        end = start + high - low
        if end > _PAGE:
            middle = low + _PAGE - start
            self._direct(type, address, buffer, low, middle)
            self._across(type, address + _PAGE - start, buffer, middle, high)
        elif type in _WRITES:
            page = self._pages.get(address >> _PAGE_BITS)
            if page is None:
                page = self._pages.setdefault(address >> _PAGE_BITS, bytearray(_PAGE))
            page[start:end] = buffer[low:high]
        else:
            buffer[low:high] = self._pages.get(address >> _PAGE_BITS, _BLANK)[start:end]

    def _across(self, type: int, address: int, buffer: bytearray | memoryview, low: int, high: int) -> None:
        """Move bytes page by page from the start of a page."""
        for first in range(low, high, _PAGE):
            self._direct(type, address + first - low, buffer, first, min(first + _PAGE, high))
