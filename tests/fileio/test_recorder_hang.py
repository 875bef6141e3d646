"""A disk that hangs in a write: closing is bounded, and what hung ends in order later."""

import threading
import time

import pytest

from sapwood.errors import RecorderFault
from sapwood.fileio import FileLayer, Recorder
from sapwood.fileio.rogue.encode import RogueEncoder
from sapwood.streams import Frame

WAIT_S = 0.1


class HangingDisk(FileLayer):
    """Writes hang while `goes_on` is clear; `hangs` is set when one does."""

    def __init__(self) -> None:
        self.goes_on, self.hangs = threading.Event(), threading.Event()
        self.goes_on.set()
        self.error: OSError | None = None

    def writev(self, fd, buffers):
        if not self.goes_on.is_set():
            self.hangs.set()
            assert self.goes_on.wait(30)
            if self.error is not None:
                raise self.error
        return super().writev(fd, buffers)


class Endpoint:
    forced = 0
    config = False
    count = 0


class Producer:
    """Sends one frame in a thread of its own."""

    def __init__(self, recorder: Recorder, frame: Frame) -> None:
        self.errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._send, args=(recorder, frame))
        self._thread.start()

    def _send(self, recorder: Recorder, frame: Frame) -> None:
        try:
            recorder.write_frame(frame, Endpoint())
        except RecorderFault as error:
            self.errors.append(error)

    def join(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def disk() -> HangingDisk:
    return HangingDisk()


@pytest.fixture
def recorder(disk, tmp_path):
    recorder = Recorder(RogueEncoder(), disk, period_s=3600.0, close_timeout_s=WAIT_S)
    recorder.open(tmp_path / "a")
    yield recorder
    disk.goes_on.set()
    recorder.abort()
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("Recorder ")]
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def hung(recorder, disk):
    """A producer whose write hangs, after a frame that was written."""
    recorder.write_frame(Frame(b"12"), Endpoint())
    disk.goes_on.clear()
    producer = Producer(recorder, Frame(b"34"))
    assert disk.hangs.wait(10)
    return producer


@pytest.fixture
def staged(recorder, disk):
    """A frame in memory only, on a disk that takes none."""
    recorder.buffer_size = 1000
    recorder.write_frame(Frame(b"12"), Endpoint())
    disk.goes_on.clear()


def ended(recorder: Recorder, disk: HangingDisk) -> None:
    """Let the disk go on and wait until the files are closed."""
    disk.goes_on.set()
    assert recorder._end_within(10)
    assert recorder._committer.join(10)


def test_close_gives_up_when_a_producer_hangs_in_a_write(recorder, hung, disk, tmp_path, parse):
    with pytest.raises(RecorderFault, match=r"did not take the data in time .*waited 0\.1 s") as caught:
        recorder.close()
    assert caught.value.file == str(tmp_path / "a")
    assert str(tmp_path / "a") in str(caught.value)
    assert (recorder.state, recorder.fault) == ("Fault", str(caught.value))
    assert recorder.counters.accepted.frames == 2
    assert recorder.counters.written == (1, 10)
    assert recorder.total_size == 20
    ended(recorder, disk)
    hung.join()
    assert hung.errors == []  # close told of it
    assert recorder.state == "Fault"
    assert recorder.counters.written == recorder.counters.durable == (2, 20)
    recorder.write_frame(Frame(b"56"), Endpoint())
    assert recorder.counters.dropped == {"fault": 1}
    recorder.close()
    assert recorder.state == "Closed"
    assert parse(tmp_path / "a") == ([(0, 0, 0, b"12"), (0, 0, 0, b"34")], 0)


def test_close_gives_up_when_what_is_staged_is_not_taken(recorder, staged, disk, tmp_path, parse):
    with pytest.raises(RecorderFault, match="did not take the data in time"):
        recorder.close()
    assert recorder.state == "Fault"
    assert recorder.counters.written == (0, 0)
    with pytest.raises(RecorderFault, match="did not take the data in time"):
        recorder.close()  # the same write hangs still
    ended(recorder, disk)
    assert recorder.counters.durable == (1, 10)
    recorder.close()
    assert parse(tmp_path / "a") == ([(0, 0, 0, b"12")], 0)


def test_draining_ends_at_its_deadline(recorder, staged, disk):
    assert recorder.drain(time.monotonic() + WAIT_S) is False
    assert recorder.state == "Recording"
    disk.goes_on.set()
    assert recorder.drain(time.monotonic() + 10) is True
    assert recorder.counters.written == (1, 10)


def test_draining_meets_the_fault(recorder, staged, disk, io_error):
    disk.error = io_error
    assert recorder.drain(time.monotonic() + WAIT_S) is False
    disk.goes_on.set()
    with pytest.raises(RecorderFault, match="Write failed"):
        recorder.drain(time.monotonic() + 10)


def test_a_write_that_fails_after_close_gave_up(recorder, hung, disk, tmp_path, parse, io_error):
    with pytest.raises(RecorderFault):
        recorder.close()
    disk.error = io_error
    ended(recorder, disk)
    hung.join()
    assert recorder.state == "Fault"
    assert recorder.counters.written == recorder.counters.durable == (1, 10)
    assert recorder.counters.dropped == {"fault": 1}
    assert recorder.total_size == 10
    recorder.close()
    assert parse(tmp_path / "a") == ([(0, 0, 0, b"12")], 0)


def test_abort_returns_while_a_producer_hangs_in_a_write(recorder, hung, disk, tmp_path, parse):
    recorder.abort()
    assert recorder.state == "Closed"
    assert recorder.counters.written == (1, 10)
    recorder.close()  # nothing to close
    ended(recorder, disk)
    hung.join()
    assert recorder.counters.written == (2, 20)
    assert parse(tmp_path / "a").torn == 0


def test_abort_during_a_close_that_hangs(disk, tmp_path):
    recorder = Recorder(RogueEncoder(), disk, period_s=3600.0, close_timeout_s=5.0)
    recorder.open(tmp_path / "b")
    recorder.buffer_size = 1000
    recorder.write_frame(Frame(b"12"), Endpoint())
    disk.goes_on.clear()
    closer = threading.Thread(target=recorder.close)
    closer.start()
    assert disk.hangs.wait(10)
    recorder.abort()
    assert closer.is_alive()
    disk.goes_on.set()
    closer.join(10)
    assert recorder.state == "Closed"


@pytest.mark.parametrize("leave", ["close", "abort"])
def test_a_new_file_only_when_the_disk_goes_on(leave, recorder, hung, disk, tmp_path, parse):
    try:
        getattr(recorder, leave)()
    except RecorderFault:
        assert leave == "close"
    with pytest.raises(RecorderFault, match="did not take the data in time"):
        recorder.open(tmp_path / "c")
    assert not (tmp_path / "c").exists()
    disk.goes_on.set()
    hung.join()
    recorder.open(tmp_path / "c")
    assert (recorder.state, recorder.fault) == ("Recording", None)
    recorder.write_frame(Frame(b"78"), Endpoint())
    recorder.close()
    assert parse(tmp_path / "a") == ([(0, 0, 0, b"12"), (0, 0, 0, b"34")], 0)
    assert parse(tmp_path / "c") == ([(0, 0, 0, b"78")], 0)


def test_closing_where_no_thread_can_be_started(recorder, tmp_path, parse, monkeypatch):
    """As at the end of the interpreter."""
    recorder.buffer_size = 1000
    recorder.write_frame(Frame(b"12"), Endpoint())

    def refuse(thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert recorder.drain(time.monotonic() + 10)
        recorder.write_frame(Frame(b"34"), Endpoint())
        recorder.close()
    assert recorder.state == "Closed"
    assert recorder.counters.durable == (2, 20)
    assert parse(tmp_path / "a") == ([(0, 0, 0, b"12"), (0, 0, 0, b"34")], 0)
