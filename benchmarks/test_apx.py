"""AstroPix files: 1 M hits in 100,000 readouts of 102 bytes, 12 MB, in CPU time.

The peer decodes 0.06 M hits/s; its conversion of 100,000 hits takes 122 s (csv) and 108 s (hdf5),
and grows with the square of their number, so that 1 M hits would take about an hour.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from sapwood.fileio import FileHeader, apx_open, apx_process
from sapwood.fileio.apx import ApxReader, ApxWriter, AstroPix4Readout
from sapwood.streams import FrameBatch

pytestmark = [pytest.mark.benchmark(timer=time.process_time), pytest.mark.timeout(600)]

READOUTS, HITS = 100_000, 10
PEER_DECODE_S = 16.7
STARTS = np.array([0xE0, 0xF0, 0xE8, 0xF8], np.uint8)


def readouts(count: int) -> FrameBatch:
    rng = np.random.default_rng(1)
    data = np.full((count, 3 + 8 * HITS), 0xBC, np.uint8)
    hits = rng.integers(0, 256, (count, HITS, 8), np.uint8)
    hits[:, :, 0] = STARTS[rng.integers(0, 4, (count, HITS))]
    data[:, 2:-1] = hits.reshape(count, -1)
    return FrameBatch.from_rows(data, time=1_753_255_536_000_000_000 + 78_000_000 * np.arange(count))


@pytest.fixture(scope="module")
def million(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("apx") / "million.apx"
    with ApxWriter(path, FileHeader(AstroPix4Readout, {"creator": "benchmark"})) as writer:
        writer.write_batch(readouts(READOUTS))
    return path


def decode(path: Path) -> int:
    with ApxReader(path) as reader:
        return sum(len(arrays["row"]) for arrays in reader.hit_arrays())


def decode_objects(path: Path, count: int) -> int:
    hits = 0
    with apx_open(path) as file:
        for readout, _ in zip(file, range(count), strict=False):
            hits += len(readout.decode())
    return hits


def iterate(path: Path) -> int:
    with apx_open(path) as file:
        return sum(1 for _ in file)


def test_decoding(race, million) -> None:
    assert decode(million) == READOUTS * HITS
    race("APX: decode 1 M hits into columns", lambda: decode(million), PEER_DECODE_S,
         named="the peer, stated", amount=1, unit="M hits/s", floor=83)  # fmt: skip


def test_decoding_objects(race, million) -> None:
    race("APX: decode 20,000 hits as objects", lambda: decode_objects(million, 2000), PEER_DECODE_S / 50,
         named="the peer, stated", amount=0.02, unit="M hits/s")  # fmt: skip


def test_iterating(race, million) -> None:
    race("APX: iterate over 100,000 readouts", lambda: iterate(million), 0.24,
         named="the peer, stated", amount=0.1, unit="M readouts/s")  # fmt: skip


def test_writing(race, tmp_path) -> None:
    batch = readouts(READOUTS)

    def write() -> None:
        with ApxWriter(tmp_path / "x.apx", FileHeader(AstroPix4Readout)) as writer:
            writer.write_batch(batch)

    race("APX: write 100,000 readouts as a batch", write, 0.39, named="the peer one by one, stated",
         amount=0.1, unit="M readouts/s")  # fmt: skip


@pytest.mark.parametrize(("format_", "goal_s"), [("csv", 2.5), ("hdf5", 0.5), ("fits", 0.5), ("ecsv", 2.5)])
def test_conversion(race, million, tmp_path, format_, goal_s) -> None:
    out = tmp_path / f"x.{format_}"
    floor = 1.0 if format_ in ("csv", "hdf5") else None
    race(f"APX: convert 1 M hits to {format_}", lambda: apx_process(million, format_, None, out), goal_s,
         named=f"{goal_s:g} s, the aim", amount=1, unit="M hits/s", floor=floor)  # fmt: skip
