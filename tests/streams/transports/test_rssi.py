"""RSSI links between stream ends: over UDP, over a bad wire in memory, with failing and slow sinks."""

from __future__ import annotations

import itertools
import random
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from sapwood.errors import StreamError
from sapwood.streams import Frame, FrameBatch, Gap, Master, Slave, drain, streamConnectBiDir
from sapwood.streams.protocols.rssiheader import ACK, RST, SYN, Parameters, decode, encode, encode_syn
from sapwood.streams.transports import rssi, udp

WAIT_S = 20.0


class Sink(Slave):
    """Keeps the payloads it gets; holds its caller while `gate` is shut, raises `error` when set."""

    def __init__(self) -> None:
        super().__init__()
        self.payloads: list[bytes] = []
        self.gaps: list[tuple[str, int, int]] = []  # reason, frames, payloads before
        self.news = threading.Condition()
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None

    def _acceptFrame(self, frame: Frame) -> None:
        assert self.gate.wait(WAIT_S)
        with self.news:
            self.payloads.append(bytes(frame))
            self.news.notify_all()
        if self.error is not None:
            raise self.error

    def _acceptGap(self, gap: Gap) -> None:
        with self.news:
            self.gaps.append((gap.reason, gap.frames, len(self.payloads)))

    def wait(self, count: int) -> list[bytes]:
        with self.news:
            assert self.news.wait_for(lambda: len(self.payloads) >= count, WAIT_S), len(self.payloads)
            return self.payloads


class Wire(Master, Slave):
    """Passes on, but loses, doubles and reorders as it likes; nothing at all while it is cut."""

    def __init__(self, seed: int, loss: float, double: float, swap: float) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self._chance = random.Random(seed)
        self._loss, self._double, self._swap = loss, double, swap
        self._late: list[Frame] = []
        self.cut = False

    def _acceptFrame(self, frame: Frame) -> None:
        chance = self._chance.random
        if self.cut or chance() < self._loss:
            return
        if chance() < self._swap:
            self._late.append(frame)
            return
        for _ in range(1 + (chance() < self._double)):
            self._sendFrame(frame)
        late, self._late = self._late, []
        for one in late:
            self._sendFrame(one)


class Links:
    """A client and a server, their sources and sinks, over two wires."""

    def __init__(
        self, loss: float = 0.0, double: float = 0.0, swap: float = 0.0, segment: int = 1464
    ) -> None:
        self.client, self.server = rssi.Client(segment), rssi.Server(segment)
        self.wires = Wire(1, loss, double, swap), Wire(2, loss, double, swap)
        self.client.transport() >> self.wires[0] >> self.server.transport()
        self.server.transport() >> self.wires[1] >> self.client.transport()
        self.at_client, self.at_server = Sink(), Sink()
        self.to_client, self.to_server = Master(), Master()
        self.client.application() >> self.at_client
        self.server.application() >> self.at_server
        self.to_server >> self.client.application()
        self.to_client >> self.server.application()

    def open(self) -> Links:
        self.server._start()
        self.client._start()
        assert self.client.waitOpen(WAIT_S)
        assert self.server.waitOpen(WAIT_S)
        return self

    def close(self) -> None:
        self.at_client.gate.set()
        self.at_server.gate.set()
        self.client.abort()
        self.server.abort()


@pytest.fixture
def links() -> Iterator[Links]:
    pair = Links().open()
    yield pair
    pair.close()


def numbered(first: int, count: int, size: int = 100) -> FrameBatch:
    rows = np.zeros((count, size // 4), ">u4")
    rows[:, 0] = np.arange(first, first + count)
    return FrameBatch.from_rows(rows)


def numbers(payloads: list[bytes]) -> list[int]:
    return [int.from_bytes(payload[:4], "big") for payload in payloads]


def eventually(what: str, condition: object) -> None:
    deadline = time.monotonic() + WAIT_S
    pause = threading.Event()
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, what
        pause.wait(0.002)


def test_over_udp_both_ways() -> None:
    server = udp.Server(0, True, host="127.0.0.1")
    client = udp.Client("127.0.0.1", server.getPort(), True)
    links = Links.__new__(Links)
    links.client, links.server = rssi.Client(client.maxPayload() - 8), rssi.Server(server.maxPayload() - 8)
    streamConnectBiDir(client, links.client.transport())
    streamConnectBiDir(server, links.server.transport())
    links.at_client, links.at_server = Sink(), Sink()
    links.client.application() >> links.at_client
    links.server.application() >> links.at_server
    up, down = Master(), Master()
    up >> links.client.application()
    down >> links.server.application()
    links.open()
    size = links.client.maxPayload()
    assert size == 8956
    sender = threading.Thread(
        target=lambda: [down._sendBatch(numbered(n, 50, size)) for n in range(0, 1000, 50)]
    )
    sender.start()
    for first in range(0, 2000, 50):
        up._sendBatch(numbered(first, 50, size))
    up._sendFrame(Frame(b"the end"))
    sender.join(WAIT_S)
    assert numbers(links.at_server.wait(2001)[:2000]) == list(range(2000))
    assert links.at_server.payloads[-1] == b"the end"
    assert numbers(links.at_client.wait(1000)) == list(range(1000))
    assert links.client.getDownCount() == links.server.getDownCount() == 0
    links.client._stop()
    links.server._stop()
    client._stop()
    server._stop()


def test_over_a_bad_wire_nothing_shows() -> None:
    links = Links(loss=0.02, double=0.05, swap=0.05).open()
    for first in range(0, 1500, 30):
        links.to_server._sendBatch(numbered(first, 30))
        links.to_client._sendFrame(Frame(first.to_bytes(4, "big")))
    assert numbers(links.at_server.wait(1500)) == list(range(1500))
    assert numbers(links.at_client.wait(50)) == list(range(0, 1500, 30))
    assert links.client.getRetranCount() > 0
    assert links.server.getDropReasons().keys() == {"duplicate"}
    assert links.server.getDropCount() == links.server.getDropReasons()["duplicate"]
    links.client.resetCounters()
    assert links.client.getRetranCount() == links.client.counters.frames == 0
    links.close()


def test_frames_that_cannot_be_sent_are_counted(links: Links) -> None:
    links.to_server._sendFrame(Frame(b""))
    links.to_server._sendFrame(Frame(b"bad", error=3))
    with pytest.raises(StreamError, match="at most 1456 bytes, seen 1457 bytes"):
        links.to_server._sendBatch(FrameBatch(bytes(1457), [0, 0], [1457, 5]))
    assert links.at_server.wait(1) == [bytes(5)]
    links.client._stop()
    links.to_server._sendFrame(Frame(b"late"))
    counters = links.client.counters
    assert counters.dropped == {"empty": 1, "error": 1, "oversize": 1, "closed": 1}
    assert counters.frames == 5


def test_before_the_link_is_open_frames_are_counted_not_kept() -> None:
    links = Links()
    links.client._start()
    links.to_server._sendBatch(numbered(0, 5))
    assert links.client.counters.dropped == {"closed": 5}
    assert not links.client.waitOpen(0.001)
    assert links.client.application()._drain(time.monotonic())
    links.close()


def test_a_failing_sink_does_not_stop_the_link(links: Links, caplog: pytest.LogCaptureFixture) -> None:
    other = Sink()
    links.server.application() >> other
    links.at_server.error = OSError("disk full")
    links.to_server._sendBatch(numbered(0, 100))
    assert numbers(links.at_server.wait(100)) == list(range(100))
    assert numbers(other.wait(100)) == list(range(100))
    links.to_client._sendFrame(Frame(b"still there"))
    assert links.at_client.wait(1) == [b"still there"]
    eventually("the error is kept", lambda: links.server.lastError is not None)
    assert "disk full" in str(links.server.lastError)
    assert links.server.getOpen()


def test_a_failing_network_does_not_stop_the_link(links: Links) -> None:
    class Broken(Slave):
        def _acceptFrame(self, frame: Frame) -> None:
            raise OSError("no network")

    links.client.transport() >> Broken()
    links.to_server._sendBatch(numbered(0, 100))
    assert numbers(links.at_server.wait(100)) == list(range(100))
    assert "no network" in str(links.client.lastError)
    assert links.client.counters.errors > 0


def test_a_slow_sink_makes_its_end_busy_and_holds_the_sender(links: Links) -> None:
    links.at_server.gate.clear()
    sender = threading.Thread(target=lambda: links.to_server._sendBatch(numbered(0, 2000)))
    sender.start()
    eventually("the server is busy", links.server.getLocBusy)
    eventually("the client knows", links.client.getRemBusy)
    eventually("the sender waits", lambda: links.client.counters.blocked)
    assert sender.is_alive()
    assert links.server._arrived.size() <= 200
    links.to_client._sendFrame(Frame(b"the other way"))
    assert links.at_client.wait(1) == [b"the other way"]
    links.at_server.gate.set()
    assert numbers(links.at_server.wait(2000)) == list(range(2000))
    sender.join(WAIT_S)
    assert links.server.getLocBusyCnt() >= 1
    assert links.client.getRemBusyCnt() >= 1
    assert links.client.getDownCount() == 0


def test_draining_waits_for_the_acknowledge(links: Links) -> None:
    links.to_server._sendBatch(numbered(0, 500))
    assert drain(links.to_server, time.monotonic() + WAIT_S)
    assert links.client._core.under_way == 0
    assert links.server._quiesce(time.monotonic() + WAIT_S)
    assert numbers(links.at_server.payloads) == list(range(500))
    links.wires[0].cut = True
    links.to_server._sendFrame(Frame(b"never"))
    assert not drain(links.to_server, time.monotonic() + 0.01)


def test_a_stop_has_everything_delivered(links: Links) -> None:
    links.to_server._sendBatch(numbered(0, 300))
    links.client._stop()
    eventually("the server hears of it", lambda: not links.server.getOpen())
    links.server._stop()
    assert numbers(links.at_server.payloads) == list(range(300))
    assert links.client.counters.dropped_total == 0
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("rssi.")]


def test_a_link_stops_and_starts_again(links: Links) -> None:
    links.to_server._sendFrame(Frame(b"1"))
    links.at_server.wait(1)
    links.client._stop()
    links.client._stop()
    links.client._start()
    links.client._start()
    assert links.client.waitOpen(WAIT_S)
    links.to_server._sendFrame(Frame(b"2"))
    assert links.at_server.wait(2) == [b"1", b"2"]
    assert links.server.getDownCount() == 1


def test_a_cut_wire_lets_senders_go_and_comes_back(links: Links) -> None:
    links.wires[0].cut = True
    links.to_server._sendBatch(numbered(0, 1000))  # returns once the link is given up
    assert not links.client.getOpen()
    counters = links.client.counters
    eventually("all is counted", lambda: counters.dropped_total == 1000)
    assert counters.dropped["unacknowledged"] == 32
    assert links.client.getDownCount() == 1
    links.wires[0].cut = False
    assert links.client.waitOpen(WAIT_S)
    eventually("the server is open", links.server.getOpen)
    links.to_server._sendFrame(Frame(b"back"))
    assert links.at_server.wait(1)[-1] == b"back"


def test_receivers_are_told_of_a_break_where_it_was(links: Links) -> None:
    assert links.client.closedFor() == links.client.application().closedFor() == 0
    links.to_client._sendBatch(numbered(0, 3))
    links.at_client.wait(3)
    links.wires[0].cut = links.wires[1].cut = True
    links.to_server._sendFrame(Frame(b"lost"))
    eventually("the client gives up", lambda: links.client.closedFor() > 0)
    assert not links.client.getOpen()
    links.wires[0].cut = links.wires[1].cut = False
    assert links.client.waitOpen(WAIT_S)
    assert links.client.closedFor() == 0
    eventually("the server is open", links.server.getOpen)
    links.to_client._sendFrame(Frame(b"back"))
    links.at_client.wait(4)
    assert links.at_client.gaps == [("link", 0, 3)]
    links.client.resetCounters()
    links.client._stop()
    assert len(links.at_client.gaps) == 1  # an end that is wanted is no break


def test_a_break_that_comes_together_with_frames_drops_and_counts_them(links: Links) -> None:
    held, gate = threading.Event(), threading.Event()

    class Gate(Slave):
        def _acceptFrame(self, frame: Frame) -> None:
            held.set()
            assert gate.wait(WAIT_S)

    links.client.transport() >> Gate()
    sender = threading.Thread(target=links.to_server._sendFrame, args=(Frame(b"1"),))
    sender.start()
    assert held.wait(WAIT_S)  # who runs the state machine of the client stands in the gate
    breaking = Master()
    breaking >> links.client.transport()
    breaking._sendFrame(Frame(encode(RST, 101, 100)))
    links.to_server._sendBatch(numbered(0, 3))
    gate.set()
    sender.join(WAIT_S)
    eventually("all is counted", lambda: links.client.counters.dropped_total == 4)
    assert links.client.counters.dropped == {"closed": 3, "unacknowledged": 1}


PATIENT = Parameters(retran_tout=60_000, null_tout=60_000)  # a busy machine breaks no link


class Held:
    """A server, a client's part played by hand, and a sender held in the network's end of the server.

    While it is held, all that comes for the server waits to be taken at once.
    """

    def __init__(self) -> None:
        self.link, self.sink = rssi.Server(1464), Sink()
        self._network, self._to, self._gate = Master(), Master(), Sink()
        self._network >> self.link.transport() >> self._gate
        self._to >> self.link.application() >> self.sink
        self.link._start()
        self.arrive(encode_syn(SYN, 100, 0, PATIENT), encode(ACK, 101, 100))
        assert self.link.waitOpen(WAIT_S)
        self._gate.gate.clear()
        self._sender = threading.Thread(target=self.send, args=(b"held",))
        self._sender.start()
        eventually("it is held", lambda: self.link._core.under_way)  # it is on its way into the gate

    def arrive(self, *segments: bytes) -> None:
        for segment in segments:
            self._network._sendFrame(Frame(segment))

    def send(self, payload: bytes) -> None:
        self._to._sendFrame(Frame(payload))

    def release(self) -> None:
        self._gate.gate.set()
        self._sender.join(WAIT_S)


def test_a_break_is_told_between_the_payloads_of_the_two_links() -> None:
    held = Held()
    anew = encode_syn(SYN, 100, 0, PATIENT), encode(ACK, 101, 100) + b"new"
    held.arrive(encode(ACK, 101, 100) + b"old", encode(RST, 102, 100), *anew)
    held.release()
    assert held.sink.wait(2) == [b"old", b"new"]
    assert held.sink.gaps == [("link", 0, 1)]
    assert held.link.closedFor() == 0
    held.link.abort()
    assert held.link.closedFor() == float("inf")


def test_what_waits_goes_to_no_link_that_opened_after_a_break_with_smaller_segments() -> None:
    held = Held()
    held.send(bytes(1000))
    held.send(b"small")
    held.arrive(encode(RST, 101, 100), encode_syn(SYN, 100, 0, replace(PATIENT, max_segment=500)))
    held.release()
    eventually("all is counted", lambda: held.link.counters.dropped_total == 3)
    assert held.link.counters.dropped == {"closed": 2, "unacknowledged": 1}
    assert held.link.getOpen()
    held.send(b"goes on")
    eventually("it is sent", lambda: held.link._core.under_way)
    held.link.abort()


def test_an_abort_leaves_nothing_waiting(links: Links) -> None:
    links.at_server.gate.clear()
    sender = threading.Thread(target=lambda: links.to_server._sendBatch(numbered(0, 2000)))
    sender.start()
    eventually("the sender waits", lambda: links.client.counters.blocked)
    links.client.abort()
    sender.join(WAIT_S)
    assert not sender.is_alive()
    dropped = links.client.counters.dropped
    assert dropped.keys() <= {"closed", "unacknowledged"}
    assert 2000 - 32 * 6 <= sum(dropped.values()) <= 2000  # the rest waits at the other end


def test_a_sink_may_send_and_stop_its_own_link(links: Links) -> None:
    class Echo(Master, Slave):
        def _acceptFrame(self, frame: Frame) -> None:
            self._sendFrame(frame)
            if bytes(frame) == b"stop":
                links.server._stop()

    echo = Echo()
    links.server.application() >> echo >> links.server.application()
    for text in (b"a", b"b", b"stop"):
        links.to_server._sendFrame(Frame(text))
    assert links.at_client.wait(3) == [b"a", b"b", b"stop"]
    eventually("the link is closed", lambda: not links.client.getOpen())


def test_a_flood_is_bounded() -> None:
    server, source = rssi.Server(1464), Master()
    source >> server.transport()
    source._sendBatch(numbered(0, 5))
    assert server.arrivalsDropped == 5
    server._start()
    source._sendBatch(FrameBatch(bytes(8), np.zeros(5000, np.int64), 8))
    assert server.arrivalsDropped == 5005
    server.abort()


SETTINGS = [
    ("MaxBuffers", 32, 8), ("MaxSegment", 1464, 1000), ("CumAckTout", 5, 7), ("RetranTout", 20, 30),
    ("NullTout", 1000, 900), ("MaxRetran", 15, 9), ("MaxCumAck", 2, 4),
]  # fmt: skip


def test_settings_are_agreed_on_at_the_opening() -> None:
    links = Links()
    for name, default, value in SETTINGS:
        assert getattr(links.client, f"getLoc{name}")() == default
        getattr(links.client, f"setLoc{name}")(value)
        assert getattr(links.client, f"getLoc{name}")() == value
        with pytest.raises(StreamError):
            getattr(links.client, f"setLoc{name}")(0)
    links.open()
    for name, _, value in SETTINGS:
        assert getattr(links.client, f"cur{name}")() == value
        assert getattr(links.server, f"cur{name}")() == value
    assert links.client.maxPayload() == links.client.application().maxPayload() == 992
    links.close()


def test_the_try_period() -> None:
    client = rssi.Client(1464)
    assert client.getLocTryPeriod() == 100
    client.setLocTryPeriod(10)
    assert client.getLocTryPeriod() == 10
    with pytest.raises(StreamError, match="try period"):
        client.setLocTryPeriod(0)


def test_a_foreign_client_over_a_plain_socket() -> None:
    """The bytes of a session as another implementation would send them."""
    end, server, sink = udp.Server(0, False, host="127.0.0.1"), rssi.Server(1464), Sink()
    streamConnectBiDir(end, server.transport())
    server.application() >> sink
    server._start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(WAIT_S)
        peer.connect(("127.0.0.1", end.getPort()))
        peer.send(encode_syn(SYN, 100, 0, Parameters()))
        assert decode(peer.recv(100))[:3] == (SYN | ACK, 100, 0)
        peer.send(encode(ACK, 101, 100))
        for number in (101, 102):
            peer.send(encode(ACK, number, 100) + b"data %d" % number)
        answers = (decode(peer.recv(100)) for _ in itertools.count())
        assert next(answer for answer in answers if answer.acknowledge == 102)[:2] == (ACK, 101)
        peer.send(encode(RST, 103, 100))
        assert any(decode(peer.recv(100)).flags == RST for _ in range(3))
    assert sink.wait(2) == [b"data 101", b"data 102"]
    server._stop()
    end._stop()
