"""`DatagramSource`: channels by sender, lost numbers, bounds, stops."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sapwood.devices import StageDevice
from sapwood.errors import StreamError
from sapwood.streams import FrameBatch, Gap, PayloadField, Slave
from sapwood.streams.transports import DatagramSource
from sapwood.tree import Root

WAIT_S = 20.0
HOST = "127.0.0.1"


class Sink(Slave):
    """Keeps frames as (channel, payload) and gaps as (reason, frames), in order."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[tuple[Any, Any]] = []
        self.frames = 0
        self.news = threading.Condition()
        self.fail: Exception | None = None

    def _acceptBatch(self, batch: FrameBatch) -> None:
        with self.news:
            assert batch.time.all()
            self.items += [(frame.channel, bytes(frame)) for frame in batch.frames()]
            self.frames += len(batch)
            self.news.notify_all()
        if self.fail is not None:
            raise self.fail

    def _acceptGap(self, gap: Gap) -> None:
        with self.news:
            self.items.append((gap.reason, gap.frames))

    def wait(self, frames: int) -> list[tuple[Any, Any]]:
        with self.news:
            assert self.news.wait_for(lambda: self.frames >= frames, WAIT_S), self.items
            return self.items


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((HOST, 0))
        yield one


Make = Callable[..., tuple[DatagramSource, Sink]]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[DatagramSource] = []

    def build(port: int = 0, **options: Any) -> tuple[DatagramSource, Sink]:
        source, sink = DatagramSource(port, host=HOST, **options), Sink()
        made.append(source)
        source >> sink
        return source, sink

    yield build
    for source in made:
        source._stop()


def test_datagrams_are_frames(make: Make, sender: socket.socket, free_ports: Callable[..., int]) -> None:
    source, sink = make(free_ports(), channel=4)
    for payload in (b"one", b"", bytes(60_000), b"last"):
        sender.sendto(payload, (HOST, source.port))
    assert sink.wait(4) == [(4, b"one"), (4, b""), (4, bytes(60_000)), (4, b"last")]
    assert (source.counters.frames, source.counters.bytes) == (4, 60_007)
    source._stop()
    source._start()
    sender.sendto(b"more", (HOST, source.port))
    assert sink.wait(5)[-1] == (4, b"more")


def test_channels_by_sender(make: Make, sender: socket.socket) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as foreign,
    ):
        other.bind((HOST, 0))
        foreign.bind(("127.0.0.2", 0))
        source, sink = make(senders={"localhost": 2, (HOST, other.getsockname()[1]): 9})
        for number in range(3):
            foreign.sendto(b"?", (HOST, source.port))
            sender.sendto(b"%d" % number, (HOST, source.port))
            other.sendto(b"%d" % number, (HOST, source.port))
        found = sink.wait(6)
    assert found == [(channel, b"%d" % number) for number in range(3) for channel in (2, 9)]
    assert source.counters.dropped == {"source": 3}
    assert source.counters.frames == 9


def test_numbers_that_are_missing_become_gaps(make: Make, sender: socket.socket) -> None:
    source, sink = make(sequence=PayloadField(1, ">u2"))
    numbers = [65533, 65534, 1, 2, 0, 2, 5, 30_000, 0, 1]
    for number in numbers:
        sender.sendto(b"#" + number.to_bytes(2, "big"), (HOST, source.port))
    sender.sendto(b"?", (HOST, source.port))
    found = sink.wait(len(numbers) + 1)
    shown = [
        payload if isinstance(payload, int) else int.from_bytes(payload[1:], "big") for _, payload in found
    ]
    assert shown == [65533, 65534, 2, 1, 2, 0, 2, 2, 5, 29_994, 30_000, 0, 1, 0]
    assert [kind for kind, _ in found].count("lost") == 3
    assert (source.lost, source.late) == (29_998, 2)


def test_a_sender_that_begins_again_after_few(make: Make, sender: socket.socket) -> None:
    source, sink = make(sequence=PayloadField(0, "u1"), restart=4)
    for number in (0, 1, 2, 9, 8, 5, 4, 5):
        sender.sendto(bytes([number]), (HOST, source.port))
    found = sink.wait(8)
    assert [payload for kind, payload in found if kind == "lost"] == [6]
    assert (source.lost, source.late) == (6, 2)


def test_a_multicast_group(make: Make, sender: socket.socket) -> None:
    group = "239.1.1.1"
    with pytest.raises(StreamError, match="No such multicast group"):
        make(group="10.0.0.1")
    try:
        source, sink = make(group=group)
    except StreamError as error:
        pytest.skip(f"this machine knows no multicast: {error}")
    twin, other = make(port=source.port, group=group)
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(HOST))
    sender.sendto(b"all", (group, source.port))
    assert sink.wait(1) == other.wait(1) == [(0, b"all")]
    source._stop()
    sender.sendto(b"more", (group, twin.port))
    assert other.wait(2)[-1] == (0, b"more")


def test_a_group_that_cannot_be_joined_is_named() -> None:
    with pytest.raises(StreamError, match=r"join the multicast group 239\.1\.1\.1 at 192\.0\.2\.1"):
        DatagramSource(0, group="239.1.1.1", host="192.0.2.1")


def test_large_datagrams_are_dropped(make: Make, sender: socket.socket) -> None:
    source, sink = make(maxSize=10)
    for payload in (bytes(11), bytes(10)):
        sender.sendto(payload, (HOST, source.port))
    assert sink.wait(1) == [(0, bytes(10))]
    assert source.counters.dropped == {"oversize": 1}


def test_what_the_kernel_drops_is_told(make: Make, sender: socket.socket) -> None:
    gate, entered = threading.Event(), threading.Event()

    class Slow(Slave):
        def _acceptBatch(self, batch: FrameBatch) -> None:
            entered.set()
            assert gate.wait(WAIT_S)

    source, sink = make()
    source >> Slow()
    assert source._socket is not None
    source._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    sender.sendto(b"first", (HOST, source.port))
    assert entered.wait(WAIT_S)
    for _ in range(2000):
        sender.sendto(bytes(1000), (HOST, source.port))
    gate.set()
    sink.wait(2)
    deadline = time.monotonic() + WAIT_S
    while not any(kind == "kernel" for kind, _ in list(sink.items)):  # told with the next that is taken
        assert time.monotonic() < deadline
        sender.sendto(b"again", (HOST, source.port))
    assert source.counters.dropped["kernel"] > 0


def test_a_failing_sink_does_not_stop_it(make: Make, sender: socket.socket) -> None:
    source, sink = make()
    sink.fail = OSError("no room")
    sender.sendto(b"1", (HOST, source.port))
    sink.wait(1)
    sender.sendto(b"2", (HOST, source.port))
    sink.wait(2)
    source._stop()
    assert source.counters.errors == 2
    assert str(source.lastError) == "no room"


def test_in_a_tree(sender: socket.socket) -> None:
    source, sink = DatagramSource(0, host=HOST), Sink()
    top = Root(name="Top", pollEn=False)
    top.add(StageDevice(source, name="Sensors"))
    with top:
        top.Sensors >> sink
        sender.sendto(b"abc", (HOST, source.port))
        sink.wait(1)
        assert (top.Sensors.FrameCount.get(), top.Sensors.ByteCount.get()) == (1, 3)
    assert source._worker is None


@pytest.mark.parametrize(
    "options",
    [{"channel": 256}, {"senders": {HOST: -1}}, {"maxSize": 0}, {"senders": {"no.such.host.invalid": 1}}],
)
def test_bad_arguments(options: dict[str, Any]) -> None:
    with pytest.raises(StreamError):
        DatagramSource(0, host=HOST, **options)
