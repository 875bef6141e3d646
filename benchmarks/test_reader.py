"""Reading Rogue files, in CPU time, over files in the page cache.

"Columns" means that every header is decoded and payloads are mapped; "payload summed" adds a sum
over every payload byte, on both sides. The peer's figures: its FileReader takes 6.0 CPU s for
1 M records of 100 B and 0.45 s for 50,000 of 10 kB.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sapwood import fileio
from sapwood.fileio import FileReader, StreamReader
from sapwood.streams import Slave

pytestmark = [pytest.mark.benchmark(timer=time.process_time), pytest.mark.timeout(600)]

PEER_SMALL_S, PEER_LARGE_S = 6.0, 0.45
PEER = "the peer's FileReader, stated"


def header(size: int) -> bytes:
    return struct.pack("<IHBB", size + 4, 1, 0, 5)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    return write_equal(tmp_path_factory.mktemp("small") / "equal.dat", 1_000_000, 100)


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    return write_equal(tmp_path_factory.mktemp("large") / "large.dat", 50_000, 10_000)


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


def columns(path: Path) -> int:
    return sum(len(batch) for batch in fileio.open(path).batches())


def summed(path: Path) -> int:
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


def test_small_records(race, small) -> None:
    race("read 1 M x 100 B into columns", lambda: columns(small), PEER_SMALL_S,
         named=PEER, amount=1, unit="M records/s", floor=30)  # fmt: skip


def test_mixed_records(race, tmp_path) -> None:
    path = write_mixed(tmp_path / "mixed.dat", 1_000_000, 50, 150)
    race("read 1 M x 50 to 149 B into columns", lambda: columns(path), PEER_SMALL_S,
         named=PEER, amount=1, unit="M records/s", floor=30)  # fmt: skip


def test_large_records(race, large) -> None:
    race("read 50,000 x 10 kB into columns", lambda: columns(large), lambda: plain_read(large),
         named="reading in 1 MiB pieces", amount=0.5, unit="GB/s", floor=0.5)  # fmt: skip


def test_large_records_summed(race, large) -> None:
    race("the same, payload summed", lambda: summed(large), lambda: plain_read_and_sum(large),
         named="reading and summing 1 MiB pieces", amount=0.5, unit="GB/s", floor=0.5)  # fmt: skip


def test_records_one_by_one(race, small) -> None:
    race("FileReader.records(), 1 M x 100 B", lambda: singly(small), PEER_SMALL_S,
         named=PEER, amount=1, unit="M records/s")  # fmt: skip


def test_large_records_one_by_one(race, large) -> None:
    race("FileReader.records(), 50,000 x 10 kB", lambda: singly(large), PEER_LARGE_S,
         named=PEER, amount=0.5, unit="GB/s")  # fmt: skip


def test_stream_reader(race, large) -> None:
    race("StreamReader -> slave, 50,000 x 10 kB", lambda: played(large), 0.17,
         named="the peer's StreamReader, stated", amount=0.5, unit="GB/s")  # fmt: skip


def test_conversion(race, large, tmp_path) -> None:
    out = tmp_path / "large.npz"
    race("convert 50,000 x 10 kB to npz", lambda: fileio.convert(large, out, overwrite=True),
         lambda: plain_read(large), named="reading in 1 MiB pieces", amount=0.5, unit="GB/s")  # fmt: skip


@pytest.mark.benchmark(timer=time.perf_counter)
def test_import_cost(race) -> None:
    def python(code: str) -> Callable[[], object]:
        return lambda: subprocess.check_output([sys.executable, "-c", code])

    race("import sapwood.fileio and numpy", python("import sapwood.fileio, numpy"), python("import numpy"),
         named="import numpy (in a new process)", amount=1, unit="imports/s")  # fmt: skip
