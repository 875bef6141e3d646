"""PRBS generation, checking and the chain Prbs -> Fifo -> Prbs, beside the peer's figures.

Run with ``pytest -s benchmarks/test_prbs.py``. CPU seconds of the whole process, best of five;
nothing is asserted but that the frames are right. The peer's figures are those for 10 kB frames.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from sapwood.streams import Fifo, Frame, FrameBatch, drain
from sapwood.streams.prbs import Generator, Prbs, PrbsChecker

PEER_GENERATE = 0.4e9  # bytes per CPU second, width 32, 10 kB frames
PEER_CHECK = 0.08e9
PEER_CHAIN_S = 3.5  # 10,000 frames of 10 kB

TOTAL = 100 << 20


def best_cpu(work: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times)


def report(what: str, nbytes: int, seconds: float, peer: float) -> None:
    speed = nbytes / seconds
    print(f"\n{what:42} {speed / 1e9:6.2f} GB/s  {speed / peer:6.1f} x the peer", end="")


@pytest.mark.parametrize("size", [100, 1000, 10_000, 1 << 20])
@pytest.mark.parametrize("width", [32, 128])
def test_generate(width: int, size: int) -> None:
    size -= size % (width // 8)
    count = min(TOTAL // size, 20_000)
    prbs = Prbs()
    prbs.setWidth(width)

    def one_by_one() -> None:
        for _ in range(count):
            prbs.genFrame(size)

    what = f"generate, width {width}, {size} B frames"
    report(f"{what}, one by one", count * size, best_cpu(one_by_one), PEER_GENERATE)
    seconds = best_cpu(lambda: prbs.genFrames(count, size))
    report(f"{what}, batches", count * size, seconds, PEER_GENERATE)


@pytest.mark.parametrize("size", [100, 1000, 10_000, 1 << 20])
def test_check(size: int) -> None:
    count = min(TOTAL // size, 20_000)
    per_batch = max((1 << 20) // size, 1)
    generator = Generator()
    frames = [Frame(generator.frame(size)) for _ in range(count)]
    checker = PrbsChecker()

    def one_by_one() -> None:
        checker.expected = 0
        for frame in frames:
            assert checker.check_frame(frame.buffer) is None

    what = f"check, {size} B frames"
    report(f"{what}, one by one", count * size, best_cpu(one_by_one), PEER_CHECK)
    batches = [FrameBatch.gather(frames[at : at + per_batch]) for at in range(0, count, per_batch)]

    def by_batch() -> None:
        checker.expected = 0
        for batch in batches:
            assert not checker.check(batch).bad

    report(f"{what}, batches", count * size, best_cpu(by_batch), PEER_CHECK)


@pytest.mark.parametrize("way", ["one by one", "batches"])
def test_chain(way: str) -> None:
    def chain() -> None:
        tx, fifo, rx = Prbs(), Fifo(), Prbs()
        tx >> fifo >> rx
        if way == "batches":
            tx.genFrames(10_000, 10_000)
        else:
            for _ in range(10_000):
                tx.genFrame(10_000)
        assert drain(tx, time.monotonic() + 60)
        assert (rx.getRxCount(), rx.getRxErrors()) == (10_000, 0)
        fifo._stop()

    seconds = best_cpu(chain)
    print(
        f"\nPrbs -> Fifo -> Prbs, 10,000 x 10 kB, {way}: {seconds:.3f} CPU s, {PEER_CHAIN_S / seconds:.0f} x"
    )
