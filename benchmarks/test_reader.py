"""Reading Rogue files, against plain reading of the same file and the peer's figures.

Run with ``pytest -s benchmarks/test_reader.py``. Times are CPU seconds, medians of rounds in which
ours and the baseline take turns, over a file in the page cache. "Columns" means that every header
is decoded and payloads are mapped; "payload touched" adds a sum over every payload byte.
"""

from __future__ import annotations

import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sapwood.fileio as fileio
from sapwood.fileio import FileReader, StreamReader
from sapwood.streams import Slave

ROUNDS = 5
PEER_COLUMNS_S = 6.0  # the peer's FileReader, 1 M records of 100 B
PEER_LARGE_S = 0.45  # the same, 50,000 records of 10 kB


def header(size: int) -> bytes:
    return struct.pack("<IHBB", size + 4, 1, 0, 5)


def write_equal(path: Path, count: int, size: int) -> Path:
    block = np.zeros((10_000, 8 + size), np.uint8)
    block[:, :8] = np.frombuffer(header(size), np.uint8)
    with path.open("wb") as file:
        for _ in range(count // len(block)):
            file.write(block.data)
    return path


def write_mixed(path: Path, count: int, low: int, high: int) -> Path:
    sizes = np.random.default_rng(1).integers(low, high, count).tolist()
    with path.open("wb") as file:
        file.writelines(header(size) + bytes(size) for size in sizes)
    return path


def cpu_medians(**works: Callable[[], object]) -> dict[str, float]:
    """Run the works by turns; return the median CPU seconds of each."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            begun = time.process_time()
            work()
            seconds[name].append(time.process_time() - begun)
    return {name: statistics.median(values) for name, values in seconds.items()}


def columns(path: Path) -> int:
    return sum(len(batch) for batch in fileio.open(path).batches())


def touched(path: Path) -> int:
    return sum(int(batch.payload.sum(dtype=np.uint64)) for batch in fileio.open(path).batches(nbytes=1 << 20))


def plain_read(path: Path) -> None:
    buffer = bytearray(1 << 20)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def plain_read_and_sum(path: Path) -> int:
    buffer = bytearray(1 << 20)
    view, total = np.frombuffer(buffer, np.uint8), 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            total += int(view[:count].sum(dtype=np.uint64))
    return total


def singly(path: Path) -> int:
    return sum(1 for _ in FileReader(path).records())


def played(path: Path) -> None:
    reader, slave = StreamReader(), Slave()
    reader >> slave
    reader.open(path)
    reader.closeWait()


def show(title: str, seconds: dict[str, float], **ratios: float) -> None:
    times = ", ".join(f"{name} {value * 1e3:.1f} ms" for name, value in seconds.items())
    print(
        f"\n{title}: {times}"
        + "".join(f"; {name.replace('_', ' ')} {value:.2f}" for name, value in ratios.items())
    )


@pytest.mark.timeout(600)
def test_small_records(tmp_path: Path) -> None:
    path = write_equal(tmp_path / "equal.dat", 1_000_000, 100)
    assert columns(path) == 1_000_000
    seconds = cpu_medians(
        columns=lambda: columns(path),
        touched=lambda: touched(path),
        records=lambda: singly(path),
        stream=lambda: played(path),
        plain=lambda: plain_read(path),
    )
    show(
        "1 M x 100 B",
        seconds,
        columns_over_peer_floor_30=PEER_COLUMNS_S / seconds["columns"],
        records_over_peer=PEER_COLUMNS_S / seconds["records"],
    )


@pytest.mark.timeout(600)
def test_records_of_mixed_sizes(tmp_path: Path) -> None:
    path = write_mixed(tmp_path / "mixed.dat", 1_000_000, 50, 150)
    assert columns(path) == 1_000_000
    seconds = cpu_medians(columns=lambda: columns(path), plain=lambda: plain_read(path))
    show("1 M x 50..149 B", seconds, columns_over_peer_floor_30=PEER_COLUMNS_S / seconds["columns"])


@pytest.mark.timeout(600)
def test_large_records(tmp_path: Path) -> None:
    path = write_equal(tmp_path / "large.dat", 50_000, 10_000)
    assert columns(path) == 50_000
    seconds = cpu_medians(
        columns=lambda: columns(path),
        plain=lambda: plain_read(path),
        touched=lambda: touched(path),
        plain_touched=lambda: plain_read_and_sum(path),
        records=lambda: singly(path),
        stream=lambda: played(path),
    )
    show(
        "50,000 x 10 kB",
        seconds,
        rate_over_plain_read_floor_0_5=seconds["plain"] / seconds["columns"],
        the_same_payload_touched=seconds["plain_touched"] / seconds["touched"],
        records_over_peer=PEER_LARGE_S / seconds["records"],
    )


@pytest.mark.timeout(600)
def test_conversion(tmp_path: Path) -> None:
    path = write_equal(tmp_path / "large.dat", 50_000, 10_000)
    out = tmp_path / "large.npz"
    fileio.convert(path, out)
    seconds = cpu_medians(
        npz=lambda: fileio.convert(path, out, overwrite=True), plain=lambda: plain_read(path)
    )
    show("50,000 x 10 kB to npz", seconds, megabytes_per_cpu_second=500 / seconds["npz"])


def test_import_cost() -> None:
    def cost(module: str) -> float:
        code = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
        runs = [subprocess.check_output([sys.executable, "-c", code], text=True) for _ in range(7)]
        return statistics.median(map(float, runs))

    names = "sapwood.fileio"
    first_use = "sapwood.fileio; sapwood.fileio.open, sapwood.fileio.FileReader, sapwood.fileio.StreamWriter"
    seconds = {"numpy": cost("numpy"), "fileio": cost(names), "fileio and its names used": cost(first_use)}
    show(
        "import",
        seconds,
        ms_over_numpy_floor_20=(seconds["fileio and its names used"] - seconds["numpy"]) * 1e3,
    )
