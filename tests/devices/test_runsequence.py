"""The steps of a run: their order, and what happens when one fails."""

from __future__ import annotations

import errno
import os
import struct
import threading
from pathlib import Path
from typing import Any

import pytest

from sapwood.devices import DataWriter, FrontEndBoard, PrbsTx, RunSequence, StreamVariable, StreamWriter
from sapwood.devices.runsequence import Source, as_source, find_recorders, find_sources
from sapwood.errors import DeviceError, RecorderFault, RecordingExists, SapwoodError
from sapwood.fileio import FileLayer
from sapwood.fileio import StreamWriter as FileStreamWriter
from sapwood.fileio import open as open_file
from sapwood.streams import Fifo, Frame, Master, Slave
from sapwood.tree import Device, LocalVariable, Root


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0
        self.on_pause: Any = None

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds
        if self.on_pause is not None:
            self.on_pause()


class Writer(DataWriter):
    """A recorder that writes down what is asked of it."""

    def __init__(self, log: list[str], **kwargs: Any) -> None:
        self.log, self.opened, self.frames = log, False, 0
        self.fail = ""
        super().__init__(**kwargs)

    def _do(self, what: str) -> None:
        self.log.append(f"{what} {self.name}")
        if self.fail == what:
            raise RecorderFault(f"cannot {what} {self.name}")

    def _open(self) -> None:
        self._do("open")
        self.opened = True

    def _close(self) -> None:
        self.opened = False
        self._do("close")

    def _isOpen(self) -> bool:
        return self.opened

    def _getFrameCount(self) -> int:
        return self.frames


class Switch:
    """A source that writes down its switching."""

    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name, self.fail = log, name, ""

    def __call__(self, on: bool) -> None:
        what = "start" if on else "stop"
        self.log.append(f"{what} {self.name}")
        if self.fail == what:
            raise RuntimeError(f"cannot {what} {self.name}")


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def writers(log: list[str]):
    root = Root(name="Top", pollEn=False)
    root.add([Writer(log, name=name) for name in ("A", "B")])
    with root:
        yield root.A, root.B
        log.clear()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def sequence(clock: Clock, *args: Any, **kwargs: Any) -> RunSequence:
    return RunSequence(*args, clock=clock, pause=clock.pause, **kwargs)


# ---- order


def test_order(log: list[str], writers, clock: Clock):
    run = sequence(clock, writers, [Switch(log, "x"), Switch(log, "y")], checks=[lambda: log.append("check")])
    assert (run.state, run.active, run.elapsed) == ("Stopped", False, 0.0)
    run.start()
    assert log == ["check", "open A", "open B", "start x", "start y"]
    assert (run.state, run.active, run.fault) == ("Running", True, None)
    clock.now += 2.5
    assert run.elapsed == 2.5
    log.clear()
    run.stop()
    assert log == ["stop y", "stop x", "close A", "close B"]
    assert (run.state, run.active) == ("Stopped", False)
    assert run.elapsed == 2.5  # the wait for quiet is no part of the run
    log.clear()
    run.stop()
    assert log == []
    run.start()
    assert run.elapsed == 0.0
    run.stop()


def test_no_second_start(log: list[str], writers, clock: Clock):
    run = sequence(clock, writers)
    run.start()
    log.clear()
    with pytest.raises(DeviceError, match="A run is on already"):
        run.start()
    assert log == []
    run.stop()


def test_sources_may_be_stopped_first(log: list[str], writers, clock: Clock):
    run = sequence(clock, writers, [Switch(log, "x")])
    run.stop_sources()  # no run is on
    assert log == []
    run.start()
    run.stop_sources()
    assert run.active
    log.clear()
    run.stop()
    assert log == ["close A", "close B"]


def test_disabled_recorders_and_sources_take_no_part(log: list[str], clock: Clock):
    root = Root(name="Top", pollEn=False)
    device = Device(name="Dev")
    device.add(LocalVariable(name="Go", value=False))
    root.add([Writer(log, name="A", enabled=False), Writer(log, name="B"), device, PrbsTx(name="Tx")])
    with root:
        device.enable.set(False)
        root.Tx.enable.set(False)
        run = sequence(clock, find_recorders(root), [device.Go, *find_sources(root)])
        run.start()
        run.stop()
        assert log == ["open B", "close B"]
        assert device.Go.value() is False


def test_a_recorder_that_is_open_stays_so(log: list[str], writers, clock: Clock):
    a, b = writers
    a.Open()
    log.clear()
    run = sequence(clock, writers)
    run.start()
    a.frames, b.frames = 3, 4
    assert run.frames == 7
    run.stop()
    assert log == ["open B", "close B"]
    assert a.IsOpen.get()


# ---- failures


def test_a_check_that_refuses(log: list[str], writers, clock: Clock):
    def check() -> None:
        raise SapwoodError("the shutter is closed")

    run = sequence(clock, writers, [Switch(log, "x")], checks=[check])
    with pytest.raises(SapwoodError, match="the shutter is closed"):
        run.start()
    assert log == []
    assert run.state == "Stopped"


def test_a_recorder_that_does_not_open(log: list[str], writers, clock: Clock):
    _, b = writers
    b.fail = "open"
    run = sequence(clock, writers, [Switch(log, "x")])
    with pytest.raises(RecorderFault, match="cannot open B"):
        run.start()
    assert log == ["open A", "open B", "close A", "close B"]
    assert (run.state, run.active) == ("Stopped", False)
    b.fail = ""
    run.start()
    run.stop()


def test_a_recorder_that_says_nothing_but_is_not_open(clock: Clock):
    root = Root(name="Top", pollEn=False)
    root.add(DataWriter(name="Mute"))
    with root:
        run = sequence(clock, [root.Mute])
        with pytest.raises(RecorderFault, match=r"Top\.Mute did not open"):
            run.start()
        assert run.state == "Stopped"


def test_a_source_that_does_not_start(log: list[str], writers, clock: Clock):
    x, y, z = (Switch(log, name) for name in "xyz")
    y.fail = "start"
    run = sequence(clock, writers[:1], [x, y, z])
    with pytest.raises(RuntimeError, match="cannot start y"):
        run.start()
    assert log == ["open A", "start x", "start y", "stop y", "stop x", "close A"]
    assert (run.state, run.active, run.elapsed) == ("Stopped", False, 0.0)


def test_everything_stops_whatever_fails(log: list[str], writers, clock: Clock):
    x, y = Switch(log, "x"), Switch(log, "y")
    y.fail = "stop"
    writers[0].fail = "close"
    run = sequence(clock, writers, [x, y])
    run.start()
    log.clear()
    with pytest.raises(SapwoodError) as caught:
        run.stop()
    assert log == ["stop y", "stop x", "close A", "close B"]
    assert [str(problem) for problem in caught.value.problems] == ["cannot stop y", "cannot close A"]
    assert (run.state, run.fault, run.active) == ("Fault", "cannot stop y", False)
    run.clear()
    assert run.state == "Stopped"


def test_a_recorder_that_closes_in_the_middle(log: list[str], writers, clock: Clock):
    run = sequence(clock, writers)
    run.start()
    assert run.poll() == "Running"
    writers[1].Close()
    assert run.poll() == "Fault"
    assert run.fault == "Top.B: it was closed during the run"
    assert run.active
    run.stop()
    assert run.state == "Fault"
    run.start()
    assert run.state == "Running"
    run.stop()


# ---- quiet


def test_stop_waits_for_late_frames(log: list[str], writers, clock: Clock):
    a, _ = writers
    run = sequence(clock, writers, quiet_s=0.1)
    run.start()
    stopped = clock.now

    def late() -> None:
        if clock.now - stopped < 0.55:
            a.frames += 1

    clock.on_pause = late
    run.stop()
    assert 0.6 <= clock.now - stopped <= 0.7
    assert run.frames >= 50


def test_the_wait_for_quiet_has_an_end(log: list[str], writers, clock: Clock, caplog):
    a, _ = writers
    run = sequence(clock, writers, quiet_s=0.1, stop_s=2.0)
    run.start()
    stopped = clock.now
    clock.on_pause = lambda: setattr(a, "frames", a.frames + 1)
    run.stop()
    assert clock.now - stopped == pytest.approx(2.0, abs=0.1)
    assert "Frames still come in" in caplog.text
    assert log[-2:] == ["close A", "close B"]


def test_frames_count_as_received_before_they_are_written(tmp_path: Path):
    root = Root(name="Top", pollEn=False)
    root.add(StreamWriter(name="Writer", bufferSize=1 << 20))
    source = Master()
    source >> root.Writer
    with root:
        root.Writer.DataFile.set(str(tmp_path / "a.dat"))
        root.Writer.Open()
        before = root.Writer._getReceivedCount()
        source._sendFrame(Frame(b"x"))
        assert root.Writer._getReceivedCount() == before + 1
        root.Writer.Close()
        source._sendFrame(Frame(b"x"))  # dropped, but it came
        assert root.Writer._getReceivedCount() == before + 2


def test_no_recorders_no_wait(log: list[str], clock: Clock):
    run = sequence(clock, (), [Switch(log, "x")])
    run.start()
    run.stop()
    assert clock.now == 100.0
    assert run.frames == 0


# ---- sources


def test_kinds_of_sources():
    root = Root(name="Top", pollEn=False)
    board, tx = FrontEndBoard(name="Board", channels=2), PrbsTx(name="Tx")
    device = Device(name="Dev")
    device.add(LocalVariable(name="Go", value=False))
    root.add([board, tx, device])
    with root:
        source = as_source(board)
        assert source.name == "Top.Board"
        assert source.masters == tuple(board.application(number) for number in range(2))
        assert as_source(tx).masters == (tx._getStreamMaster(),)
        for one, variable in ((board, board.Run), (device.Go, device.Go)):
            as_source(one).switch(True)
            assert variable.get()
            as_source(one).switch(False)
            assert not variable.get()
        ready = Source("x", lambda on: None)
        assert as_source(ready) is ready
        assert find_sources(root) == [board, tx]
        for wrong in (device, 7, None, "Board"):
            with pytest.raises(DeviceError, match="cannot be a source"):
                as_source(wrong)


def test_a_board_without_streams_here_is_a_source_all_the_same():
    board = FrontEndBoard(name="Board", memBase=FrontEndBoard(name="x").firmware, channels=1)
    root = Root(name="Top", pollEn=False)
    root.add(board)
    with root:
        assert as_source(board).masters == ()


# ---- with real recorders


class Full(FileLayer):
    """A disk that is full once `full` is set."""

    full = False

    def writev(self, fd, buffers):
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().writev(fd, buffers)


class Slow(Slave):
    """Passes frames on to a slave once it is let go."""

    def __init__(self, target: Slave) -> None:
        super().__init__()
        self.target, self.go = target, threading.Event()

    def _acceptFrame(self, frame: Frame) -> None:
        assert self.go.wait(20)
        self.target._acceptFrame(frame)


def channels(path: Path) -> list[int]:
    data, place, found = path.read_bytes(), 0, []
    while place < len(data):
        size, _, _, channel = struct.unpack_from("<IHBB", data, place)
        found.append(channel)
        place += 4 + size
    return found


def test_configuration_comes_before_the_data(tmp_path: Path):
    root = Root(name="Top", pollEn=False)
    root.dataDir = tmp_path
    root.add(StreamWriter(name="Writer", configStream={255: StreamVariable(root=root)}))
    source = Master()
    source >> root.Writer.getChannel(1)
    with root:
        root.Writer.DataFile.set("a.dat")
        run = RunSequence([root.Writer], [lambda on: on and source._sendFrame(Frame(b"data"))])
        run.start()
        run.stop()
        assert run.frames == 1
    found = channels(tmp_path / "a.dat")
    assert found[0] == 255
    assert found.count(1) == 1


def test_queued_frames_are_recorded(tmp_path: Path):
    root = Root(name="Top", pollEn=False)
    root.add(StreamWriter(name="Writer"))
    source, queue = Master(), Fifo()
    slow = Slow(root.Writer.getChannel(1))
    source >> queue >> slow

    def switch(on: bool) -> None:
        if on:
            for _ in range(50):
                source._sendFrame(Frame(b"x"))
        else:
            slow.go.set()

    with root:
        root.Writer.DataFile.set(str(tmp_path / "a.dat"))
        run = RunSequence([root.Writer], [Source("source", switch, (source,))], quiet_s=0.0)
        run.start()
        assert run.frames == 0
        run.stop()
    queue._stop()
    assert len(channels(tmp_path / "a.dat")) == 50


def test_a_board_and_its_recorder(tmp_path: Path, await_true):
    root = Root(name="Top", pollEn=False)
    board = FrontEndBoard(name="Board", channels=1)
    root.add([board, StreamWriter(name="Writer")])
    board.Ch[0] >> root.Writer
    with root:
        board.Ch[0].Size.set(1000)
        board.Ch[0].Rate.set(2000)
        root.Writer.DataFile.set(str(tmp_path / "a.dat"))
        run = RunSequence(find_recorders(root), find_sources(root))
        run.start()
        await_true(lambda: run.frames >= 20)
        run.stop()
        sent = board.Ch[0].FrameCount.get()
        assert not board.Run.get()
        assert root.Writer.State.value() == "Closed"
        assert run.frames == sent
    with open_file(str(tmp_path / "a.dat")) as reader:
        assert sum(len(batch) for batch in reader.batches()) == sent


def test_an_existing_file_starts_nothing(tmp_path: Path):
    root = Root(name="Top", pollEn=False)
    root.add([StreamWriter(name="Writer"), PrbsTx(name="Tx")])
    (tmp_path / "a.dat").write_bytes(b"precious")
    with root:
        root.Writer.DataFile.set(str(tmp_path / "a.dat"))
        run = RunSequence([root.Writer], [root.Tx])
        with pytest.raises(RecordingExists):
            run.start()
        assert root.Tx.txEnable.value() is False
        assert root.Tx.txCount.value() == 0
    assert (tmp_path / "a.dat").read_bytes() == b"precious"


def test_a_full_disk(tmp_path: Path, caplog):
    disk = Full()
    root = Root(name="Top", pollEn=False)
    root.add([StreamWriter(name="Writer", writer=FileStreamWriter(files=disk)), StreamWriter(name="Other")])
    source = Master()
    with root:
        source >> root.Writer
        source >> root.Other
        root.Writer.DataFile.set(str(tmp_path / "a.dat"))
        root.Other.DataFile.set(str(tmp_path / "b.dat"))
        run = RunSequence(find_recorders(root), [lambda on: None])
        run.start()
        source._sendFrame(Frame(b"good"))
        disk.full = True
        with pytest.raises(RecorderFault):
            source._sendFrame(Frame(b"lost"))
        assert run.poll() == run.poll() == "Fault"
        assert run.fault is not None
        assert run.fault.startswith("Top.Writer: ")
        assert "No space left" in run.fault
        assert caplog.text.count("The run failed") == 1
        disk.full = False
        run.stop()
        assert run.state == "Fault"
        assert root.Writer.State.value() == root.Other.State.value() == "Closed"
    assert len(channels(tmp_path / "a.dat")) == 1
    assert len(channels(tmp_path / "b.dat")) == 2
