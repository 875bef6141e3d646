"""Every stage: stops in time, passes on or counts all it held, and outlives failing sinks."""

from __future__ import annotations

import bz2
import importlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sapwood.fileio import Replay, StreamWriter
from sapwood.streams import (
    EventBuilder,
    Fifo,
    Filter,
    Frame,
    FrameBatch,
    Gap,
    Master,
    PayloadField,
    Prbs,
    RateDrop,
    Slave,
    StreamUnZip,
    StreamZip,
    drain,
    streamConnectBiDir,
)
from sapwood.streams.framequeue import Flow
from sapwood.streams.protocols import InverterV1, SplitterV1
from sapwood.streams.protocols.batcher_codec import combine
from sapwood.streams.protocols.packetizer import Core, CoreV2
from sapwood.streams.transports import DatagramSource, FixedSize, TcpClient, TcpServer, TcpSource, rssi, udp

WAIT_S = 20.0
HOST = "127.0.0.1"
SIZE = 32


class Sink(Slave):
    """Keeps frames; holds its caller while `gate` is shut; raises as long as `failing`."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[bytes] = []
        self.lost = 0
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()
        self.failing = False
        self.news = threading.Condition()

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self.entered.set()
        assert self.gate.wait(WAIT_S)
        with self.news:
            self.frames += [bytes(frame) for frame in batch.frames()]
            self.news.notify_all()
        if self.failing:
            raise OSError("no room")

    def _acceptGap(self, gap: Gap) -> None:
        self.lost += gap.frames

    def wait(self, count: int) -> None:
        with self.news:
            assert self.news.wait_for(lambda: len(self.frames) >= count, WAIT_S), len(self.frames)


class Rig:
    """A stage with something that feeds it, and a sink."""

    def __init__(self, close: ExitStack, folder: Path) -> None:
        self.sink, self.close, self.folder = Sink(), close, folder
        self.number = 0
        self.source = Master()
        self.stage: Any = None
        self.settle: Callable[[], None] = lambda: None
        self.push: Callable[[int], None] = self._push
        self.payload: Callable[[int], bytes] = lambda number: number.to_bytes(4, "little") * (SIZE // 4)

    def between(self, stage: Any) -> Rig:
        """Feed `stage` from a master."""
        self.stage = stage
        self.source >> stage >> self.sink
        return self

    def _push(self, count: int) -> None:
        for _ in range(count):
            self.number += 1
            try:
                self.source._sendFrame(Frame(self.payload(self.number)))
            except OSError as error:  # of the sink, where no thread is between
                assert str(error) == "no room"  # noqa: PT017  # the driver's view

    def flow(self) -> Flow:
        if hasattr(self.stage, "flow"):
            flow: Flow = self.stage.flow()
            return flow
        counters = self.stage.counters
        dropped = counters.dropped_total
        return Flow(counters.frames, counters.frames - dropped, 0, dropped)


def fifo(rig: Rig, policy: Any, **options: Any) -> Rig:
    return rig.between(Fifo(policy=policy, **options))


def builder(rig: Rig) -> Rig:
    return rig.between(EventBuilder(PayloadField(0), channels=[0], timeout=100.0))


def zipped(rig: Rig) -> Rig:
    rig.payload = lambda number: bz2.compress(bytes(SIZE), 1)
    return rig.between(StreamUnZip())


def batched(rig: Rig, stage: Any) -> Rig:
    rig.payload = lambda number: bytes(combine(FrameBatch.gather([Frame(bytes(SIZE))]), 1, 2, number))
    return rig.between(stage)


def bridge(rig: Rig) -> Rig:
    server = TcpServer(HOST, 0)
    client = TcpClient(HOST, server.port)
    rig.close.callback(server.abort)
    rig.source >> client
    server >> rig.sink
    rig.stage = client
    rig.push(1)
    rig.sink.wait(1)
    rig.sink.entered.clear()
    return rig


def bridge_receiving(rig: Rig) -> Rig:
    server = TcpServer(HOST, 0)
    client = TcpClient(HOST, server.port)
    rig.close.callback(client.abort)
    rig.source >> client
    server >> rig.sink
    rig.stage = server
    rig.push(1)
    rig.sink.wait(1)
    rig.sink.entered.clear()
    rig.flow = lambda: Flow(  # type: ignore[method-assign]
        server.received.frames, server.received.frames - server.received.dropped_total, 0,
        server.received.dropped_total,
    )  # fmt: skip
    return rig


def packets(rig: Rig, make: Callable[[], Any]) -> Rig:
    near, far = make(), make()
    streamConnectBiDir(near.transport(), far.transport())
    rig.source >> near.application(1)
    far.application(1)._getStreamMaster() >> rig.sink
    rig.close.callback(near.abort)
    rig.stage = far
    rig.flow = far.application(1).queue.flow  # type: ignore[method-assign]
    return rig


def udp_end(rig: Rig) -> Rig:
    server = udp.Server(0, True, host=HOST)
    client = udp.Client(HOST, server.getPort(), True)
    rig.close.callback(client._stop)
    rig.source >> client
    server >> rig.sink
    rig.stage = server
    return rig


def rssi_end(rig: Rig) -> Rig:
    client, server = rssi.Client(1464), rssi.Server(1464)
    streamConnectBiDir(client.transport(), server.transport())
    rig.source >> client.application()
    server.application() >> rig.sink
    server._start()
    client._start()
    assert client.waitOpen(WAIT_S)
    assert server.waitOpen(WAIT_S)
    rig.close.callback(client.abort)
    rig.stage = server
    rig.flow = lambda: Flow(0, 0, 0, 0)  # type: ignore[method-assign]  # counts segments, not frames
    return rig


def prbs(rig: Rig) -> Rig:
    source = Prbs()
    source >> rig.sink
    source.setTxPeriod(1000)
    rig.stage = source
    rig.push = lambda count: source.enable(SIZE)
    return rig


def datagrams(rig: Rig) -> Rig:
    source = DatagramSource(0, host=HOST)
    source >> rig.sink
    link = rig.close.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    rig.stage = source
    rig.push = lambda count: [link.sendto(bytes(SIZE), (HOST, source.port)) for _ in range(count)] and None
    return rig


def bytestream(rig: Rig) -> Rig:
    source = TcpSource(FixedSize(SIZE), HOST, 0, server=True)
    source >> rig.sink
    link = rig.close.enter_context(socket.create_connection((HOST, source.port)))
    rig.stage = source
    rig.push = lambda count: link.sendall(bytes(SIZE) * count)
    return rig


def replay(rig: Rig) -> Rig:
    source, writer = Master(), StreamWriter()
    source >> writer.getChannel(0)
    writer.open(rig.folder / "run.dat")
    source._sendBatch(FrameBatch(bytes(SIZE * 100), range(0, SIZE * 100, SIZE), SIZE))
    writer.close()
    player = Replay("rate", rate=2000.0, loops=0)
    player >> rig.sink
    rig.stage = player
    rig.push = lambda count: None if player.isOpen() else player.open(rig.folder / "run.dat")
    return rig


QUEUES: dict[str, Callable[[Rig], Rig]] = {
    "Fifo block": lambda rig: fifo(rig, "block", maxBytes=5 * SIZE),
    "Fifo drop_new": lambda rig: fifo(rig, "drop_new", maxDepth=5),
    "Fifo drop_old": lambda rig: fifo(rig, "drop_old", maxDepth=5),
    "EventBuilder": builder,
    "bridge": bridge,
    "Packetizer V1": lambda rig: packets(rig, lambda: Core(True)),
    "Packetizer V2": lambda rig: packets(rig, lambda: CoreV2(True, True, True)),
}
DIRECT: dict[str, Callable[[Rig], Rig]] = {
    "Filter": lambda rig: rig.between(Filter(False, 0)),
    "RateDrop": lambda rig: rig.between(RateDrop(False, 0)),
    "StreamZip": lambda rig: rig.between(StreamZip()),
    "StreamUnZip": zipped,
    "Splitter": lambda rig: batched(rig, SplitterV1()),
    "Inverter": lambda rig: batched(rig, InverterV1()),
}
SOURCES: dict[str, Callable[[Rig], Rig]] = {
    "Prbs": prbs,
    "DatagramSource": datagrams,
    "TcpSource": bytestream,
    "Replay": replay,
    "udp": udp_end,
    "rssi": rssi_end,
    "bridge receiving": bridge_receiving,
}
ALL = {**QUEUES, **DIRECT, **SOURCES}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], Rig]]:
    with ExitStack() as close:
        rigs: list[Rig] = []

        def build(name: str) -> Rig:
            rig = Rig(close, tmp_path)
            rigs.append(rig)
            return ALL[name](rig)

        yield build
        for rig in rigs:
            rig.sink.gate.set()
            rig.stage._stop()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stops give sinks a twentieth of a second."""
    homes = ("fifo", "prbs.prbs", "transports.tcp", "transports.udp", "transports.rssi",
             "transports.datagrams", "transports.bytestream")  # fmt: skip
    for home in (f"sapwood.streams.{name}" for name in homes):
        module = importlib.import_module(home)
        for name in ("_DRAIN_S", "_JOIN_S", "_LINGER_S"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, 0.05)
    monkeypatch.setattr("sapwood.fileio.replay._CLOSE_S", 0.05)


def balanced(rig: Rig) -> bool:
    flow = rig.flow()
    return flow.accepted == flow.passed + flow.queued + flow.dropped and min(flow) >= 0


def in_time(call: Callable[[], Any]) -> None:
    """Call, and fail when it does not return."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(WAIT_S)
    assert not thread.is_alive(), "it hangs"


def behind(call: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("name", ALL)
def test_a_stop_passes_on_what_was_taken(name: str, make: Callable[[str], Rig]) -> None:
    rig = make(name)
    before = len(rig.sink.frames)
    rig.push(4)
    if name in QUEUES:
        in_time(rig.stage._stop)
    rig.sink.wait(before + 4)
    in_time(rig.stage._stop)
    assert balanced(rig)
    assert rig.flow().queued == rig.flow().dropped == 0
    if name in QUEUES:
        refused = rig.flow().accepted
        rig.push(1)
        assert rig.flow().dropped == rig.flow().accepted - refused
        assert len(rig.sink.frames) == before + 4


@pytest.mark.parametrize("name", [name for name in QUEUES if name != "bridge"])
@pytest.mark.usefixtures("hasty")
def test_an_abort_drops_what_is_held_and_counts_it(name: str, make: Callable[[str], Rig]) -> None:
    rig = make(name)
    rig.sink.gate.clear()
    rig.push(1)
    assert rig.sink.entered.wait(WAIT_S)
    rig.push(4)
    assert rig.flow().queued == 4
    in_time(rig.stage.abort)
    assert balanced(rig)
    counters = (
        rig.stage.counters if hasattr(rig.stage, "counters") else rig.stage.application(1).queue.counters
    )
    assert counters.dropped["aborted"] >= 1
    rig.sink.gate.set()
    deadline = time.monotonic() + WAIT_S
    while rig.flow().queued and time.monotonic() < deadline:
        time.sleep(0.001)
    assert rig.flow().queued == 0
    rig.sink.wait(rig.flow().passed)
    assert len(rig.sink.frames) == rig.flow().passed < 5


def test_an_abort_of_a_bridge_that_nobody_takes_from() -> None:
    with socket.create_server((HOST, 0)) as place:
        client = TcpClient(HOST, place.getsockname()[1])
        for number in range(4):
            client._acceptFrame(Frame(bytes([number])))
        in_time(client.abort)
    assert client.counters.dropped == {"aborted": 4}
    assert client.flow() == (4, 0, 0, 4)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("how", ["_stop", "abort"])
@pytest.mark.usefixtures("hasty")
def test_a_sink_that_blocks_does_not_hold_up_a_stop(name: str, how: str, make: Callable[[str], Rig]) -> None:
    rig = make(name)
    if not hasattr(rig.stage, how):
        assert name in DIRECT or name in ("Prbs", "udp")  # these hold nothing: a stop is an abort
        how = "_stop"
    rig.sink.gate.clear()
    pushing = behind(lambda: rig.push(12))
    assert rig.sink.entered.wait(WAIT_S)
    in_time(getattr(rig.stage, how))
    assert balanced(rig)
    rig.sink.gate.set()
    pushing.join(WAIT_S)
    assert not pushing.is_alive()
    assert balanced(rig)


@pytest.mark.parametrize("name", ALL)
def test_a_failing_sink_does_not_stop_the_driver(name: str, make: Callable[[str], Rig]) -> None:
    rig = make(name)
    before = len(rig.sink.frames)
    rig.sink.failing = True
    rig.push(3)
    rig.sink.wait(before + 3)
    rig.sink.failing = False
    rig.push(3)
    rig.sink.wait(before + 6)
    assert balanced(rig)


@pytest.mark.parametrize("name", [*QUEUES, *DIRECT])
def test_a_drain_leaves_nothing_behind(name: str, make: Callable[[str], Rig]) -> None:
    rig = make(name)
    before = len(rig.sink.frames)
    rig.push(4)
    assert drain(rig.source, time.monotonic() + WAIT_S)
    if name == "bridge":  # on the wire is not held
        rig.sink.wait(before + 4)
    assert len(rig.sink.frames) == before + 4
    assert rig.flow().queued == 0
