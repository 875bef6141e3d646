"""Real disks that fill up, real processes that are killed."""

import random
import resource
import signal
import subprocess
import sys

import pytest

from sapwood.errors import FileError, RecorderFault
from sapwood.streams import Frame, FrameBatch

WRITER = """
import sys
from sapwood.fileio import Recorder
from sapwood.fileio.rogue.encode import RogueEncoder
from sapwood.streams import Frame, FrameBatch

class Source:
    forced, config, count = 0, False, 0

recorder, source = Recorder(RogueEncoder(), period_s=0.002), Source()
recorder.buffer_size, recorder.max_size = int(sys.argv[2]), int(sys.argv[3])
recorder.open(sys.argv[1])
number = 0
while True:
    for _ in range(20):
        recorder.write_frame(Frame(number.to_bytes(8, "little") * 20), source)
        number += 1
    batch = [Frame((number + k).to_bytes(8, "little") * (k + 1)) for k in range(20)]
    recorder.write_batch(FrameBatch.gather(batch), source)
    number += 20
    print(recorder.counters.durable.frames, flush=True)
"""


@pytest.mark.parametrize("limit", [0, 20_000])
@pytest.mark.parametrize("buffer", [0, 5000, 1 << 20])
def test_every_durable_frame_survives_a_kill(buffer, limit, tmp_path, parse):
    chance = random.Random(buffer + limit)
    command = [sys.executable, "-c", WRITER, str(tmp_path / "f"), str(buffer), str(limit)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        durable = 0
        for _ in range(chance.randrange(1, 400)):
            durable = int(process.stdout.readline())
        while not durable:
            durable = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate()
        durable = max([durable, *map(int, rest.split("\n")[:-1])])
    parts = sorted(tmp_path.iterdir(), key=lambda part: int(part.suffix[1:] or 0) if part.suffix else 0)
    parsed = [parse(part) for part in parts]
    records = [record for part in parsed for record in part.records]
    assert len(records) >= durable
    assert [int.from_bytes(record.payload[:8], "little") for record in records] == list(range(len(records)))
    assert all(part.torn == 0 for part in parsed[:-1])


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)  # noqa: S607  # wherever the system has it


@pytest.mark.parametrize("buffer", [0, 100_000])
@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("limit", [0, 300_000])
def test_a_disk_fills_up(limit, batched, buffer, small_disk, new_writer, parse):
    writer = new_writer(bufferSize=buffer, maxSize=limit)
    channel = writer.getChannel(1)
    writer.open(small_disk / "f")
    told, sent = [], 0
    while sent < 2000:
        frames = [Frame(number.to_bytes(4, "little") * 300) for number in range(sent, sent + 10)]
        sent += 10
        for item in [FrameBatch.gather(frames)] if batched else frames:
            try:
                channel._acceptBatch(item) if batched else channel._acceptFrame(item)
            except RecorderFault as fault:
                told.append(str(fault))
    assert len(told) == 1
    assert "No space left on device" in told[0]
    assert (writer.state, writer.isOpen()) == ("Fault", False)
    writer.close()
    parts = [small_disk / f"f.{n}" for n in range(1, 10)] if limit else [small_disk / "f"]
    parsed = [parse(part) for part in parts if part.exists()]
    payloads = [record.payload for part in parsed for record in part.records]
    assert [part.torn for part in parsed] == [0] * len(parsed)
    assert payloads == [number.to_bytes(4, "little") * 300 for number in range(len(payloads))]
    assert 600 < len(payloads) < 900
    counters = writer.counters
    assert counters.written.frames == counters.durable.frames == len(payloads)
    assert counters.dropped == {"fault": sent - len(payloads)}
    for part in parts:
        part.unlink(missing_ok=True)
    writer.open(small_disk / "again")
    channel._acceptFrame(Frame(b"12"))
    writer.close()
    assert len(parse(small_disk / ("again.1" if limit else "again")).records) == 1


def test_the_size_limit_of_a_process(new_writer, tmp_path):
    """In the peer: frame count 7, total size 96, a 4-byte fragment, isOpen True."""
    writer = new_writer(raw=True)
    channel = writer.getChannel(0)
    writer.open(tmp_path / "f")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, old[1]))
    told = []
    try:
        for _ in range(10):
            try:
                channel._acceptFrame(Frame(bytes(16)))
            except RecorderFault as fault:
                told.append(str(fault))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    writer.close()
    assert len(told) == 1
    assert "File too large" in told[0]
    assert (tmp_path / "f").stat().st_size == writer.getTotalSize() == 96
    assert (writer.getFrameCount(), channel.getFrameCount(), writer.isOpen()) == (6, 10, False)
    assert writer.counters.dropped == {"fault": 4}


@pytest.mark.parametrize("buffer", [0, 1000])
def test_a_device_without_room(buffer, new_writer):
    writer = new_writer(overwrite=True, bufferSize=buffer)
    writer.open("/dev/full")
    channel = writer.getChannel(0)
    with pytest.raises(RecorderFault, match="No space left on device"):
        channel._acceptBatch(FrameBatch.gather([Frame(bytes(92))] * 20))
    assert writer.getFrameCount() == 0
    writer.close()


def test_a_device_that_swallows_all(new_writer):
    writer = new_writer(overwrite=True)
    writer.open("/dev/null")
    writer.getChannel(0)._acceptFrame(Frame(bytes(92)))
    writer.close()
    assert writer.getFrameCount() == 1


def test_a_folder_is_no_file(new_writer, tmp_path):
    (tmp_path / "f").mkdir()
    with pytest.raises(FileError, match="Failed to open data file"):
        new_writer(overwrite=True).open(tmp_path / "f")
