"""Registers that are Python functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sapwood.errors import CommandError
from sapwood.memory.model import Model
from sapwood.memory.slave import Slave
from sapwood.memory.transaction import Post, Transaction, Write

__all__ = ["OsCommandMemorySlave"]

_Function = TypeVar("_Function", bound=Callable[..., Any])


class OsCommandMemorySlave(Slave):
    """A memory slave whose addresses are functions of the operating system, or of anything else.

    ::

        slave = OsCommandMemorySlave()

        @slave.command(addr=0x10, base=UInt(32))
        def load(slave, arg):
            return int(os.getloadavg()[0] * 100)

    Parameters
    ----------
    minWidth, maxSize
        Smallest and largest access (bytes).
    """

    def __init__(self, minWidth: int = 4, maxSize: int = 1024) -> None:
        super().__init__(minWidth, maxSize)
        self._commands: dict[int, tuple[Callable[..., Any], Model]] = {}
        self.setName("OsCommandMemorySlave")

    def command(self, addr: int, base: Model) -> Callable[[_Function], _Function]:
        """Return a decorator that makes ``function(slave, arg)`` the register at `addr`.

        A write or post calls it with the value written, a read with None; the read gives what
        it returns.

        Parameters
        ----------
        addr
            Byte address, as the slave sees it; only accesses that start here reach the function.
        base
            How values and bytes become one another.

        Raises
        ------
        CommandError
            The address is taken.
        """

        def register(function: _Function) -> _Function:
            if addr in self._commands:
                taken = getattr(self._commands[addr][0], "__name__", "a function")
                raise CommandError(f"Address {addr:#x} of {self._slaveName} is taken by {taken}")
            self._commands[addr] = (function, base)
            return function

        return register

    def _doTransaction(self, transaction: Transaction) -> None:
        """Call the function at the address of `transaction` and end it."""
        address = transaction.address()
        found = self._commands.get(address)
        if found is None:
            transaction.error(f"Transaction address {address:#x} not found in os command list")
            return
        writes = transaction.type() in (Write, Post)
        try:
            if writes:
                self._write(transaction, *found)
            else:
                self._read(transaction, *found)
        except Exception as problem:  # noqa: BLE001  # the functions are user code
            kind = "write" if writes else "read"
            transaction.error(f"Transaction {kind} error in command at {address:#x}: {problem}")
        else:
            transaction.done()

    def _write(self, transaction: Transaction, function: Callable[..., Any], base: Model) -> None:
        data = bytearray(transaction.size())
        transaction.getData(data)
        function(self, arg=base.fromBytes(data))

    def _read(self, transaction: Transaction, function: Callable[..., Any], base: Model) -> None:
        data = base.toBytes(function(self, arg=None))
        transaction.setData(data)
