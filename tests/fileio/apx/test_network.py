"""Readouts on a network: source, sender, recorder and monitor as stages."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sapwood.errors import RecorderFault, StreamError
from sapwood.fileio import FileHeader, apx_open
from sapwood.fileio.apx import (
    ApxReader,
    ApxWriter,
    AstroPix3QuadChipReadout,
    AstroPix3Readout,
    AstroPix4Readout,
    HitMonitor,
    ReadoutRecorder,
    ReadoutSender,
    ReadoutSource,
)
from sapwood.streams import Frame, FrameBatch, Gap, Master, Slave

WAIT_S = 20.0
HOST, GROUP = "127.0.0.1", "239.1.1.1"
HIT = bytes.fromhex("e05042030620d701")
OTHER = bytes.fromhex("e05041130620d701")


def record(data: bytes, readout_id: int = 0, timestamp: int = 0) -> bytes:
    """Make a record as the description of the format says, with no code of ours."""
    return b"\xfe\xdc\xba" + struct.pack("<IQI", readout_id, timestamp, len(data)) + data


class Sink(Slave):
    """Keeps frames as (time, payload) and gaps as (reason, frames)."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[tuple[Any, Any]] = []
        self.frames = 0
        self.news = threading.Condition()

    def _acceptBatch(self, batch: FrameBatch) -> None:
        with self.news:
            times = batch.time.tolist()
            self.items += [(time, bytes(frame)) for time, frame in zip(times, batch.frames(), strict=True)]
            self.frames += len(batch)
            self.news.notify_all()

    def _acceptGap(self, gap: Gap) -> None:
        with self.news:
            self.items.append((gap.reason, gap.frames))

    def wait(self, frames: int) -> list[tuple[Any, Any]]:
        with self.news:
            assert self.news.wait_for(lambda: self.frames >= frames, WAIT_S), self.items
            return self.items


Make = Callable[..., tuple[ReadoutSource, Sink]]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[ReadoutSource] = []

    def build(port: int = 0, **options: Any) -> tuple[ReadoutSource, Sink]:
        source, sink = ReadoutSource(port, **options), Sink()
        made.append(source)
        source >> sink
        return source, sink

    yield build
    for source in made:
        source.close()


@pytest.fixture
def send() -> Iterator[Callable[[ReadoutSource, bytes], object]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        yield lambda source, data: one.sendto(data, (HOST, source.port))


def test_readouts_are_frames_of_board_bytes(make: Make, send: Any) -> None:
    source, sink = make()
    send(source, record(HIT, 7, 1234))
    send(source, record(b"", 8, 1 << 63))
    send(source, record(OTHER, 9, 0))
    assert sink.wait(3) == [(1234, HIT), (0, b""), (0, OTHER)]
    assert (source.lost, source.late, source.counters.dropped) == (0, 0, {})


def test_records_keep_their_heads(make: Make, send: Any) -> None:
    source, sink = make(records=True)
    send(source, record(HIT, 7, 1234))
    assert sink.wait(1) == [(1234, record(HIT, 7, 1234))]


def test_missing_counts_are_gaps(make: Make, send: Any) -> None:
    source, sink = make()
    for count in (5, 6, 9, 8, 10, 12):
        send(source, record(b"%d" % count, count, 1))
    found = sink.wait(6)
    assert found == [
        (1, b"5"), (1, b"6"), ("lost", 2), (1, b"9"), (1, b"8"), (1, b"10"), ("lost", 1), (1, b"12"),
    ]  # fmt: skip
    assert (source.lost, source.late) == (3, 1)


def test_counts_wrap_and_a_run_begins_again(make: Make, send: Any) -> None:
    source, sink = make()
    counts = [2**32 - 1, 0, 1, *range(2, 40), *range(3)]
    for count in counts:
        send(source, record(b"x", count, 1))
    assert sink.wait(len(counts)) == [(1, b"x")] * len(counts)
    assert (source.lost, source.late) == (0, 0)


def test_what_is_no_readout_is_dropped(make: Make, send: Any) -> None:
    source, sink = make()
    send(source, record(HIT, 1))
    for bad in (b"", b"\xfe\xdc\xba", record(HIT, 900)[:-1], record(HIT, 901) + b"x", b"?" * 40):
        send(source, bad)
    send(source, record(OTHER, 2))
    assert sink.wait(2) == [(0, HIT), (0, OTHER)]
    assert source.counters.dropped == {"malformed": 5}
    assert source.flow().passed == 2
    assert source.lost == 0


@given(st.lists(st.binary(max_size=60), max_size=10))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_datagrams(make: Make, send: Any, datagrams: list[bytes]) -> None:
    source, sink = make()
    for one in datagrams:
        send(source, one)
    send(source, record(b"end", 1, 5))
    assert sink.wait(1)[-1] == (5, b"end")
    source.close()
    assert source.lastError is None


def test_a_taken_port_and_wrong_places() -> None:
    source = ReadoutSource(0)
    with pytest.raises(StreamError, match="Another process"):
        ReadoutSource(source.port)
    source.close()
    with pytest.raises(StreamError, match="Failed to send"):
        ReadoutSender("no.such.host.invalid")
    with pytest.raises(StreamError):
        ReadoutSource(0, host=GROUP, interface="192.0.2.1")


# Sending


def test_readouts_arrive_as_they_were_sent(make: Make) -> None:
    source, sink = make(records=True)
    sender = ReadoutSender(port=source.port)
    readouts = [AstroPix4Readout(HIT * n, 100 + n, 5000 + n) for n in range(50)]
    assert all(sender.send(one) for one in readouts)
    assert [payload for _, payload in sink.wait(50)] == [one.to_bytes() for one in readouts]
    sender.close()
    assert not sender.send(readouts[0])
    assert sender.counters.dropped == {"network": 1}
    assert isinstance(sender.lastError, OSError)


def test_frames_are_numbered_with_those_lost(make: Make) -> None:
    source, sink = make(records=True)
    master, sender = Master(), ReadoutSender(port=source.port)
    master >> sender
    master._sendBatch(FrameBatch(HIT + OTHER, [0, 8], 8, time=[11, 12]))
    master._sendGap(Gap(None, 3, 0, "full"))
    master._sendFrame(Frame(b"late"))
    master._sendBatch(FrameBatch(record(b"own", 77, 78), 0, 22))
    master._sendFrame(Frame(bytes(66_000)))
    found = sink.wait(4)
    assert [payload for time, payload in found[:2]] == [record(HIT, 0, 11), record(OTHER, 1, 12)]
    assert found[2] == ("lost", 3)
    last = AstroPix4Readout.from_bytes(found[3][1])
    assert (last.readout_id, last.data(), last.timestamp > 1_700_000_000_000_000_000) == (5, b"late", True)
    assert found[-1][1] == record(b"own", 77, 78)
    assert sender.counters.dropped == {"oversize": 1}
    assert sender.flow()[:2] == (5, 4)
    sender.close()


def test_two_receivers_of_one_group(make: Make) -> None:
    try:
        one, first = make(host=GROUP, interface=HOST)
    except StreamError as error:
        pytest.skip(f"this machine knows no multicast: {error}")
    _, second = make(one.port, host=GROUP, interface=HOST)
    sender = ReadoutSender(GROUP, one.port, interface=HOST)
    assert sender._socket.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 2
    for count in range(3):
        sender.send(AstroPix4Readout(HIT, count, 9))
    assert first.wait(3) == second.wait(3) == [(9, HIT)] * 3
    sender.close()


# Recording


def test_a_source_records_into_a_file(make: Make, send: Any, tmp_path: Path) -> None:
    for records in (True, False):
        source, sink = make(records=records)
        writer = ApxWriter(tmp_path / "x.apx", FileHeader(AstroPix4Readout))
        assert (source >> writer) is writer  # type: ignore[comparison-overlap]
        for count in (3, 4, 7):
            send(source, record(HIT + b"\xff", count, 1 << 63 if count == 7 else count))
        sink.wait(3)
        with apx_open(tmp_path / "x.apx") as file:  # before it is closed
            found = [(one.readout_id, one.timestamp, one.data()) for one in file]
        counts, last = ((3, 4, 7), 1 << 63) if records else ((0, 1, 4), 0)
        assert found == list(zip(counts, (3, 4, last), [HIT] * 3, strict=True))
        source.close()
        writer.close()


def test_a_full_disk_is_told(make: Make, send: Any, tmp_path: Path) -> None:
    source, sink = make()
    writer = ApxWriter(tmp_path / "x.apx", FileHeader(AstroPix4Readout))
    source >> writer
    writer._fault = RecorderFault("The disk is full")
    send(source, record(HIT, 1))
    sink.wait(1)
    source.close()
    assert isinstance(source.lastError, RecorderFault)
    writer.abort()


def test_recorders_count_lost_frames(tmp_path: Path) -> None:
    with ApxWriter(tmp_path / "x.apx", FileHeader(AstroPix4Readout)) as writer:
        slave = writer._getStreamSlave()
        assert isinstance(slave, ReadoutRecorder)
        assert writer._getStreamSlave() is slave
        slave._acceptGap(Gap(None, 4, 0, "lost"))
        slave._acceptFrame(Frame(HIT))
        assert (slave.lost, slave.getFrameCount()) == (4, 1)
    with apx_open(tmp_path / "x.apx") as file:
        assert [one.readout_id for one in file] == [4]


# Monitoring


def fed(readout_class: Any, *readouts: bytes) -> HitMonitor:
    monitor = HitMonitor(readout_class)
    for one in readouts:
        monitor._acceptFrame(Frame(one))
    return monitor


def test_hits_are_counted_as_a_file_has_them(golden_apx: Path) -> None:
    for name, top in (("peer_v4_20250723_092534_data.apx", 776), ("peer_v3_vinj0_th1030.apx", 11_501)):
        with ApxReader(golden_apx / name) as reader:
            monitor = HitMonitor(reader.readout_class, most_us=500)
            for batch in reader.batches(nbytes=5000):
                monitor._acceptBatch(batch)
            found = monitor.histograms()
            tot = np.concatenate([arrays["tot_us"] for arrays in reader.hit_arrays(["tot_us"])])
            info = reader.info()
        assert found.hits == info["hits"] == top
        assert (found.readouts, found.nbytes) == (info["readouts"], info["data_bytes"])
        assert found.tot.tolist() == np.histogram(tot.astype("f8"), 50, (0, 500))[0].tolist()
        assert found.above == np.count_nonzero(tot >= 500)
        assert sum(int(counts.sum()) for _, counts in found.lines) + found.outside == top
        assert all(counts.shape == (35,) for _, counts in found.lines)


def test_pixels_of_each_class() -> None:
    found = fed(AstroPix4Readout, HIT + b"\xbc", HIT + OTHER).histograms()
    lines = dict(found.lines)
    assert list(lines) == [f"row {row}" for row in range(16)]
    assert (lines["row 1"][9], lines["row 1"][10], found.hits) == (2, 1, 3)
    found = fed(AstroPix4Readout, record(HIT + b"\xbc", 5)).histograms()
    assert (found.hits, found.nbytes) == (1, 9)
    half = bytes(int(f"{byte:08b}"[::-1], 2) for byte in bytes.fromhex("3c91420bca"))
    found = fed(AstroPix3Readout, half + b"\xbc", half).histograms()
    assert [(name, counts.nonzero()[0].tolist()) for name, counts in found.lines] == [
        ("chip 7 columns", [17])
    ]
    quad = bytes.fromhex("0a023c91420bca02010000")
    found = fed(AstroPix3QuadChipReadout, quad * 2).histograms()
    assert [name for name, _ in found.lines] == ["layer 2 chip 7 columns"]


def test_split_hits_are_joined_unless_readouts_were_lost() -> None:
    assert fed(AstroPix4Readout, b"\xbc" + HIT[:3], HIT[3:] + b"\xbc").histograms().hits == 1
    monitor = fed(AstroPix4Readout, b"\xbc" + HIT[:3])
    monitor._acceptGap(Gap(None, 2, 0, "lost"))
    monitor._acceptFrame(Frame(HIT[3:] + b"\xbc"))
    assert (monitor.histograms().hits, monitor.histograms().lost) == (0, 2)


def test_rows_beyond_the_sixteen_of_a_chip_are_shown() -> None:
    word = (7 << 56 | 20 << 51 | 3 << 46).to_bytes(8, "big")
    wire = bytes(int(f"{byte:08b}"[::-1], 2) for byte in word)
    found = fed(AstroPix4Readout, wire).histograms()
    assert (len(found.lines), found.lines[20][0], found.lines[20][1][3]) == (21, "row 20", 1)
