"""Faults of the disk, at every call in turn: nothing torn, nothing lost in silence."""

import errno
import os
import threading

import pytest

from sapwood.errors import FileError, RecorderFault
from sapwood.streams import Fifo, Frame, FrameBatch, Master


def error_of(code: int) -> OSError:
    return OSError(code, os.strerror(code))


PAYLOADS = [b"%d" % number * (number % 7 + 1) for number in range(40)]


def send_all(writer, batched: bool) -> list[RecorderFault]:
    """Send PAYLOADS one by one or five together; return the faults raised."""
    told = []
    channel = writer.getChannel(1)
    step = 5 if batched else 1
    for first in range(0, len(PAYLOADS), step):
        frames = [Frame(payload) for payload in PAYLOADS[first : first + step]]
        try:
            if batched:
                channel._acceptBatch(FrameBatch.gather(frames))
            else:
                channel._acceptFrame(frames[0])
        except RecorderFault as fault:
            told.append(fault)
    return told


def in_files(folder, parse) -> list[bytes]:
    parts = sorted(folder.iterdir(), key=lambda part: int(part.suffix[1:] or 0) if part.suffix else 0)
    parsed = [parse(part) for part in parts]
    assert all(part.torn == 0 for part in parsed)
    return [record.payload for part in parsed for record in part.records]


@pytest.mark.parametrize("buffer", [0, 60, 4096])
@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EAGAIN, 0])
def test_a_write_fails_for_good(fault, batched, buffer, new_writer, disk, tmp_path, parse):
    """0: the disk takes no bytes, without an error."""
    for nth in range(1, 60, 4 if buffer else 1):
        folder = tmp_path / str(nth)
        folder.mkdir()
        writer = new_writer(bufferSize=buffer)
        writer.open(folder / "f")
        disk.plan["writev"] = (nth, error_of(fault) if fault else 0)
        told = send_all(writer, batched)
        try:
            writer.close()
        except RecorderFault as late:
            told.append(late)
        failed = "writev" in disk.plan and disk.plan["writev"][0] == 1
        disk.plan.clear()
        written = in_files(folder, parse)
        counters = writer.counters
        assert written == PAYLOADS[: len(written)]
        assert counters.written.frames == len(written)
        assert counters.written == counters.durable
        assert counters.dropped.get("fault", 0) == len(PAYLOADS) - len(written)
        assert writer.getChannel(1).getFrameCount() == len(PAYLOADS)
        if written != PAYLOADS:
            assert failed
            assert len(told) == 1
            assert told[0].file == str(folder / "f")
            assert told[0].errno == (fault or errno.ENOSPC)


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("buffer", [0, 100])
@pytest.mark.parametrize("taken", [1, 7, 8, 9, 30, 75])
def test_a_short_write_then_no_space(taken, buffer, batched, new_writer, disk, tmp_path, parse, no_space):
    """Whole records that the disk took stay, the torn one is cut away."""

    class Filling(type(disk)):
        def writev(self, fd, buffers):
            size = sum(map(len, buffers))
            if size <= self.room:
                self.room -= size
                return super().writev(fd, buffers)
            if not self.room:
                raise no_space
            room, self.room = self.room, 0
            return super().writev(fd, [b"".join(buffers)[:room]])

    for room in range(taken, taken + 200, 11):
        folder = tmp_path / str(room)
        folder.mkdir()
        full = Filling()
        full.room = room
        writer = new_writer(bufferSize=buffer, files=full)
        writer.open(folder / "f")
        told = send_all(writer, batched)
        assert writer.state == "Fault"
        assert writer.isOpen() is False
        assert len(told) == 1
        writer.close()
        written = in_files(folder, parse)
        ends = [sum(8 + len(p) for p in PAYLOADS[:k]) for k in range(len(PAYLOADS) + 1)]
        assert len(written) == max(k for k, end in enumerate(ends) if end <= room)
        assert written == PAYLOADS[: len(written)]
        counters = writer.counters
        assert counters.written == counters.durable == (len(written), ends[len(written)])
        assert writer.getTotalSize() == (folder / "f").stat().st_size == ends[len(written)]
        assert counters.dropped == {"fault": len(PAYLOADS) - len(written)}


@pytest.mark.parametrize("buffer", [0, 60])
@pytest.mark.parametrize("taken", [1, 5, 8, 13])
@pytest.mark.parametrize("batched", [False, True])
def test_short_writes_are_continued(batched, taken, buffer, new_writer, disk, tmp_path, parse):
    writer = new_writer(bufferSize=buffer)
    writer.open(tmp_path / "f")
    disk.plan["writev"] = (1, taken)
    assert send_all(writer, batched) == []
    writer.close()
    assert in_files(tmp_path, parse) == PAYLOADS
    assert disk.calls["writev"] > len(PAYLOADS) / 2


def test_short_writes_of_a_large_batch_are_continued(new_writer, disk, tmp_path, parse):
    payloads = [bytes([number]) * 5000 for number in range(250)] * 3  # more pieces than one call takes
    writer = new_writer()
    writer.open(tmp_path / "f")
    disk.plan["writev"] = (1, 123_457)
    writer.getChannel(0)._acceptBatch(FrameBatch.gather([Frame(payload) for payload in payloads]))
    writer.close()
    assert in_files(tmp_path, parse) == payloads


@pytest.mark.parametrize("name", ["open", "writev", "fdatasync", "truncate", "sync_dir"])
def test_interrupted_calls_are_repeated(name, new_writer, disk, tmp_path, parse):
    for nth in (1, 2, 3):
        folder = tmp_path / str(nth)
        folder.mkdir()
        disk.lasting = False
        writer = new_writer(maxSize=60)
        writer.open(folder / "f") if name in {"writev", "fdatasync"} else None
        disk.plan[name] = (nth, InterruptedError(errno.EINTR, "interrupted"))
        if not writer.isOpen():
            writer.open(folder / "f")
        assert send_all(writer, False) == []
        writer.close()
        disk.plan.clear()
        assert in_files(folder, parse) == PAYLOADS


def test_the_fault_is_told_once_then_frames_are_counted(new_writer, disk, tmp_path, no_space):
    writer = new_writer()
    channel = writer.getChannel(0)
    writer.open(tmp_path / "f")
    disk.plan["writev"] = (1, no_space)
    with pytest.raises(RecorderFault, match="Write failed") as caught:
        channel._acceptFrame(Frame(b"x"))
    text = str(caught.value)
    assert str(tmp_path / "f") in text
    assert "No space left on device" in text
    assert "until a new file is opened" in text
    assert writer.fault == text
    for _ in range(5):
        channel._acceptFrame(Frame(b"y"))
    channel._acceptBatch(FrameBatch.gather([Frame(b"z")] * 4))
    assert writer.counters.dropped == {"fault": 10}
    assert writer.getFrameCount() == 0
    assert channel.getFrameCount() == 10
    assert writer.isOpen() is False
    writer.flush()
    writer.close()
    assert writer.state == "Closed"


def test_a_fault_met_by_the_timer_is_told_to_the_next_producer(new_writer, disk, tmp_path, no_space):
    writer = new_writer(bufferSize=1 << 20)
    channel = writer.getChannel(0)
    writer.open(tmp_path / "f")
    channel._acceptFrame(Frame(b"staged"))
    disk.plan["writev"] = (1, no_space)
    writer.recorder._committer._wake.set()
    wait_for_fault(writer)
    assert writer.counters.dropped == {"fault": 1}
    with pytest.raises(RecorderFault, match="No space"):
        channel._acceptFrame(Frame(b"next"))
    channel._acceptFrame(Frame(b"after"))
    assert writer.counters.dropped == {"fault": 3}
    writer.close()


def test_a_fault_met_by_the_timer_is_told_by_close(new_writer, disk, tmp_path, no_space):
    writer = new_writer(bufferSize=1 << 20)
    writer.open(tmp_path / "f")
    writer.getChannel(0)._acceptFrame(Frame(b"staged"))
    disk.plan["writev"] = (1, no_space)
    writer.recorder._committer._wake.set()
    wait_for_fault(writer)
    with pytest.raises(RecorderFault, match="No space"):
        writer.close()
    assert writer.state == "Closed"
    writer.close()


def test_a_write_that_fails_in_close_is_told_by_close(new_writer, disk, tmp_path, parse, no_space):
    writer = new_writer(bufferSize=1 << 20)
    writer.open(tmp_path / "f")
    writer.getChannel(0)._acceptFrame(Frame(b"staged"))
    disk.plan["writev"] = (1, no_space)
    with pytest.raises(RecorderFault, match="No space"):
        writer.close()
    assert writer.state == "Closed"
    assert writer.counters.dropped == {"fault": 1}
    assert in_files(tmp_path, parse) == []


def wait_for_fault(writer) -> None:
    recorder = writer.recorder
    with recorder._changed:
        assert recorder._changed.wait_for(lambda: recorder.state == "Fault", 10)


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_after_a_failed_sync_nothing_is_called_durable(
    nth, new_writer, disk, tmp_path, parse, io_error, until
):
    writer = new_writer()
    channel = writer.getChannel(0)
    writer.open(tmp_path / "f")
    recorder = writer.recorder
    disk.lasting = False
    disk.plan["fdatasync"] = (nth, io_error)
    for number in range(1, nth):
        channel._acceptFrame(Frame(b"12"))
        recorder._committer._wake.set()
        until(lambda number=number: recorder.counters.durable.frames == number)
    channel._acceptFrame(Frame(b"34"))
    recorder._committer._wake.set()
    wait_for_fault(writer)
    assert "Sync failed" in writer.fault
    with pytest.raises(RecorderFault, match="Input/output error"):
        channel._acceptFrame(Frame(b"56"))
    writer.close()
    assert writer.counters.durable == (nth - 1, 10 * (nth - 1))
    assert writer.counters.written == (nth, 10 * nth)
    assert in_files(tmp_path, parse) == [b"12"] * (nth - 1) + [b"34"]


def test_a_sync_that_fails_in_close_is_told_by_close(new_writer, disk, tmp_path, io_error):
    writer = new_writer()
    writer.open(tmp_path / "f")
    writer.getChannel(0)._acceptFrame(Frame(b"12"))
    disk.plan["fdatasync"] = (1, io_error)
    with pytest.raises(RecorderFault, match="Sync failed"):
        writer.close()
    assert writer.state == "Closed"
    assert writer.counters.durable == (0, 0)
    writer.close()


def test_a_failed_sync_of_a_full_part_faults(new_writer, disk, tmp_path, io_error):
    """In the producer's thread too, when it has to help the sync thread."""
    for nth in range(1, 30, 3):
        (tmp_path / str(nth)).mkdir()
        writer = new_writer(maxSize=10)
        writer.open(tmp_path / str(nth) / "f")
        disk.plan["fdatasync"] = (nth, io_error)
        told = send_all(writer, False)
        try:
            writer.close()
        except RecorderFault as late:
            told.append(late)
        disk.plan.clear()
        assert len(told) == 1
        counters = writer.counters
        assert counters.durable.frames <= nth - 1
        assert counters.written.frames + counters.dropped.get("fault", 0) == len(PAYLOADS)


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("nth", [1, 2, 5])
def test_a_later_part_cannot_be_opened(nth, batched, new_writer, disk, tmp_path, parse):
    writer = new_writer(maxSize=60)
    writer.open(tmp_path / "f")
    disk.plan["open"] = (nth, error_of(errno.EMFILE))
    told = send_all(writer, batched)
    assert len(told) == 1
    assert f"Failed to open file {tmp_path}/f.{nth + 1}" in str(told[0])
    assert writer.state == "Fault"
    writer.close()
    written = in_files(tmp_path, parse)
    assert written == PAYLOADS[: len(written)]
    assert writer.counters.durable.frames == len(written)
    assert writer.counters.dropped == {"fault": len(PAYLOADS) - len(written)}


@pytest.mark.parametrize("name", ["open", "sync_dir"])
def test_the_first_part_cannot_be_made(name, new_writer, disk, tmp_path, io_error):
    writer = new_writer()
    disk.plan[name] = (1, io_error)
    with pytest.raises(FileError, match=r"Failed to open data file: .*Input/output error"):
        writer.open(tmp_path / "f")
    assert writer.state == "Closed"
    disk.plan.clear()
    assert list(tmp_path.iterdir()) == []
    writer.open(tmp_path / "f")


def test_a_torn_record_that_cannot_be_cut_back_is_told_of(new_writer, disk, tmp_path, parse, io_error):
    class Half(type(disk)):
        seen = 0

        def writev(self, fd, buffers):
            self.seen += 1
            if self.seen == 1:
                return super().writev(fd, [b"".join(buffers)[:13]])
            raise io_error

    disk = Half()
    disk.plan["truncate"] = (1, io_error)
    writer = new_writer(files=disk)
    writer.open(tmp_path / "f")
    with pytest.raises(RecorderFault, match="13 bytes of a torn record stay at the end of the file"):
        writer.getChannel(0)._acceptFrame(Frame(bytes(50)))
    writer.close()
    assert (tmp_path / "f").stat().st_size == 13
    assert writer.getTotalSize() == 0
    assert parse(tmp_path / "f") == ([], 13)


def test_from_fault_a_new_file_resumes(new_writer, disk, tmp_path, parse, no_space):
    writer = new_writer(bufferSize=100)
    channel = writer.getChannel(0)
    writer.open(tmp_path / "f")
    disk.plan["writev"] = (2, no_space)
    told = 0
    for _ in range(30):
        try:
            channel._acceptFrame(Frame(b"12"))
        except RecorderFault:
            told += 1
    assert told == 1
    disk.plan.clear()
    writer.open(tmp_path / "g")
    assert (writer.state, writer.fault) == ("Recording", None)
    assert writer.counters.dropped == {}
    for _ in range(30):
        channel._acceptFrame(Frame(b"34"))
    writer.close()
    assert parse(tmp_path / "f") == ([(0, 0, 0, b"12")] * 10, 0)
    assert parse(tmp_path / "g") == ([(0, 0, 0, b"34")] * 30, 0)


def test_resuming_from_a_fault_that_nobody_was_told_of(new_writer, disk, tmp_path, no_space):
    writer = new_writer(bufferSize=1 << 20)
    writer.open(tmp_path / "f")
    writer.getChannel(0)._acceptFrame(Frame(b"staged"))
    disk.plan["writev"] = (1, no_space)
    writer.recorder._committer._wake.set()
    wait_for_fault(writer)
    disk.plan.clear()
    writer.open(tmp_path / "g")
    assert writer.isOpen()
    writer.getChannel(0)._acceptFrame(Frame(b"12"))
    writer.close()
    assert writer.getFrameCount() == 1


def test_abort_from_fault(new_writer, disk, tmp_path, no_space):
    writer = new_writer()
    writer.open(tmp_path / "f")
    disk.plan["writev"] = (1, no_space)
    with pytest.raises(RecorderFault):
        writer.getChannel(0)._acceptFrame(Frame(b"x"))
    writer.abort()
    assert writer.state == "Closed"


def test_waiting_meets_the_fault_and_the_producer_is_told(new_writer, disk, tmp_path, no_space):
    writer = new_writer(bufferSize=1 << 20)
    channel = writer.getChannel(0)
    writer.open(tmp_path / "f")
    channel._acceptFrame(Frame(b"x"))
    disk.plan["writev"] = (1, no_space)
    assert writer.waitFrameCount(1, 0) is False
    with pytest.raises(RecorderFault):
        channel._acceptFrame(Frame(b"y"))


def test_setting_the_buffer_meets_the_fault(new_writer, disk, tmp_path, no_space):
    writer = new_writer(bufferSize=1 << 20)
    writer.open(tmp_path / "f")
    writer.getChannel(0)._acceptFrame(Frame(b"x"))
    disk.plan["writev"] = (1, no_space)
    with pytest.raises(RecorderFault):
        writer.setBufferSize(0)
    assert writer.state == "Fault"


def test_a_full_disk_stops_no_other_sink_and_no_queue(new_writer, disk, tmp_path, no_space):
    from sapwood.streams import Slave

    class Display(Slave):
        def __init__(self):
            super().__init__()
            self.seen = 0
            self.all = threading.Event()

        def _acceptFrame(self, frame):
            self.seen += 1
            if self.seen == 50:
                self.all.set()

    writer, display = new_writer(), Display()
    master, fifo = Master(), Fifo(0, 0, True)
    master >> fifo
    fifo >> writer.getChannel(0)
    fifo >> display
    writer.open(tmp_path / "f")
    disk.plan["writev"] = (10, no_space)
    for _ in range(50):
        master._sendFrame(Frame(b"x"))
    assert display.all.wait(10)
    fifo._stop()
    assert writer.state == "Fault"
    assert fifo.counters.errors == 1
    assert writer.getFrameCount() == 9
    assert writer.counters.dropped == {"fault": 41}
