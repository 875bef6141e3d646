"""Faults of registers on demand: accesses that are not answered, refused, or see stuck bits."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

from sapwood.errors import DeviceError
from sapwood.memory import Hub, Post, Transaction, Write, busConnect

__all__ = ["ALL", "RegisterFaults", "Window"]

WORD = 4
ALL = 1 << 64
"""Bytes of all registers there can be."""

_U32 = 0xFFFFFFFF


@dataclass
class Window:
    """Accesses that a fault concerns: those of the bytes `first` to `end` - 1, `left` of them (None: all)."""

    first: int
    end: int
    left: int | None

    def spoils(self, first: int, end: int) -> bool:
        """Return whether an access of these bytes is one of them, and count it."""
        if first >= self.end or end <= self.first or self.left == 0:
            return False
        if self.left is not None:
            self.left -= 1
        return True


@dataclass
class _Fault:
    """What happens to the accesses of a window."""

    text: str  # of the error; empty for no answer
    window: Window


class RegisterFaults(Hub):
    """Stands in front of a memory slave and spoils accesses as it is told, at any time.

    Without faults it passes everything on. Of several faults that concern an access the one set
    first counts. Spoilt accesses do not reach the registers; bits that are stuck are so for
    readers only.

    Parameters
    ----------
    slave
        Holds the registers: a memory slave, or an object that offers one.

    Attributes
    ----------
    hits
        Accesses spoilt so far, by kind: ``silent``, ``refused``, ``stuck``.
    """

    def __init__(self, slave: Any) -> None:
        super().__init__()
        self.hits: Counter[str] = Counter()
        self._faults: list[_Fault] = []
        self._stuck: dict[int, tuple[int, int]] = {}
        self._faultLock = threading.Lock()
        busConnect(self, slave)

    def silence(self, address: int = 0, size: int = ALL, count: int | None = None) -> None:
        """Leave the next `count` accesses (None: all) of `size` bytes from `address` on unanswered."""
        self._add(_Fault("", Window(address, address + size, count)))

    def refuse(self, text: str, address: int = 0, size: int = ALL, count: int | None = None) -> None:
        """Answer the next `count` accesses (None: all) of `size` bytes from `address` on with an error.

        Raises
        ------
        DeviceError
            When `text` is empty.
        """
        if not text:
            raise DeviceError("An error needs a text", hint="silence() leaves accesses without an answer.")
        self._add(_Fault(text, Window(address, address + size, count)))

    def stick(self, address: int, high: int = 0, low: int = 0) -> None:
        """Let bits of the word at `address` read as 1 (those of `high`) or 0 (those of `low`).

        It replaces what was set for that word before; without bits none is stuck any more.

        Raises
        ------
        DeviceError
            An address that is not a multiple of 4, a bit beyond 32, or one both high and low.
        """
        if address % WORD or not 0 <= high <= _U32 or not 0 <= low <= _U32 or high & low:
            raise DeviceError(
                "No such stuck bits",
                expected="a multiple of 4 and different bits of 32",
                seen=f"{address:#x}, high {high:#x}, low {low:#x}",
            )
        with self._faultLock:
            self._stuck.pop(address, None)
            if high or low:
                self._stuck[address] = high, low

    def clear(self) -> None:
        """Forget all faults; `hits` stays."""
        with self._faultLock:
            self._faults.clear()
            self._stuck.clear()

    def _add(self, fault: _Fault) -> None:
        with self._faultLock:
            self._faults.append(fault)

    # ------------------------------------------------------------ accesses

    def _doTransaction(self, transaction: Transaction) -> None:
        """Spoil `transaction` or pass it on."""
        address, size = transaction.address(), transaction.size()
        reads = transaction.type() not in (Write, Post)
        with self._faultLock:
            text = self._spoilt(address, address + size)
            stuck = self._stuck_in(address, size) if reads and text is None else []
        if text:
            transaction.error(text)
        elif stuck:
            self._read_stuck(transaction, stuck)
        elif text is None:
            super()._doTransaction(transaction)

    def _spoilt(self, first: int, end: int) -> str | None:
        """Return the error of an access, empty for no answer, None when nothing spoils it; under the lock."""
        for fault in self._faults:
            if fault.window.spoils(first, end):
                self.hits["refused" if fault.text else "silent"] += 1
                return fault.text
        return None

    def _stuck_in(self, address: int, size: int) -> list[tuple[int, int, int]]:
        """Return (place, high, low) of the stuck words that a read covers; under the lock."""
        found = [(word - address, *bits) for word, bits in self._stuck.items() if 0 <= word - address < size]
        if found:
            self.hits["stuck"] += 1
        return found

    def _read_stuck(self, transaction: Transaction, stuck: list[tuple[int, int, int]]) -> None:
        """Read in place of `transaction` and answer it with bits changed."""
        data = bytearray(transaction.size())

        def ended(part: Transaction) -> None:
            if part.errorText:
                transaction.error(part.errorText)
                return
            for place, high, low in stuck:
                word = int.from_bytes(data[place : place + WORD], "little")
                data[place : place + WORD] = ((word | high) & ~low).to_bytes(WORD, "little")
            transaction.setData(data)
            transaction.done()

        part = Transaction(transaction.address(), memoryview(data), transaction.type())
        part.on_done(ended)
        super()._doTransaction(part)
