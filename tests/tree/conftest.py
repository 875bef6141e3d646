"""A bus that remembers what went over it, and a tree with one of everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sapwood.tree as pr
from sapwood.memory import Slave, Transaction

KINDS = {1: "R", 2: "W", 3: "P", 4: "V"}


class Bus(Slave):
    """RAM that writes a line for each transaction; addresses in `broken` answer with an error."""

    def __init__(self, size: int = 0x10000) -> None:
        super().__init__(4, 4096)
        self.ram = bytearray(size)
        self.log: list[str] = []
        self.broken: set[int] = set()
        self.stuck: dict[int, int] = {}

    def _doTransaction(self, transaction: Transaction) -> None:
        start, size = transaction.address(), transaction.size()
        self.log.append(f"{KINDS[transaction.type()]} {start:#x} {size}")
        if start in self.broken:
            transaction.error("broken register")
            return
        if transaction.type() in (1, 4):
            data = bytearray(self.ram[start : start + size])
            if start in self.stuck:
                data[0] = self.stuck[start]
            transaction.setData(data, 0)
        else:
            data = bytearray(size)
            transaction.getData(data, 0)
            self.ram[start : start + size] = data
        transaction.done()

    def word(self, address: int) -> int:
        return int.from_bytes(self.ram[address : address + 4], "little")

    def take(self) -> list[str]:
        """Return what happened since the last call."""
        log, self.log = self.log, []
        return log


class Everything(pr.Device):
    """One variable or command of each kind."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seen: list[Any] = []
        self.add(pr.RemoteVariable(name="u", offset=0x100, bitSize=8))
        self.add(pr.RemoteVariable(name="v", offset=0x100, bitOffset=8, bitSize=8))
        self.add(pr.RemoteVariable(name="e", offset=0x104, bitSize=2, enum={0: "Zero", 1: "One"}))
        self.add(pr.RemoteVariable(name="flag", offset=0x104, bitOffset=8, bitSize=1, base=pr.Bool))
        self.add(pr.RemoteVariable(name="f", offset=0x108, base=pr.Float))
        self.add(pr.RemoteVariable(name="s", offset=0x10C, bitSize=64, base=pr.String))
        arrays: dict[str, int] = {"numValues": 4, "valueBits": 16, "valueStride": 16}
        self.add(pr.RemoteVariable(name="arr", offset=0x120, **arrays))
        self.add(pr.RemoteVariable(name="ro", offset=0x130, mode="RO"))
        self.add(pr.RemoteVariable(name="wo", offset=0x134, mode="WO"))
        self.add(pr.LocalVariable(name="l", value=5))
        self.add(pr.LocalVariable(name="lf", value=0.5))
        self.add(pr.LocalVariable(name="ls", value="text"))
        self.add(pr.LocalVariable(name="cfg", value=1, groups="NoConfig"))
        self.add(
            pr.LinkVariable(
                name="twice",
                dependencies=[self.l],
                linkedGet=lambda read: 2 * self.l.get(read=read),
                linkedSet=lambda value, write: self.l.set(value // 2, write=write),
            )
        )
        self.add(pr.RemoteCommand(name="kick", offset=0x140, function=pr.BaseCommand.toggle))
        self.add(pr.LocalCommand(name="note", value=7, function=self._note))

    def _note(self, arg: int) -> int:
        self.seen.append(arg)
        return arg + 1


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def top(bus: Bus) -> Iterator[pr.Root]:
    """A running root with the device ``D`` on `bus`."""
    root = pr.Root(name="top", pollEn=False)
    root.add(Everything(name="D", memBase=bus))
    with root:
        bus.take()
        yield root


Start = Callable[..., pr.Root]


@pytest.fixture
def start() -> Iterator[Start]:
    """A function that puts nodes under a new root ``top`` and starts it."""
    roots: list[pr.Root] = []

    def begin(*nodes: Any, **kwargs: Any) -> pr.Root:
        root = pr.Root(name="top", **{"pollEn": False, **kwargs})
        root.add(nodes)
        roots.append(root)
        root.start()
        return root

    yield begin
    for root in roots:
        root.stop()
