"""PRBS generation, checking and the chain Prbs -> Fifo -> Prbs, in CPU time of the process.

The peer's figures (spec of the format, 10 kB frames, width 32): generation 0.4 GB/s, checking
0.08 GB/s, the chain 3.5 CPU s for 10,000 frames.
"""

from __future__ import annotations

import time

import pytest

from sapwood.streams import Fifo, Frame, FrameBatch, drain
from sapwood.streams.prbs import Generator, Prbs, PrbsChecker

pytestmark = pytest.mark.benchmark(timer=time.process_time)

TOTAL = 100 << 20
PEER = "the peer's stated speed"


@pytest.mark.parametrize(("size", "floor"), [(100, None), (10_000, 8), (1 << 20, 12.5)])
def test_generate_one_by_one(race, size, floor) -> None:
    prbs, count = Prbs(), min(TOTAL // size, 20_000)

    def work() -> None:
        for _ in range(count):
            prbs.genFrame(size)

    race(f"PRBS generated, {size} B frames one by one", work, count * size / 0.4e9,
         named=PEER, amount=count * size / 1e9, unit="GB/s", floor=floor)  # fmt: skip


@pytest.mark.parametrize(("size", "floor"), [(100, None), (10_000, 20), (1 << 20, 12.5)])
def test_generate_batches(race, size, floor) -> None:
    prbs, count = Prbs(), TOTAL // size
    race(f"PRBS generated, {size} B frames in batches", lambda: prbs.genFrames(count, size),
         count * size / 0.4e9, named=PEER, amount=count * size / 1e9, unit="GB/s", floor=floor)  # fmt: skip


@pytest.mark.parametrize("way", ["one by one", "in batches"])
@pytest.mark.parametrize("size", [10_000, 1 << 20])
def test_check(race, size, way) -> None:
    count, per_batch = TOTAL // size, max((1 << 20) // size, 1)
    generator, checker = Generator(), PrbsChecker()
    frames = [Frame(generator.frame(size)) for _ in range(count)]
    batches = [FrameBatch.gather(frames[at : at + per_batch]) for at in range(0, count, per_batch)]

    def by_frame() -> None:
        checker.expected = 0
        for frame in frames:
            assert checker.check_frame(frame.buffer) is None

    def by_batch() -> None:
        checker.expected = 0
        for batch in batches:
            assert not checker.check(batch).bad

    race(f"PRBS checked, {size} B frames {way}", by_frame if way == "one by one" else by_batch,
         count * size / 0.08e9, named=PEER, amount=count * size / 1e9, unit="GB/s",
         floor=50 if size == 10_000 else None)  # fmt: skip


@pytest.mark.parametrize("way", ["one by one", "in batches"])
def test_chain(race, way) -> None:
    def chain() -> None:
        tx, fifo, rx = Prbs(), Fifo(), Prbs()
        tx >> fifo >> rx
        if way == "in batches":
            tx.genFrames(10_000, 10_000)
        else:
            for _ in range(10_000):
                tx.genFrame(10_000)
        assert drain(tx, time.monotonic() + 60)
        assert (rx.getRxCount(), rx.getRxErrors()) == (10_000, 0)
        fifo._stop()

    race(f"Prbs -> Fifo -> Prbs, 10,000 x 10 kB {way}", chain, 3.5,
         named=PEER, amount=10_000, unit="frames/s", floor=20)  # fmt: skip
