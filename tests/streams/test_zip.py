"""`StreamZip` and `StreamUnZip`: the peer's format, and what is not of it."""

from __future__ import annotations

import bz2
import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood import fileio
from sapwood.errors import ProtocolError
from sapwood.streams import Frame, FrameBatch, Gap, Master, Slave
from sapwood.streams.zip import StreamUnZip, StreamZip


class Sink(Slave):
    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self.batches: list[FrameBatch] = []
        self.gaps: list[Gap] = []

    def _acceptFrame(self, frame: Frame) -> None:
        self.frames.append(frame)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self.batches.append(batch)
        self.frames.extend(batch.frames())

    def _acceptGap(self, gap: Gap) -> None:
        self.gaps.append(gap)


def chain(*stages: Master) -> tuple[Master, Sink]:
    master, sink = Master(), Sink()
    end = master
    for stage in stages:
        end = end >> stage
    end >> sink
    return master, sink


def facts(frame: Frame) -> tuple[bytes, int, int, int]:
    return bytes(frame), frame.channel, frame.flags, frame.error


def fingerprint(frame: Frame) -> list[object]:
    digest = hashlib.sha256(bytes(frame)).hexdigest()
    return [frame.channel, frame.error, frame.flags, frame.size, digest]


def test_frames_packed_by_rogue_unpack_and_pack_alike(golden_rogue, rogue_manifest) -> None:
    expect = rogue_manifest["streamzip.dat"]["expect"]
    with fileio.open(golden_rogue / "streamzip.dat") as reader:
        packed = reader.read()
    master, sink = chain(StreamUnZip())
    master._sendBatch(packed)
    assert [fingerprint(frame) for frame in sink.frames] == expect["uncompressed"]
    again, repacked = chain(StreamZip())
    for frame in sink.frames:
        again._sendFrame(frame)
    assert [fingerprint(frame) for frame in repacked.frames] == expect["record_list"]


@given(st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 255)), max_size=8), st.booleans())
def test_what_is_packed_unpacks(items, batched) -> None:
    frames = [Frame(data, channel=n, flags=n * 200, error=255 - n) for data, n in items]
    packer, unpacker = StreamZip(), StreamUnZip()
    master, sink = chain(packer, unpacker)
    if batched and frames:
        master._sendBatch(FrameBatch.gather(frames).replace(time=77))
        assert (sink.batches[0].time == 77).all()
    else:
        for frame in frames:
            master._sendFrame(frame)
    assert [facts(frame) for frame in sink.frames] == [facts(frame) for frame in frames]
    assert packer.counters.frames == unpacker.counters.frames == len(frames)


def test_an_empty_batch_is_nothing() -> None:
    master, sink = chain(StreamZip())
    master._sendBatch(FrameBatch.empty())
    assert sink.batches == []


WHOLE = bz2.compress(b"payload" * 100, 1)


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"", "Truncated or corrupt"),
        (WHOLE[:-1], "Truncated or corrupt"),
        (WHOLE + b"x", "1 bytes behind its end"),
        (b"no bzip2 at all", "Decompression runtime error"),
        (WHOLE[:30] + b"\xff" + WHOLE[31:], "Decompression runtime error|Truncated"),
    ],
)
def test_corrupt_payloads_are_told_counted_and_leave_a_gap(payload, text) -> None:
    unpacker = StreamUnZip()
    master, sink = chain(unpacker)
    with pytest.raises(ProtocolError, match=text):
        master._sendFrame(Frame(payload, channel=4))
    assert unpacker.counters.dropped == {"corrupt": 1}
    (gap,) = sink.gaps
    assert (gap.channel, gap.frames, gap.bytes, gap.reason) == (4, 1, len(payload), "corrupt")
    master._sendFrame(Frame(WHOLE))
    assert bytes(sink.frames[0]) == b"payload" * 100


def test_the_other_frames_of_a_batch_are_sent_on() -> None:
    unpacker = StreamUnZip()
    master, sink = chain(unpacker)
    frames = [Frame(WHOLE, channel=n) if n % 3 else Frame(b"bad", channel=n) for n in range(9)]
    with pytest.raises(ProtocolError, match="3 of 9 frames were refused"):
        master._sendBatch(FrameBatch.gather(frames))
    assert [frame.channel for frame in sink.frames] == [1, 2, 4, 5, 7, 8]
    assert unpacker.counters.dropped == {"corrupt": 3}
    assert sink.gaps[0].frames == 3


def test_a_payload_that_would_become_too_large_is_refused() -> None:
    bomb = bz2.compress(bytes(10_000_000))
    assert len(bomb) < 100
    master, sink = chain(StreamUnZip(maxBytes=1_000_000))
    with pytest.raises(ProtocolError, match="at most 1000000 bytes"):
        master._sendFrame(Frame(bomb))
    assert sink.frames == []
    master._sendFrame(Frame(bz2.compress(bytes(1_000_000))))
    assert np.count_nonzero(sink.frames[0].payload) == 0
