import hashlib
import logging
import os
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sapwood.errors import FileError, LinkError, RecordingExists, StreamError
from sapwood.fileio import StreamWriter
from sapwood.streams import Fifo, Frame, FrameBatch, Gap, Master


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.dat"


@pytest.fixture
def send_to():
    """Return a function that links a new master to a channel and returns it."""

    def link(channel) -> Master:
        master = Master()
        master >> channel
        return master

    return link


# The format


def resend(records, channel, new_writer, path, *, batched, **options):
    writer = new_writer(**options)
    master = Master()
    master >> writer.getChannel(channel)
    writer.open(path)
    frames = [Frame(r.payload, channel=r.channel, flags=r.flags, error=r.error) for r in records]
    if batched:
        master._sendBatch(FrameBatch.gather(frames))
    else:
        for frame in frames:
            master._sendFrame(frame)
    writer.close()
    assert writer.getFrameCount() == len(frames)
    return writer


GOLDEN = [
    "meta_ch0_passthrough.dat",
    "meta_chN_forced.dat",
    "prbs_w32_ch0_tagged.dat",
    "prbs_w32_err.dat",
    "prbs_w32_unbuffered.dat",
    "prbs_w32_buffered.dat",
    "prbs_w64_ch3.dat",
    "prbs_w128_ch1.dat",
    "prbs_w256_ch255.dat",
    "prbs_w32_sendcount.dat",
    "config_ch255.dat",
    "streamzip.dat",
]


@pytest.mark.parametrize("buffer", [0, 7000])
@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("name", GOLDEN)
def test_files_equal_those_of_the_peer(
    name, batched, buffer, golden_rogue, rogue_manifest, new_writer, path, parse
):
    golden = golden_rogue / name
    about = rogue_manifest[name]
    channel = about["params"].get("writer_channel", 0)
    records = parse(golden).records
    writer = resend(records, channel, new_writer, path, batched=batched, bufferSize=buffer)
    assert path.read_bytes() == golden.read_bytes()
    assert writer.getTotalSize() == about["size"] == path.stat().st_size
    expected = about["expect"].get("record_list")
    if expected is not None:
        mine = [
            [r.channel, r.error, r.flags, len(r.payload), hashlib.sha256(r.payload).hexdigest()]
            for r in parse(path).records
        ]
        assert mine == expected


def test_errors_are_dropped_as_by_the_peer(golden_rogue, new_writer, path, parse):
    records = parse(golden_rogue / "prbs_w32_err.dat").records
    for batched in (False, True):
        writer = new_writer(dropErrors=True, overwrite=True)
        channel = writer.getChannel(2)
        writer.open(path)
        frames = [Frame(r.payload, flags=r.flags, error=r.error) for r in records]
        if batched:
            channel._acceptBatch(FrameBatch.gather(frames))
        else:
            for frame in frames:
                channel._acceptFrame(frame)
        writer.close()
        assert path.read_bytes() == (golden_rogue / "prbs_w32_dropped_errors.dat").read_bytes()
        assert channel.getFrameCount() == 20
        assert writer.getFrameCount() == 12
        assert writer.counters.dropped == {"error": 8}


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize(("stem", "buffer"), [("split_unbuf", 0), ("split_buf", 300)])
def test_split_files_equal_those_of_the_peer(
    stem, buffer, batched, golden_rogue, rogue_manifest, new_writer, path, parse
):
    parts = [golden_rogue / f"{stem}.dat.{number}" for number in range(1, 6)]
    records = [record for part in parts for record in parse(part).records]
    about = rogue_manifest[parts[0].name]
    writer = resend(
        records,
        6,
        new_writer,
        path,
        batched=batched,
        bufferSize=buffer,
        maxSize=about["params"]["max_size"],
    )
    assert not path.exists()
    for number, part in enumerate(parts, 1):
        assert path.with_name(f"run.dat.{number}").read_bytes() == part.read_bytes()
    assert not path.with_name("run.dat.6").exists()
    assert writer.getTotalSize() == about["expect"]["writer_total_size"]
    assert writer.getCurrentSize() == about["expect"]["writer_current_size"]


@pytest.mark.parametrize("batched", [False, True])
def test_split_raw_files_equal_those_of_the_peer(batched, golden_rogue, rogue_manifest, new_writer, path):
    about = rogue_manifest["split_raw.dat.1"]
    parts = [golden_rogue / f"split_raw.dat.{number}" for number in range(1, 4)]
    data = b"".join(part.read_bytes() for part in parts)
    payloads, at = [], 0
    for size in about["params"]["frame_sizes"]:
        payloads.append(data[at : at + size])
        at += size
    assert at == len(data)
    writer = new_writer(raw=True, maxSize=about["params"]["max_size"])
    channel = writer.getChannel(0)
    writer.open(path)
    frames = [Frame(payload) for payload in payloads]
    if batched:
        channel._acceptBatch(FrameBatch.gather(frames))
    else:
        for frame in frames:
            channel._acceptFrame(frame)
    writer.close()
    for number, part in enumerate(parts, 1):
        assert path.with_name(f"run.dat.{number}").read_bytes() == part.read_bytes()


def test_raw_mode_may_change_while_open(new_writer, path):
    writer = new_writer()
    channel = writer.getChannel(1)
    writer.open(path)
    channel._acceptFrame(Frame(b"framed"))
    writer.setRaw(True)
    assert writer.getRaw()
    channel._acceptFrame(Frame(b"raw"))
    channel._acceptBatch(FrameBatch.gather([Frame(b"a"), Frame(b"bc")]))
    writer.setRaw(False)
    channel._acceptFrame(Frame(b"again"))
    writer.close()
    assert path.read_bytes() == b"\x0a\0\0\0\0\0\0\1framedrawabc\x09\0\0\0\0\0\0\1again"


OPERATIONS = st.lists(
    st.one_of(
        st.builds(
            Frame,
            st.binary(max_size=60),
            channel=st.integers(0, 255),
            flags=st.integers(0, 65535),
            error=st.sampled_from([0, 0, 0, 1, 255]),
        ),
        st.lists(st.builds(Frame, st.binary(max_size=30), error=st.sampled_from([0, 3])), max_size=30),
        st.tuples(st.just("buffer"), st.sampled_from([0, 1, 50, 200, 1000])),
        st.tuples(st.just("limit"), st.sampled_from([0, 40, 100, 500])),
        st.just("flush"),
    ),
    max_size=30,
)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(OPERATIONS, st.integers(0, 3), st.booleans(), st.sampled_from([0, 64]))
def test_whatever_is_sent_is_read_back(tmp_path_factory, parse, operations, forced, drop, limit):
    folder = tmp_path_factory.mktemp("trip")
    writer = StreamWriter(dropErrors=drop, maxSize=limit)
    channel = writer.getChannel(forced)
    sent: list[Frame] = []
    writer.open(folder / "f")
    for operation in operations:
        if isinstance(operation, Frame):
            channel._acceptFrame(operation)
            sent.append(operation)
        elif isinstance(operation, list):
            channel._acceptBatch(FrameBatch.gather(operation) if operation else FrameBatch.empty())
            sent += operation
        elif operation == "flush":
            writer.flush()
        elif operation[0] == "buffer":
            writer.setBufferSize(operation[1])
        else:
            writer.setMaxSize(operation[1])
    writer.close()
    parts = sorted(folder.iterdir(), key=lambda part: int(part.suffix[1:] or 0) if part.suffix else 0)
    parsed = [parse(part) for part in parts]
    assert [part.torn for part in parsed] == [0] * len(parts)
    kept = [f for f in sent if f.size and not (drop and f.error)]
    assert [tuple(record) for part in parsed for record in part.records] == [
        (forced or f.channel, f.error, f.flags, bytes(f.buffer)) for f in kept
    ]
    counters = writer.counters
    assert counters.accepted == counters.written == counters.durable
    assert counters.written == (len(kept), sum(part.stat().st_size for part in parts))
    assert channel.getFrameCount() == len(sent) == len(kept) + sum(counters.dropped.values())


# What becomes of a frame


def test_table_of_acceptance(new_writer, path, parse):
    writer = new_writer(dropErrors=True)
    channel = writer.getChannel(0)

    def counts() -> tuple[int, int]:
        return writer.getFrameCount(), channel.getFrameCount()

    channel._acceptFrame(Frame(b"closed"))
    assert counts() == (0, 1)
    assert writer.counters.dropped == {"closed": 1}
    writer.open(path)
    assert counts() == (0, 0)
    assert writer.counters.dropped == {}
    channel._acceptFrame(Frame(b"normal"))
    assert counts() == (1, 1)
    channel._acceptFrame(Frame(b""))
    channel._acceptFrame(Frame.reserve(100))
    assert counts() == (1, 3)
    channel._acceptFrame(Frame(b"bad", error=1))
    assert counts() == (1, 4)
    writer.setMaxSize(20)
    channel._acceptFrame(Frame(bytes(100)))
    assert counts() == (2, 5)
    writer.close()
    channel._acceptFrame(Frame(b"late"))
    assert counts() == (2, 6)
    assert writer.counters.dropped == {"empty": 2, "error": 1, "closed": 1}
    assert writer.counters.dropped_bytes == {"empty": 0, "error": 3, "closed": 12}
    assert parse(path) == ([(0, 0, 0, b"normal")], 0)
    assert len(parse(path.with_name("run.dat.2")).records) == 1


def test_a_batch_is_accepted_frame_by_frame(new_writer, path, parse):
    writer = new_writer(dropErrors=True)
    channel = writer.getChannel(0)
    writer.open(path)
    batch = FrameBatch.gather(
        [Frame(b"a"), Frame(b""), Frame(b"b", error=2), Frame(b"", error=2), Frame(b"c")]
    )
    channel._acceptBatch(batch)
    channel._acceptBatch(FrameBatch.empty())
    channel._acceptBatch(FrameBatch(b"", [0, 0], 0))
    writer.close()
    assert [record.payload for record in parse(path).records] == [b"a", b"c"]
    assert channel.getFrameCount() == 7
    assert writer.counters.dropped == {"empty": 4, "error": 1}


def test_invalid_metadata_reaches_the_producer_and_is_counted(new_writer, path, send_to):
    writer = new_writer()
    master = send_to(writer.getChannel(0))
    writer.open(path)
    frame = Frame(b"x")
    frame.flags = 1 << 20
    with pytest.raises(StreamError, match="does not fit"):
        master._sendFrame(frame)
    master._sendFrame(Frame(b"y"))
    assert writer.counters.dropped == {"invalid": 1}
    assert writer.getFrameCount() == 1


def test_drop_errors_may_change_while_open(new_writer, path):
    writer = new_writer()
    channel = writer.getChannel(0)
    writer.open(path)
    channel._acceptFrame(Frame(b"kept", error=1))
    writer.setDropErrors(True)
    channel._acceptFrame(Frame(b"gone", error=1))
    assert writer.getFrameCount() == 1


def test_a_frame_written_to_after_sending_leaves_the_record_alone(new_writer, path, send_to, parse):
    """Staged frames share no memory with what the sender writes next."""
    writer = new_writer(bufferSize=1 << 20)
    master = send_to(writer.getChannel(0))
    writer.open(path)
    for size in (100, 100_000):
        frame = master._reqFrame(size)
        frame.write(b"a" * size)
        master._sendFrame(frame)
        frame.write(b"b" * size)
    writer.close()
    assert [set(record.payload) for record in parse(path).records] == [{ord("a")}, {ord("a")}]


def test_bytes_never_written_are_zero(new_writer, path, send_to, parse):
    writer = new_writer()
    master = send_to(writer.getChannel(0))
    writer.open(path)
    frame = master._reqFrame(1000)
    frame.write(b"end", 500)
    master._sendFrame(frame)
    writer.close()
    assert parse(path).records[0].payload == bytes(500) + b"end"


# Channels


def test_channels_are_the_same_object_each_time(new_writer):
    writer = new_writer()
    assert writer.getChannel(3) is writer.getChannel(3)
    assert writer.getChannel(3) is not writer.configChannel(3)


@pytest.mark.parametrize("number", [-1, 256])
def test_channel_out_of_range(new_writer, number):
    with pytest.raises(OverflowError, match="channel"):
        new_writer().getChannel(number)


def test_a_channel_only_receives(new_writer):
    with pytest.raises(LinkError):
        new_writer().getChannel(0) >> new_writer().getChannel(0)


def test_counts_of_a_channel(new_writer, path):
    writer = new_writer()
    one, two = writer.getChannel(1), writer.getChannel(2)
    writer.open(path)
    one._acceptFrame(Frame(b"a"))
    two._acceptBatch(FrameBatch.gather([Frame(b"b"), Frame(b"c")]))
    assert (one.getFrameCount(), two.getFrameCount(), writer.getFrameCount()) == (1, 2, 3)
    assert one.getByteCount() == 0
    one.setFrameCount(10)
    one._acceptFrame(Frame(b"d"))
    assert one.getFrameCount() == 11
    writer.open(path.with_name("next.dat"))
    assert (one.getFrameCount(), two.getFrameCount(), writer.getFrameCount()) == (0, 0, 0)


@pytest.mark.parametrize("buffer", [0, 4096])
def test_configuration_is_counted_apart_and_keeps_its_place(buffer, new_writer, path, parse):
    writer = new_writer(bufferSize=buffer)
    data, config = writer.getChannel(1), writer.configChannel(255)
    writer.open(path)
    config._acceptFrame(Frame(b"A: 1\n"))
    assert parse(path).records == [(255, 0, 0, b"A: 1\n")]
    data._acceptFrame(Frame(b"1"))
    config._acceptFrame(Frame(b"A: 2\n"))
    data._acceptFrame(Frame(b"2"))
    data._acceptFrame(Frame(b"3"))
    writer.close()
    assert [record.channel for record in parse(path).records] == [255, 1, 255, 1, 1]
    assert (writer.getFrameCount(), writer.getDataFrameCount()) == (5, 3)


# Sizes and splitting


def test_sizes_and_counts_without_buffer(new_writer, path, send_to):
    writer = new_writer()
    master = send_to(writer.getChannel(0))
    writer.open(path)
    master._sendFrame(Frame(bytes(92)))
    assert path.stat().st_size == writer.getTotalSize() == writer.getCurrentSize() == 100
    assert writer.getFrameCount() == 1


def test_sizes_include_what_is_staged(new_writer, path, send_to):
    writer = new_writer(bufferSize=1000)
    master = send_to(writer.getChannel(0))
    writer.open(path)
    master._sendFrame(Frame(bytes(92)))
    assert path.stat().st_size == 0
    assert writer.getTotalSize() == writer.getCurrentSize() == 100
    assert writer.counters.accepted == (1, 100)
    assert writer.counters.written == (0, 0)
    writer.flush()
    assert path.stat().st_size == 100
    assert writer.counters.written == (1, 100)
    writer.close()
    assert writer.getTotalSize() == 100


def test_a_buffer_is_one_write_and_a_frame_without_buffer_too(new_writer, disk, path, send_to):
    writer = new_writer(bufferSize=1000)
    master = send_to(writer.getChannel(0))
    writer.open(path)
    for _ in range(10):
        master._sendFrame(Frame(bytes(92)))
    assert disk.calls.get("writev", 0) == 0
    master._sendFrame(Frame(bytes(92)))
    assert disk.calls["writev"] == 1
    assert path.stat().st_size == 1000
    writer.setBufferSize(0)
    assert path.stat().st_size == 1100
    disk.calls.clear()
    master._sendFrame(Frame(bytes(92)))
    master._sendFrame(Frame(bytes(10_000)))
    master._sendBatch(FrameBatch.from_rows(np.zeros((50, 100), np.uint8)))
    master._sendBatch(FrameBatch.from_rows(np.zeros((50, 10_000), np.uint8)))
    assert disk.calls["writev"] == 4


def test_a_frame_larger_than_the_buffer_keeps_its_place(new_writer, path, parse):
    writer = new_writer(bufferSize=100)
    channel = writer.getChannel(0)
    writer.open(path)
    payloads = [b"a", bytes(500), b"b", bytes(92), bytes(91), b"c"]
    for payload in payloads:
        channel._acceptFrame(Frame(payload))
    writer.close()
    assert [record.payload for record in parse(path).records] == payloads


@pytest.mark.parametrize("sizes", [(7, 0, 9), (100, 0, 100, 0), (0, 0, 5), (1 << 20, 1, 0, 1 << 32 - 1)])
def test_the_buffer_may_change_in_any_order(sizes, new_writer, path, parse):
    """Ends the peer's process: a buffer freed twice."""
    writer = new_writer()
    for size in sizes:
        writer.setBufferSize(size)
    channel = writer.getChannel(0)
    writer.open(path)
    payloads = []
    for size in sizes * 3:
        channel._acceptFrame(Frame(b"%d" % size))
        payloads.append(b"%d" % size)
        writer.setBufferSize(size)
    writer.close()
    assert [record.payload for record in parse(path).records] == payloads


@pytest.mark.parametrize("size", [-1, 1 << 32])
def test_buffer_size_out_of_range(size, new_writer):
    with pytest.raises(OverflowError, match="buffer size"):
        new_writer().setBufferSize(size)


@pytest.mark.parametrize("size", [-1, 1 << 64])
def test_file_size_out_of_range(size, new_writer):
    with pytest.raises(OverflowError, match="file size limit"):
        new_writer().setMaxSize(size)


def test_a_limit_set_while_open_goes_on_with_part_2(new_writer, path, parse):
    writer = new_writer()
    channel = writer.getChannel(0)
    writer.open(path)
    channel._acceptFrame(Frame(bytes(92)))
    writer.setMaxSize(100)
    for _ in range(2):
        channel._acceptFrame(Frame(bytes(92)))
    writer.setMaxSize(0)
    channel._acceptFrame(Frame(bytes(92)))
    writer.close()
    sizes = {part.name: part.stat().st_size for part in path.parent.iterdir()}
    assert sizes == {"run.dat": 100, "run.dat.2": 100, "run.dat.3": 200}


def test_numbers_begin_at_1_at_each_open(new_writer, path):
    writer = new_writer(maxSize=100)
    channel = writer.getChannel(0)
    for name in ("a", "b"):
        writer.open(path.with_name(name))
        assert writer.currentFile == str(path.with_name(f"{name}.1"))
        for _ in range(2):
            channel._acceptFrame(Frame(bytes(60)))
        assert writer.currentFile == str(path.with_name(f"{name}.2"))
    writer.close()
    assert writer.currentFile is None
    assert sorted(part.name for part in path.parent.iterdir()) == ["a.1", "a.2", "b.1", "b.2"]


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("buffer", [0, 64, 4096])
def test_a_frame_above_the_limit_gets_a_part_of_its_own(batched, buffer, new_writer, path, parse, caplog):
    writer = new_writer(maxSize=50, bufferSize=buffer)
    channel = writer.getChannel(0)
    writer.open(path)
    frames = [Frame(b"small"), Frame(b"L" * 100), Frame(b"M" * 100), Frame(b"small")]
    with caplog.at_level(logging.WARNING, "sapwood.fileio.StreamWriter"):
        if batched:
            channel._acceptBatch(FrameBatch.gather(frames))
        else:
            for frame in frames:
                channel._acceptFrame(frame)
    writer.close()
    parts = [parse(path.with_name(f"run.dat.{number}")) for number in range(1, 5)]
    assert [len(part.records) for part in parts] == [1, 1, 1, 1]
    assert parts[1].records[0].payload == b"L" * 100
    assert writer.counters.oversize == 2
    assert sum("exceeds the file size limit" in record.message for record in caplog.records) == 2
    assert (writer.getFrameCount(), channel.getFrameCount()) == (4, 4)


def test_a_frame_above_the_limit_first_of_all(new_writer, path):
    writer = new_writer(maxSize=50)
    channel = writer.getChannel(0)
    writer.open(path)
    channel._acceptFrame(Frame(bytes(100)))
    channel._acceptFrame(Frame(b"x"))
    writer.close()
    sizes = {part.name: part.stat().st_size for part in path.parent.iterdir()}
    assert sizes == {"run.dat.1": 108, "run.dat.2": 9}


def test_a_frame_above_the_limit_out_of_a_queue_ends_nothing(new_writer, path, parse):
    """Through a worker thread this ends the peer's process."""
    writer = new_writer(maxSize=50)
    master, fifo = Master(), Fifo(0, 0, True)
    master >> fifo >> writer.getChannel(0)
    writer.open(path)
    for size in (10, 100, 10):
        master._sendFrame(Frame(bytes(size)))
    assert writer.waitFrameCount(3, 10_000_000)
    fifo._stop()
    writer.close()
    assert [len(parse(path.with_name(f"run.dat.{n}")).records[0].payload) for n in (1, 2, 3)] == [10, 100, 10]


def test_many_parts_leave_no_descriptors_open(new_writer, path, disk):
    writer = new_writer(maxSize=40)
    channel = writer.getChannel(0)
    writer.open(path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(200):
        channel._acceptFrame(Frame(bytes(30)))
        # eight that wait, as many at the sync thread, and the present one
        assert len(os.listdir("/proc/self/fd")) < before + 18
    writer.close()
    assert len(list(path.parent.iterdir())) == 200
    assert writer.counters.durable == writer.counters.written == (200, 200 * 38)
    assert disk.calls["open"] == disk.calls["close"] == 200


# Names that exist


@pytest.mark.parametrize("limit", [0, 100])
@pytest.mark.parametrize("older", ["run.dat", "run.dat.1", "run.dat.2", "run.dat.7"])
def test_an_existing_recording_is_refused(older, limit, new_writer, path):
    (path.parent / older).write_bytes(b"precious")
    writer = new_writer(maxSize=limit)
    if (limit, older) in {(0, "run.dat.7"), (100, "run.dat")}:  # a reader keeps them apart
        writer.open(path)
        return
    with pytest.raises(RecordingExists, match=older) as caught:
        writer.open(path)
    assert "AutoName" in str(caught.value)
    assert "Overwrite" in str(caught.value)
    assert "Failed to open data file: " in str(caught.value)
    assert isinstance(caught.value, FileExistsError)
    assert caught.value.file == str(path.parent / older)
    assert not writer.isOpen()
    assert [part.name for part in path.parent.iterdir()] == [older]
    assert (path.parent / older).read_bytes() == b"precious"


def test_a_part_that_appears_during_the_run_is_not_overwritten(new_writer, path):
    writer = new_writer(maxSize=40)
    channel = writer.getChannel(0)
    writer.open(path)
    path.with_name("run.dat.2").write_bytes(b"precious")
    channel._acceptFrame(Frame(bytes(30)))
    with pytest.raises(FileError, match=r"Failed to open file .*run\.dat\.2"):
        channel._acceptFrame(Frame(bytes(30)))
    assert writer.state == "Fault"
    assert path.with_name("run.dat.2").read_bytes() == b"precious"


def test_overwriting_leaves_no_stale_tail(new_writer, path, parse):
    path.write_bytes(b"\x08\0\0\0\0\0\0\1old!" * 50)
    writer = new_writer(overwrite=True)
    writer.open(path)
    writer.getChannel(2)._acceptFrame(Frame(b"new"))
    writer.close()
    assert parse(path) == ([(2, 0, 0, b"new")], 0)


def test_overwriting_leaves_no_stale_parts(new_writer, path, parse):
    for number in range(1, 6):
        path.with_name(f"run.dat.{number}").write_bytes(b"\x08\0\0\0\0\0\0\1old!" * 50)
    path.with_name("run.dat.20230101").write_bytes(b"not a part that a reader would come to")
    writer = new_writer(maxSize=40)
    writer.setOverwrite(True)
    channel = writer.getChannel(0)
    writer.open(path)
    for _ in range(2):
        channel._acceptFrame(Frame(bytes(30)))
    writer.close()
    assert sorted(part.name for part in path.parent.iterdir()) == [
        "run.dat.1",
        "run.dat.2",
        "run.dat.20230101",
    ]
    assert all(parse(path.with_name(f"run.dat.{n}")).torn == 0 for n in (1, 2))


def test_overwriting_a_split_run_by_an_unsplit_one(new_writer, path):
    for number in range(1, 4):
        path.with_name(f"run.dat.{number}").write_bytes(b"old")
    writer = new_writer(overwrite=True)
    writer.open(path)
    writer.close()
    assert [part.name for part in path.parent.iterdir()] == ["run.dat"]


def test_a_missing_folder_fails_and_closes_the_former_file(new_writer, path, parse):
    writer = new_writer(bufferSize=1000)
    channel = writer.getChannel(0)
    writer.open(path)
    channel._acceptFrame(Frame(b"kept"))
    with pytest.raises(FileError, match=r"Failed to open data file: .*none/run\.dat"):
        writer.open(path.parent / "none" / "run.dat")
    assert not writer.isOpen()
    assert writer.state == "Closed"
    assert [record.payload for record in parse(path).records] == [b"kept"]


def test_open_while_open_goes_on_in_the_new_file(new_writer, path, parse):
    writer = new_writer(bufferSize=1000)
    channel = writer.getChannel(0)
    writer.open(str(path))
    channel._acceptFrame(Frame(b"one"))
    writer.open(path.with_name("two.dat"))
    channel._acceptFrame(Frame(b"two"))
    writer.close()
    writer.close()
    assert [record.payload for record in parse(path).records] == [b"one"]
    assert [record.payload for record in parse(path.with_name("two.dat")).records] == [b"two"]
    assert writer.getTotalSize() == 11


# Waiting


def test_wait_writes_what_is_staged(new_writer, path):
    writer = new_writer(bufferSize=1 << 20)
    channel = writer.getChannel(0)
    writer.open(path)
    for _ in range(10):
        channel._acceptFrame(Frame(b"x"))
    assert writer.getFrameCount() == 0
    assert writer.waitFrameCount(10, 5e6)
    assert writer.getFrameCount() == 10
    assert path.stat().st_size == 90


@pytest.mark.parametrize("timeout_us", [1000, 1000.5])
def test_wait_ends_at_the_time_out(timeout_us, new_writer, path):
    writer = new_writer()
    writer.open(path)
    assert writer.waitFrameCount(1, timeout_us) is False
    assert writer.getChannel(0).waitFrameCount(1, timeout_us) is False


def test_wait_refuses_a_negative_time_out(new_writer):
    with pytest.raises(OverflowError, match="negative"):
        new_writer().waitFrameCount(1, -1)


def waiting(*calls) -> tuple[list[threading.Thread], list[bool]]:
    results: list[bool] = []
    threads = [
        threading.Thread(target=lambda call=call: results.append(call()), daemon=True) for call in calls
    ]
    for thread in threads:
        thread.start()
    return threads, results


@pytest.mark.parametrize("buffer", [0, 1 << 20])
def test_wait_without_time_out_ends_when_the_frames_have_come(buffer, new_writer, path, until):
    writer = new_writer(bufferSize=buffer)
    channel = writer.getChannel(0)
    writer.open(path)
    threads, results = waiting(lambda: writer.waitFrameCount(5, 0), lambda: channel.waitFrameCount(4, 0))
    until(lambda: len(writer.recorder._targets) == 2)
    for _ in range(5):
        channel._acceptFrame(Frame(b"x"))
    for thread in threads:
        thread.join(10)
    assert results == [True, True]
    assert writer.recorder._targets == []


@pytest.mark.parametrize("how", ["close", "abort", "fault"])
def test_wait_ends_at_once_when_recording_ends(how, new_writer, path, disk, no_space, until):
    """For ever, in the peer, when writes fail."""
    writer = new_writer()
    channel = writer.getChannel(0)
    writer.open(path)
    threads, results = waiting(lambda: writer.waitFrameCount(5, 0), lambda: channel.waitFrameCount(5, 0))
    until(lambda: len(writer.recorder._targets) == 2)
    if how == "fault":
        disk.plan["writev"] = (1, no_space)
        with pytest.raises(FileError):
            channel._acceptFrame(Frame(b"x"))
    else:
        getattr(writer, how)()
    for thread in threads:
        thread.join(10)
    assert results == [False, False]


def test_wait_on_a_closed_writer_does_not_wait(new_writer, path):
    writer = new_writer()
    assert writer.waitFrameCount(1, 0) is False
    writer.open(path)
    writer.getChannel(0)._acceptFrame(Frame(b"x"))
    writer.close()
    assert writer.waitFrameCount(1, 0) is True


# The rest


def test_bandwidth_counts_one_second_in_fixed_memory(new_writer, path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("sapwood.fileio.recording.watermark.time.monotonic", lambda: now[0])
    writer = new_writer()
    rate = writer.recorder._rate
    for _ in range(1000):
        rate.add(1000)
        now[0] += 0.01
    assert rate.bytes_per_second() == pytest.approx(100_000, rel=0.02)
    now[0] += 0.5
    assert rate.bytes_per_second() == pytest.approx(50_000, rel=0.05)
    now[0] += 1
    assert rate.bytes_per_second() == 0
    assert len(rate._sums) == len(rate._ticks) == 100


def test_bandwidth_is_of_bytes_written_and_0_when_closed(new_writer, path):
    writer = new_writer()
    assert writer.getBandwidth() == 0.0
    writer.open(path)
    writer.getChannel(0)._acceptFrame(Frame(bytes(992)))
    assert writer.getBandwidth() in {1000.0, 0.0}  # 0 when this machine slept for a second
    writer.close()
    assert writer.getBandwidth() == 0.0


def test_gaps_are_counted_and_noted(new_writer, path, caplog):
    writer = new_writer()
    channel = writer.getChannel(0)
    writer.open(path)
    channel._acceptFrame(Frame(b"x"))
    gap = Gap(3, 17, 1700, "full", 5)
    with caplog.at_level(logging.WARNING, "sapwood.fileio.StreamWriter"):
        channel._acceptGap(gap)
    assert (writer.counters.gaps, writer.counters.gap_frames) == (1, 17)
    assert list(writer.recorder.gaps) == [(1, gap)]
    assert "17 frames were lost upstream" in caplog.text


def test_messages_of_a_run(new_writer, path, caplog, disk, no_space):
    with caplog.at_level(logging.INFO, "sapwood.fileio.StreamWriter"):
        writer = new_writer(maxSize=40)
        channel = writer.getChannel(0)
        writer.open(path)
        for _ in range(2):
            channel._acceptFrame(Frame(bytes(30)))
        writer.close()
        writer.open(path.with_name("b"))
        disk.plan["writev"] = (1, no_space)
        with pytest.raises(FileError):
            channel._acceptFrame(Frame(b"x"))
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert lines[0] == ("INFO", f"Opened data file {path}.1")
    assert lines[1] == ("INFO", f"Opened data file {path}.2; {path}.1 is complete with 38 bytes")
    assert lines[2] == ("INFO", f"Closed data file {path}.2: 2 frames, 76 bytes")
    assert lines[4][0] == "ERROR"
    assert "Write failed, closing file!" in lines[4][1]
    assert "No space left on device" in lines[4][1]
    assert {record.name for record in caplog.records} == {"sapwood.fileio.StreamWriter"}


def test_a_log_handler_may_use_the_writer(new_writer, path):
    """User code is never called with the lock held."""
    writer = new_writer(maxSize=40)
    seen = []

    class Asking(logging.Handler):
        def emit(self, record):
            writer.flush()
            seen.append((record.getMessage(), writer.getFrameCount()))

    logger, handler = logging.getLogger("sapwood.fileio.StreamWriter"), Asking()
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        writer.open(path)
        for _ in range(2):
            writer.getChannel(0)._acceptFrame(Frame(bytes(30)))
        writer.close()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert len(seen) == 3


def test_producers_in_many_threads(new_writer, path, parse):
    writer = new_writer(bufferSize=3000, maxSize=20_000)
    channels = [writer.getChannel(number) for number in range(1, 5)]
    writer.open(path)

    def produce(channel, number):
        for count in range(300):
            payload = number.to_bytes(1, "little") + count.to_bytes(4, "little")
            if count % 3:
                channel._acceptFrame(Frame(payload))
            else:
                channel._acceptBatch(FrameBatch.gather([Frame(payload)] * 1))

    threads = [threading.Thread(target=produce, args=(c, n)) for n, c in enumerate(channels, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    parts = len(list(path.parent.iterdir()))
    records = [r for n in range(1, parts + 1) for r in parse(path.with_name(f"run.dat.{n}")).records]
    for number in range(1, 5):
        counts = [int.from_bytes(r.payload[1:], "little") for r in records if r.channel == number]
        assert counts == list(range(300))
    assert [channel.getFrameCount() for channel in channels] == [300] * 4


def test_no_thread_before_open_and_none_after_close(path):
    def threads():
        return [t.name for t in threading.enumerate() if t.name.startswith("Recorder ")]

    writer = StreamWriter()
    assert threads() == []
    writer.open(path)
    assert threads() == ["Recorder run.dat"]
    writer.close()
    assert threads() == []
