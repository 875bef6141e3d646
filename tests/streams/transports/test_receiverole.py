"""Receiving in the thread of who waits: `ReceiveRole`, and UDP ends that use it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from sapwood.streams import Frame, FrameBatch, Master, Slave
from sapwood.streams.transports import udp
from sapwood.streams.transports.receiverole import ReceiveRole

WAIT_S = 20.0


class Sink(Slave):
    """Keeps the datagrams and the threads that brought them; does `then` after each."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[bytes] = []
        self.threads: list[int] = []
        self.news = threading.Condition()
        self.then: Callable[[], object] = lambda: None

    def _acceptFrame(self, frame: Frame) -> None:
        with self.news:
            self.got.append(bytes(frame))
            self.threads.append(threading.get_ident())
            self.news.notify_all()
        self.then()

    def wait(self, count: int) -> list[bytes]:
        with self.news:
            assert self.news.wait_for(lambda: len(self.got) >= count, WAIT_S), len(self.got)
            return self.got


class Ends:
    """A client whose datagrams end in a sink, and a plain socket as its server."""

    def __init__(self) -> None:
        self.far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.far.bind(("127.0.0.1", 0))
        self.client = udp.Client("127.0.0.1", self.far.getsockname()[1], True)
        self.sink, self.out = Sink(), Master()
        self.client >> self.sink
        self.out >> self.client
        self.out._sendFrame(Frame(b"hello"))
        self.far.settimeout(WAIT_S)
        self.far.connect(self.far.recvfrom(100)[1])

    def fetch(self, seconds: float = WAIT_S) -> None:
        """Receive until one more datagram is there."""
        goal = len(self.sink.got) + 1
        self.client.receiveWhile(lambda: len(self.sink.got) < goal, time.monotonic() + seconds)

    def close(self) -> None:
        self.client._stop()
        self.far.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    both = Ends()
    yield both
    both.close()


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_who_waits_receives(ends: Ends) -> None:
    for number in range(200):
        ends.far.send(b"%d" % number)
        while len(ends.sink.got) <= number:  # once in a while the thread was quicker
            ends.fetch()
    assert ends.sink.got == [b"%d" % number for number in range(200)]
    assert threading.get_ident() in ends.sink.threads
    assert ends.client.counters.frames == 200


def test_the_thread_goes_on_when_guests_stay_away(ends: Ends) -> None:
    ends.far.send(b"1")
    while not ends.sink.got:
        ends.fetch()
    for number in range(50):
        ends.far.send(b"alone %d" % number)
        assert ends.sink.wait(number + 2)[-1] == b"alone %d" % number
    assert ends.sink.threads[-1] != threading.get_ident()


def test_a_guest_leaves_when_its_time_is_over_and_when_its_answer_came_otherwise(ends: Ends) -> None:
    ends.fetch(0.02)
    assert ends.sink.got == []
    answered = threading.Event()
    guest = in_thread(lambda: ends.client.receiveWhile(lambda: not answered.is_set(), time.monotonic() + 60))
    answered.set()
    guest.join(WAIT_S)
    assert not guest.is_alive()


def test_a_train_keeps_its_datagrams_whoever_receives() -> None:
    for _ in range(20):
        server, source, sink = udp.Server(0, True, host="127.0.0.1"), Master(), Sink()
        client = udp.Client("127.0.0.1", server.getPort(), True)
        server >> sink
        source >> client
        source._sendBatch(FrameBatch(bytes(range(250)), [0, 100, 200], [100, 100, 50]))
        server.receiveWhile(lambda sink=sink: len(sink.got) < 3, time.monotonic() + 0.05)
        assert sink.wait(3) == [bytes(range(100)), bytes(range(100, 200)), bytes(range(200, 250))]
        assert server.counters.frames == 3
        client._stop()
        server._stop()


def test_a_link_that_brings_much_is_left_to_its_thread(ends: Ends) -> None:
    for number in range(100):
        ends.far.send(b"%d" % number)
    ends.sink.wait(100)
    begin = time.monotonic()
    ends.client.receiveWhile(lambda: True, begin + 60)  # at once: so much came since the last guest
    assert time.monotonic() - begin < 30
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            ends.far.send(b"x")
            ends.sink.wait(1)

    flooding = in_thread(flood)
    ends.client.receiveWhile(lambda: True, begin + 60)  # a few came, and that was it
    assert time.monotonic() - begin < 30
    stop.set()
    flooding.join(WAIT_S)


def test_one_guest_at_a_time(ends: Ends) -> None:
    gate, inside = threading.Event(), threading.Event()

    def waits() -> bool:
        inside.set()
        return not gate.is_set()

    guest = in_thread(lambda: ends.client.receiveWhile(waits, time.monotonic() + 60))
    assert inside.wait(WAIT_S)
    ends.fetch(60)  # returns at once
    assert ends.sink.got == []
    gate.set()
    guest.join(WAIT_S)


def test_a_sink_that_raises_to_a_guest_is_noted(ends: Ends) -> None:
    def fail() -> None:
        raise OSError("disk full")

    ends.sink.then = fail
    ends.far.send(b"1")
    while not ends.sink.got:
        ends.fetch()
    ends.sink.wait(1)
    ends.sink.then = lambda: None
    ends.far.send(b"2")
    ends.sink.wait(2)
    assert "disk full" in str(ends.client.lastError)
    assert ends.client.counters.errors == 1


def test_a_stop_ends_the_visit(ends: Ends) -> None:
    inside = threading.Event()
    guest = in_thread(lambda: ends.client.receiveWhile(lambda: inside.set() is None, time.monotonic() + 60))
    assert inside.wait(WAIT_S)
    worker = ends.client._worker
    ends.client._stop()
    guest.join(WAIT_S)
    assert worker is not None
    worker.join(WAIT_S)
    assert not guest.is_alive()
    assert not worker.is_alive()
    ends.fetch(60)  # at once: there is no socket any more


def test_a_guest_may_stop_the_end_it_receives_from(ends: Ends) -> None:
    ends.sink.then = ends.client._stop
    worker = ends.client._worker
    ends.far.send(b"1")
    while not ends.sink.got:
        ends.fetch()
    assert worker is not None
    worker.join(WAIT_S)
    assert not worker.is_alive()
    assert ends.client._socket.fileno() == -1


def test_recall_ends_the_absence_of_the_thread() -> None:
    near, far = socket.socketpair()
    with near, far:
        role = ReceiveRole(near.fileno(), far.fileno())
        role.recall()  # without guests there is nobody to call
        role.visit(lambda: False, time.monotonic() + 1, lambda: None, lambda: 0)
        role.recall()
        assert role.take()
        role.give()
        role.close()
        assert role.take()  # to close the socket
        role.give()
