"""Memory that answers at once: for tests, demonstrations and development without hardware."""

from __future__ import annotations

from sapwood.memory.slave import MAX_ACCESS, Slave
from sapwood.memory.transaction import Post, Transaction, Write

__all__ = ["Emulate"]

_PAGE_BITS = 12
_PAGE = 1 << _PAGE_BITS
_IN_PAGE = _PAGE - 1
_BLANK = bytearray(_PAGE)


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
        address = transaction._address
        start = address & _IN_PAGE
        size = data.nbytes
        writes = transaction._type == Write or transaction._type == Post
        if start + size <= _PAGE:
            page = self._pages.get(address >> _PAGE_BITS)
            if writes:
                if page is None:
                    page = self._pages.setdefault(address >> _PAGE_BITS, bytearray(_PAGE))
                page[start : start + size] = data
            elif page is None:
                data[:] = bytes(size)
            else:
                data[:] = page[start : start + size]
        else:
            self._move(address, data, writes)
        transaction.done()

    def _move(self, address: int, data: memoryview, writes: bool) -> None:
        """Move bytes across the borders of pages."""
        done = 0
        while done < data.nbytes:
            start = address + done & _IN_PAGE
            part = data[done : done + _PAGE - start]
            number = address + done >> _PAGE_BITS
            if writes:
                page = self._pages.setdefault(number, bytearray(_PAGE))
                page[start : start + part.nbytes] = part
            else:
                part[:] = self._pages.get(number, _BLANK)[start : start + part.nbytes]
            done += part.nbytes
