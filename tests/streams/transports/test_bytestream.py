"""`TcpSource`: frames of a byte stream, both roles, broken connections, stops."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from sapwood.devices import StageDevice
from sapwood.errors import LinkError, ProtocolError, StreamError
from sapwood.streams import FrameBatch, Gap, Master, Slave
from sapwood.streams.transports import Delimited, FixedSize, LengthPrefix, SyncWord, TcpSource
from sapwood.tree import Root

WAIT_S = 20.0
HOST = "127.0.0.1"


class Sink(Slave):
    def __init__(self) -> None:
        super().__init__()
        self.payloads: list[bytes] = []
        self.gaps: list[tuple[str, int, int]] = []
        self.news = threading.Condition()
        self.fail: Exception | None = None

    def _acceptBatch(self, batch: FrameBatch) -> None:
        with self.news:
            assert batch.time.all()
            self.payloads += [bytes(frame) for frame in batch.frames()]
            self.news.notify_all()
        if self.fail is not None:
            raise self.fail

    def _acceptGap(self, gap: Gap) -> None:
        with self.news:
            self.gaps.append((gap.reason, gap.frames, gap.bytes))
            self.news.notify_all()

    def wait(self, frames: int = 0, gaps: int = 0) -> list[bytes]:
        with self.news:
            assert self.news.wait_for(
                lambda: len(self.payloads) >= frames and len(self.gaps) >= gaps, WAIT_S
            ), (len(self.payloads), self.gaps)
            return self.payloads


def test_a_client_connects_again_until_it_is_let_in_and_after_an_end(
    free_ports: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    port = free_ports()
    source, sink = TcpSource(Delimited(), HOST, port, retry=(0.01, 0.05)), Sink()
    source >> sink
    deadline = time.monotonic() + WAIT_S
    while source.lastError is None and time.monotonic() < deadline:
        threading.Event().wait(0.001)
    assert isinstance(source.lastError, OSError)
    assert f"The connection with {HOST}:{port} failed" in caplog.text
    with socket.create_server((HOST, port)) as server:
        server.settimeout(WAIT_S)
        for turn in range(2):
            link = server.accept()[0]
            with link:
                link.sendall(b"one\ntwo\nhal")
                sink.wait(2 * turn + 2)
            sink.wait(gaps=turn + 1)
    assert sink.payloads == [b"one", b"two"] * 2
    assert sink.gaps == [("torn", 1, 3)] * 2
    source._stop()
    assert source.connections >= 2
    assert source.flow() == (6, 4, 0, 2)
    assert not source.connected


def test_a_server_takes_one_sender_after_the_other(free_ports) -> None:
    source, sink = TcpSource(LengthPrefix(2, "big"), HOST, free_ports(), server=True, channel=3), Sink()
    source >> sink
    for turn in range(2):
        with socket.create_connection((HOST, source.port)) as link:
            for payload in (b"abc", b"", bytes(5000)):
                link.sendall(len(payload).to_bytes(2, "big") + payload)
            sink.wait(3 * turn + 3)
    source._stop()
    assert sink.payloads == [b"abc", b"", bytes(5000)] * 2
    assert sink.gaps == []
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((HOST, source.port)).close()
    source._start()
    with socket.create_connection((HOST, source.port)) as link:
        link.sendall(b"\0\1x")
        sink.wait(7)
    source._stop()


def test_damage_is_skipped_and_told() -> None:
    source, sink = TcpSource(SyncWord(b"\xf0\x0d", 2), HOST, 0, server=True), Sink()
    source >> sink
    with socket.create_connection((HOST, source.port)) as link:
        link.sendall(b"\xf0\x0d\1\0Arubbish\xf0\x0d\1\0B")
        sink.wait(2, 1)
    source._stop()
    assert sink.payloads == [b"\xf0\x0d\1\0A", b"\xf0\x0d\1\0B"]
    assert sink.gaps == [("skipped", 0, 7)]
    assert source.counters.dropped_bytes == {"skipped": 7}


def test_a_stream_that_cannot_be_followed_is_closed() -> None:
    source, sink = TcpSource(LengthPrefix(4), HOST, 0, server=True, maxFrame=100), Sink()
    source >> sink
    with socket.create_connection((HOST, source.port)) as link:
        link.sendall(b"\xff\xff\xff\xff")
        sink.wait(gaps=1)
        link.settimeout(WAIT_S)
        assert link.recv(1) == b""
    assert isinstance(source.lastError, ProtocolError)
    with socket.create_connection((HOST, source.port)) as link:
        link.sendall(b"\1\0\0\0x")
        sink.wait(1)
    source._stop()


def test_a_failing_sink_does_not_stop_it() -> None:
    source, sink = TcpSource(FixedSize(2), HOST, 0, server=True), Sink()
    sink.fail = ValueError("no")
    source >> sink
    with socket.create_connection((HOST, source.port)) as link:
        link.sendall(b"ab")
        sink.wait(1)
        link.sendall(b"cd")
        sink.wait(2)
    source._stop()
    assert source.counters.errors == 2


def test_in_a_tree_it_is_a_source() -> None:
    source, sink = TcpSource(Delimited(), HOST, 0, server=True), Sink()
    top = Root(name="Top", pollEn=False)
    top.add(StageDevice(source, name="Sensor"))
    with top:
        top.Sensor >> sink
        with pytest.raises(LinkError):
            Master() >> top.Sensor
        with socket.create_connection((HOST, source.port)) as link:
            link.sendall(b"22.5\n")
            sink.wait(1)
        assert top.Sensor.FrameCount.get() == 1
    assert source._worker is None


@pytest.mark.parametrize("options", [{"channel": 256}, {"retry": (0, 1)}, {"retry": (2, 1)}, {"maxFrame": 0}])
def test_bad_arguments(options: dict[str, Any]) -> None:
    with pytest.raises(StreamError):
        TcpSource(Delimited(), HOST, 1, **options)


def test_a_port_that_is_taken() -> None:
    with socket.create_server((HOST, 0)) as place, pytest.raises(StreamError, match="Failed to listen"):
        TcpSource(Delimited(), HOST, place.getsockname()[1], server=True)
