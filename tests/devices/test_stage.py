"""Stream stages as devices."""

from __future__ import annotations

import threading

from sapwood.devices import Fifo, Filter, RateDrop
from sapwood.streams import Frame, Master, Slave, drain
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
            self.add([Source(name="A"), Source(name="B"), Fifo(name="Fifo")])
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
