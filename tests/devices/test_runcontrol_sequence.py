"""RunControl as the owner of a run: recorders, sources, number, targets, faults."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from sapwood.devices import FrontEndBoard, RunControl, StreamVariable, StreamWriter
from sapwood.errors import DeviceError, FormatError, RecorderFault, RecordingExists
from sapwood.fileio import FileLayer
from sapwood.fileio import StreamWriter as FileStreamWriter
from sapwood.streams import Frame, Master
from sapwood.tree import Root


class Disk(FileLayer):
    """A disk that is full once `full` is set."""

    full = False

    def writev(self, fd, buffers):
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().writev(fd, buffers)


class Top(Root):
    """One recorder on a disk that can fail, one source that a test sends through."""

    def __init__(self, folder: Path, **kwargs: Any) -> None:
        super().__init__(name="Top", pollEn=False)
        self.dataDir = folder
        self.disk = Disk()
        self.source = Master()
        self.sending = False
        self.add(
            StreamWriter(
                name="Writer",
                writer=FileStreamWriter(files=self.disk),
                configStream={255: StreamVariable(root=self)},
            )
        )
        self.source >> self.Writer.getChannel(1)
        self.add(RunControl(name="Run", **{"recorders": "all", "sources": [self.switch], **kwargs}))

    def switch(self, on: bool) -> None:
        self.sending = on

    def send(self, count: int = 1) -> None:
        for _ in range(count):
            self.source._sendFrame(Frame(b"data"))


@pytest.fixture
def top(tmp_path: Path):
    with Top(tmp_path) as root:
        yield root


def records(path: Path) -> list[tuple[int, bytes]]:
    data, place, found = path.read_bytes(), 0, []
    while place < len(data):
        size, _, _, channel = struct.unpack_from("<IHBB", data, place)
        found.append((channel, data[place + 8 : place + 4 + size]))
        place += 4 + size
    return found


def test_a_run(top: Top, tmp_path: Path):
    run = top.Run
    assert run.runState.enum == {0: "Stopped", 1: "Running", 2: "Fault"}
    run.Comment.set("first light")
    run.StartRun()
    assert top.sending
    assert (run.runState.valueDisp(), run.Status.get(), run.RunNumber.value()) == ("Running", "Running", 1)
    assert top.Writer.State.get() == "Recording"
    top.send(3)
    run.StopRun()
    assert not top.sending
    assert (run.runState.valueDisp(), run.Status.get()) == ("Stopped", "Stopped")
    assert run.Frames.get() == 3
    assert run.Elapsed.get() > 0
    assert top.Writer.State.get() == "Closed"
    found = records(tmp_path / "run000001.dat")
    assert found[0][0] == 255
    first = yaml.safe_load(found[0][1])["Top"]["Run"]
    assert (first["RunNumber"], first["Comment"]) == (1, "first light")
    assert [payload for channel, payload in found if channel == 1] == [b"data"] * 3


def test_run_state_does_the_same(top: Top, tmp_path: Path):
    top.Run.runState.setDisp("Running")
    assert top.sending
    top.send()
    top.Run.runState.setDisp("Stopped")
    assert not top.sending
    assert (1, b"data") in records(tmp_path / "run000001.dat")


def test_numbers_go_on_after_a_restart(tmp_path: Path):
    for number in (1, 2):
        with Top(tmp_path) as root:
            assert root.Run.RunNumber.value() == number - 1
            root.Run.startRun()
            root.Run.stopRun()
            assert root.Run.RunNumber.value() == number
    names = sorted(file.name for file in tmp_path.iterdir() if file.suffix != ".idx")
    assert names == ["run000001.dat", "run000002.dat", "run_number"]


def test_a_number_file_that_holds_none(tmp_path: Path, caplog):
    (tmp_path / "run_number").write_text("seven")
    with Top(tmp_path) as root:
        assert "number of the last run is not known" in caplog.text
        with pytest.raises(FormatError, match="no run number"):
            root.Run.startRun()
        assert root.Run.runState.valueDisp() == "Stopped"
        assert not root.sending
        assert root.Writer.State.get() == "Closed"


def test_names_of_files(tmp_path: Path):
    root = Top(tmp_path)
    root.add(StreamWriter(name="Other"))
    (tmp_path / "sub").mkdir()
    with root:
        root.Writer.DataFile.set("sub/old.bin")
        root.Run.startRun()
        assert root.Writer.DataFile.value() == "sub/run000001_Writer.bin"
        assert root.Other.DataFile.value() == "run000001_Other.dat"
        root.Run.stopRun()
        root.Run.AutoName.set(False)
        with pytest.raises(RecordingExists):
            root.Run.startRun()
        root.Writer.DataFile.set("mine.dat")
        root.Other.DataFile.set("its.dat")
        root.Run.startRun()
        root.Run.stopRun()
    assert (tmp_path / "mine.dat").exists()
    assert (tmp_path / "its.dat").exists()


def test_a_recorder_that_is_open_keeps_its_file(top: Top, tmp_path: Path):
    top.Writer.DataFile.set("mine.dat")
    top.Writer.Open()
    for _ in range(2):
        top.Run.startRun()
        assert top.Writer.DataFile.value() == "mine.dat"
        top.send()
        top.Run.stopRun()
        assert top.Writer.State.get() == "Recording"
    top.Writer.Close()
    assert [channel for channel, _ in records(tmp_path / "mine.dat")].count(1) == 2


def test_a_recorder_that_does_not_open(top: Top, tmp_path: Path):
    (tmp_path / "run000001.dat").write_bytes(b"precious")
    with pytest.raises(RecordingExists):
        top.Run.StartRun()
    assert not top.sending
    assert (top.Run.runState.valueDisp(), top.Run.Status.get()) == ("Stopped", "Stopped")
    assert (tmp_path / "run000001.dat").read_bytes() == b"precious"
    top.Run.StartRun()  # the next number is free
    top.Run.StopRun()
    assert top.Run.RunNumber.value() == 2


def test_a_check_that_refuses_takes_no_number(tmp_path: Path):
    def check() -> None:
        raise DeviceError("high voltage is off")

    with Top(tmp_path, checks=[check]) as root:
        with pytest.raises(DeviceError, match="high voltage is off"):
            root.Run.runState.setDisp("Running")
        assert root.Run.runState.valueDisp() == "Stopped"
        assert list(tmp_path.iterdir()) == []


def test_no_second_start(top: Top):
    top.Run.startRun()
    with pytest.raises(DeviceError, match="A run is on already"):
        top.Run.startRun()
    assert top.Run.RunNumber.value() == 1
    top.Run.stopRun()
    top.Run.stopRun()


def test_target_in_frames(top: Top, await_true):
    top.Run.TargetFrames.set(5)
    top.Run.startRun()
    top.send(4)
    assert not top.Run._over.wait(0.2)  # the watch has looked
    assert top.Run.runState.valueDisp() == "Running"
    top.send(3)
    await_true(lambda: top.Run.runState.valueDisp() == "Stopped")
    await_true(lambda: top.Writer.State.get() == "Closed")
    assert top.Run.Frames.get() == 7
    assert not top.sending


def test_target_in_time(tmp_path: Path, await_true):
    class Time:
        now = 1000.0

    root = Top(tmp_path)
    root.Run._clock = lambda: Time.now
    with root:
        root.Run.TargetTime.set(3600)
        root.Run.startRun()
        Time.now += 3599
        assert not root.Run._over.wait(0.2)
        assert root.Run.runState.valueDisp() == "Running"
        Time.now += 1
        # the stop waits for quiet by the same clock
        await_true(lambda: setattr(Time, "now", Time.now + 0.1) or not root.Run.sequence.active)
        await_true(lambda: root.Run.runState.valueDisp() == "Stopped")
        assert 3600 <= root.Run.Elapsed.get() < 3700


def test_frames_without_a_recorder(top: Top):
    top.Writer.enable.set(False)
    top.Run.TargetFrames.set(5)
    with pytest.raises(DeviceError, match="none is enabled"):
        top.Run.startRun()
    top.Run.TargetFrames.set(0)
    top.Run.startRun()
    assert top.sending
    top.Run.stopRun()


def test_a_recorder_that_faults(top: Top, await_true):
    top.Run.startRun()
    top.send(2)
    top.disk.full = True
    with contextlib.suppress(RecorderFault):  # told once: an update record may have been told already
        top.send()
    await_true(lambda: top.Run.runState.valueDisp() == "Fault")
    await_true(lambda: not top.Run.sequence.active)
    assert not top.sending
    status = top.Run.Status.getVariableValue()
    assert status.value.startswith("Fault: Top.Writer: ")
    assert "No space left" in status.value
    assert status.severity == "AlarmMajor"
    assert top.Writer.State.get() == "Closed"
    top.disk.full = False
    top.Run.stopRun()  # taken note of
    assert (top.Run.runState.valueDisp(), top.Run.Status.get()) == ("Stopped", "Stopped")


def test_a_new_run_after_a_fault(top: Top, await_true):
    top.Run.startRun()
    top.Writer.Close()
    await_true(lambda: top.Run.runState.valueDisp() == "Fault")
    assert "closed during the run" in top.Run.Status.get()
    top.Run.startRun()
    assert (top.Run.runState.valueDisp(), top.Run.RunNumber.value()) == ("Running", 2)
    top.send()
    top.Run.stopRun()
    assert top.Run.Status.get() == "Stopped"


def test_a_fault_found_while_stopping(top: Top, monkeypatch: pytest.MonkeyPatch):
    top.Run.startRun()

    def fail() -> None:
        raise RecorderFault("the last block is lost")

    monkeypatch.setattr(top.Writer._writer, "close", fail)
    with pytest.raises(RecorderFault, match="the last block is lost"):
        top.Run.stopRun()
    assert top.Run.runState.valueDisp() == "Fault"
    assert "the last block is lost" in top.Run.Status.get()
    monkeypatch.undo()
    top.Run.stopRun()
    assert top.Run.runState.valueDisp() == "Stopped"


def test_stopping_the_tree_ends_the_run_in_good_order(tmp_path: Path, caplog):
    for number, quiesce in enumerate((True, False), 1):
        root = Top(tmp_path)
        root.start()
        root.Run.startRun()
        root.send(4)
        root.stop(quiesce)
        assert not root.sending
        assert root.Run.runState.valueDisp() == "Stopped"
        assert root.Run.Status.value() == "Stopped"
        assert len([1 for channel, _ in records(tmp_path / f"run{number:06d}.dat") if channel == 1]) == 4
    assert caplog.records == []
    names = [thread.name for thread in threading.enumerate()]
    assert not any("sapwood run" in name for name in names)


def test_all_of_a_tree(tmp_path: Path, await_true):
    root = Root(name="Top", pollEn=False)
    root.dataDir = tmp_path
    board = FrontEndBoard(name="Board", channels=1)
    root.add([RunControl(name="Run", recorders="all", sources="all"), board, StreamWriter(name="Writer")])
    board.Ch[0] >> root.Writer
    with root:
        board.Ch[0].Size.set(1000)
        board.Ch[0].Rate.set(2000)
        root.Run.TargetFrames.set(20)
        root.Run.startRun()
        await_true(lambda: root.Run.runState.valueDisp() == "Stopped")
        await_true(lambda: not root.Run.sequence.active)
        assert not board.Run.get()
        assert root.Run.Frames.get() == board.Ch[0].FrameCount.get() >= 20
    assert json.loads((tmp_path / "run_number").read_text()) == 1


def test_the_command_is_a_source_too(tmp_path: Path, await_true):
    root = Top(tmp_path, rates={1000: "1 kHz"})
    order: list[str] = []
    root.Run._cmd = lambda: (order.append(root.Writer.State.value()), root.send())
    with root:
        root.Run.startRun()
        await_true(lambda: root.Run.Frames.get() >= 5)
        root.Run.stopRun()
        assert set(order) == {"Recording"}
        assert root.Run.runCount.value() == root.Run.Frames.get() == len(order)


def test_a_source_may_end_the_run(tmp_path: Path):
    root = Top(tmp_path, rates={1000: "1 kHz"})
    ended = threading.Event()

    def cmd() -> None:
        root.Run.stopRun()
        ended.set()

    root.Run._cmd = cmd
    with root:
        root.Run.startRun()
        assert ended.wait(20)
        assert root.Run.runState.valueDisp() == "Stopped"
        assert root.Writer.State.get() == "Closed"


def test_starts_and_stops_from_many_threads(top: Top):
    def work(number: int) -> None:
        for _ in range(3):
            top.Run.runState.setDisp("Running" if number % 2 else "Stopped")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    top.Run.stopRun()
    assert not top.sending
    assert top.Writer.State.get() == "Closed"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sapwood run")]


def test_runs_without_recorders_write_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    root = Root(name="Top", pollEn=False)
    root.add(RunControl(name="Run"))
    with root:
        root.Run.startRun()
        root.Run.stopRun()
        root.Run.startRun()
        assert root.Run.RunNumber.value() == 2
        root.Run.stopRun()
    assert list(tmp_path.iterdir()) == []


def test_target_in_time_without_recorders(await_true):
    root = Root(name="Top", pollEn=False)
    root.add(RunControl(name="Run"))
    with root:
        root.Run.TargetTime.set(0.01)
        root.Run.startRun()
        await_true(lambda: root.Run.runState.valueDisp() == "Stopped")
