"""A register space: named registers at byte addresses, answered as a memory slave."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from sapwood.memory import Post, Slave, Transaction, Write

__all__ = ["Register", "RegisterSpace"]

WORD = 4


@dataclass(frozen=True)
class Register:
    """One register of a register space.

    Parameters
    ----------
    name
        What error texts call it.
    address
        Byte address, a multiple of 4.
    read
        Gives its value as an unsigned integer; None for a write-only register.
    write
        Takes a new value (0 .. 2**32-1) and raises ValueError when it is not legal; None for a
        read-only register.
    size
        Bytes, a multiple of 4; a writable register has 4.
    """

    name: str
    address: int
    read: Callable[[], int] | None = None
    write: Callable[[int], None] | None = None
    size: int = WORD

    @property
    def mode(self) -> Literal["RW", "RO", "WO"]:
        """Access allowed from the bus."""
        if self.write is None:
            return "RO"
        return "WO" if self.read is None else "RW"


class RegisterSpace(Slave):
    """Memory slave that answers for a set of registers, in the caller's thread.

    A register wider than a word is read at one instant by a transaction that covers it. A
    transaction that names an unknown address, writes a read-only register, reads a write-only
    one or carries an illegal value is answered with an error text. Such a write changes nothing,
    except that words before an illegal value are stored.
    """

    def __init__(self, registers: Iterable[Register] = ()) -> None:
        super().__init__(WORD, 4096)
        self._words: dict[int, tuple[Register, int]] = {}
        for register in registers:
            self.addRegister(register)

    def addRegister(self, register: Register) -> None:
        """Place `register` at its address; a word already taken is a ValueError."""
        for shift, address in enumerate(range(register.address, register.address + register.size, WORD)):
            if address in self._words:
                raise ValueError(f"{register.name} and {self._words[address][0].name} share {address:#x}")
            self._words[address] = (register, 32 * shift)

    @property
    def registers(self) -> list[Register]:
        """All registers, by address."""
        return [self._words[address][0] for address in sorted(self._words) if self._words[address][1] == 0]

    def _doTransaction(self, t: Transaction) -> None:
        """Answer one transaction."""
        with t.lock():
            if t.expired():
                return
            try:
                if t.type() in (Write, Post):
                    self._write(t)
                else:
                    self._read(t)
            except ValueError as error:
                t.error(str(error))
            else:
                t.done()

    def _word(self, address: int) -> tuple[Register, int]:
        try:
            return self._words[address]
        except KeyError:
            reason = "is not aligned to 4 bytes" if address % WORD else "has no register"
            raise ValueError(f"Address {address:#x} {reason}") from None

    def _read(self, t: Transaction) -> None:
        first, size = t.address(), t.size()
        values: dict[str, int] = {}
        answer = bytearray()
        for address in range(first, first + size, WORD):
            register, shift = self._word(address)
            if register.read is None:
                raise ValueError(f"Register {register.name} at {address:#x} is write-only")
            if register.name not in values:
                values[register.name] = register.read()
            answer += ((values[register.name] >> shift) & 0xFFFFFFFF).to_bytes(WORD, "little")
        t.setData(answer[:size], 0)

    def _write(self, t: Transaction) -> None:
        first, size = t.address(), t.size()
        data = bytearray(size)
        t.getData(data, 0)
        if size % WORD:
            raise ValueError(f"Write of {size} bytes at {first:#x} is not made of 4-byte words")
        stores: list[tuple[Callable[[int], None], int]] = []
        for place in range(0, size, WORD):
            register, _ = self._word(first + place)
            if register.write is None:
                raise ValueError(f"Register {register.name} at {first + place:#x} is read-only")
            stores.append((register.write, int.from_bytes(data[place : place + WORD], "little")))
        for store, value in stores:
            store(value)
