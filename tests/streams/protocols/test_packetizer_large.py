"""Large packets of version 2 take a way of their own: it gives what single packets give, and is as strict."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.errors import MissingExtra
from sapwood.streams import Frame, FrameBatch, Gap
from sapwood.streams.protocols import checksum
from sapwood.streams.protocols.packetizer_v2 import DecoderV2, EncoderV2

LIMIT = 2048


def random_frames(sizes: list[int]) -> FrameBatch:
    rng = np.random.default_rng(sum(sizes))
    size = np.array(sizes, np.int64)
    payload = rng.integers(0, 256, int(size.sum()), np.uint8)
    return FrameBatch(payload, np.cumsum(size) - size, size, flags=rng.integers(0, 1 << 16, len(sizes)))


def flat(events: list[Any]) -> dict[int, list[Any]]:
    """TDEST -> what came: frames as (bytes, flags, error), gaps as such; the order that is promised."""
    found: dict[int, list[Any]] = {}
    for dest, event in events:
        mine = found.setdefault(dest, [])
        if isinstance(event, Gap):
            mine.append(event)
        else:
            frames = [event] if isinstance(event, Frame) else event.frames()
            mine += [(bytes(frame), frame.flags, frame.error) for frame in frames]
    return found


SIZES = st.lists(st.integers(1, 9000), min_size=1, max_size=6)


@given(sizes=SIZES, crc=st.booleans(), ssi=st.booleans())
def test_batches_are_cut_as_single_frames_are(sizes: list[int], crc: bool, ssi: bool) -> None:
    frames, encoder = random_frames([*sizes, 9000]), EncoderV2(crc, ssi)
    assert frames.nbytes > 1024 * len(frames)
    single: list[bytes] = []
    for frame in frames.frames():
        made = encoder.frame(frame, 5, LIMIT)
        single += [bytes(made)] if isinstance(made, Frame) else [bytes(one) for one in made.frames()]
    packets = encoder.batch(frames, 5, LIMIT)
    assert [bytes(packet) for packet in packets.frames()] == single
    if crc:
        running = 0
        for packet in single:
            running = zlib.crc32(packet[:-4], 0 if packet[7] else running)
            assert packet[-4:] == running.to_bytes(4, "big")


@st.composite
def arrivals(draw: Any) -> FrameBatch:
    """Packets of several TDESTs, interleaved, some of them lost, doubled, bent or marked bad."""
    encoder = EncoderV2(True, True)
    queues = [
        list(encoder.batch(random_frames(draw(SIZES)), dest, LIMIT).frames())
        for dest in draw(st.just((1, 2)))
    ]
    packets: list[Frame] = []
    while any(queues):
        queue = queues[draw(st.integers(0, 1))] or queues[0] or queues[1]
        packet = queue.pop(0)
        fate = draw(
            st.sampled_from(["good"] * 12 + ["lost", "doubled", "bent", "error", "short", "late user"])
        )
        data = bytearray(packet.buffer)
        if fate == "bent":
            data[draw(st.integers(0, len(data) - 1))] ^= 1 << draw(st.integers(0, 7))
        elif fate == "short":
            del data[draw(st.integers(0, len(data))) :]
        elif fate == "late user":
            data[-8] |= 1
        packets += [Frame(bytes(data), error=fate == "error")] * {"lost": 0, "doubled": 2}.get(fate, 1)
    return FrameBatch.gather([*packets, Frame(bytes(8192))])


@given(packets=arrivals(), crc=st.booleans(), ssi=st.booleans(), timed=st.booleans())
def test_batches_are_read_as_single_packets_are(
    packets: FrameBatch, crc: bool, ssi: bool, timed: bool
) -> None:
    one, many = DecoderV2(crc, ssi), DecoderV2(crc, ssi)
    single = flat([event for packet in packets.frames() for event in one.frame(packet)])
    arrived = packets.replace(time=np.arange(1, len(packets) + 1)) if timed else packets
    half = len(packets) // 2
    assert flat(many.batch(arrived[:half]) + many.batch(arrived[half:])) == single
    assert many.dropped == one.dropped
    assert many.received == one.received


def test_whole_frames_stay_a_batch_with_their_times() -> None:
    packets = EncoderV2(True, True).batch(random_frames([2000, 1999, 1000]), 9, LIMIT)
    arrived = packets.replace(time=[5, 6, 7], channel=3)
    ((dest, frames),) = DecoderV2(True, True).batch(arrived)
    assert (dest, len(frames)) == (9, 3)
    assert frames.time.tolist() == [5, 6, 7]
    assert frames.channel.tolist() == [0, 0, 0]
    assert frames.payload is packets.payload


@given(data=st.binary(max_size=20_000), cut=st.integers(0, 20_000))
def test_the_checksum_runs_on(data: bytes, cut: int) -> None:
    for sums in (checksum.quickest(), checksum.in_pieces(zlib.crc32)):
        assert sums(memoryview(data)[cut:], sums(data[:cut], 0)) == zlib.crc32(data)


def test_the_checksum_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str, *, extra: str) -> None:
        raise MissingExtra(f"{module} of {extra} is not installed")

    monkeypatch.setattr(checksum, "need", missing)
    sums = checksum.quickest.__wrapped__()
    assert sums(bytes(range(256)) * 40, 0) == zlib.crc32(bytes(range(256)) * 40)
