"""Bulk operations and classes that intercept them."""

from __future__ import annotations

from typing import Any

import pytest

import sapwood.tree as pr
from sapwood.errors import BusError
from sapwood.memory import Emulate, Read, Write


def words(*names: str, **kwargs: Any) -> list[pr.RemoteVariable]:
    return [pr.RemoteVariable(name=name, offset=4 * at, **kwargs) for at, name in enumerate(names)]


def test_read_and_write_all(top: pr.Root, bus: Any) -> None:
    assert top.ReadAll() is True
    reads = bus.take()
    assert reads == sorted(reads, key=lambda line: int(line.split()[1], 16))
    assert {line[0] for line in reads} == {"R"}
    assert "R 0x134 4" not in reads  # write only
    top.D.u.set(1, write=False)
    top.D.f.set(1, write=False)
    assert top.WriteAll() is True
    assert bus.take() == ["W 0x100 4", "W 0x108 4", "V 0x100 4", "V 0x108 4"]
    top.WriteAll()
    assert bus.take() == []
    top.ForceWrite.set(True)
    top.WriteAll()
    assert "W 0x130 4" not in bus.log  # read only
    assert "W 0x134 4" in bus.log


def test_device_commands_recurse_on_demand(start: Any, bus: Any) -> None:
    outer, inner = pr.Device(name="outer", memBase=bus), pr.Device(name="inner", offset=0x100)
    outer.add(words("a"))
    inner.add(words("b"))
    outer.add(inner)
    start(outer)
    outer.ReadDevice()
    assert bus.take() == ["R 0x0 4"]
    outer.ReadDevice(True)
    assert bus.take() == ["R 0x0 4", "R 0x100 4"]
    outer.WriteDevice()
    assert bus.take() == ["W 0x0 4", "V 0x0 4"]


def test_bulk_op_en(start: Any, bus: Any) -> None:
    device = pr.Device(name="dev", memBase=bus)
    device.add(words("a", "b"))
    device.add(pr.RemoteVariable(name="c", offset=8, bulkOpEn=False))
    start(device)
    device.readAndWaitBlocks()
    assert bus.take() == ["R 0x0 4", "R 0x4 4"]


def test_all_failures_are_reported(start: Any, bus: Any) -> None:
    outer, inner = pr.Device(name="outer", memBase=bus), pr.Device(name="inner", offset=0x100)
    outer.add(words("a", "b", "c"))
    inner.add(words("d"))
    outer.add(inner)
    root = start(outer)
    bus.broken.update({0, 8, 0x100})
    bus.ram[4] = 9
    with pytest.raises(BusError) as caught:
        root.ReadAll()
    assert [problem.address for problem in caught.value.problems] == [0, 8, 0x100]
    assert outer.b.value() == 9


def test_requests_come_before_waits(start: Any) -> None:
    from sapwood.memory import Slave, Transaction

    class Queueing(Slave):
        """Answers nothing until three requests have come."""

        def __init__(self) -> None:
            super().__init__()
            self.waiting: list[Transaction] = []

        def _doTransaction(self, transaction: Transaction) -> None:
            self.waiting.append(transaction)
            if len(self.waiting) == 3:
                for one in self.waiting:
                    one.setData(b"\1\0\0\0", 0)
                    one.done()

    device = pr.Device(name="dev", memBase=Queueing())
    device.add(words("a", "b", "c"))
    start(device)
    device.readAndWaitBlocks()
    assert [device.a.value(), device.c.value()] == [1, 1]


def test_wait_each(start: Any, bus: Any) -> None:
    device = pr.Device(name="dev", memBase=bus)
    device.add(words("a", "b"))
    start(device)
    bus.broken.add(0)
    device.forceWaitEach = True
    with pytest.raises(BusError):
        device.readBlocks()  # raises at once: nothing is left for waitBlocks
    assert bus.take() == ["R 0x0 4"]
    with pytest.warns(DeprecationWarning, match="forceWaitEach"):
        assert device.forceCheckEach is True


class Intercepting(pr.Device):
    """Notes every call of the block methods."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.add(words("a"))
        self.add(pr.LocalVariable(name="l", value=0))

    def writeBlocks(self, **kwargs: Any) -> None:
        self.calls.append(("write", kwargs))
        super().writeBlocks(**kwargs)

    def verifyBlocks(self, **kwargs: Any) -> None:
        self.calls.append(("verify", kwargs))
        super().verifyBlocks(**kwargs)

    def readBlocks(self, **kwargs: Any) -> None:
        self.calls.append(("read", kwargs))
        super().readBlocks(**kwargs)

    def waitBlocks(self, **kwargs: Any) -> None:
        self.calls.append(("wait", kwargs))
        super().waitBlocks(**kwargs)


def test_interception_of_single_accesses(start: Any, bus: Any) -> None:
    device = Intercepting(name="dev", memBase=bus)
    start(device)
    for variable in (device.a, device.l):
        device.calls.clear()
        variable.set(5)
        variable.get()
        one = {"recurse": False, "variable": variable}
        assert device.calls == [
            ("write", {"force": True, "index": -1, **one}),
            ("verify", one),
            ("wait", one),
            ("read", {"index": -1, **one}),
            ("wait", one),
        ]
    assert bus.word(0) == 5
    device.calls.clear()
    device.a.set(6, verify=False, wait=False)
    assert [name for name, _ in device.calls] == ["write"]


def test_interception_of_bulk_operations(start: Any, bus: Any) -> None:
    device = Intercepting(name="dev", memBase=bus)
    root = start(device)
    root.ReadAll()
    assert device.calls == [("read", {"recurse": True}), ("wait", {"recurse": True})]


def test_interception_under_the_former_name(start: Any, bus: Any) -> None:
    class Old(pr.Device):
        waited = 0

        def checkBlocks(self, **kwargs: Any) -> None:
            self.waited += 1
            super().checkBlocks(**kwargs)

    device = Old(name="dev", memBase=bus)
    device.add(words("a"))
    root = start(device)
    device.a.get()
    root.ReadAll()
    assert device.waited == 2


def test_intercepted_local_variables_publish(start: Any, bus: Any) -> None:
    device = Intercepting(name="dev", memBase=bus)
    root = start(device)
    seen: list[Any] = []
    device.l.addListener(lambda path, value: seen.append(value.value))
    device.l.set(4)
    root.waitOnUpdate()
    assert seen == [4]


def test_module_functions(top: pr.Root, bus: Any) -> None:
    block = top.D.arr._block
    pr.startTransaction(block, type=Read, variable=top.D.arr, index=3, checkEach=True)
    pr.waitTransaction(block)
    assert bus.take() == ["R 0x124 4"]
    pr.startTransaction(block, type=Write, forceWr=True, wait=True)
    assert bus.take() == ["W 0x120 8"]
    pr.readAndWaitBlocks([block])
    pr.writeAndVerifyBlocks([block], force=True)
    assert bus.take() == ["R 0x120 8", "W 0x120 8", "V 0x120 8"]
    with pytest.raises(TypeError):
        pr.startTransaction(block, type=Read, chekEach=True)  # type: ignore[call-arg]


def test_neighbours_are_joined_where_the_slave_allows_it(start: Any) -> None:
    sizes: list[int] = []

    class Counting(Emulate):
        def _doTransaction(self, transaction: Any) -> None:
            sizes.append(transaction.size())
            super()._doTransaction(transaction)

    device = pr.Device(name="dev", memBase=Counting())
    device.add(words("a", "b", "c"))
    root = start(device)
    root.ReadAll()
    assert sum(sizes) == 12


def test_custom_blocks_are_sorted() -> None:
    class Block:
        def __init__(self, offset: int, size: int) -> None:
            self.offset, self.size = offset, size

    device = pr.Device(name="dev")
    for offset, size in ((8, 4), (0, 8), (0, 4)):
        device.addCustomBlock(Block(offset, size))
    assert [(block.offset, block.size) for block in device._customBlocks] == [(0, 4), (0, 8), (8, 4)]
