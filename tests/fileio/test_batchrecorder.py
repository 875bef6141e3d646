"""The recorder with a writer thread: faults of every write, bounds, hanging writers, rollover."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood.errors import RecorderFault
from sapwood.fileio import BatchRecorder, ChannelWriter, FileLayer
from sapwood.fileio import open as open_recording
from sapwood.fileio.apx.live import ApxFrames
from sapwood.fileio.icf.live import IcfFrames
from sapwood.streams import Frame, FrameBatch


class Endpoint:
    forced = 0
    config = False
    count = 0


class Memory:
    """A format whose files are lists of payloads; each method can fail or hang."""

    endings = (".mem",)
    overhead = 0
    keeps_channels = False

    def __init__(self) -> None:
        self.files: list[MemoryFile] = []
        self.most: int | None = None
        self.fails: dict[str, Exception] = {}
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.hangs = threading.Event()
        self.threads: set[str] = set()

    def begin(self) -> None:
        self.files = []

    def unfit(self, size: Any) -> None:
        return None

    def create(self, path: str, files: FileLayer) -> MemoryFile:
        self.touch("create")
        self.files.append(MemoryFile(self))
        return self.files[-1]

    def touch(self, name: str) -> None:
        self.threads.add(threading.current_thread().name)
        if not self.goes_on.is_set():
            self.hangs.set()
            assert self.goes_on.wait(30)
        if name in self.fails:
            raise self.fails[name]


class MemoryFile:
    def __init__(self, format: Memory) -> None:
        self.format = format
        self.taken: list[bytes] = []
        self.frames = 0
        self.closed = False

    @property
    def nbytes(self) -> int:
        return sum(map(len, self.taken))

    @property
    def room(self) -> int | None:
        return None if self.format.most is None else self.format.most - len(self.taken)

    def write(self, batch: FrameBatch) -> None:
        self.format.touch("write")
        self.taken += [bytes(frame) for frame in batch.frames()]

    def flush(self) -> None:
        self.format.touch("flush")
        self.frames = len(self.taken)

    def sync(self) -> None:
        self.flush()
        self.format.touch("sync")

    def close(self) -> None:
        self.format.touch("close")
        self.sync()
        self.closed = True

    def abort(self) -> None:
        self.format.touch("abort")
        self.closed = True


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def new(memory: Memory):
    made: list[BatchRecorder] = []

    def make(format: Any = None, files: FileLayer | None = None, **options: Any) -> BatchRecorder:
        options = {"period_s": 3600.0, **options}
        made.append(BatchRecorder(memory if format is None else format, files, **options))
        return made[-1]

    yield make
    memory.fails.clear()
    memory.goes_on.set()
    for recorder in made:
        recorder.abort()
    for thread in threading.enumerate():
        if thread.name.startswith("Recorder "):
            thread.join(10)
            assert not thread.is_alive()


def test_only_the_writer_thread_touches_the_format(new, memory, tmp_path) -> None:
    recorder, source = new(), Endpoint()
    recorder.open(tmp_path / "a")
    recorder.write_frame(Frame(b"1"), source)
    recorder.write_batch(FrameBatch.gather([Frame(b"2"), Frame(b"33")]), source)
    recorder.flush()
    assert recorder.counters.written == (3, 4)
    assert recorder.counters.durable == (0, 0)
    recorder.close()
    assert memory.files[0].taken == [b"1", b"2", b"33"]
    assert memory.threads == {"Recorder a"}
    assert recorder.counters.durable == (3, 4)
    assert recorder.counters.syncs == 1


def test_frames_and_batches_of_several_channels_stay_in_order(memory, new, tmp_path, monkeypatch) -> None:
    """Single frames, batches and configuration, with their channels, flags and errors."""
    got: list[Frame] = []
    monkeypatch.setattr(MemoryFile, "write", lambda file, batch: got.extend(batch.frames()))
    monkeypatch.setattr(MemoryFile, "flush", lambda file: setattr(file, "frames", len(got)))
    writer = ChannelWriter(new())
    ends = writer.getChannel(7), writer.configChannel(9), writer.getChannel(0)
    writer.open(tmp_path / "run.mem")
    sent: list[tuple[int, int, int, bytes]] = []
    for number in range(300):
        end, text = ends[number // 5 % 3], b"%06d" % number * (number % 4 + 1)
        if number % 7 == 3:
            end._acceptBatch(FrameBatch(text, [0, 0], len(text), channel=4, flags=number))
            sent += [(end.forced or 4, number, 0, text)] * 2
        else:
            end._acceptFrame(Frame(text, channel=3, flags=number, error=number % 3))
            sent.append((end.forced or 3, number, number % 3, text))
        if number == 200:
            writer.flush()
    writer.close()
    assert [(one.channel, one.flags, one.error, bytes(one)) for one in got] == sent
    assert writer.getFrameCount() == len(sent)
    assert writer.getDataFrameCount() == sum(channel != 9 for channel, *_ in sent)


def test_quiet_frames_are_written_and_synced_by_the_timer(new, tmp_path, until) -> None:
    recorder = new(period_s=0.01)
    recorder.open(tmp_path / "a")
    recorder.write_frame(Frame(b"12"), Endpoint())
    until(lambda: recorder.counters.durable.frames == 1)
    recorder.write_frame(Frame(b"34"), Endpoint())
    until(lambda: recorder.counters.durable.frames == 2)


def test_many_bytes_are_synced_before_the_period_ends(new, tmp_path, until) -> None:
    recorder = new(sync_bytes=100_000)
    recorder.open(tmp_path / "a")
    recorder.write_batch(FrameBatch.from_rows(np.zeros((10, 20_000), np.uint8)), Endpoint())
    until(lambda: recorder.counters.durable.frames == 10)


@pytest.mark.parametrize("batched", [False, True])
def test_memory_is_bounded_and_patience_too(batched, new, memory, tmp_path) -> None:
    """A producer waits once; then frames are dropped until the disk goes on."""
    recorder, source = new(queue_bytes=100_000, patience_s=0.05), Endpoint()
    recorder.open(tmp_path / "a")
    memory.goes_on.clear()
    sent = 0
    while "overrun" not in recorder.counters.dropped:
        if batched:
            recorder.write_batch(FrameBatch.from_rows(np.zeros((10, 1000), np.uint8)), source)
            sent += 10
        else:
            recorder.write_frame(Frame(bytes(1000)), source)
            sent += 1
        assert recorder.counters.accepted.bytes <= 100_000
    recorder.write_frame(Frame(bytes(1000)), source)
    dropped = recorder.counters.dropped["overrun"]
    assert source.count == sent + 1 == recorder.counters.accepted.frames + dropped
    memory.goes_on.set()
    recorder.flush()
    recorder.write_frame(Frame(bytes(1000)), source)
    recorder.close()
    assert recorder.counters.dropped == {"overrun": dropped}
    assert len(memory.files[0].taken) == sent + 2 - dropped


def test_a_producer_waits_for_room_without_loss(new, memory, tmp_path) -> None:
    recorder, source = new(queue_bytes=10_000, patience_s=60.0), Endpoint()
    recorder.buffer_size = 1 << 20
    recorder.open(tmp_path / "a")
    for number in range(100):
        recorder.write_frame(Frame(b"%04d" % number * 500), source)
    recorder.write_batch(FrameBatch.from_rows(np.full((100, 2000), 65, np.uint8)), source)
    recorder.write_frame(Frame(bytes(50_000)), source)  # larger than all memory it may take
    recorder.close()
    taken = memory.files[0].taken
    assert taken[:100] == [b"%04d" % number * 500 for number in range(100)]
    assert taken[100:200] == [b"A" * 2000] * 100
    assert taken[200] == bytes(50_000)
    assert recorder.counters.dropped == {}


@pytest.mark.parametrize("call", ["write", "flush", "sync", "close"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), RuntimeError("odd"), ValueError("bad")])
def test_whatever_a_format_raises_is_a_fault(call, error, new, memory, tmp_path) -> None:
    recorder, source = new(), Endpoint()
    recorder.open(tmp_path / "a")
    recorder.write_frame(Frame(b"12"), source)
    recorder.flush()
    memory.fails[call] = error
    recorder.write_frame(Frame(b"34"), source)
    with pytest.raises(RecorderFault, match=r"full|odd|bad") as caught:
        recorder.close()
    assert caught.value.errno == getattr(error, "errno", None)
    assert recorder.state == "Closed"
    counters = recorder.counters
    assert counters.written.frames + counters.dropped.get("fault", 0) == 2
    assert memory.files[0].closed


def test_a_file_that_cannot_be_made_is_taken_away(new, memory, tmp_path) -> None:
    recorder = new()
    memory.fails["create"] = OSError(errno.EIO, "broken")
    with pytest.raises(OSError, match="broken"):
        recorder.open(tmp_path / "a")
    assert recorder.state == "Closed"
    assert list(tmp_path.iterdir()) == []
    memory.fails.clear()
    recorder.open(tmp_path / "a")
    assert recorder.state == "Recording"


def test_a_next_part_that_cannot_be_made_is_a_fault(new, memory, tmp_path, until) -> None:
    recorder, source = new(), Endpoint()
    recorder.max_size = 10
    (tmp_path / "a.2").write_bytes(b"in the way")
    with pytest.raises(OSError, match="exists"):
        recorder.open(tmp_path / "a")
    (tmp_path / "a.2").unlink()
    recorder.open(tmp_path / "a")
    memory.fails["create"] = OSError(errno.EIO, "broken")
    recorder.write_batch(FrameBatch.from_rows(np.zeros((3, 8), np.uint8)), source)
    with pytest.raises(RecorderFault, match="broken"):
        recorder.flush()
    until(lambda: recorder.state == "Fault")
    assert (recorder.counters.written.frames, recorder.counters.dropped) == (1, {"fault": 2})


def test_files_that_are_full_end_by_themselves(new, memory, tmp_path) -> None:
    recorder = new()
    memory.most = 4
    recorder.open(tmp_path / "a")
    recorder.write_batch(FrameBatch.from_rows(np.zeros((10, 8), np.uint8)), Endpoint())
    recorder.close()
    assert [len(file.taken) for file in memory.files] == [4, 4, 2]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "a.2", "a.3"]


def test_icf_files_go_on_in_another_when_bunches_run_out(new, tmp_path) -> None:
    recorder = new(IcfFrames(bunchsize=0))
    recorder.open(tmp_path / "a")
    recorder.write_batch(FrameBatch.from_rows(np.zeros((66_000, 1), np.uint8)), Endpoint())
    recorder.close()
    counts = []
    for name in ("a", "a.2"):
        with open_recording(tmp_path / name, "icf", single=True) as reader:
            counts.append(reader.tables()[0].rows)
            assert reader.problems() == []
    assert sum(counts) == 66_000
    assert counts[0] <= 65_536


def test_closing_a_hanging_format_is_bounded(new, memory, tmp_path) -> None:
    recorder, source = new(close_timeout_s=0.1), Endpoint()
    recorder.open(tmp_path / "a")
    memory.goes_on.clear()
    recorder.write_frame(Frame(b"12"), source)
    with pytest.raises(RecorderFault, match="in time"):
        recorder.flush()
    assert memory.hangs.wait(10)
    with pytest.raises(RecorderFault, match=r"did not take the data in time .*waited 0\.1 s"):
        recorder.close()
    assert recorder.state == "Fault"
    recorder.write_frame(Frame(b"34"), source)
    assert recorder.counters.dropped == {"fault": 1}
    with pytest.raises(RecorderFault, match="in time"):
        recorder.open(tmp_path / "b")
    memory.goes_on.set()
    recorder._thread.join(10)
    recorder.close()
    assert recorder.state == "Closed"
    assert memory.files[0].taken == [b"12"]
    assert recorder.counters.written.frames == 1


def test_aborting_a_hanging_format_is_bounded(new, memory, tmp_path) -> None:
    recorder, source = new(), Endpoint()
    recorder.open(tmp_path / "a")
    memory.goes_on.clear()
    recorder.write_frame(Frame(b"12"), source)
    recorder.wait(1, 0)
    assert memory.hangs.wait(10)
    recorder.write_frame(Frame(b"34"), source)
    recorder.abort()
    assert recorder.state == "Closed"
    memory.goes_on.set()
    recorder._thread.join(10)
    assert recorder.counters.dropped["aborted"] >= 1
    recorder.open(tmp_path / "b")
    recorder.close()


def test_a_file_that_hangs_while_it_is_made(new, memory, tmp_path) -> None:
    recorder = new(close_timeout_s=0.1)
    memory.goes_on.clear()
    with pytest.raises(RecorderFault, match="did not open in time"):
        recorder.open(tmp_path / "a")
    assert recorder.state == "Closed"
    memory.goes_on.set()
    recorder._thread.join(10)
    assert memory.files[0].closed
    recorder.open(tmp_path / "b")
    assert recorder.state == "Recording"


def test_open_and_close_in_threads(new, memory, tmp_path) -> None:
    recorder, source, stop = new(), Endpoint(), threading.Event()

    def produce() -> None:
        while not stop.is_set():
            recorder.write_frame(Frame(b"12"), source)

    producer = threading.Thread(target=produce, daemon=True)
    producer.start()
    for number in range(50):
        recorder.open(tmp_path / str(number))
        if number % 3 == 0:
            recorder.abort()
        elif number % 3 == 1:
            recorder.close()
    stop.set()
    producer.join(10)
    recorder.close()
    counters = recorder.counters
    lost = sum(n for reason, n in counters.dropped.items() if reason in ("fault", "aborted"))
    assert counters.accepted.frames == counters.written.frames + lost


# Bytes, at every write in turn

PAYLOADS = [b"%d" % number * (number % 7 + 1) for number in range(40)]


@pytest.mark.parametrize("taken", [0, 5])
@pytest.mark.parametrize("format", [IcfFrames(0), IcfFrames(), IcfFrames(1, "zlib"), ApxFrames()])
def test_a_write_fails_for_good(format, taken, new, disk, tmp_path, no_space) -> None:
    """The file ends with whole frames, and exactly those that were counted as written."""
    for nth in range(1, 12, 2):
        (tmp_path / str(nth)).mkdir()
        path = tmp_path / str(nth) / f"f{format.endings[0]}"
        recorder, source = new(format, disk), Endpoint()
        recorder.open(path)
        disk.calls.clear()
        disk.plan["writev"] = (nth, taken if taken else no_space)
        told = 0
        for first in range(0, len(PAYLOADS), 4):
            try:
                recorder.write_batch(
                    FrameBatch.gather([Frame(p) for p in PAYLOADS[first : first + 4]]), source
                )
                recorder.flush()
            except RecorderFault:
                told += 1
        try:
            recorder.close()
        except RecorderFault:
            told += 1
        disk.plan.clear()
        with open_recording(path) as reader:
            assert reader.problems() == []
            frames = [bytes(one) for chunk in reader.chunks("frames") for one in chunk.to_frames().frames()]
        counters = recorder.counters
        assert frames == PAYLOADS[: len(frames)]
        assert counters.written.frames == len(frames)
        assert counters.written.bytes == sum(map(len, frames))
        assert counters.dropped.get("fault", 0) == len(PAYLOADS) - len(frames)
        assert source.count == len(PAYLOADS)
        assert told == int(len(frames) < len(PAYLOADS))
        assert recorder.total_size == path.stat().st_size


# Libraries: a full disk, and a program that is killed

SCRIPT = """
import resource, signal, sys
import numpy as np
from sapwood.fileio import BatchRecorder, ChannelWriter
from sapwood.fileio.{module} import {format}
from sapwood.streams import FrameBatch
how, path = sys.argv[1:]
writer = ChannelWriter(BatchRecorder({format}(), period_s=0.01))
writer.open(path)
channel, number = writer.getChannel(0), 0
if how == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, resource.RLIM_INFINITY))
while number < 4000 or how == "kill":
    rows = np.full((10, 10_000), number // 10 % 256, np.uint8)
    try:
        channel._acceptBatch(FrameBatch.from_rows(rows))
        number += 10
    except OSError as error:
        print(writer.state, error.errno, writer.counters.written.frames, flush=True)
        break
    if number == 200:
        writer.flush()
    if how == "kill" and number == 200:
        print(writer.counters.written.frames, flush=True)
if how == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    writer.open(path + ".next.h5")
    channel._acceptBatch(FrameBatch.from_rows(rows))
    writer.close()
    print(writer.state, writer.counters.written.frames)
"""

LIBRARIES = [
    ("sinks.hdf5live", "Hdf5Frames"),
    ("pymodaq.live", "PymodaqFrames"),
    ("icf.live", "IcfFrames"),
    ("apx.live", "ApxFrames"),
]


def rows_in(path: Path) -> np.ndarray:
    with open_recording(path) as reader:
        names = [table.name for table in reader.tables() if table.rows]
        if not names:
            return np.empty((0, 10_000), np.uint8)
        if "frames" in names:
            chunks = [chunk.to_frames() for chunk in reader.chunks("frames")]
            frames = [np.frombuffer(bytes(one), np.uint8) for chunk in chunks for one in chunk.frames()]
            if len(frames[-1]) < len(frames[0]):  # the program was killed while it wrote this one
                frames.pop()
            return np.stack(frames)
        name = next(name for name in names if name.endswith("Ch000"))
        return np.concatenate([chunk["EnlData00"].values for chunk in reader.chunks(name)])


@pytest.mark.parametrize(("module", "format"), LIBRARIES)
def test_a_full_disk_leaves_what_was_written(module, format, tmp_path) -> None:
    path = tmp_path / "run.h5"
    code = SCRIPT.format(module=module, format=format)
    done = subprocess.run(
        [sys.executable, "-c", code, "full", str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    told, after = done.stdout.splitlines()
    state, number, written = told.split()
    assert state == "Fault", told
    assert number in (str(errno.EFBIG), "None"), told  # not every error of HDF5 has a number
    assert after == "Closed 10"
    rows = rows_in(path)
    assert len(rows) >= int(written)
    expected = np.arange(len(rows)) // 10 % 256
    assert (rows[: int(written)] == expected[: int(written), None]).all()
    assert len(rows_in(tmp_path / "run.h5.next.h5")) == 10


@pytest.mark.parametrize(("module", "format"), LIBRARIES)
def test_a_killed_program_leaves_what_was_written(module, format, tmp_path) -> None:
    path = tmp_path / "run.h5"
    code = SCRIPT.format(module=module, format=format)
    with subprocess.Popen(
        [sys.executable, "-c", code, "kill", str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        written = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
    assert written == 200
    rows = rows_in(path)
    assert len(rows) >= 200
    assert (rows[:200] == (np.arange(200) // 10)[:, None]).all()


def test_the_writer_of_the_page(tmp_path) -> None:
    writer = ChannelWriter(BatchRecorder(IcfFrames()), maxSize=1000, dropErrors=True, bufferSize=10)
    writer.open(tmp_path / "a.sof")
    writer.getChannel(3)._acceptFrame(Frame(bytes(10)))
    writer.getChannel(3)._acceptFrame(Frame(bytes(10), error=1))
    assert writer.waitFrameCount(1, 10_000_000)
    writer.close()
    assert writer.getFrameCount() == 1
    assert writer.counters.dropped == {"error": 1}
