"""Packetizer and batcher, in CPU time of the process, against stated speeds and bare loops.

The floors are 500 MB/s for 8 kB packets and for super-frames of 1 kB sub-frames, 200 MB/s for
sub-frames of 100 B; the ratio is the speed over that figure.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from sapwood.streams import FrameBatch, Master, Slave
from sapwood.streams.protocols.batcher import SplitterV1, SplitterV2
from sapwood.streams.protocols.batcher_codec import combine
from sapwood.streams.protocols.packetizer import CoreV2
from sapwood.streams.protocols.packetizer_v2 import DecoderV2, EncoderV2

pytestmark = pytest.mark.benchmark(timer=time.process_time)

TOTAL = 64 << 20
PACKET = 8192
STATED = "the stated speed"


def random_frames(size: int, count: int, jitter: int = 0) -> FrameBatch:
    rng = np.random.default_rng(1)
    sizes = size + (rng.integers(-jitter, jitter + 1, count) if jitter else np.zeros(count, np.int64))
    payload = rng.integers(0, 256, int(sizes.sum()), np.uint8)
    return FrameBatch(payload, np.cumsum(sizes) - sizes, sizes, channel=rng.integers(0, 4, count))


def superframes(version: int, size: int, jitter: int) -> FrameBatch:
    """About 1 MiB of super-frames of about 8 kB."""
    per = PACKET // (size + 8)
    made = [combine(random_frames(size, per, jitter), version, 2, n) for n in range((1 << 20) // PACKET)]
    return FrameBatch.gather(made)


@pytest.mark.parametrize("crc", [True, False], ids=["crc", "no crc"])
@pytest.mark.parametrize("size", [100, 8000, 100_000])
def test_packetizer_v2_receives(race, size, crc) -> None:
    packets = EncoderV2(crc, True).batch(random_frames(size, (1 << 20) // size), 0, PACKET)
    rounds = TOTAL >> 20
    amount = rounds * packets.nbytes

    def work() -> None:
        decoder = DecoderV2(crc, True)
        for _ in range(rounds):
            decoder.batch(packets)
        assert decoder.received[0].frames == rounds * ((1 << 20) // size)
        assert not decoder.dropped

    race(f"packetizer V2 receives {size} B frames, {'crc' if crc else 'no crc'}", work, amount / 500e6,
         named=STATED, amount=amount / 1e6, unit="MB/s", floor=1 if size >= 8000 else None)  # fmt: skip


@pytest.mark.parametrize("size", [100, 8000, 100_000])
def test_packetizer_v2_sends(race, size) -> None:
    frames = random_frames(size, (1 << 20) // size)
    encoder, rounds = EncoderV2(True, True), TOTAL >> 20
    amount = rounds * frames.nbytes

    def work() -> None:
        for _ in range(rounds):
            encoder.batch(frames, 0, PACKET)

    race(f"packetizer V2 sends {size} B frames, crc", work, amount / 500e6,
         named=STATED, amount=amount / 1e6, unit="MB/s", floor=1 if size >= 8000 else None)  # fmt: skip


def test_packetizer_v2_one_by_one(race) -> None:
    packets = list(EncoderV2(True, True).batch(random_frames(8000, 1000), 0, PACKET).frames())
    amount = 8 * sum(packet.size for packet in packets)

    def work() -> None:
        decoder = DecoderV2(True, True)
        for _ in range(8):
            for packet in packets:
                decoder.frame(packet)
        assert decoder.received[0].frames == 8000

    race("packetizer V2 receives 8000 B frames one by one", work, amount / 500e6,
         named=STATED, amount=amount / 1e6, unit="MB/s", floor=1)  # fmt: skip


@pytest.mark.parametrize("way", ["batches", "one by one"])
@pytest.mark.parametrize("jitter", [0, 30], ids=["equal", "mixed"])
@pytest.mark.parametrize("size", [100, 1000])
@pytest.mark.parametrize("version", [1, 2])
def test_splitter(race, version, size, jitter, way) -> None:
    batch = superframes(version, size, jitter)
    frames, rounds = list(batch.frames()), 16
    amount = rounds * batch.nbytes
    splitter, sink = (SplitterV1, SplitterV2)[version - 1](), Slave()
    splitter >> sink

    def work() -> None:
        before = sink.getByteCount()
        for _ in range(rounds):
            if way == "batches":
                splitter._acceptBatch(batch)
            else:
                for frame in frames:
                    splitter._acceptFrame(frame)
        assert sink.getByteCount() - before > 0.8 * amount
        assert not splitter.counters.dropped_total

    stated = 500e6 if size == 1000 else 200e6
    race(f"batcher V{version} splits {size} B {'mixed' if jitter else 'equal'}, {way}", work, amount / stated,
         named=STATED, amount=amount / 1e6, unit="MB/s", floor=1 if way == "batches" else None)  # fmt: skip


def test_both_with_their_threads(race) -> None:
    """8 kB packets of super-frames of 1 kB: transport to the sub-frames behind the splitter."""
    supers = superframes(1, 1000, 0)
    packets = EncoderV2(True, True).batch(supers, 3, 9000)
    rounds = 16
    amount = rounds * packets.nbytes
    wire, core, splitter, sink = Master(), CoreV2(True, True, True), SplitterV1(), Slave()
    wire >> core.transport()
    core.application(3) >> splitter >> sink

    def work() -> None:
        before = sink.getByteCount()
        for _ in range(rounds):
            wire._sendBatch(packets)
        assert core.application(3).queue._drain(time.monotonic() + 60)
        assert sink.getByteCount() - before > 0.9 * amount

    race("packetizer V2 and batcher V1, 8 kB packets of 1 kB", work, amount / 250e6,
         named=STATED, amount=amount / 1e6, unit="MB/s", floor=1)  # fmt: skip
    core._stop()
