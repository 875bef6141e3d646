"""RSSI links run by whoever comes: many senders at once, both ways, with stops, starts and slow networks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from sapwood.streams import Frame, FrameBatch, Master, Slave, disconnect, streamConnectBiDir
from sapwood.streams.protocols.packetizer import CoreV2
from sapwood.streams.transports import rssi, udp

WAIT_S = 20.0


class Sink(Slave):
    """Keeps the first four bytes of each payload, as a number."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[int] = []
        self.news = threading.Condition()

    def _acceptFrame(self, frame: Frame) -> None:
        with self.news:
            self.numbers.append(int.from_bytes(bytes(frame.buffer[:4]), "big"))
            self.news.notify_all()

    def wait(self, count: int) -> list[int]:
        with self.news:
            assert self.news.wait_for(lambda: len(self.numbers) >= count, WAIT_S), len(self.numbers)
            return self.numbers


class Gate(Master, Slave):
    """Passes on; holds its caller while shut, calls `then` with each frame."""

    def __init__(self) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self.open = threading.Event()
        self.open.set()
        self.held = threading.Event()
        self.then: Callable[[Frame], object] = lambda _: None

    def _acceptFrame(self, frame: Frame) -> None:
        if not self.open.is_set():
            self.held.set()
        assert self.open.wait(WAIT_S)
        self.then(frame)
        self._sendFrame(frame)


class Pair:
    """A client and a server, over UDP or over gates."""

    def __init__(self, over_udp: bool) -> None:
        self.gates = Gate(), Gate()
        self.sockets: list[udp.Client | udp.Server] = []
        self.client, self.server = rssi.Client(1464), rssi.Server(1464)
        if over_udp:
            far = udp.Server(0, True, host="127.0.0.1")
            near = udp.Client("127.0.0.1", far.getPort(), True)
            streamConnectBiDir(far, self.server.transport())
            streamConnectBiDir(near, self.client.transport())
            self.sockets = [near, far]
        else:
            self.client.transport() >> self.gates[0] >> self.server.transport()
            self.server.transport() >> self.gates[1] >> self.client.transport()
        self.up, self.down, self.at_server, self.at_client = Master(), Master(), Sink(), Sink()
        self.up >> self.client.application()
        self.down >> self.server.application()
        self.client.application() >> self.at_client
        self.server.application() >> self.at_server

    def open(self) -> Pair:
        self.server._start()
        self.client._start()
        assert self.client.waitOpen(WAIT_S)
        assert self.server.waitOpen(WAIT_S)
        return self

    def close(self) -> None:
        for gate in self.gates:
            gate.open.set()
        for end in (self.client, self.server):
            end.abort()
        for one in self.sockets:
            one._stop()


@pytest.fixture(params=[True, False], ids=["udp", "memory"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    made = Pair(request.param).open()
    yield made
    made.close()


@pytest.fixture
def gated() -> Iterator[Pair]:
    made = Pair(False).open()
    yield made
    made.close()


def numbered(first: int, count: int) -> FrameBatch:
    rows = np.zeros((count, 50), ">u4")
    rows[:, 0] = np.arange(first, first + count)
    return FrameBatch.from_rows(rows)


def run(*works: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()


def link_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("rssi.")]


def test_many_senders_both_ways(pair: Pair) -> None:
    def send(source: Master, base: int) -> Callable[[], None]:
        def work() -> None:
            for first in range(base, base + 400, 20):
                source._sendBatch(numbered(first, 19))
                source._sendFrame(Frame((first + 19).to_bytes(4, "big")))

        return work

    run(*(send(source, base) for source in (pair.up, pair.down) for base in (0, 1000, 2000)))
    for sink in (pair.at_server, pair.at_client):
        numbers = sink.wait(1200)
        assert len(numbers) == 1200
        for base in (0, 1000, 2000):  # what one thread sent is in order
            assert [n for n in numbers if base <= n < base + 400] == list(range(base, base + 400))
    assert pair.client.getDownCount() == pair.server.getDownCount() == 0


def test_frames_go_out_in_the_thread_of_their_sender(gated: Pair) -> None:
    threads: list[int] = []
    gated.gates[0].then = lambda _: threads.append(threading.get_ident())
    for number in range(100):
        gated.up._sendFrame(Frame(number.to_bytes(4, "big")))
        gated.at_server.wait(number + 1)
    assert threading.get_ident() in threads


def test_who_comes_meanwhile_does_not_wait(gated: Pair) -> None:
    """While one thread stands in a slow network, others leave what they bring, and go."""
    gated.gates[0].open.clear()
    slow = threading.Thread(target=lambda: gated.up._sendFrame(Frame(bytes(4))))
    slow.start()
    assert gated.gates[0].held.wait(WAIT_S)
    run(lambda: gated.up._sendBatch(numbered(1, 40)))
    run(lambda: gated.down._sendFrame(Frame(bytes(4))))
    gated.gates[0].open.set()
    slow.join(WAIT_S)
    assert not slow.is_alive()
    assert gated.at_server.wait(41) == list(range(41))
    gated.at_client.wait(1)


def test_a_stop_waits_for_who_stands_in_the_network(gated: Pair) -> None:
    gated.gates[0].open.clear()
    slow = threading.Thread(target=lambda: gated.up._sendFrame(Frame(bytes(4))))
    slow.start()
    assert gated.gates[0].held.wait(WAIT_S)
    stopping = threading.Thread(target=gated.client.abort)
    stopping.start()
    gated.up._sendFrame(Frame(bytes(4)))  # a link that is to be closed takes nothing any more, or
    gated.gates[0].open.set()  # took it just before
    for thread in (slow, stopping):
        thread.join(WAIT_S)
        assert not thread.is_alive()
    assert not gated.client.getOpen()
    gated.server.abort()
    assert not link_threads()


def test_the_network_may_stop_the_link_it_belongs_to(gated: Pair) -> None:
    def stop(frame: Frame) -> None:
        gated.gates[0].then = lambda _: None
        gated.client.abort()

    gated.gates[0].then = stop
    gated.up._sendFrame(Frame(bytes(4)))
    deadline = time.monotonic() + WAIT_S
    while gated.client.getOpen() or "rssi.Client" in link_threads():
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)
    gated.client._start()
    assert gated.client.waitOpen(WAIT_S)


def test_stops_and_starts_while_others_send(pair: Pair) -> None:
    done = threading.Event()

    def send() -> None:
        while not done.is_set():
            pair.up._sendBatch(numbered(0, 8))
            pair.down._sendFrame(Frame(bytes(4)))

    def restart() -> None:
        for _ in range(8):
            pair.client.abort()
            pair.client._start()
            assert pair.client.waitOpen(WAIT_S)
        done.set()

    run(send, send, restart)
    assert pair.client._quiesce(time.monotonic() + WAIT_S)
    pair.close()
    assert not link_threads()


def test_an_idle_link_keeps_its_times() -> None:
    """Nobody comes: the link's own thread sends acknowledges, signs of life and segments again."""
    pair = Pair(False)
    pair.client.setLocNullTout(30)
    pair.client.setLocMaxCumAck(50)
    pair.open()
    seen: list[bytes] = []
    pair.gates[0].then = lambda frame: seen.append(bytes(frame))
    pair.up._sendFrame(Frame(bytes(4)))
    assert pair.client._quiesce(time.monotonic() + WAIT_S)  # by an acknowledge after its delay
    deadline = time.monotonic() + WAIT_S
    while sum(one[0] & 0x08 > 0 for one in list(seen)) < 3:
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)
    pair.client.transport()._removeSlave(pair.gates[0])  # lost on the way from here on
    pair.up._sendFrame(Frame(b"late"))
    before = pair.client.getRetranCount()
    while pair.client.getRetranCount() == before:
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)
    pair.client.transport() >> pair.gates[0]
    assert pair.client._quiesce(time.monotonic() + WAIT_S)
    assert len(pair.at_server.wait(2)) == 2
    pair.close()


class Packets:
    """Packetizers on the two ends of a pair; channel 1 goes up to a gate and a sink."""

    def __init__(self, pair: Pair, max_bytes: int) -> None:
        self.near, self.far = CoreV2(True, True, True), CoreV2(True, True, True)
        for end, sink, core in (
            (pair.client, pair.at_client, self.near),
            (pair.server, pair.at_server, self.far),
        ):
            disconnect(end.application(), sink)
            streamConnectBiDir(end.application(), core.transport())
        self.gate, self.source = Gate(), Master()
        self.far.application(1, maxBytes=max_bytes) >> self.gate >> pair.at_server
        self.source >> self.near.application(1)

    def close(self) -> None:
        self.gate.open.set()
        self.near.abort()
        self.far.abort()


def test_a_packetizer_gets_its_packets_at_once(pair: Pair) -> None:
    packets = Packets(pair, 1 << 20)
    for first in range(0, 1000, 20):
        packets.source._sendBatch(numbered(first, 20))
    assert pair.at_server.wait(1000) == list(range(1000))
    assert pair.server._arrived.counters.frames == 0
    packets.close()


def test_a_full_channel_makes_its_end_busy_and_loses_nothing(pair: Pair) -> None:
    packets = Packets(pair, 4000)  # bytes: 20 frames
    packets.gate.open.clear()
    sender = threading.Thread(
        target=lambda: [packets.source._sendBatch(numbered(n, 20)) for n in range(0, 1000, 20)]
    )
    sender.start()
    deadline = time.monotonic() + WAIT_S
    while not pair.server.getLocBusy():
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)
    assert pair.server._arrived.counters.frames > 0  # the thread of the queue waits, the link does not
    back = Master()
    back >> packets.far.application(2)
    packets.near.application(2) >> pair.at_client
    back._sendFrame(Frame(bytes(4)))
    pair.at_client.wait(1)
    packets.gate.open.set()
    assert pair.at_server.wait(1000) == list(range(1000))
    sender.join(WAIT_S)
    assert not sender.is_alive()
    packets.close()


def test_a_failing_packetizer_does_not_stop_the_link(gated: Pair) -> None:
    class Broken(Slave):
        def takesAtOnce(self, packets: int, nbytes: int) -> bool:
            return True

        def _acceptFrame(self, frame: Frame) -> None:
            raise OSError("broken")

    disconnect(gated.server.application(), gated.at_server)
    broken = Broken()
    gated.server.application() >> broken
    gated.up._sendBatch(numbered(0, 50))
    assert gated.client._quiesce(time.monotonic() + WAIT_S)
    assert "broken" in str(gated.server.lastError)
    assert gated.server.counters.errors > 0
    assert gated.server.getOpen()


def test_an_interrupt_of_a_sender_leaves_the_link_to_others(gated: Pair) -> None:
    me = threading.get_ident()

    def interrupt(frame: Frame) -> None:
        if threading.get_ident() == me:
            gated.gates[0].then = lambda _: None
            raise KeyboardInterrupt

    caught = threading.Event()

    def send() -> None:
        try:
            gated.up._sendFrame(Frame(bytes(4)))
        except KeyboardInterrupt:
            caught.set()

    for _ in range(100):  # until the sender's own thread was the one
        gated.gates[0].then = interrupt
        send()
        if caught.is_set():
            break
    assert caught.is_set()
    gated.up._sendFrame(Frame((1).to_bytes(4, "big")))  # what was lost in the interrupt is sent again
    deadline = time.monotonic() + WAIT_S
    while 1 not in gated.at_server.numbers:
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)
