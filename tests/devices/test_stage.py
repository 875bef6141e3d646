"""Stream stages as devices."""

from __future__ import annotations

import threading

from sapwood.devices import Fifo, Filter, RateDrop
from sapwood.streams import Frame, Master, Slave
from sapwood.tree import Root


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
