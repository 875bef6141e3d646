"""UDP ends: datagrams both ways, alone and in trains, refused ones, and stops."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from sapwood.errors import StreamError
from sapwood.streams import Frame, FrameBatch, Master, Slave
from sapwood.streams.transports import udp

WAIT_S = 20.0


class Sink(Slave):
    """Keeps the payloads it gets; raises `error` when that is set."""

    def __init__(self) -> None:
        super().__init__()
        self.payloads: list[bytes] = []
        self.calls: list[int] = []
        self.times: list[int] = []
        self.error: Exception | None = None
        self.news = threading.Condition()

    def _acceptFrame(self, frame: Frame) -> None:
        self._take([bytes(frame)])

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self.times.extend(batch.time.tolist())
        self._take([bytes(frame) for frame in batch.frames()])

    def _take(self, payloads: list[bytes]) -> None:
        with self.news:
            self.payloads.extend(payloads)
            self.calls.append(len(payloads))
            self.news.notify_all()
        if self.error is not None:
            raise self.error

    def wait(self, count: int) -> list[bytes]:
        with self.news:
            assert self.news.wait_for(lambda: len(self.payloads) >= count, WAIT_S), len(self.payloads)
            return self.payloads


class Ends:
    """A server and a client joined to a sink and a source each."""

    def __init__(self, jumbo: bool = True) -> None:
        self.server = udp.Server(0, jumbo, host="127.0.0.1")
        self.client = udp.Client("127.0.0.1", self.server.getPort(), jumbo)
        self.at_server, self.at_client = Sink(), Sink()
        self.to_server, self.to_client = Master(), Master()
        self.server >> self.at_server
        self.client >> self.at_client
        self.to_server >> self.client
        self.to_client >> self.server

    def close(self) -> None:
        self.client._stop()
        self.server._stop()


@pytest.fixture
def ends() -> Iterator[Ends]:
    pair = Ends()
    yield pair
    pair.close()


def test_a_frame_goes_there_and_back(ends: Ends) -> None:
    ends.to_server._sendFrame(Frame(b"ping"))
    assert ends.at_server.wait(1) == [b"ping"]
    ends.to_client._sendFrame(Frame(b"pong"))
    assert ends.at_client.wait(1) == [b"pong"]
    assert ends.server.peer == ends.client._socket.getsockname()
    assert (ends.server.counters.frames, ends.server.counters.bytes) == (1, 4)
    assert (ends.client.sent.frames, ends.client.sent.bytes) == (1, 4)


@pytest.mark.parametrize("trains", [True, False])
def test_batches_of_all_sizes_arrive_in_order(ends: Ends, trains: bool) -> None:
    ends.client._trains = ends.client._trains and trains
    random = np.random.default_rng(1)
    sizes = [*[8972] * 20, 100, *[8972] * 9, 0, 5, 5, 5, 9, *random.integers(0, 3000, 60).tolist()]
    sent = [random.bytes(size) for size in sizes]
    batch = FrameBatch.gather([Frame(payload) for payload in sent])
    ends.to_server._sendBatch(batch)
    assert ends.at_server.wait(len(sent)) == sent
    ends.to_server._sendBatch(batch[::-1])
    assert ends.at_server.wait(2 * len(sent))[len(sent) :] == sent[::-1]
    assert ends.client.sent.dropped == {}
    assert max(ends.at_server.calls) > 1
    assert all(abs(one - time.time_ns()) < 60e9 for one in ends.at_server.times)


def test_trains_are_given_up_where_the_interface_cannot_send_them(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp, "_LENGTH", struct.Struct("=Q"))  # the kernel refuses this
    ends.to_server._sendBatch(FrameBatch(bytes(500), np.arange(5) * 100, 100))
    assert ends.at_server.wait(5) == [bytes(100)] * 5
    assert not ends.client._trains


@pytest.mark.parametrize(("jumbo", "limit"), [(False, 1472), (True, 8972)])
def test_the_largest_datagram(jumbo: bool, limit: int) -> None:
    ends = Ends(jumbo)
    assert ends.client.maxPayload() == ends.server.maxPayload() == limit
    with pytest.raises(StreamError, match=f"at most {limit} bytes, seen {limit + 1} bytes"):
        ends.to_server._sendFrame(Frame(bytes(limit + 1)))
    sizes = np.array([limit, limit + 1, limit])
    with pytest.raises(StreamError, match="larger than a datagram"):
        ends.to_server._sendBatch(FrameBatch(bytes(limit * 4), [0, 0, 0], sizes))
    assert ends.at_server.wait(2) == [bytes(limit)] * 2
    assert ends.client.sent.dropped == {"oversize": 2}
    ends.close()


def test_larger_datagrams_from_elsewhere_are_counted() -> None:
    ends = Ends(jumbo=False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.sendto(bytes(1473), ("127.0.0.1", ends.server.getPort()))
        other.sendto(b"small", ("127.0.0.1", ends.server.getPort()))
    assert ends.at_server.wait(1) == [b"small"]
    assert ends.server.counters.dropped == {"oversize": 1}
    ends.close()


def test_frames_with_an_error_are_not_sent(ends: Ends) -> None:
    ends.to_server._sendFrame(Frame(b"bad", error=1))
    ends.to_server._sendBatch(FrameBatch(b"abc", [0, 1, 2], 1, error=np.array([0, 1, 0], np.uint8)))
    assert ends.at_server.wait(2) == [b"a", b"c"]
    assert ends.client.sent.dropped == {"error": 2}
    assert ends.client.sent.dropped_bytes == {"error": 4}


def test_a_server_without_a_peer_counts_what_it_cannot_send(ends: Ends) -> None:
    ends.to_client._sendFrame(Frame(b"nobody"))
    ends.to_client._sendBatch(FrameBatch(b"abcd", [0, 2], 2))
    assert ends.server.sent.dropped == {"unconnected": 3}


def test_a_server_answers_the_latest_sender(ends: Ends) -> None:
    ends.to_server._sendFrame(Frame(b"first"))
    ends.at_server.wait(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.settimeout(WAIT_S)
        other.sendto(b"second", ("127.0.0.1", ends.server.getPort()))
        ends.at_server.wait(2)
        ends.to_client._sendFrame(Frame(b"answer"))
        assert other.recv(100) == b"answer"


@pytest.mark.parametrize("source", ["first", "127.0.0.1"])
def test_a_server_with_a_source_refuses_others(source: str) -> None:
    server, sink = udp.Server(0, False, host="127.0.0.1", source=source), Sink()
    server >> sink
    address = ("127.0.0.1", server.getPort())
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    friend = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with stranger, friend:
        stranger.bind(("127.0.0.1" if source == "first" else "127.0.0.2", 0))
        friend.bind(("127.0.0.1", 0))
        friend.sendto(b"1", address)
        stranger.sendto(b"not me", address)
        friend.sendto(b"2", address)
        assert sink.wait(2) == [b"1", b"2"]
        assert server.peer == friend.getsockname()
    assert server.counters.dropped == {"source": 1}
    server._stop()


def test_a_taken_port_is_named(ends: Ends) -> None:
    port = ends.server.getPort()
    with pytest.raises(
        StreamError, match=f"Failed to bind to local port {port}. Another process may be using it"
    ):
        udp.Server(port, False)
    with pytest.raises(StreamError, match="local port 70000"):
        udp.Server(70000, False)


def test_unknown_hosts_are_named() -> None:
    with pytest.raises(StreamError, match=r"no\.such\.host\.invalid"):
        udp.Client("no.such.host.invalid", 1, False)
    with pytest.raises(StreamError, match=r"no\.such\.host\.invalid"):
        udp.Server(0, False, source="no.such.host.invalid")


def test_a_client_lives_on_when_nobody_is_there(free_ports) -> None:
    port = free_ports()
    client, sink, source = udp.Client("127.0.0.1", port, False), Sink(), Master()
    source >> client >> sink
    for _ in range(5):
        source._sendFrame(Frame(b"hello?"))
        source._sendBatch(FrameBatch(b"abcd", [0, 2], 2))
    assert client.refusal is not None
    assert isinstance(client.refusal[1], ConnectionRefusedError)
    server, at_server = udp.Server(port, False, host="127.0.0.1"), Sink()
    server >> at_server
    source._sendFrame(Frame(b"there"))
    assert at_server.wait(1)[-1] == b"there"
    answer = Master()
    answer >> server
    answer._sendFrame(Frame(b"yes"))
    assert sink.wait(1) == [b"yes"]
    client._stop()
    server._stop()


def test_a_failing_sink_does_not_end_the_thread(ends: Ends, caplog: pytest.LogCaptureFixture) -> None:
    ends.at_server.error = OSError("disk full")
    for _ in range(3):
        ends.to_server._sendFrame(Frame(b"x"))
    assert ends.at_server.wait(3) == [b"x"] * 3
    ends.at_server.error = None
    ends.to_server._sendFrame(Frame(b"y"))
    ends.at_server.wait(4)
    assert ends.server.counters.errors >= 1
    assert str(ends.server.lastError) == "disk full"
    assert len([record for record in caplog.records if "disk full" in record.message]) == 1


def test_the_thread_starts_with_a_link_and_ends_with_a_stop() -> None:
    server = udp.Server(0, False, host="127.0.0.1")
    names = {thread.name for thread in threading.enumerate()}
    assert "udp.Server 0" not in names
    server >> Sink()
    (worker,) = [thread for thread in threading.enumerate() if thread.name == "udp.Server 0"]
    assert worker.daemon
    begin = time.monotonic()
    server._stop()
    server._stop()
    assert not worker.is_alive()
    assert time.monotonic() - begin < WAIT_S
    source = Master()
    source >> server
    source._sendFrame(Frame(b"late"))
    assert server.sent.dropped_total == 1


def test_an_unused_end_closes_its_socket() -> None:
    server = udp.Server(0, False, host="127.0.0.1")
    server._stop()
    assert server._socket.fileno() == -1


def test_a_sink_may_stop_its_own_end() -> None:
    ends, done = Ends(), threading.Event()

    class Stopper(Slave):
        def _acceptFrame(self, frame: Frame) -> None:
            ends.server._stop()
            done.set()

    ends.server >> Stopper()
    ends.to_server._sendFrame(Frame(b"stop"))
    assert done.wait(WAIT_S)
    worker = ends.server._worker
    assert worker is not None
    worker.join(WAIT_S)
    assert not worker.is_alive()
    ends.close()


def test_the_room_of_the_kernel(ends: Ends, caplog: pytest.LogCaptureFixture) -> None:
    assert ends.server.setRxBufferCount(4)
    assert not ends.server.setRxBufferCount(100_000)
    assert "rmem_max" in caplog.text


def test_a_million_bytes_keep_their_places(ends: Ends) -> None:
    """Frames stay as they are while memory is used further, several slabs of it."""
    frames: list[Frame] = []
    have = threading.Semaphore(0)

    class Keeper(Slave):
        def _acceptFrame(self, frame: Frame) -> None:
            frames.append(frame)
            have.release()

    ends.server >> Keeper()
    for number in range(400):
        ends.to_server._sendFrame(Frame(bytes([number & 0xFF]) * 8000))
        assert have.acquire(timeout=WAIT_S)
    assert all(set(bytes(frame)) == {number & 0xFF} for number, frame in enumerate(frames))


def test_a_stop_does_not_stumble_over_its_thread_that_saw_the_flag_first() -> None:
    server = udp.Server(0, False)
    client = udp.Client("127.0.0.1", server.getPort(), False)
    server >> Slave()
    worker, ringer = server._worker, server._ringer
    assert worker is not None

    class Late:
        """Rings only when the thread had the time to end by itself."""

        def send(self, data: bytes) -> int:
            client._acceptFrame(Frame(b"x"))
            worker.join(0.3)
            return ringer.send(data)

        def close(self) -> None:
            ringer.close()

    server._ringer = Late()  # type: ignore[assignment]  # it stands between the stop and the socket
    server._stop()
    client._stop()
    assert not worker.is_alive()
