"""Recording, against plain ``os.write`` of the same bytes and the peer's figures.

Run with ``pytest -s benchmarks/test_writer.py``. Ours and the baseline take turns, each onto a
file of its own that was written once before: a `FileLayer` opens it without truncation, so that
both copy to pages that are there already. The baseline writes the encoded bytes from memory in
1 MiB pieces. Ours encodes, writes and, on a real disk, syncs every 64 MiB and at the end, in its
own thread whose CPU time is counted too; on "disk" there are therefore two baselines, one that
never syncs and one that syncs as often. Medians; "memory" is /dev/shm, "disk" the folder for
temporary files.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sapwood.fileio import FileLayer, StreamWriter
from sapwood.streams import Frame, FrameBatch, Master

ROUNDS = 9
PIECE = 1 << 20
MEMORY = Path("/dev/shm")  # noqa: S108  # a file system in memory, wanted here


class WarmFiles(FileLayer):
    """Opens files without truncating them: their pages stay in memory."""

    def open(self, path: str, *, exclusive: bool) -> int:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


@pytest.fixture(params=["memory", "disk"])
def folder(request, tmp_path):
    if request.param == "disk":
        yield tmp_path
        return
    if not MEMORY.is_dir():
        pytest.skip("no file system in memory")
    place = MEMORY / f"sapwood-{os.getpid()}"
    place.mkdir()
    yield place
    for file in place.iterdir():
        file.unlink()
    place.rmdir()


def medians(*works: Callable[[], object]) -> list[tuple[float, float]]:
    """Run the works by turns, once unmeasured; return the median CPU and wall seconds of each."""
    taken: list[list[tuple[float, float]]] = [[] for _ in works]
    for number in range(ROUNDS + 1):
        for work, times in zip(works, taken, strict=True):
            cpu, wall = time.process_time(), time.perf_counter()
            work()
            if number:
                times.append((time.process_time() - cpu, time.perf_counter() - wall))
    return [
        (statistics.median(t[0] for t in times), statistics.median(t[1] for t in times)) for times in taken
    ]


def writer_of(folder: Path, buffer: int = PIECE) -> tuple[StreamWriter, Master, str]:
    writer, master = StreamWriter(bufferSize=buffer, overwrite=True, files=WarmFiles()), Master()
    master >> writer.getChannel(1)
    return writer, master, str(folder / "ours")


def rewriting(folder: Path, data: memoryview, *, synced: bool) -> Callable[[], None]:
    """Return the baseline: `data` to a file in pieces of 1 MiB."""
    fd = os.open(folder / "base", os.O_RDWR | os.O_CREAT)

    def rewrite() -> None:
        os.lseek(fd, 0, os.SEEK_SET)
        for first in range(0, len(data), PIECE):
            os.write(fd, data[first : first + PIECE])
            if synced and first % (64 * PIECE) == 63 * PIECE:
                os.fdatasync(fd)
        if synced:
            os.fdatasync(fd)

    return rewrite


def compare(folder: Path, batches: list[FrameBatch], what: str, buffer: int) -> None:
    writer, master, path = writer_of(folder, buffer)

    def session() -> None:
        writer.open(path)
        for batch in batches:
            master._sendBatch(batch)
        writer.close()

    session()
    data = memoryview(np.fromfile(path, np.uint8))
    bases = [rewriting(folder, data, synced=synced) for synced in (False, True)]
    (base, base_wall), (synced, synced_wall), (ours, ours_wall) = medians(*bases, session)
    frames = sum(map(len, batches))
    print(
        f"\n{folder.parts[1]}: {what}, buffer {buffer}: {frames / ours / 1e6:.1f} M frames/s of CPU time,"
        f" {len(data) / ours / 1e9:.2f} GB/s, open and close included; os.write"
        f" {len(data) / base / 1e9:.2f} GB/s; ratio {base / ours:.2f} in CPU time,"
        f" {base_wall / ours_wall:.2f} in wall time; to os.write with as many syncs"
        f" {synced / ours:.2f}, {synced_wall / ours_wall:.2f}"
    )


def sized(random: np.random.Generator, sizes: np.ndarray) -> FrameBatch:
    payload = random.integers(0, 256, int(sizes.sum()), np.uint8)
    return FrameBatch(payload, np.cumsum(sizes) - sizes, sizes)


@pytest.mark.parametrize("buffer", [PIECE, 0])
def test_batches_of_large_frames(folder, buffer):
    """Floor: ratio 0.9."""
    payload = np.random.default_rng(1).integers(0, 256, (300, 100, 10_000), np.uint8)
    compare(folder, [FrameBatch.from_rows(rows) for rows in payload], "10 kB frames, batches of 1 MB", buffer)


@pytest.mark.parametrize("buffer", [PIECE, 0])
def test_batches_of_small_frames(folder, buffer):
    """Floor: 15 M frames/s of CPU time."""
    payload = np.random.default_rng(1).integers(0, 256, (100, 10_000, 100), np.uint8)
    compare(folder, [FrameBatch.from_rows(rows) for rows in payload], "100 B frames, batches of 1 MB", buffer)


@pytest.mark.parametrize(("low", "high"), [(50, 151), (1, 200)])
def test_batches_of_mixed_frames(folder, low, high):
    """Floor: 5 M frames/s of CPU time."""
    random = np.random.default_rng(1)
    batches = [sized(random, random.integers(low, high, 10_000)) for _ in range(50)]
    compare(folder, batches, f"frames of {low} to {high - 1} B, batches of 1 MB", PIECE)


@pytest.mark.parametrize("size", [100, 1000, 10_000])
def test_frames_one_by_one(folder, size):
    """Floor: 1.2 us of CPU time for 100 B, frame made, sent, accepted and written; the peer: 0.81 us."""
    writer, master, path = writer_of(folder)
    payload, count = bytes(size), 30_000_000 // (size + 100)

    def session() -> None:
        writer.open(path)
        for _ in range(count):
            master._sendFrame(Frame(payload))
        writer.close()

    ((cpu, _),) = medians(session)
    print(f"\none by one, {size} B: {cpu / count * 1e6:.2f} us of CPU time a frame")


@pytest.mark.parametrize("size", [100, 10_000])
def test_frames_one_by_one_without_buffer(folder, size):
    """The peer: 2.6 us for 100 B, 7.8 us for 10 kB."""
    writer, master, path = writer_of(folder, 0)
    payload, count = bytes(size), 20_000

    def session() -> None:
        writer.open(path)
        for _ in range(count):
            master._sendFrame(Frame(payload))
        writer.close()

    ((cpu, _),) = medians(session)
    print(f"\none by one, {size} B, no buffer: {cpu / count * 1e6:.2f} us of CPU time a frame")
