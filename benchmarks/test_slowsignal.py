"""Slow-signal rows with the default filters, beside PyTables doing the same work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from sapwood.fileio.icf.readout import SSReadout
from sapwood.fileio.slowsignal import SSDataReader, SSDataWriter
from sapwood.fileio.slowsignal.layout import READOUT

pytestmark = pytest.mark.benchmark(timer=perf_counter)

ROWS = 900
MANY = 4000  # rows of the file that the peer was measured with

tables = pytest.importorskip("tables", reason="PyTables is of the interop extra")


@pytest.fixture(scope="module")
def readouts() -> list[SSReadout]:
    """Noise on an offset, as the monitor sees it."""
    rng = np.random.default_rng(2)
    return [SSReadout(n, n, np.round(rng.normal(500, 20, (32, 64)) / 0.0763) * 0.0763) for n in range(ROWS)]


@pytest.fixture(scope="module")
def file(readouts: list[SSReadout], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slow") / "a.h5"
    write(path, readouts)
    return path


def write(path: Path, readouts: list[SSReadout]) -> None:
    with SSDataWriter(path) as writer:
        for one in readouts:
            writer.write(one)


def write_with_pytables(path: Path, readouts: list[SSReadout]) -> None:
    filters = tables.Filters(complevel=9, complib="bzip2", shuffle=True, fletcher32=True)
    with tables.open_file(str(path), "w", filters=filters) as file:
        table = file.create_table("/", "readout", READOUT.dtype, chunkshape=(15,))
        row = table.row
        for one in readouts:
            row["cpu_t"], row["cpu_t_s"], row["cpu_t_ns"] = one.cpu_t, one.cpu_t_s, one.cpu_t_ns
            row["iro"], row["time"], row["data"] = one.iro, one.time, one.data
            row.append()
        table.flush()


def test_write_rows(race: Callable[..., None], readouts: list[SSReadout], tmp_path: Path) -> None:
    race(
        "write slow-signal rows, bzip2 on all cores",
        lambda: write(tmp_path / "ours.h5", readouts),
        lambda: write_with_pytables(tmp_path / "theirs.h5", readouts),
        named="PyTables",
        amount=ROWS,
        unit="rows/s",
        floor=1.7,
        rounds=5,
    )


def test_read_rows(race: Callable[..., None], file: Path) -> None:
    def ours() -> None:
        with SSDataReader(file) as reader:
            assert sum(1 for _ in reader.read()) == ROWS

    def theirs() -> None:
        with tables.open_file(str(file)) as opened:
            table = opened.root.SlowSignal.readout
            assert sum(1 for row in table.iterrows() if row["data"] is not None) == ROWS

    race(
        "read slow-signal rows",
        ours,
        theirs,
        named="PyTables",
        amount=ROWS,
        unit="rows/s",
        floor=1.7,
        rounds=5,
    )


def test_random_rows(race: Callable[..., None], readouts: list[SSReadout], tmp_path: Path) -> None:
    path = tmp_path / "many.h5"
    write(path, (readouts * (MANY // ROWS + 1))[:MANY])
    wanted = np.random.default_rng(1).integers(0, MANY, 200).tolist()

    def ours() -> Any:
        with SSDataReader(path) as reader:
            return [reader[row] for row in wanted]

    race(
        f"one random slow-signal row of {MANY}",
        ours,
        len(wanted) / 4.9,
        named="the peer's stated 4.9 rows/s",
        amount=len(wanted),
        unit="rows/s",
        floor=50,
        rounds=5,
    )
