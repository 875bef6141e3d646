"""SRP over UDP when callers fetch their answers themselves: one by one, many at once, and at a stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from sapwood.memory import Hub, Master, Read, SrpV3, SrpV3Emulation, Transaction, Write
from sapwood.streams import Frame, Slave, disconnect
from sapwood.streams.transports import udp

WAIT_S = 20.0


class Threads(Slave):
    """Notes which threads bring responses."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def _acceptFrame(self, frame: Frame) -> None:
        self.seen.append(threading.get_ident())


class Setup:
    """A client, and a server that answers in the same process."""

    def __init__(self) -> None:
        self.far = udp.Server(0, True, host="127.0.0.1")
        self.server = SrpV3Emulation(inline=True)
        self.far >> self.server >> self.far
        self.near, self.srp = udp.Client("127.0.0.1", self.far.getPort(), True), SrpV3()
        self.near >> self.srp >> self.near
        self.threads = Threads()
        self.near >> self.threads

    def access(self, type: int, address: int, data: bytes, timeout: float = WAIT_S) -> Transaction:
        transaction = Transaction(address, memoryview(bytearray(data)), type, timeout)
        self.srp._doTransaction(transaction)
        return transaction

    def write(self, address: int, value: int) -> None:
        assert self.access(Write, address, value.to_bytes(4, "little")).wait()

    def read(self, address: int) -> int:
        transaction = self.access(Read, address, bytes(4))
        assert transaction.wait(), transaction.errorText
        return int.from_bytes(transaction.data, "little")

    def close(self) -> None:
        self.near._stop()
        self.far._stop()


@pytest.fixture
def setup() -> Iterator[Setup]:
    made = Setup()
    yield made
    made.close()


def test_one_by_one(setup: Setup) -> None:
    for number in range(300):
        setup.write(4 * number, number)
        assert setup.read(4 * number) == number
    assert threading.get_ident() in setup.threads.seen
    assert setup.srp.counters.frames == 600
    assert setup.srp.counters.dropped_total == 0


def test_many_callers_at_once(setup: Setup) -> None:
    wrong: list[int] = []

    def work(base: int) -> None:
        for number in range(150):
            setup.write(base + 4 * number, base + number)
            if setup.read(base + 4 * number) != base + number:
                wrong.append(base)

    callers = [threading.Thread(target=work, args=(0x1000 * n,)) for n in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(WAIT_S)
    assert not wrong
    assert setup.srp.counters.frames == 6 * 300
    assert setup.srp.counters.dropped_total == 0


def test_some_under_way_together_then_one_alone(setup: Setup) -> None:
    for _ in range(20):
        waiting = [setup.access(Read, 4 * n, bytes(4)) for n in range(10)]
        assert all(one.wait() for one in reversed(waiting))
        setup.write(0, 7)
        assert setup.read(0) == 7


def test_an_answer_nobody_waits_for_comes_through_the_thread(setup: Setup) -> None:
    for _ in range(20):
        setup.write(0, 1)  # a guest was there just now
        answered = threading.Event()
        transaction = setup.access(Read, 0, bytes(4))
        transaction.on_done(lambda _, answered=answered: answered.set())
        assert answered.wait(WAIT_S)


def test_an_access_in_pieces_behind_lone_ones(setup: Setup) -> None:
    hub, master = Hub(), Master()
    hub >> setup.srp
    master >> hub
    data = bytes(range(256)) * 64  # four accesses
    for _ in range(10):
        setup.write(0x100000, 1)
        master._reqTransaction(0, bytearray(data), len(data), 0, Write)
        master._waitTransaction(0)
        assert not master._getError()
        assert setup.read(0x3C) == int.from_bytes(data[0x3C:0x40], "little")


def test_an_answer_that_never_comes(setup: Setup) -> None:
    setup.write(0, 1)
    setup.server._stop()
    begin = time.monotonic()
    lost = setup.access(Read, 0, bytes(4), timeout=0.05)
    assert not lost.wait()
    assert lost.expired()
    assert time.monotonic() - begin >= 0.05
    setup.server._start()
    assert setup.read(0) == 1


def test_a_stop_of_the_client_lets_the_caller_go(setup: Setup) -> None:
    setup.write(0, 1)
    setup.server._stop()
    lost = setup.access(Read, 0, bytes(4), timeout=60)
    caller = threading.Thread(target=lost.wait)
    caller.start()
    setup.srp._stop()
    caller.join(WAIT_S)
    assert not caller.is_alive()
    assert "is stopped" in lost.errorText


def test_a_stop_of_the_link_lets_the_caller_expire(setup: Setup) -> None:
    setup.write(0, 1)
    setup.server._stop()
    lost = setup.access(Read, 0, bytes(4), timeout=0.3)
    caller = threading.Thread(target=lost.wait)
    caller.start()
    setup.near._stop()
    caller.join(WAIT_S)
    assert lost.expired()


def test_another_link_takes_over(setup: Setup) -> None:

    setup.write(0, 3)
    disconnect(setup.near, setup.srp)
    disconnect(setup.srp, setup.near)
    other = udp.Client("127.0.0.1", setup.far.getPort(), True)
    other >> setup.srp >> other
    assert setup.read(0) == 3
    third = udp.Client("127.0.0.1", setup.far.getPort(), True)
    third >> setup.srp  # with two that bring answers, callers leave it to their threads
    before = len(setup.threads.seen)
    assert setup.read(0) == 3
    assert len(setup.threads.seen) == before
    other._stop()
    third._stop()
