"""A device library written for PyRogue is built, started, read, written, saved and loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boardlib
import pyrogue as pr
import pytest
import rogue
import rogue.interfaces.memory as rim

from sapwood.memory import Emulate


class Bus(rim.Slave):
    """RAM behind a slave, with a line for each transaction."""

    def __init__(self) -> None:
        super().__init__(4, 0x1000)
        self.ram = Emulate()
        self.log: list[tuple[str, int, int]] = []
        self.faulty: set[int] = set()

    def _doTransaction(self, transaction: Any) -> None:
        address, kind = transaction.address(), transaction.type()
        data = bytearray(transaction.size())
        transaction.getData(data, 0)
        word = int.from_bytes(data[:4], "little")
        self.log.append(("RWPV"[kind - 1], address, word if kind in (rim.Write, rim.Post) else -1))
        if kind == rim.Verify and address in self.faulty:
            transaction.setData(bytearray(b"\xee" * len(data)), 0)
            transaction.done()
        else:
            self.ram._doTransaction(transaction)

    def poke(self, address: int, data: bytes) -> None:
        self.ram._direct(rim.Write, address, bytearray(data), 0, len(data))

    def take(self, *kinds: str) -> list[tuple[str, int, int]]:
        log, self.log = self.log, []
        return [entry for entry in log if entry[0] in kinds]


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def loop() -> Any:
    return boardlib.Loopback()


@pytest.fixture
def top(bus: Bus, loop: Any) -> Iterator[Any]:
    with boardlib.BoardRoot(memBase=bus, serial=loop, pollEn=False) as root:
        bus.take()
        yield root


def test_library_runs_on_emulated_memory() -> None:
    with boardlib.BoardRoot(serial=boardlib.Loopback()) as root:
        assert root.ReadAll() is True
        assert root.WriteAll() is True
        root.Board.BoardVersion.ScratchPad.set(0xCAFE)
        assert root.Board.BoardVersion.ScratchPad.get() == 0xCAFE
        root.waitOnUpdate()
    assert root.running is False


def test_star_import_hands_on_classes_and_what_they_were_made_with() -> None:
    assert boardlib.pr is pr
    assert {"Board", "BoardRoot", "LaneStatus", "IndirectProxy", "SerialRx", "math", "rogue"} <= set(
        dir(boardlib)
    )


def test_node_counts(top: Any) -> None:
    built_in = 3  # enable, ReadDevice, WriteDevice
    lane = top.Board.Lane[0]
    assert len(lane.variableList) - built_in == 12 + 10 + 9 + 3 + 11
    assert list(top.Board.devices) == [
        "BoardVersion",
        "Lane[0]",
        "Lane[1]",
        "Snapshot",
        "Indirect",
        "Direct",
        "Uart",
    ]
    assert len(lane.find(typ=pr.RemoteVariable)) == 12 - 3 + 10 + 7
    assert lane.Histogram.typeStr == "uint16(40,)"


def test_defaults_are_staged_and_written_with_the_rest(top: Any, bus: Bus) -> None:
    scratch = top.Board.BoardVersion.ScratchPad
    assert scratch.value() == 0x1234
    assert scratch.valueDisp() == "0x001234"
    top.WriteAll()
    assert ("W", 0x4, 0x1234) in bus.take("W")
    assert scratch.get() == 0x1234


def test_link_getters_of_every_style(top: Any, bus: Bus) -> None:
    lane, version = top.Board.Lane[0], top.Board.BoardVersion
    bus.poke(0x1010, b"\x07\x00")
    bus.poke(0x1080, (0x819 << 4).to_bytes(4, "little"))
    bus.poke(0x8, (3661).to_bytes(4, "little"))
    bus.poke(0x600, (0xABCDEF0 << 132).to_bytes(20, "little"))
    bus.poke(0x800, b"Firmware_v1: built today\0")
    assert lane.RxErrRate[0].getDisp() == "3.500"
    assert lane.RxErrRate[1].get() == 0
    assert lane.TempKelvin.getDisp() == "402.7125"
    assert lane.TempKelvin.units == "K"
    assert lane.TempNote.get() == "hot"
    assert lane.TempSigned.get() == 0x819 - 0x1000
    assert lane.TempBits.getDisp() == "0b100000011001"
    assert lane.LaneCount.get() == 2
    assert lane.Quality.getDisp() == "Good"
    assert version.UpTime.getDisp() == "01:01:01"
    assert version.GitHashShort.getDisp() == "abcdef0"
    assert version.UpTime.nativeType is str
    assert version.ImageName.get() == "Firmware_v1"
    assert [lane.TempNote.mode, version.ImageName.typeStr] == ["RO", "str"]


def test_link_setters_and_mirror(top: Any, bus: Bus) -> None:
    lane = top.Board.Lane[0]
    lane.GainDb.set(12.0)
    assert lane.Gain.get() == round(10 ** (12 / 20) * 256) / 256
    assert bus.take("W") == [("W", 0x1084, round(10 ** (12 / 20) * 256))]
    lane.GainDb.set(6.0, write=False)
    assert bus.take("W") == []
    assert (lane.GainDb.mode, lane.TempBits.mode) == ("RW", "RO")
    lane.StateMirror.setDisp("Locked")
    assert lane.State.getDisp() == "Locked"
    assert lane.StateMirror.enum == {0: "Idle", 1: "Align", 2: "Locked"}


def test_value_of_a_link_is_staged_at_the_start(top: Any, bus: Bus) -> None:
    lane = top.Board.Lane[0]
    assert (lane.Shift.get(), lane.Offset.value()) == (2, 8)
    top.WriteAll()
    assert ("W", 0x1088, 8) in bus.take("W")


def test_every_register_takes_its_limits(top: Any) -> None:
    registers = [
        node
        for node in top.find(typ=pr.RemoteVariable)
        if node.isVariable and node.mode == "RW" and node.nativeType is not str and not node.numValues
    ]
    assert len(registers) > 40
    for register in registers:
        values = [0, 1] if register.enum else [register.minimum, register.maximum]
        for value in [*values, values[0]]:
            register.set(value)
            assert register.get() == value, register.path
            if register.disp != "{:09_x}":  # which is no number to Python
                register.setDisp(register.getDisp())
                assert register.get() == value, register.path


def test_polling_interval_reaches_the_dependency(top: Any) -> None:
    lane = top.Board.Lane[0]
    assert lane.TempRaw.pollInterval == lane.TempKelvin.pollInterval == 5
    assert lane.RxErrRate[0].pollInterval == 1


def test_register_kinds(top: Any, bus: Bus) -> None:
    lane = top.Board.Lane[1]
    lane.Mac.set(0x0A0B0C0D0E0F)
    lane.Offset.set(-3)
    lane.Scattered.set(0xABC)
    lane.Pattern_All.set("0x3_0x2_0x1")
    lane.Histogram.set([1, 2, 3], index=4)
    top.Board.Lane[1].Delay[2].set(5)
    assert bytes(read(bus, 0x2090, 6)) == bytes.fromhex("0A0B0C0D0E0F")
    assert read(bus, 0x2088, 2) == b"\xfd\x03"
    assert (read(bus, 0x20A0, 1), read(bus, 0x20A4, 1)) == (b"\xc0", b"\xab")
    assert read(bus, 0x2060, 3) == bytes([1, 2, 3])
    assert lane.Pattern_All.get() == "0x3_0x2_0x1"
    assert read(bus, 0x2208, 6) == bytes([1, 0, 2, 0, 3, 0])
    assert lane.Histogram.get().tolist()[3:8] == [0, 1, 2, 3, 0]
    assert lane.Histogram.get(index=5) == 2
    assert lane.Delay[2].get() == 5
    assert lane.Delay[0].groups == ["NoStream", "NoState"]
    assert lane.Pattern[0].hidden
    assert lane.Offset.hidden
    assert lane.Gain.maximum == 10


def read(bus: Bus, address: int, size: int) -> bytes:
    data = bytearray(size)
    bus.ram._direct(rim.Read, address, data, 0, size)
    return bytes(data)


@pytest.mark.parametrize(
    ("command", "writes"),
    [
        ("ResetRx", [("W", 0x10C0, 1), ("W", 0x10C0, 0)]),
        ("ResetTx", [("W", 0x10C0, 2)]),
        ("Load", [("W", 0x10C4, 1)]),
        ("Clear", [("W", 0x10C8, 0)]),
        ("Arm", [("W", 0x10CC, 3), ("W", 0x10CC, 2), ("W", 0x10CC, 0)]),
        ("Mark", [("W", 0x10D0, 0x5A)]),
        ("Fire", [("P", 0x10D4, 7)]),
    ],
)
def test_functions_of_remote_commands(top: Any, bus: Bus, command: str, writes: list[Any]) -> None:
    getattr(top.Board.Lane[0], command)()
    assert bus.take("W", "P", "V") == writes


def test_touch_takes_an_argument(top: Any, bus: Bus) -> None:
    top.Board.Lane[0].Load(9)
    top.Board.Lane[0].Load("0x11")
    assert bus.take("W") == [("W", 0x10C4, 9), ("W", 0x10C4, 0x11)]


def test_local_commands(top: Any, bus: Bus) -> None:
    lane = top.Board.Lane[0]
    assert lane.Scan("text") == "text"
    assert lane.Sweep() == 3
    assert lane.Sweep.description == "Steps through all delays"
    lane.Align()
    assert lane.State.getDisp() == "Align"
    lane.Calibrate()
    assert [delay.get() for delay in lane.Delay.values()] == [0x1FF] * 4
    bus.take()
    top.Board.BoardVersion.FpgaReloadAtAddress("0x40")
    assert bus.take("W", "P") == [("W", 0x108, 0x40), ("P", 0x104, 1)]
    assert top.Board.BoardVersion.commands["FpgaReloadAtAddress"].arg is True


def test_local_variable_callback_runs_on_change(top: Any, bus: Bus) -> None:
    lane = top.Board.Lane[0]
    lane.Threshold.set(5)
    assert bus.take("W") == []
    lane.Threshold.set(6)
    assert bus.take("W") == [("W", 0x10B0, 1)]
    lane.Color.setDisp("Red")
    assert lane.Color.value() == 0


def test_resets_reach_the_overrides(top: Any, bus: Bus) -> None:
    top.Initialize()
    assert [entry[1:] for entry in bus.take("W")] == [(0x10C, 1), (0x10C, 0)]
    top.HardReset()
    assert bus.take("P") == [("P", 0x104, 1)]
    top.CountReset()
    assert bus.take("W") == [("W", 0x4, 0)]


def test_attached_hook_sees_the_tree(top: Any) -> None:
    assert top.Board.Lane[1].attached == ["Top.Board.Lane[1].ResetRx", "Top.Board.Lane[1].ResetTx"]


def test_start_and_stop_hooks(bus: Bus) -> None:
    with boardlib.BoardRoot(memBase=bus, pollEn=False) as root:
        lane = root.Board.Snapshot.Lane
        assert lane.started
    assert not lane.started


def test_overridden_block_methods_see_every_access(top: Any, bus: Bus) -> None:
    snapshot = top.Board.Snapshot
    snapshot.seen.clear()
    snapshot.Limit.set(4)
    snapshot.Level.get()
    assert snapshot.seen == [("write", "Limit"), ("read", "Level")]
    assert bus.take("R", "W", "V") == [("W", 0x4008, 4), ("V", 0x4008, -1), ("R", 0x4004, -1)]
    snapshot.seen.clear()
    snapshot.freeze()
    assert snapshot.seen[:2] == [("write", "Freeze"), ("read", None)]
    top.ReadAll()
    assert ("W", 0x4000, 1) in bus.take("W"), "the override freezes before it reads"
    top.Board.readBlocks(waitEach=True)
    top.Board.waitBlocks()
    assert snapshot.seen[-1] == ("read", None)


@pytest.mark.parametrize(("name", "chip"), [("Indirect", 0x77), ("Direct", 0x66)])
def test_registers_behind_a_proxy(top: Any, name: str, chip: int) -> None:
    device = getattr(top.Board, name)
    assert list(device.devices) == ["Chip"]
    assert device.Chip.path == f"Top.Board.{name}.Chip"
    assert device.Chip.ChipId.get() == chip
    device.Chip.Power.setDisp("On")
    device.Chip.Wide.set(0x55)
    assert device.chip == {1: chip, 8: 1, 12: 0x55}
    assert device.Chip.Power.getDisp() == "On"


def test_proxy_is_part_of_bulk_operations(top: Any) -> None:
    chip = top.Board.Indirect.chip
    chip[12] = 0x99
    top.ReadAll()
    assert top.Board.Indirect.Chip.Wide.value() == 0x99


def test_serial_port_sends_and_receives(top: Any) -> None:
    top.Board.Uart.SendString("Gain=3")
    assert top.Board.Uart._rx.lines == ["Gain=3"]


def test_device_that_is_a_slave_counts_events(top: Any) -> None:
    source = boardlib.Loopback()
    source._addSlave(top.Counter)
    send(source, b"\x01\x02")
    send(source, b"\x01", error=1)
    send(source, b"\x00\x00")
    assert top.Counter.Events.value() == 1


def send(master: Any, data: bytes, error: int = 0) -> None:
    frame = master._reqFrame(len(data), False)
    frame.write(bytearray(data), 0)
    frame.setError(error)
    master._sendFrame(frame)


def test_failed_verify_names_block_and_address(top: Any, bus: Bus) -> None:
    bus.faulty.add(0x4)
    with pytest.raises(rogue.GeneralError, match=r"(?i)verify error for block .*0x00000004"):
        top.Board.BoardVersion.ScratchPad.set(3)


def test_configuration_round_trip(top: Any, tmp_path: Path) -> None:
    lane = top.Board.Lane[0]
    lane.Gain.set(1.5)
    lane.State.setDisp("Locked")
    lane.Offset.set(-7)
    lane.Comment.set("a: 'comment'")
    top.Board.Indirect.Chip.Wide.set(0x42)
    before = top.getYaml(readFirst=False, modes=["RW"], excGroups=["NoConfig"])
    file = tmp_path / "config.yml"
    top.SaveConfig(str(file))
    assert "Histogram" not in file.read_text()
    lane.Gain.set(0)
    lane.State.setDisp("Idle")
    lane.Offset.set(0)
    lane.Comment.set("")
    top.Board.Indirect.Chip.Wide.set(0)
    assert top.getYaml(readFirst=False, modes=["RW"], excGroups=["NoConfig"]) != before
    top.LoadConfig(str(file))
    assert top.getYaml(readFirst=True, modes=["RW"], excGroups=["NoConfig"]) == before
    assert (lane.Offset.get(), lane.Comment.value()) == (-7, "a: 'comment'")


def test_configuration_text_with_wildcards(top: Any) -> None:
    top.SetYamlConfig("Top:\n  Board:\n    Lane[*]:\n      Delay[1:3]: 17\n      State: Align\n")
    assert [top.Board.Lane[i].Delay[j].get() for i in (0, 1) for j in range(4)] == [0, 17, 17, 0] * 2
    assert top.Board.Lane[1].State.getDisp() == "Align"


def test_state_holds_everything_but_what_is_kept_out(top: Any) -> None:
    text = top.GetYamlState(True)
    assert "FpgaVersion: 0x000000" in text
    assert "Delay[0]" not in text
