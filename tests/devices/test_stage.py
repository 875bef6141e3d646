"""Stream stages as devices."""

from __future__ import annotations

import threading

import pytest

from sapwood.devices import Fifo, Filter, RateDrop, StageDevice
from sapwood.errors import DeviceError, LinkError
from sapwood.streams import Frame, Master, Slave, StreamZip, drain, streamConnectBiDir
from sapwood.streams.protocols import Cmd, SplitterV1
from sapwood.streams.protocols.packetizer import CoreV2
from sapwood.streams.transports import rssi
from sapwood.tree import Device, Root


class Stages(Root):
    def __init__(self) -> None:
        super().__init__(name="Top", pollEn=False)
        self.add(Fifo(name="Fifo", description="a queue", maxDepth=4, trimSize=20))
        self.add(Filter(name="Filter", dropErrors=True, channel=2))
        self.add(RateDrop(name="RateDrop", period=False, value=3))


class Gate(Slave):
    def __init__(self) -> None:
        super().__init__()
        self.opened, self.entered, self.got = threading.Event(), threading.Event(), []

    def _acceptFrame(self, frame: Frame) -> None:
        self.entered.set()
        self.opened.wait(20)
        self.got.append(bytes(frame))


def test_fifo_counts_and_clears(await_true):
    source, gate = Master(), Gate()
    with Stages() as top:
        fifo = top.Fifo
        source >> fifo >> gate
        assert fifo.MaxDepth.get() == 4
        assert (fifo.Size.typeStr, fifo.FrameDropCnt.typeStr) == ("UInt64", "UInt64")
        source._sendFrame(Frame(bytes(100)))
        assert gate.entered.wait(20)
        for _ in range(9):
            source._sendFrame(Frame(bytes(100)))
        assert fifo.Size.get() == 4
        assert fifo.FrameDropCnt.get() == 5
        assert fifo.FrameCount.get() == 10
        gate.opened.set()
        await_true(lambda: len(gate.got) == 5, "queued frames")
        assert gate.got == [bytes(20)] * 5
        fifo.ClearCnt()
        assert fifo.FrameDropCnt.get() == 0
        source._sendFrame(Frame(bytes(100)))
        top.CountReset()
        assert fifo.FrameCount.get() == 0


def test_fifo_policy_and_what_its_sinks_raise(sink, await_true):
    class Queue(Root):
        def __init__(self) -> None:
            super().__init__(name="Top", pollEn=False)
            self.add(Fifo(name="Fifo", policy="block", maxBytes=250))

    source, gate = Master(), Gate()
    with Queue() as top:
        fifo = top.Fifo
        source >> fifo >> gate
        fifo >> sink
        sink.fail = OSError("no room")
        sender = threading.Thread(target=lambda: [source._sendFrame(Frame(bytes(100))) for _ in range(5)])
        sender.start()
        assert gate.entered.wait(20)
        await_true(lambda: fifo.BlockCount.get() >= 1 and fifo.Size.get() == 2, "a sender that waits")
        gate.opened.set()
        sender.join(20)
        await_true(lambda: fifo.ErrorCount.get() == 5, "five failures")
        assert fifo.LastError.get() == "OSError: no room"
        assert (fifo.FrameDropCnt.get(), len(gate.got)) == (0, 5)
        top.CountReset()
        assert (fifo.BlockCount.get(), fifo.ErrorCount.get()) == (0, 0)


def test_filter_and_rate_drop(sink):
    source = Master()
    with Stages() as top:
        source >> top.Filter >> top.RateDrop >> sink
        for number in range(20):
            source._sendFrame(Frame(bytes([number]), channel=2 + number % 2, error=number == 4))
        assert [payload[0] for payload in sink.payloads()] == [0, 10, 18]
        assert (top.Filter.Channel.get(), top.Filter.DropErrors.get()) == (2, True)
        assert (top.RateDrop.Period.get(), top.RateDrop.Value.get()) == (False, 3.0)
        assert (top.Filter.FrameCount.get(), top.Filter.DropCount.get()) == (20, 11)
        assert (top.RateDrop.FrameCount.get(), top.RateDrop.DropCount.get()) == (9, 6)
        top.CountReset()
        assert (top.Filter.FrameCount.get(), top.Filter.DropCount.get()) == (0, 0)


class Source(Device):
    """Sends to the sinks of `master` from a thread until it is told to quiesce."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.master, self.end = Master(), threading.Event()

    def _start(self) -> None:
        super()._start()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while not self.end.is_set():
            self.master._sendFrame(Frame(bytes(100)))

    def _quiesce(self, deadline: float) -> None:
        self.end.set()
        self.thread.join(20)
        super()._quiesce(deadline)

    def _runDry(self, deadline: float) -> None:
        assert drain(self.master, deadline), "another source still fills the queue"
        super()._runDry(deadline)


def test_all_sources_stop_before_shared_queues_are_drained(sink):
    """Each source would else wait for a queue that the next one fills without end."""

    class Shared(Root):
        def __init__(self) -> None:
            super().__init__(name="Top", pollEn=False)
            self.add([Source(name="A"), Source(name="B"), Fifo(name="Fifo", maxDepth=100, policy="block")])
            for source in (self.A, self.B):
                source.master >> self.Fifo
            self.Fifo >> sink

    with Shared() as top:
        sink.await_frames(1000)
    assert sink.frames() == top.Fifo.FrameCount.get()
    assert top.Fifo.DropCount.get() == 0


def test_what_no_device_sent_is_drained_before_the_stop(sink):
    """The sink stands above the queue in the tree, and so is stopped before it."""
    source, stopped = Master(), []

    class Below(Root):
        def __init__(self) -> None:
            super().__init__(name="Top", pollEn=False)
            self.add(Recorder(name="Recorder"))
            self.add(Fifo(name="Fifo"))

    class Recorder(Device):
        def _stop(self) -> None:
            stopped.append(sink.frames())
            super()._stop()

    with Below() as top:
        source >> top.Fifo >> gate_to(sink)
        for _ in range(50):
            source._sendFrame(Frame(b"x"))
    assert stopped == [50]


def gate_to(sink: Slave) -> Slave:
    """Return a stage that holds the first frame up for a while, then hands everything to `sink`."""

    class Late(Master, Slave):
        def _acceptFrame(self, frame: Frame) -> None:
            if not sink.frames():
                threading.Event().wait(0.1)
            self._sendFrame(frame)

    late = Late()
    late >> sink
    return late


CORE = CoreV2(True, True, True)
LINK = rssi.Client(1464)


@pytest.mark.parametrize(
    "stage",
    [
        lambda: Slave(),
        lambda: CORE.transport(),
        lambda: CORE.application(1),
        lambda: LINK.transport(),
        lambda: LINK.application(),
        lambda: SplitterV1(),
        lambda: StreamZip(),
    ],
)
def test_any_stage_is_a_device(stage):
    source, root = Master(), Root(name="Top", pollEn=False)
    root.add(StageDevice(stage(), name="Stage"))
    with root:
        source >> root.Stage
        source._sendFrame(Frame(bytes(16)))
        assert (root.Stage.FrameCount.get(), root.Stage.ByteCount.get()) == (1, 16)
        root.CountReset()
        assert (root.Stage.FrameCount.get(), root.Stage.DropCount.get()) == (0, 0)


def test_commands_are_counted_and_a_source_cannot_be_fed(sink):
    root, command = Root(name="Top", pollEn=False), Cmd()
    root.add(StageDevice(command, name="Cmd"))
    root.Cmd >> sink
    with root:
        command.sendCmd(1, 2)
        assert (root.Cmd.FrameCount.get(), root.Cmd.ByteCount.get()) == (1, 16)
    with pytest.raises(LinkError):
        Master() >> root.Cmd


def test_why_frames_were_dropped(sink):
    root, source = Root(name="Top", pollEn=False), Master()
    root.add(Filter(name="Filter", dropErrors=True, channel=2))
    source >> root.Filter >> sink
    with root:
        for channel, error in ((1, 0), (1, 0), (2, 1)):
            source._sendFrame(Frame(b"x", channel=channel, error=error))
        assert root.Filter.DropCount.get() == 3
        assert root.Filter.DropReasons.get() == "channel: 2, error: 1"


def test_a_protocol_end_counts_both_ways(sink, await_true):
    root, there, here = Root(name="Top", pollEn=False), CoreV2(True, True, True), CoreV2(True, True, True)
    streamConnectBiDir(there.transport(), here.transport())
    root.add(StageDevice(here.application(1), name="End"))
    root.add(StageDevice(here.transport(), name="Packets"))
    root.End >> sink
    source = Master()
    source >> there.application(1)
    with root:
        source._sendFrame(Frame(bytes(16)))
        sink.await_frames(1)
        here.transport()._acceptFrame(Frame(bytes(16)))
        assert (root.End.RxFrameCount.get(), root.End.RxDropCount.get(), root.End.FrameCount.get()) == (
            1,
            0,
            0,
        )
        assert (root.Packets.FrameCount.get(), root.Packets.DropReasons.get()) == (2, "size: 1")
        root.CountReset()
        assert root.End.RxFrameCount.get() == 0


@pytest.mark.parametrize("stage", [Master(), CORE, LINK, 3])
def test_what_is_no_stage_is_refused(stage):
    with pytest.raises(DeviceError):
        StageDevice(stage, name="Stage")
