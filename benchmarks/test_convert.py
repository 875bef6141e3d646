"""Conversion of a large recording to what analysts read: 500 MB of 10 kB frames, uncompressed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sapwood.fileio as fileio
from sapwood.streams import FrameBatch, Master

FRAMES, SIZE = 50_000, 10_000
BATCH = 1000


@pytest.fixture
def recording(folder: Path) -> Path:
    """Record 500 MB; half random, as digitised noise is."""
    source, writer = Master(), fileio.StreamWriter()
    source >> writer.getChannel(1)
    payload = np.random.default_rng(1).integers(0, 16, BATCH * SIZE, np.uint8)
    start = np.arange(BATCH) * SIZE
    writer.open(folder / "run.dat")
    for _ in range(FRAMES // BATCH):
        source._sendBatch(FrameBatch(payload, start, np.full(BATCH, SIZE)))
    writer.close()
    return folder / "run.dat"


@pytest.mark.parametrize("ending", ["parquet", "arrow", "h5", "npz"])
@pytest.mark.parametrize("folder", ["memory"], indirect=True)
def test_convert(race: Callable[..., None], recording: Path, ending: str) -> None:
    target = recording.with_suffix(f".{ending}")

    def work() -> None:
        fileio.convert(recording, target, overwrite=True)

    amount = FRAMES * SIZE / 1e6
    race(
        f"convert 500 MB of 10 kB frames to .{ending}",
        work,
        amount / 400,
        named="400 MB/s",
        amount=amount,
        unit="MB/s",
        floor=1,
        rounds=3,
    )
