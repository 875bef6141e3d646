"""Conversion of a large recording to what analysts read: 500 MB of 10 kB frames, uncompressed."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sapwood.fileio as fileio
from sapwood.fileio import Column, Table
from sapwood.streams import FrameBatch, Master

FRAMES, SIZE = 50_000, 10_000
BATCH = 1000
ROWS = 200_000


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


def test_csv_of_numbers(race: Callable[..., None], tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    columns = {
        "row": rng.integers(0, 255, ROWS, np.uint8),
        "time": 1_753_255_536_000_000_000 + 78_000_000 * np.arange(ROWS),
        "start": 100 * np.arange(ROWS),
        "tot_us": rng.integers(0, 131_072, ROWS) / 20,
    }

    def ours() -> None:
        sink = fileio.create(tmp_path / "ours.csv")
        sink.write(Table("hits", {name: Column(values) for name, values in columns.items()}))
        sink.close()

    def python() -> None:
        with (tmp_path / "python.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(zip(*(values.tolist() for values in columns.values()), strict=True))

    ours()
    python()
    assert (tmp_path / "ours.csv").read_bytes() == (tmp_path / "python.csv").read_bytes()
    race(f"write {ROWS:,} rows of 4 numbers as .csv", ours, python, named="Python's csv.writer",
         amount=ROWS / 1e6, unit="M rows/s", floor=1.5)  # fmt: skip
