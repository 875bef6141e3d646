"""The front end on the network: UDP, RSSI and packetizer V2."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from sapwood.devices import FrontEndBoard, FrontEndFirmware, UdpRssiPack
from sapwood.devices.board.faults import RegisterFaults
from sapwood.devices.board.wire import FrontEndWire
from sapwood.errors import BusError, StreamError
from sapwood.memory import SrpV3
from sapwood.streams import FrameBatch, Slave, streamConnectBiDir
from sapwood.streams.prbs import PrbsChecker
from sapwood.tree import Root

CHANNELS = 3


@pytest.fixture
def wire(free_ports: Callable[..., int]) -> Iterator[FrontEndWire]:
    made = FrontEndWire(FrontEndFirmware(CHANNELS), free_ports())
    made._start()
    yield made
    made._stop()


def tree(port: int, **options: Any) -> Root:
    root = Root(name="Top", pollEn=False, timeout=20.0)
    root.add(UdpRssiPack(name="Net", port=port, packVer=2, **options))
    registers = SrpV3()
    streamConnectBiDir(registers, root.Net.application(0))
    root.addInterface(registers)
    data = [root.Net.application(n + 1, policy="drop_new", maxBytes=1 << 20) for n in range(CHANNELS)]
    root.add(FrontEndBoard(name="Board", memBase=registers, channels=CHANNELS, streams=data))
    return root


class Stuck(Slave):
    """Holds the thread that delivers to it."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()
        self.entered = threading.Event()

    def _acceptBatch(self, _batch: FrameBatch) -> None:
        self.entered.set()
        assert self.release.wait(60)


def test_registers_are_those_of_the_board(wire: FrontEndWire) -> None:
    with tree(wire.port) as root:
        board = root.Board
        assert board.BuildStamp.get() == "FrontEndFirmware: sapwood emulator"
        assert board.Version.get() == "1.0.0"
        assert board.Channels.get() == CHANNELS
        board.ScratchPad.set(0xCAFE0001)
        assert board.ScratchPad.get() == 0xCAFE0001
        board.Ch[2].Size.set(4000)
        assert wire.firmware.channels[2].settings.size == 4000
        with pytest.raises(BusError):
            board.Ch[0].Pattern.set(3)


@pytest.mark.parametrize("jumbo", [False, True])
def test_each_channel_arrives_whole_on_its_own_stream(
    wire: FrontEndWire, sink: Any, jumbo: bool, await_true: Callable[..., Any]
) -> None:
    root = tree(wire.port, jumbo=jumbo)
    others = [type(sink)() for _ in range(2)]
    for number, end in enumerate((sink, *others)):
        root.Board.application(number) >> end
    with root:
        assert root.Net.curMaxSegment.get() == (8964 if jumbo else 1464)
        for channel in root.Board.Ch.values():
            channel.Size.set(10_000)
            channel.Rate.set(500)
        root.Board.Run.set(True)
        sink.await_frames(100)
        root.Board.Run.set(False)
        sent = [root.Board.Ch[number].FrameCount.get() for number in range(CHANNELS)]
        assert [root.Board.Ch[number].ErrorCount.get() for number in range(CHANNELS)] == [0] * CHANNELS
        for end, count in zip((sink, *others), sent, strict=True):
            end.await_frames(count)
    assert [end.frames() for end in (sink, *others)] == sent
    assert wire.dropped == 0
    words = np.concatenate([np.frombuffer(one, "<u4") for one in others[0].payloads()])
    assert np.array_equal(words, np.arange(words[0], words[0] + len(words), dtype=np.uint32))
    checker = PrbsChecker()
    found = [checker.check(batch) for batch in sink.batches]
    assert sum(result.good for result in found) == sent[0]
    assert sum(result.bad for result in found) == 0


def test_data_that_nobody_takes_does_not_hold_up_registers(wire: FrontEndWire) -> None:
    root = tree(wire.port)
    stuck = Stuck()
    root.Board.application(0) >> stuck
    with root:
        root.Board.Ch[0].Size.set(10_000)
        root.Board.Ch[0].Rate.set(0)
        root.Board.Run.set(True)
        try:
            assert stuck.entered.wait(20)
            for value in range(50):
                root.Board.ScratchPad.set(value)
                assert root.Board.ScratchPad.get() == value
            root.Board.Run.set(False)
            assert not root.Board.Run.get()
        finally:
            stuck.release.set()


def test_registers_that_stay_silent_end_by_their_timeout() -> None:
    firmware = FrontEndFirmware(CHANNELS)
    faults = RegisterFaults(firmware)
    wire = FrontEndWire(firmware, registers=faults)
    wire._start()
    try:
        with tree(wire.port) as root:
            faults.silence(0x004, 4)
            with pytest.raises(BusError, match=r"[Tt]ime-?out"):
                root.Board.ScratchPad.get()
            faults.clear()
            assert root.Board.ScratchPad.get() == 0
    finally:
        wire._stop()


def test_a_client_may_go_and_another_come(wire: FrontEndWire, await_true: Callable[..., Any]) -> None:
    for value in range(3):
        with tree(wire.port) as root:
            assert wire.isOpen
            root.Board.ScratchPad.set(value)
            assert root.Board.ScratchPad.get() == value
        await_true(lambda: not wire.isOpen, "link closed")


def test_the_board_goes_and_comes_back(wire: FrontEndWire, await_true: Callable[..., Any]) -> None:
    with tree(wire.port) as root:
        root.Board.ScratchPad.set(5)
        wire._stop()
        await_true(lambda: not root.Net.rssiOpen.get(), "link closed")
        wire._start()
        await_true(root.Net.rssiOpen.get, "link open")
        assert root.Board.ScratchPad.get() == 5


def test_a_taken_port_is_refused(wire: FrontEndWire) -> None:
    second = FrontEndWire(FrontEndFirmware(1), wire.port)
    with pytest.raises(StreamError, match="Failed to bind"):
        second._start()
    second._stop()
