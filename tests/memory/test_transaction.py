from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

import pytest

from sapwood.memory import Emulate, Hub, Master, Read, Slave, Transaction, Write


def make(size: int = 8, type: int = Read, timeout: float = 5.0) -> Transaction:
    return Transaction(0x10, memoryview(bytearray(size)), type, timeout)


def test_facts_and_growing_ids() -> None:
    first, second = make(), make(4, Write)
    assert second.id() > first.id() >= 1
    assert (second.address(), second.size(), second.type()) == (0x10, 4, Write)
    assert f"<Transaction {second.id()} Write 0x00000010 4 bytes>" == repr(second)


def test_data_moves_by_offset_and_stays_inside() -> None:
    transaction = make()
    transaction.setData(b"abcd", 4)
    part = bytearray(2)
    transaction.getData(part, 5)
    assert part == b"bc"
    for offset in (-1, 7):
        with pytest.raises(IndexError, match=f"transaction {transaction.id()}"):
            transaction.setData(b"ab", offset)
        with pytest.raises(IndexError, match=f"transaction {transaction.id()}"):
            transaction.getData(part, offset)


def test_the_first_end_counts() -> None:
    transaction = make()
    transaction.error("broken")
    transaction.done()
    transaction.error("later")
    assert not transaction.wait()
    assert transaction.errorText == "broken"
    other = make()
    other.done()
    other.error("later")
    assert other.wait()
    assert other.errorText == ""


def test_callbacks_come_once_also_when_late() -> None:
    seen: list[Transaction] = []
    transaction = make()
    transaction.on_done(seen.append)
    assert not transaction.ended
    transaction.done()
    transaction.done()
    transaction.on_done(seen.append)
    assert seen == [transaction, transaction]


def test_waiting_ends_with_the_answer_of_another_thread() -> None:
    transaction = make()
    entered = threading.Event()

    def answer() -> None:
        entered.wait(20)
        with transaction.lock():
            transaction.setData(b"x")
            transaction.done()

    thread = threading.Thread(target=answer)
    thread.start()
    entered.set()
    assert transaction.wait()
    thread.join()
    assert bytes(transaction.data[:1]) == b"x"


def test_a_late_answer_is_ignored() -> None:
    space = bytearray(4)
    transaction = Transaction(0, memoryview(space), Read, 0.01)
    assert not transaction.wait()
    assert transaction.expired()
    assert transaction.errorText == (
        f"Timeout waiting for register transaction {transaction.id()} message response."
    )
    transaction.setData(b"late")
    transaction.data[:] = b"late"
    transaction.done()
    assert space == bytes(4)
    assert not transaction.wait()


def test_an_answer_to_one_starts_the_timers_of_the_others_anew() -> None:
    class Quiet(Slave):
        def _doTransaction(self, transaction: Transaction) -> None:
            self._addTransaction(transaction)

    slave = Quiet()
    first, second = make(timeout=30), make(timeout=30)
    for one in (first, second):
        slave._doTransaction(one)
        one.start_timer()
    second._deadline -= 100.0  # its own time is over
    assert slave._getTransaction(first.id()) is first
    results: list[bool] = []
    waiting = threading.Thread(target=lambda: results.append(second.wait()))
    waiting.start()
    while second._waiter is None and waiting.is_alive():
        waiting.join(0.001)
    with second.lock():
        second.done()
    waiting.join(20)
    assert results == [True]
    assert slave._getTransaction(first.id()) is None


def test_pending_transactions_are_forgotten_with_their_owner(collect: Callable[[], int]) -> None:
    slave = Slave()
    transaction = make()
    slave._addTransaction(transaction)
    number, gone = transaction.id(), weakref.ref(transaction)
    del transaction
    collect()
    assert gone() is None
    assert slave._getTransaction(number) is None


def test_master_reads_and_writes() -> None:
    master = Master()
    memory = Emulate()
    assert (master >> memory) is memory
    number = master._reqTransaction(0x100, b"..abcdefgh", 8, 2, Write)
    master._waitTransaction(number)
    data = bytearray(8)
    master._waitTransaction(master._reqTransaction(0x100, data, 0, 0, Read))
    assert data == b"abcdefgh"
    assert master._getError() == ""
    assert master._reqMinAccess() == 4
    assert master._reqMaxAccess() == 0xFFFFFFFF
    assert master._reqAddress() == 0
    assert master._reqSlaveId() == memory._doSlaveId()
    assert master._reqSlaveName() == "Emulate"


def test_requests_nobody_waits_for_are_forgotten_but_not_their_failures(memory) -> None:
    master = Master()
    master >> memory
    for address in range(0, 400, 4):
        master._reqTransaction(address, b"1234", type=Write)
    assert not master._busRequests
    memory.fail["W"] = "broken"
    master._waitTransaction(master._reqTransaction(0, b"1234", type=Write))
    assert not master._busRequests
    assert master._getError() == "broken"


def test_master_without_slave() -> None:
    master = Master()
    master._waitTransaction(master._reqTransaction(0, bytearray(4)))
    assert master._getError() == "Unsupported transaction using unconnected memory bus"
    master._clearError()
    assert master._getError() == ""
    assert master._reqSlaveName().startswith("Unnamed_")


def test_master_times_out_and_waits_for_all(threaded) -> None:
    slave = threaded(free=False)
    master = Master()
    slave << master
    master._setTimeout(20_000)
    data = bytearray(4)
    ids = [master._reqTransaction(0, data), master._reqTransaction(4, bytearray(4))]
    master._waitTransaction(ids[0])
    assert master._getError() == f"Timeout waiting for register transaction {ids[0]} message response."
    slave.release(2)
    assert slave.answered.acquire(timeout=20)
    assert data == bytes(4)
    master._clearError()
    master._setTimeout(5_000_000)
    slave.release(100)
    for address in range(0, 32, 4):
        master._reqTransaction(address, b"1234", type=Write)
    master._waitTransaction(0)
    assert bytes(slave.ram._pages[0][:32]) == b"1234" * 8


def test_what_a_slave_raises_is_the_error() -> None:
    class Broken(Slave):
        def _doTransaction(self, transaction: Transaction) -> None:
            raise KeyError("no such register")

    master = Master()
    hub = Hub()
    master >> hub >> Broken()
    master._waitTransaction(master._reqTransaction(0, bytearray(4)))
    assert master._getError() == "KeyError: 'no such register'"


def test_no_transaction_outlives_its_use(memory, build, spec, collect) -> None:
    block = build(memory, spec("a"))[0]
    kept: list[weakref.ref[Transaction]] = []
    memory.before = lambda transaction: kept.append(weakref.ref(transaction))
    for value in range(50):
        block.write(block.fields[0], value)
    collect()
    assert len(kept) == 100
    assert sum(ref() is not None for ref in kept) == 0
