from __future__ import annotations

import pytest

from sapwood.errors import LinkError
from sapwood.memory import Emulate, Hub, Master, Read, Transaction, Write, busConnect


def request(master: Master, address: int, data: bytes | bytearray, type: int) -> str:
    master._clearError()
    master._waitTransaction(master._reqTransaction(address, data, 0, 0, type))
    return master._getError()


def test_emulated_memory_is_zero_and_sparse() -> None:
    memory, master = Emulate(), Master()
    master >> memory
    data = bytearray(b"\xff" * 0x3000)
    assert request(master, 0x7FFF_F800, data, Read) == ""
    assert not any(data)
    assert not memory._pages
    request(master, 0xFFF0, bytes(range(32)), Write)
    assert sorted(memory._pages) == [0xF, 0x10]
    part = bytearray(0x2010)
    request(master, 0xEFF8, part, Read)
    assert part[0xFF8 : 0xFF8 + 32] == bytes(range(32))
    assert not any(part[:0xFF8])
    assert not any(part[0xFF8 + 32 :])


@pytest.mark.parametrize("size", [4, 64, 68, 4100, 9000])
def test_hub_adds_its_offset_and_splits(recording, size) -> None:
    memory, master = recording(max=64), Master()
    outer, inner = Hub(0x1000), Hub(0x200)
    master >> inner >> outer >> memory
    data = bytes(value % 251 for value in range(size))
    assert request(master, 8, data, Write) == ""
    assert [(address, part) for _, address, part in memory.take_log()] == [
        (0x1208 + start, min(64, size - start)) for start in range(0, size, 64)
    ]
    back = bytearray(size)
    assert request(master, 8, back, Read) == ""
    assert back == data


def test_split_over_a_thread(threaded) -> None:
    memory, master, hub = threaded(max=16), Master(), Hub()
    master >> hub >> memory
    data = bytes(range(100))
    assert request(master, 0, data, Write) == ""
    back = bytearray(100)
    assert request(master, 0, back, Read) == ""
    assert back == data


def test_one_failing_part_fails_the_whole(recording) -> None:
    memory, master, hub = recording(max=8), Master(), Hub()
    master >> hub >> memory
    failed: list[Transaction] = []

    def fail(transaction: Transaction) -> None:
        if transaction.address() == 8:
            failed.append(transaction)
            transaction.error("no luck")

    memory.before = fail
    error = request(master, 0, bytes(32), Write)
    assert error == (f"Transaction error. Subtransaction {failed[0].id()} failed with error: no luck.")
    assert len(memory.log) == 4


def test_the_parts_of_an_expired_transaction_expire(threaded) -> None:
    memory, master, hub = threaded(max=8, free=False), Master(), Hub()
    master >> hub >> memory
    master._setTimeout(20_000)
    data = bytearray(b"\xaa" * 16)
    assert "Timeout waiting for register transaction" in request(master, 0, data, Read)
    memory.release(2)
    for _ in range(2):
        assert memory.answered.acquire(timeout=20)
    assert data == b"\xaa" * 16


def test_hub_reports_limits_and_address() -> None:
    memory, hub, root = Emulate(8, 128), Hub(0x10), Hub(0x20, 4, 32)
    hub >> memory
    assert (hub._doMinAccess(), hub._doMaxAccess(), hub._doAddress()) == (8, 0xFFFFFFFF, 0x10)
    assert (hub._doSlaveId(), hub._doSlaveName()) == (memory._doSlaveId(), "Emulate")
    root >> memory
    root.setName("Proxy")
    below = Hub(0x100)
    below >> root
    assert (root._doMinAccess(), root._doMaxAccess(), root._doAddress()) == (4, 32, 0)
    assert (below._doAddress(), below._doSlaveId(), below._doSlaveName()) == (
        0x100,
        root._doSlaveId(),
        "Proxy",
    )


def test_indirect_registers_by_an_overridden_hub(memory) -> None:
    class Proxy(Hub):
        """Address register at 0, data register at 4."""

        def _doTransaction(self, transaction: Transaction) -> None:
            data = bytearray(transaction.size())
            self._reqTransaction(0x0, transaction.address().to_bytes(4, "little"), type=Write)
            if transaction.type() == Write:
                transaction.getData(data)
            number = self._reqTransaction(0x4, data, type=transaction.type())
            self._waitTransaction(number)
            if transaction.type() == Read:
                transaction.setData(data)
            transaction.done()

    proxy, device, master = Proxy(0, 4, 4), Hub(0x40), Master()
    master >> device >> proxy >> memory
    assert request(master, 8, b"abcdefgh", Write) == ""
    assert memory.take_log() == [("W", 0, 4), ("W", 4, 4)] * 2
    assert bytes(memory._pages[0][:8]) == (0x4C).to_bytes(4, "little") + b"efgh"


def test_bus_connect_takes_holders_and_refuses_strangers() -> None:
    class Board:
        def __init__(self) -> None:
            self.master, self.memory = Master(), Emulate()

        def _getMemoryMaster(self) -> Master:
            return self.master

        def _getMemorySlave(self) -> Emulate:
            return self.memory

    board, other = Board(), Board()
    busConnect(board, other)
    assert board.master._getSlave() is other.memory
    assert (other.memory << board.master) is board.master
    for bad in (lambda: busConnect(board, 3), lambda: busConnect(3, board), lambda: Master() >> Master()):
        with pytest.raises(LinkError, match="Cannot connect the memory bus"):
            bad()
