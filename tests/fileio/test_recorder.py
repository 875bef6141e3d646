"""The recorder's states, watermarks and group commit, on a disk without faults."""

import threading

import pytest

from sapwood.fileio import Recorder
from sapwood.fileio.rogue.encode import RogueEncoder
from sapwood.streams import Frame, FrameBatch


class Endpoint:
    forced = 0
    config = False

    def __init__(self) -> None:
        self.count = 0


@pytest.fixture
def source() -> Endpoint:
    return Endpoint()


@pytest.fixture
def new_recorder(disk):
    made = []

    def make(**options) -> Recorder:
        options = {"period_s": 3600.0, **options}
        made.append(Recorder(RogueEncoder(), disk, **options))
        return made[-1]

    yield make
    disk.plan.clear()
    for recorder in made:
        recorder.abort()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("Recorder ")]


@pytest.fixture
def settled(until):
    """Wait for the sync thread to call `frames` durable."""
    return lambda recorder, frames: until(lambda: recorder.counters.durable.frames >= frames)


def test_states(new_recorder, source, tmp_path, disk, io_error):
    recorder = new_recorder()
    assert (recorder.state, recorder.fault, recorder.path) == ("Closed", None, None)
    recorder.close()
    recorder.abort()
    recorder.flush()
    recorder.open(tmp_path / "a")
    assert (recorder.state, recorder.path) == ("Recording", str(tmp_path / "a"))
    disk.plan["writev"] = (1, io_error)
    with pytest.raises(OSError, match="Write failed"):
        recorder.write_frame(Frame(b"x"), source)
    assert (recorder.state, recorder.path) == ("Fault", str(tmp_path / "a"))
    assert "Input/output error" in recorder.fault
    recorder.close()
    assert (recorder.state, recorder.fault) == ("Closed", None)


def test_three_watermarks(new_recorder, source, tmp_path, disk, settled):
    recorder = new_recorder(period_s=3600.0)
    recorder.buffer_size = 1000
    recorder.open(tmp_path / "a")
    for _ in range(3):
        recorder.write_frame(Frame(b"12"), source)
    counters = recorder.counters
    assert (counters.accepted, counters.written, counters.durable) == ((3, 30), (0, 0), (0, 0))
    recorder.flush()
    counters = recorder.counters
    assert (counters.accepted, counters.written, counters.durable) == ((3, 30), (3, 30), (0, 0))
    recorder.write_frame(Frame(b"12"), source)
    recorder._committer._wake.set()
    settled(recorder, 4)
    counters = recorder.counters
    assert (counters.accepted, counters.written, counters.durable) == ((4, 40), (4, 40), (4, 40))


def test_quiet_frames_reach_file_and_disk_by_the_timer(new_recorder, source, tmp_path, disk, settled):
    recorder = new_recorder(period_s=0.01)
    recorder.buffer_size = 1 << 20
    recorder.open(tmp_path / "a")
    recorder.write_frame(Frame(b"12"), source)
    settled(recorder, 1)
    assert (tmp_path / "a").stat().st_size == 10


def test_nothing_new_is_not_synced(new_recorder, source, tmp_path, disk, settled):
    recorder = new_recorder(period_s=0.001)
    recorder.open(tmp_path / "a")
    recorder.write_frame(Frame(b"12"), source)
    settled(recorder, 1)
    beats = []
    collect = recorder._committer._collect
    ten = threading.Event()

    def counted(committer):
        beats.append(1)
        if len(beats) == 10:
            ten.set()
        return collect(committer)

    recorder._committer._collect = counted
    assert ten.wait(10)
    recorder.close()
    assert disk.calls["fdatasync"] == recorder.counters.syncs == 1


def test_many_bytes_are_synced_before_the_period_ends(new_recorder, source, tmp_path, disk, settled):
    recorder = new_recorder(sync_bytes=1000)
    recorder.open(tmp_path / "a")
    for _ in range(9):
        recorder.write_frame(Frame(bytes(92)), source)
    assert not disk.synced.is_set()
    recorder.write_frame(Frame(bytes(92)), source)
    settled(recorder, 10)
    assert recorder.counters.syncs == 1


def test_frames_go_on_during_a_slow_sync(new_recorder, source, tmp_path, disk):
    recorder = new_recorder(sync_bytes=10)
    recorder.open(tmp_path / "a")
    disk.hold_sync = threading.Event()
    for _ in range(100):
        recorder.write_frame(Frame(b"12"), source)
    assert recorder.counters.written == (100, 1000)
    assert recorder.counters.durable == (0, 0)
    disk.hold_sync.set()
    recorder.close()
    assert recorder.counters.durable == (100, 1000)


def test_closing_waits_for_the_disk_so_long_and_no_longer(new_recorder, source, tmp_path, disk):
    recorder = new_recorder(close_timeout_s=0.25)
    recorder.open(tmp_path / "a")
    recorder.write_frame(Frame(b"12"), source)
    disk.hold_sync = threading.Event()
    committer = recorder._committer
    with pytest.raises(OSError, match=r"did not sync in time .*waited 0\.25 s"):
        recorder.close()
    assert recorder.state == "Closed"
    assert recorder.counters.durable == (0, 0)
    recorder.open(tmp_path / "b")
    disk.hold_sync.set()
    assert committer.join(10)
    assert recorder.counters.durable == (0, 0)  # that of the former file is no business of this one


def test_the_name_is_on_the_disk_before_the_first_frame(new_recorder, tmp_path, disk):
    recorder = new_recorder()
    recorder.open(tmp_path / "a")
    assert disk.log[:2] == ["open", "sync_dir"]


def test_names_of_later_parts_are_on_the_disk_before_they_count(new_recorder, source, tmp_path, disk):
    recorder = new_recorder()
    recorder.max_size = 10
    recorder.open(tmp_path / "a")
    for _ in range(3):
        recorder.write_frame(Frame(b"12"), source)
    recorder.close()
    assert disk.calls == {"open": 3, "writev": 3, "fdatasync": 3, "sync_dir": 2, "close": 3}
    assert recorder.counters.durable == (3, 30)


def test_abort_counts_what_was_staged(new_recorder, source, tmp_path):
    recorder = new_recorder()
    recorder.buffer_size = 1000
    recorder.open(tmp_path / "a")
    recorder.write_frame(Frame(b"12"), source)
    recorder.flush()
    recorder.write_frame(Frame(b"34"), source)
    recorder.write_batch(FrameBatch.gather([Frame(b"56"), Frame(b"789")]), source)
    recorder.abort()
    assert recorder.state == "Closed"
    counters = recorder.counters
    assert counters.dropped == {"aborted": 3}
    assert counters.dropped_bytes == {"aborted": 31}
    assert (counters.accepted, counters.written) == ((4, 41), (1, 10))
    assert recorder.total_size == (tmp_path / "a").stat().st_size == 10


def test_open_starts_all_counters_again(new_recorder, source, tmp_path):
    recorder = new_recorder()
    recorder.attach(source)
    recorder.write_frame(Frame(b"12"), source)
    recorder.open(tmp_path / "a")
    recorder.write_frame(Frame(b"12"), source)
    recorder.open(tmp_path / "b")
    counters = recorder.counters
    assert (counters.accepted, counters.written, counters.durable) == ((0, 0),) * 3
    assert (counters.dropped, source.count, recorder.total_size, recorder.data_frames) == ({}, 0, 0, 0)


def test_staged_batches_and_frames_keep_their_order(new_recorder, source, tmp_path, parse):
    recorder = new_recorder()
    recorder.buffer_size = 500
    recorder.open(tmp_path / "a")
    payloads = []
    for number in range(60):
        items = [b"%d-%d" % (number, k) for k in range(number % 4 + 1)]
        payloads += items
        if len(items) == 1:
            recorder.write_frame(Frame(items[0]), source)
        else:
            recorder.write_batch(FrameBatch.gather([Frame(item) for item in items]), source)
    recorder.close()
    assert [record.payload for record in parse(tmp_path / "a").records] == payloads
    assert recorder.written.frames == recorder.data_frames == len(payloads)


def test_open_and_close_a_thousand_times_in_threads(new_recorder, source, tmp_path):
    recorder = new_recorder()
    recorder.buffer_size = 100
    stop = threading.Event()

    def produce():
        while not stop.is_set():
            recorder.write_frame(Frame(b"12"), source)

    producer = threading.Thread(target=produce, daemon=True)
    producer.start()
    for number in range(100):
        recorder.open(tmp_path / str(number))
        if number % 3 == 0:
            recorder.abort()
        elif number % 3 == 1:
            recorder.close()
    stop.set()
    producer.join(10)
    recorder.close()
    for number in range(100):
        assert (tmp_path / str(number)).stat().st_size % 10 == 0


@pytest.mark.parametrize("of_source", [False, True])
def test_who_waits_is_woken_by_the_frame_itself(of_source, new_recorder, source, tmp_path, until):
    """Not by the timer, and although frames are only staged."""
    recorder = new_recorder(period_s=3600.0)
    recorder.buffer_size = 1 << 20
    recorder.open(tmp_path / "a")
    reached = []
    waiter = threading.Thread(
        target=lambda: reached.append(recorder.wait(3, 20, source if of_source else None)), daemon=True
    )
    waiter.start()
    until(lambda: bool(recorder._targets))
    for _ in range(3):
        recorder.write_frame(Frame(b"12"), source)
    waiter.join(10)
    assert reached == [True]


def test_a_sync_that_fails_late_is_no_fault_of_the_next_recording(
    new_recorder, source, tmp_path, disk, io_error
):
    recorder = new_recorder(close_timeout_s=0.25)
    recorder.open(tmp_path / "a")
    recorder.write_frame(Frame(b"12"), source)
    disk.hold_sync, disk.lasting = threading.Event(), False
    committer = recorder._committer
    with pytest.raises(OSError, match="did not sync in time"):
        recorder.close()
    recorder.open(tmp_path / "b")
    disk.plan["fdatasync"] = (1, io_error)
    disk.hold_sync.set()
    assert committer.join(10)
    assert "fdatasync" not in disk.plan
    assert recorder.state == "Recording"


def test_frames_staged_when_a_sync_fails_are_counted(
    new_recorder, source, tmp_path, disk, io_error, until, parse
):
    recorder = new_recorder()
    recorder.buffer_size = 1000
    recorder.open(tmp_path / "a")
    recorder.write_frame(Frame(b"12"), source)
    disk.hold_sync = threading.Event()
    disk.plan["fdatasync"] = (1, io_error)
    recorder._committer._wake.set()
    until(lambda: recorder.written.frames == 1)
    for _ in range(4):
        recorder.write_frame(Frame(b"34"), source)
    disk.hold_sync.set()
    until(lambda: recorder.state == "Fault")
    assert recorder.counters.dropped == {"fault": 4}
    assert recorder.total_size == 10
    with pytest.raises(OSError, match="Sync failed"):
        recorder.close()
    assert parse(tmp_path / "a") == ([(0, 0, 0, b"12")], 0)
