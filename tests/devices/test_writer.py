"""The tree-managed StreamWriter: nodes, life cycle, configuration records, faults, stop order."""

from __future__ import annotations

import errno
import os
import re
import struct
import threading
from pathlib import Path

import pytest
import yaml

from sapwood.devices import DataWriter, FrontEndBoard, PrbsTx, StreamWriter, Variable
from sapwood.errors import DeviceError, FileError, RecordingExists
from sapwood.fileio import FileLayer
from sapwood.fileio import StreamWriter as FileStreamWriter
from sapwood.streams import Fifo, Frame, Gap, Master
from sapwood.tree import Device, LocalCommand, LocalVariable, Root


def records(path: Path) -> list[tuple[int, int, int, bytes]]:
    """(channel, error, flags, payload) of a framed file, by the layout of the specification."""
    data, place, found = path.read_bytes(), 0, []
    while place < len(data):
        size, flags, error, channel = struct.unpack_from("<IHBB", data, place)
        assert place + 4 + size <= len(data), "torn record"
        found.append((channel, error, flags, data[place + 8 : place + 4 + size]))
        place += 4 + size
    return found


class Thing(Device):
    """The device of the golden configuration recording."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.add(LocalVariable(name="Count", value=5))
        self.add(LocalVariable(name="Gain", value=1.25))
        self.add(LocalVariable(name="Label", value="hello"))
        self.add(LocalVariable(name="On", value=True))
        self.add(LocalVariable(name="Hex", value=0xDEAD, disp="0x{:x}"))
        self.add(LocalVariable(name="Mode", value=0, enum={0: "Run", 1: "Odd"}))
        self.add(LocalVariable(name="List", value=[1, 2, 3]))
        self.add(LocalVariable(name="Secret", value=3, groups=["NoStream"]))
        self.add(LocalVariable(name="Wo", value=3, mode="WO"))
        self.add(LocalVariable(name="Arr", value=[0, 1, 2, 3, 4]))
        self.add(LocalCommand(name="Cmd", function=lambda arg: None, value=0))


class Top(Root):
    """A root with a recorder, its own status stream, and a source to send by hand."""

    def __init__(self, config: bool = True, files: FileLayer | None = None, **kwargs) -> None:
        super().__init__(name="Top", pollEn=False, **kwargs)
        writer = FileStreamWriter(files=files) if files is not None else None
        stream = {255: Variable(root=self)} if config else None
        self.add(StreamWriter(name="Writer", configStream=stream, writer=writer))
        self.add(Thing(name="DevA"))
        self.add(Thing(name="DevB"))
        self.source = Master()
        self.source >> self.Writer.getChannel(1)

    def send(self, text: str, flags: int = 0) -> None:
        self.source._sendFrame(Frame(text.encode(), flags=flags))


@pytest.fixture
def data(tmp_path) -> Path:
    return tmp_path / "run.dat"


def open_run(top: Top, path: Path) -> None:
    top.Writer.DataFile.set(str(path))
    top.waitOnUpdate()
    top.Writer.Open()


# Nodes


def test_nodes_of_the_writer():
    with Top() as top:
        writer = top.Writer
        table = {
            name: (node.mode, node.typeStr, node.pollInterval, node.units)
            for name, node in writer.variables.items()
            if name not in ("enable",)
        }
        assert table == {
            "DataFile": ("RW", "str", 0, None),
            "IsOpen": ("RO", "bool", 0, None),
            "BufferSize": ("RW", "UInt32", 0, "Bytes"),
            "MaxFileSize": ("RW", "UInt64", 0, "Bytes"),
            "CurrentSize": ("RO", "UInt64", 1, "Bytes"),
            "TotalSize": ("RO", "UInt64", 1, "Bytes"),
            "Bandwidth": ("RO", "Float64", 1, "Bytes/sec"),
            "FrameCount": ("RO", "UInt64", 1, None),
            "DataFrameCount": ("RO", "UInt64", 1, None),
            "DroppedCount": ("RO", "UInt64", 1, None),
            "GapCount": ("RO", "UInt64", 1, None),
            "LostCount": ("RO", "UInt64", 1, None),
            "FreeSpace": ("RO", "UInt64", 5, "Bytes"),
            "State": ("RO", "str", 1, None),
            "Overwrite": ("RW", "bool", 0, None),
        }
        assert {"Open", "Close", "AutoName"} <= set(writer.commands)
        assert writer.Bandwidth.disp == "{:,.3f}"
        assert writer.hidden
        assert writer.DataFile.getExtraAttribute("fileName") is True
        assert isinstance(writer, DataWriter)


def test_sizes_given_at_construction_are_in_force_after_start(data):
    class Sized(Root):
        def __init__(self) -> None:
            super().__init__(name="Top", pollEn=False)
            self.file = FileStreamWriter()
            self.add(StreamWriter(name="Writer", writer=self.file, bufferSize=1000, maxFileSize=200))
            self.source = Master()
            self.source >> self.Writer

    with Sized() as top:
        open_run(top, data)
        for _ in range(3):
            top.source._sendFrame(Frame(bytes(92)))
        top.Writer.Close()
    assert sorted(path.name for path in data.parent.iterdir() if ".idx" not in path.name) == [
        "run.dat.1",
        "run.dat.2",
    ]


def test_auto_name_keeps_the_folder():
    with Top() as top:
        top.Writer.DataFile.set("some/where/old.dat")
        top.Writer.AutoName()
        assert re.fullmatch(r"some/where/data_\d{8}_\d{6}\.dat", top.Writer.DataFile.value())
        top.Writer.DataFile.set("")
        top.Writer.AutoName()
        assert re.fullmatch(r"data_\d{8}_\d{6}\.dat", top.Writer.DataFile.value())


def test_auto_name_avoids_what_was_recorded_in_the_same_second(tmp_path, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda form, *when: form)
    names = []
    with Top() as top:
        top.Writer.DataFile.set(f"{tmp_path}/")
        for limit in (0, 1000, 0):
            top.Writer.MaxFileSize.set(limit)
            top.Writer.AutoName()
            top.Writer.Open()
            names.append(top.Writer.DataFile.value())
        top.Writer.Close()
    stem = f"{tmp_path}/data_%Y%m%d_%H%M%S"
    assert names == [f"{stem}.dat", f"{stem}_2.dat", f"{stem}_3.dat"]


# Life cycle


def test_configuration_is_written_at_open_and_at_the_close_that_closes(data):
    class Notes(Master):
        dumps = 0

        def streamYaml(self) -> None:
            self.dumps += 1
            self._sendFrame(Frame(b"A: 1\n"))

    notes = Notes()
    root = Root(name="Top", pollEn=False)
    root.add(StreamWriter(name="Writer", configStream={9: notes}))
    with root:
        root.Writer.DataFile.set(str(data))
        root.Writer.Close()
        assert notes.dumps == 0
        root.Writer.Open()
        root.Writer.Close()
        root.Writer.Close()
        assert notes.dumps == 2
    assert notes.dumps == 2
    assert records(data) == [(9, 0, 0, b"A: 1\n")] * 2


def test_a_run_from_open_to_close(data):
    with Top(config=False) as top:
        assert top.Writer.State.get() == "Closed"
        open_run(top, data)
        assert top.Writer.IsOpen.get() is True
        assert top.Writer.State.get() == "Recording"
        top.send("one", flags=7)
        top.send("two")
        assert top.Writer._waitFrameCount(2, 20)
        assert top.Writer._waitFrameChannelCount(1, 2, 0.5)
        assert not top.Writer._waitFrameCount(3, 0.01)
        with pytest.raises(ValueError, match="negative"):
            top.Writer._waitFrameCount(3, -1)
        assert top.Writer.FrameCount.get() == top.Writer.DataFrameCount.get() == 2
        assert top.Writer.TotalSize.get() == top.Writer.CurrentSize.get() == 22
        assert top.Writer.FreeSpace.get() > 0
        top.Writer.Close()
        assert top.Writer.IsOpen.get() is False
        top.send("late")
        assert top.Writer.DroppedCount.get() == 0  # nobody was recording
    assert records(data) == [(1, 0, 7, b"one"), (1, 0, 0, b"two")]


def test_listeners_see_a_run_open_and_close(data):
    seen = []
    with Top() as top:
        top.Writer.IsOpen.addListener(lambda path, value: seen.append(value.value))
        open_run(top, data)
        top.waitOnUpdate()
        assert seen[-1] is True
        top.Writer.Close()
        top.waitOnUpdate()
        assert seen[-1] is False


def test_refused_opens_reach_the_caller(data):
    data.write_bytes(b"precious")
    with Top() as top:
        with pytest.raises(FileError, match="No data file is named"):
            top.Writer.Open()
        with pytest.raises(RecordingExists, match=r"run\.dat.*(\n.*)*Overwrite"):
            open_run(top, data)
        assert top.Writer.IsOpen.get() is False
        with pytest.raises(FileError, match="missing"):
            open_run(top, data.parent / "missing" / "x.dat")
        assert data.read_bytes() == b"precious"
        top.Writer.Overwrite.set(True)
        open_run(top, data)
        top.Writer.Close()
    assert {channel for channel, *_ in records(data)} == {255}


def test_relative_names_lie_below_the_data_folder(tmp_path):
    with Top() as top:
        top.dataDir = tmp_path
        open_run(top, Path("rel.dat"))
        assert top.Writer.FreeSpace.get() > 0
        top.Writer.Close()
    assert (tmp_path / "rel.dat").exists()


def test_open_while_open_begins_a_new_file(data):
    with Top(config=False) as top:
        open_run(top, data)
        top.send("first")
        open_run(top, data.with_name("second.dat"))
        top.send("second")
        assert top.Writer.FrameCount.get() == 1
    assert records(data) == [(1, 0, 0, b"first")]
    assert records(data.with_name("second.dat")) == [(1, 0, 0, b"second")]


def test_losses_upstream_are_shown(data):
    with Top(config=False) as top:
        open_run(top, data)
        top.source._sendGap(Gap(1, 7, 700, "full"))
        top.source._sendGap(Gap(None, 0, 0, "link"))
        top.Writer.Close()
        assert (top.Writer.GapCount.value(), top.Writer.LostCount.value()) == (2, 7)
        assert top.Writer.DroppedCount.value() == 0
        open_run(top, data.with_name("second.dat"))
        assert (top.Writer.GapCount.get(), top.Writer.LostCount.get()) == (0, 0)


def test_errored_frames_can_be_left_out(data):
    with Top(config=False) as top:
        top.Writer.setDropErrors(True)
        open_run(top, data)
        top.source._sendFrame(Frame(b"bad", error=1))
        top.send("good")
        top.Writer.Close()
        assert top.Writer.DroppedCount.get() == 1
    assert records(data) == [(1, 0, 0, b"good")]


def test_raw_mode_writes_payloads_and_refuses_configuration(data):
    with pytest.raises(DeviceError, match="raw recording"):
        StreamWriter(name="Writer", rawMode=True, configStream={255: Master()})

    class Raw(Root):
        def __init__(self) -> None:
            super().__init__(name="Top", pollEn=False)
            self.add(StreamWriter(name="Writer", rawMode=True))

    with Raw() as top:
        source = Master()
        source >> top.Writer.getChannel(0)
        open_run(top, data)
        source._sendFrame(Frame(b"abc"))
        source._sendFrame(Frame(b"def"))
    assert data.read_bytes() == b"abcdef"


# Configuration records


@pytest.fixture
def golden(golden_rogue) -> list[tuple[int, int, int, bytes]]:
    return records(golden_rogue / "config_ch255.dat")


def section(text: str, name: str) -> list[str]:
    """The lines of device `name` in a dump."""
    lines = text.splitlines()
    start = lines.index(f"  {name}:") + 1
    end = next((i for i in range(start, len(lines)) if not lines[i].startswith("    ")), len(lines))
    return lines[start:end]


def test_records_have_the_shapes_of_the_peer(data, golden):
    with Top() as top:
        open_run(top, data)
        top.waitOnUpdate()
        top.send("first data frame", flags=1)
        top.DevA.Count.set(9)
        top.waitOnUpdate()
        with top.updateGroup():
            top.DevA.Gain.set(2.5)
            top.DevB.Mode.setDisp("Odd")
        top.waitOnUpdate()
        top.send("second data frame", flags=2)
        top.Writer.Close()
    ours = records(data)
    assert all(error == 0 and (flags == 0 or channel == 1) for channel, error, flags, _ in ours)
    dumps = [text for channel, _, _, text in (ours[0], ours[-1])]
    theirs = [golden[0][3], golden[-1][3]]
    for our, their in zip(dumps, theirs, strict=True):
        assert our.endswith(b"\n\n")
        assert not our.endswith(b"\n\n\n")
        assert our.startswith(b"Top:\n  enable: True\n")
        for device in ("DevA", "DevB"):
            assert section(our.decode(), device) == section(their.decode(), device)
    assert section(dumps[0].decode(), "Writer")[2] == "    IsOpen: True"
    changes = [record for record in ours[1:-1] if b"Writer" not in record[3]]
    expected = [r for r in golden[1:-1] if b"Writer" not in r[3] and b"Top.Time" not in r[3]]
    assert changes == expected


def test_updates_leave_out_the_clock_and_the_recorders_counters(data):
    with Top() as top:
        open_run(top, data)
        for node in (top.Time, top.LocalTime):
            node.get()
        for name in ("CurrentSize", "TotalSize", "Bandwidth", "FrameCount", "DataFrameCount", "State"):
            top.Writer.node(name).get()
        top.DevA.Cmd(4)
        top.DevA.Secret.set(8)
        top.DevA.Label.set("x")
        top.waitOnUpdate()
        top.Writer.Close()
    updates = [yaml.safe_load(text) for _, _, _, text in records(data)[1:-1]]
    assert {key for update in updates for key in update} == {"Top.Writer.IsOpen", "Top.DevA.Label"}


def test_floats_with_thousands_are_plain(data):
    class Fast(Root):
        def __init__(self) -> None:
            super().__init__(name="Top", pollEn=False)
            self.add(LocalVariable(name="Big", value=429984.655, disp="{:,.3f}"))
            self.add(StreamWriter(name="Writer", configStream={255: Variable(root=self)}))

    with Fast() as top:
        open_run(top, data)
        top.Big.set(1234567.5)
        top.waitOnUpdate()
        top.Writer.Close()
    dump, *updates, last = [yaml.safe_load(text) for *_, text in records(data)]
    assert dump["Top"]["Big"] == 429984.655
    assert last["Top"]["Big"] == 1234567.5
    assert {"Top.Big": 1234567.5} in updates


def test_configuration_counts_apart_from_data(data):
    with Top() as top:
        open_run(top, data)
        top.send("x")
        top.DevA.Count.set(3)
        top.waitOnUpdate()
        assert top.Writer.DataFrameCount.get() == 1
        assert top.Writer.FrameCount.get() >= 3
        top.Writer.Close()
        assert top.Writer.FrameCount.get() == len(records(data))


def test_stop_closes_the_file_with_a_last_dump(data):
    with Top() as top:
        open_run(top, data)
        top.send("x")
        top.DevB.Count.set(77)
        top.waitOnUpdate()  # its record comes before the dump
    written = records(data)
    assert written[-1][0] == 255
    assert yaml.safe_load(written[-1][3])["Top"]["DevB"]["Count"] == 77
    assert top.Writer._writer.state == "Closed"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("Recorder")]


def test_a_writer_is_refused_negative_sizes(data):
    with Top() as top:
        with pytest.raises(OverflowError):
            top.Writer.BufferSize.set(-1)
        assert top.Writer.BufferSize.get() == 0


def test_the_base_tells_of_nothing():
    class Bare(Root):
        def __init__(self) -> None:
            super().__init__(name="Top", pollEn=False)
            self.add(DataWriter(name="Writer"))

    with Bare() as top:
        top.Writer.Open()
        assert top.Writer.IsOpen.get() is False
        assert top.Writer.TotalSize.get() == top.Writer.FrameCount.get() == 0
        top.Writer.Close()


# Faults


class FailingDisk(FileLayer):
    """Takes `room` bytes, then has no space left."""

    def __init__(self) -> None:
        self.room = 1 << 60

    def writev(self, fd, buffers):
        size = sum(map(len, buffers))
        if size <= self.room:
            self.room -= size
            return super().writev(fd, buffers)
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        head = b"".join(bytes(buffer) for buffer in buffers)[: self.room]
        self.room = 0
        return super().writev(fd, [head])


def test_a_full_disk_shows_and_a_new_file_resumes(data, await_true):
    disk, seen = FailingDisk(), []
    with Top(config=False, files=disk) as top:
        top.Writer.IsOpen.addListener(lambda path, value: seen.append(value.value))
        open_run(top, data)
        top.send("kept")
        top.waitOnUpdate()
        assert seen[-1] is True
        disk.room = 5
        with pytest.raises(FileError):
            top.send("torn record")
        top.send("lost")  # told once
        assert top.Writer.State.get().startswith("Fault: ")
        assert top.Writer.State.getVariableValue().severity == "AlarmMajor"
        assert top.Writer.IsOpen.value() is False
        await_true(lambda: seen[-1] is False, "IsOpen published")
        assert top.Writer.DroppedCount.get() >= 1
        assert records(data) == [(1, 0, 0, b"kept")]  # the torn one is cut back
        disk.room = 1 << 60
        open_run(top, data.with_name("next.dat"))
        assert top.Writer.State.getVariableValue().severity == "Good"
        top.send("again")
    assert records(data.with_name("next.dat")) == [(1, 0, 0, b"again")]


def test_a_root_stops_in_spite_of_a_full_disk(data):
    disk = FailingDisk()
    with Top(files=disk) as top:
        open_run(top, data)
        disk.room = 0
    assert records(data)[0][0] == 255


class Board(Root):
    """A front end that records through a queue."""

    def __init__(self, files: FileLayer | None = None) -> None:
        super().__init__(name="Top", pollEn=False)
        self.add(FrontEndBoard(name="Board", channels=3))
        self.add(StreamWriter(name="Writer", writer=FileStreamWriter(files=files), bufferSize=1 << 20))
        self.fifo = Fifo()
        for number in range(3):
            self.Board.application(number) >> self.fifo
        self.fifo >> self.Writer.getChannel(0)

    def run(self, path: Path) -> None:
        for channel in self.Board.Ch.values():
            channel.Rate.set(0)
            channel.Size.set(10_000)
        open_run(self, path)
        self.Board.Run.set(True)


def test_a_fault_in_the_writer_stops_neither_board_nor_registers(data, await_true):
    disk = FailingDisk()
    with Board(disk) as top:
        top.run(data)
        assert top.Writer._waitFrameCount(200, 20)
        disk.room = 0
        await_true(lambda: top.Writer.State.get().startswith("Fault"), "fault")
        before = top.Board.Ch[0].FrameCount.get()
        await_true(lambda: top.Board.Ch[0].FrameCount.get() > before + 100, "frames after the fault")
        top.Board.ScratchPad.set(0x1234)
        assert top.Board.ScratchPad.get() == 0x1234


def test_stop_loses_nothing_between_generator_and_file(data):
    with Board() as top:
        top.run(data)
        assert top.Writer._waitFrameCount(500, 20)
    sent = {channel.number: channel.frames for channel in top.Board.firmware.channels}
    written = records(data)
    assert {n: sum(channel == n for channel, *_ in written) for n in range(3)} == sent


def test_stop_drains_a_free_running_generator(data):
    class Gen(Root):
        def __init__(self) -> None:
            super().__init__(name="Top", pollEn=False)
            self.add(PrbsTx(name="Tx"))
            self.add(StreamWriter(name="Writer"))
            self.fifo = Fifo()
            self.Tx >> self.fifo >> self.Writer.getChannel(0)

    with Gen() as top:
        open_run(top, data)
        top.Tx.txEnable.set(True)
        assert top.Writer._waitFrameCount(10, 20)
    numbers = [struct.unpack_from("<I", text)[0] for *_, text in records(data)]
    assert numbers == list(range(top.Tx._prbs.getTxCount()))
