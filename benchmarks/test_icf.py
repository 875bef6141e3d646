"""Container files against SSDAQ's stated figures, in wall-clock time, files in memory.

SSDAQ's figures are of a quieter run on a two-core machine; its readers verify no checksum, ours do.
"""

from __future__ import annotations

import bz2
import struct
import time
import zlib
from collections import deque
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sapwood.fileio import RawObjectReaderBase, RawObjectWriterBase
from sapwood.streams import FrameBatch

pytestmark = [pytest.mark.benchmark(timer=time.perf_counter), pytest.mark.timeout(600)]

N = 1_000_000
SIZE = 100
PEER = "SSDAQ, stated"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    memory = Path("/dev/shm")  # noqa: S108  # a file system in memory, wanted here
    if not memory.is_dir():
        return tmp_path_factory.mktemp("icf")
    folder = tmp_path_factory.mktemp("icf")
    target = memory / f"sapwood-icf-{folder.parent.name}-{time.monotonic_ns()}"
    target.mkdir()
    return target


@pytest.fixture(scope="module", autouse=True)
def swept(place):
    yield
    for file in place.iterdir():
        file.unlink()
    place.rmdir()


@pytest.fixture(scope="module")
def payload() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, N * SIZE, np.uint8)


@pytest.fixture(scope="module")
def equal(payload) -> FrameBatch:
    return FrameBatch(payload, np.arange(N) * SIZE, SIZE)


@pytest.fixture(scope="module")
def mixed(payload) -> FrameBatch:
    size = np.random.default_rng(1).integers(50, 150, N)
    size = size[np.cumsum(size) <= len(payload)]
    return FrameBatch(payload[: size.sum()], np.cumsum(size) - size, size)


def write_batch(path: Path, batch: FrameBatch, protocol: int = 1, compressor: str | None = None) -> Path:
    with RawObjectWriterBase(path, protocol, compressor) as writer:
        writer.write_frames(batch)
    return path


@pytest.fixture(scope="module")
def small(place, equal) -> Path:
    return write_batch(place / "equal.sof", equal)


@pytest.fixture(scope="module")
def small_mixed(place, mixed) -> Path:
    return write_batch(place / "mixed.sof", mixed)


def half_random(count: int, size: int) -> np.ndarray:
    rows = np.random.default_rng(2).integers(0, 256, (count, size), np.uint8)
    rows[:, size // 2 :] = 0
    return rows


def write_singly(path: Path, objects: list[bytes], protocol: int, compressor: str | None) -> None:
    with RawObjectWriterBase(path, protocol, compressor) as writer:
        write = writer.write
        for item in objects:
            write(item)


def read_singly(path: Path, count: int) -> None:
    with RawObjectReaderBase(path) as reader:
        read = reader.read
        for _ in range(count):
            read()


def iterate(path: Path) -> None:
    with RawObjectReaderBase(path) as reader:
        deque(reader, maxlen=0)


def read_batches(path: Path) -> None:
    with RawObjectReaderBase(path) as reader:
        deque(reader.batches(), maxlen=0)


@pytest.mark.parametrize(("protocol", "peer", "floor"), [(1, 0.831, 1.2 / 0.831), (0, 2.40, None)])
def test_write_singly(race, place, payload, protocol, peer, floor) -> None:
    objects = payload.view(np.dtype((np.void, SIZE))).tolist()
    race(f"P{protocol}: write 1 M x 100 B one by one",
         lambda: write_singly(place / "w.sof", objects, protocol, None), 1 / peer,
         named=PEER, amount=1, unit="M objects/s", floor=floor, rounds=5)  # fmt: skip


def test_write_batches(race, place, equal) -> None:
    race("P1: write 1 M x 100 B as batches", lambda: write_batch(place / "w.sof", equal), 1 / 0.831,
         named=PEER, amount=1, unit="M objects/s", floor=4 / 0.831, rounds=5)  # fmt: skip


def test_read_singly(race, small) -> None:
    race("P1: read() 1 M x 100 B", lambda: read_singly(small, N), 1 / 3.44,
         named=PEER, amount=1, unit="M objects/s", floor=5 / 3.44, rounds=5)  # fmt: skip


def test_iterate(race, small) -> None:
    race("P1: iterate 1 M x 100 B", lambda: iterate(small), 1 / 3.44,
         named=PEER, amount=1, unit="M objects/s", floor=5 / 3.44, rounds=5)  # fmt: skip


def test_iterate_mixed(race, small_mixed, mixed) -> None:
    amount = len(mixed) / 1e6
    race("P1: iterate 50 to 149 B", lambda: iterate(small_mixed), amount / 3.44,
         named=f"{PEER} for 100 B", amount=amount, unit="M objects/s", floor=3 / 3.44, rounds=5)  # fmt: skip


def test_read_batches(race, small) -> None:
    race("P1: read 1 M x 100 B as batches", lambda: read_batches(small), 1 / 3.44,
         named=PEER, amount=1, unit="M objects/s", floor=8 / 3.44, rounds=5)  # fmt: skip


def test_iterate_protocol_0(race, place, equal) -> None:
    path = write_batch(place / "p0.sof", equal, 0)
    race("P0: iterate 1 M x 100 B", lambda: iterate(path), 1 / 4.33,
         named=PEER, amount=1, unit="M objects/s", rounds=5)  # fmt: skip


@pytest.mark.parametrize(("protocol", "peer"), [(1, 0.31), (0, 0.57)])
def test_open(race, place, equal, protocol, peer) -> None:
    path = write_batch(place / f"open{protocol}.sof", equal, protocol)
    race(f"P{protocol}: open 1 M x 100 B", lambda: RawObjectReaderBase(path).close(), peer,
         named=PEER, amount=1, unit="files/s", floor=0.31 / 0.02 if protocol else None)  # fmt: skip


def pick(path: Path, numbers: list[int]) -> None:
    with RawObjectReaderBase(path) as reader:
        assert len(reader[numbers]) == len(numbers)


def pick_singly(
    path: Path, places: list[tuple[int, int]], per_bunch: int, size: int, numbers: list[int]
) -> None:
    """What `read_at` of SSDAQ does at least: a bunch is read and expanded when it is first met, and kept.

    `places` are offset and bytes of the data of each bunch, which SSDAQ finds when it opens the file.
    """
    kept: dict[int, bytes] = {}
    with path.open("rb") as file:
        for number in numbers:
            bunch, row = divmod(number, per_bunch)
            if bunch not in kept:
                file.seek(places[bunch][0])
                kept[bunch] = bz2.decompress(file.read(places[bunch][1]))
            kept[bunch][row * size : (row + 1) * size]


@pytest.mark.parametrize(("count", "size"), [(500_000, 100), (5_000, 10_000)], ids=["100B", "10kB"])
def test_random_bz2(race, place, count, size) -> None:
    """SSDAQ's stated figures on a quiet machine: 208 us an object of 100 B, 1,021 us one of 10 kB."""
    rows = half_random(count, size)
    path = write_batch(place / f"random{size}.sof", FrameBatch.from_rows(rows), 1, "bz2")
    del rows
    numbers = np.random.default_rng(3).integers(0, count, 10_000).tolist()
    with RawObjectReaderBase(path) as reader:
        places = [(run.begin, run.data_bytes) for run in reader._source.index.runs]
    race(f"bz2: r[list], 10,000 of {count} x {size} B", partial(pick, path, numbers),
         partial(pick_singly, path, places, 1_000_000 // size + 1, size, numbers),
         named="read_at's work in one thread", amount=10_000, unit="objects/s", floor=1.5,
         rounds=3)  # fmt: skip


def write_as_the_peer(path: Path, objects: list[bytes]) -> None:
    """What SSDAQ does at least to write objects, in one thread."""
    with path.open("wb") as file:
        file.write(bytes(24))
        pending: list[bytes] = []
        nbytes = 0
        for item in objects:
            pending.append(item)
            nbytes += len(item)
            if nbytes > 1_000_000:
                file.write(bz2.compress(b"".join(pending)))
                file.write(struct.pack(f"<{len(pending)}I", *map(zlib.crc32, pending)))
                file.write(struct.pack(f"<{len(pending)}I", *map(len, pending)))
                file.write(bytes(34))
                pending, nbytes = [], 0


def test_write_bz2(race, place) -> None:
    """All cores against one thread that makes the same file, but for its trailers."""
    objects = [row.tobytes() for row in half_random(40 * 101, 10_000)]
    race(f"bz2: write {len(objects)} x 10 kB", lambda: write_singly(place / "w.sof", objects, 1, "bz2"),
         lambda: write_as_the_peer(place / "p.sof", objects), named="the same in one thread",
         amount=len(objects), unit="objects/s", floor=1.7, rounds=3)  # fmt: skip
