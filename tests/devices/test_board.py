"""The front-end board in a tree."""

from __future__ import annotations

import threading

import pytest

from sapwood.devices import FrontEndBoard, FrontEndFirmware
from sapwood.devices.board.firmware import BUILD_STAMP, VERSION
from sapwood.errors import BusError, DeviceError, VariableError
from sapwood.memory import Read
from sapwood.tree import RemoteCommand, RemoteVariable, Root


class Top(Root):
    def __init__(self, **kwargs) -> None:
        super().__init__(name="Top", pollEn=False)
        self.add(FrontEndBoard(name="Board", **kwargs))


@pytest.fixture
def board():
    with Top(channels=3) as top:
        yield top.Board


def test_registers_are_read_at_start(board):
    assert board.Version.valueDisp() == "1.0.0"
    assert board.Channels.value() == 3
    assert board.BuildStamp.value() == BUILD_STAMP
    assert board.DeviceDna.value() >> 32 == 0x53415057
    assert [channel.Pattern.valueDisp() for channel in board.Ch.values()] == ["PRBS", "Counter", "Waveform"]
    assert board.Ch[1].Rate.value() == 1000
    assert board.Run.value() is False
    board.ScratchPad.set(0xCAFE)
    assert board.ScratchPad.get() == 0xCAFE
    assert board.UpTime.get() >= 0


def test_tree_and_firmware_agree_on_every_register(board):
    nodes = {
        f"{node.parent.name}.{node.name}".removeprefix("Board."): node
        for node in board.find(typ=(RemoteVariable, RemoteCommand))
    }
    registers = {register.name: register for register in board.firmware.registers}
    assert nodes.keys() == registers.keys()
    for name, register in registers.items():
        node = nodes[name]
        assert node.parent.address + node.offset == register.address, name
        assert node.mode == register.mode, name
        assert (node.bitSize[0] + 31) // 32 * 4 == register.size, name


def test_registers_steer_the_streams(board, sink, await_true):
    for number in range(3):
        board.Ch[number] >> sink
    board.Ch[0].Enable.set(False)
    board.Ch[2].Enable.set(False)
    board.Ch[1].Rate.set(0)
    board.Ch[1].Size.set(402)
    assert board.Ch[1].FrameSize.get() == 400
    board.Run.set(True)
    sink.await_frames(1000)
    assert {int(batch.channel[0]) for batch in sink.batches} == {1}
    assert sink.batches[0].uniform_size == 400
    board.Ch[1].Pattern.setDisp("Waveform")
    board.Ch[1].Size.set(100)
    await_true(lambda: sink.batches[-1].uniform_size == 100, "new size")
    board.Run.set(False)
    assert board.Ch[1].FrameCount.get() > 0
    assert board.Ch[0].FrameCount.get() == 0
    assert board.application(1) is board.firmware.channel(1)
    with pytest.raises(DeviceError, match="no channel 7"):
        board.application(7)


def test_count_reset_of_the_root_reaches_the_board(board, sink):
    board.application(0) >> sink
    board.Ch[0].Rate.set(0)
    board.Run.set(True)
    sink.await_frames(10)
    board.root.HardReset()
    assert board.Run.get() is False
    board.CountReset()
    assert board.Ch[0].FrameCount.get() == 0
    board.Run.set(True)
    sink.await_frames(sink.frames() + 10)
    board.Run.set(False)
    board.root.CountReset()
    assert board.Ch[0].FrameCount.get() == 0


def test_illegal_values_are_refused(board):
    with pytest.raises(VariableError, match="Max=16777216"):
        board.Ch[0].Size.set(1 << 30)
    with pytest.raises(BusError, match="Pattern 3 is above 2"):
        board.Ch[0].Pattern.set(3)
    assert board.Ch[0].Pattern.get() == 0
    assert board.Ch[0].FrameSize.get() == 1024


def test_the_thread_lives_with_the_tree():
    top = Top()
    names = {thread.name for thread in threading.enumerate()}
    assert "FrontEndFirmware" not in names
    with top:
        assert "FrontEndFirmware" in {thread.name for thread in threading.enumerate()}
    assert "FrontEndFirmware" not in {thread.name for thread in threading.enumerate()}


def test_a_board_over_somebody_elses_bus(sink):
    firmware = FrontEndFirmware(2)
    firmware._start()
    try:
        streams = [firmware.channel(0), None]
        with Top(memBase=firmware, channels=2, streams=streams) as top:
            top.Board.Ch[0] >> sink
            top.Board.Ch[0].Rate.set(0)
            top.Board.Run.set(True)
            sink.await_frames(10)
            assert top.Board.firmware is None
            with pytest.raises(DeviceError, match="no stream in this process"):
                top.Board.application(1)
    finally:
        firmware._stop()


def test_a_given_firmware_decides_the_channels():
    with Top(firmware=FrontEndFirmware(5)) as top:
        assert sorted(top.Board.Ch) == [0, 1, 2, 3, 4]


def test_a_device_may_use_the_bus_itself(board):
    data = bytearray(4)
    number = board._reqTransaction(0x000, data, 4, 0, Read)
    board._waitTransaction(number)
    assert (board._getError(), bytes(data)) == ("", VERSION.to_bytes(4, "little"))
