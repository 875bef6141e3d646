"""Recording, in CPU time of the process, open and close included.

The baseline is ``os.write`` of the same encoded bytes in pieces of 1 MiB. Ours and the baseline
take turns, each onto a file of its own that was written once before: a `FileLayer` opens it
without truncation, so that both copy to pages that are there already. On a disk ours also syncs
(every 64 MiB and at close), in a thread whose CPU time is counted; there the baseline is given
with as many syncs too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sapwood.fileio import FileLayer, StreamWriter
from sapwood.streams import Frame, FrameBatch, Master

pytestmark = pytest.mark.benchmark(timer=time.process_time)

PIECE = 1 << 20


class WarmFiles(FileLayer):
    """Opens files without truncating them: their pages stay in memory."""

    def open(self, path: str, *, exclusive: bool) -> int:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def writer_of(folder: Path, buffer: int = PIECE) -> tuple[StreamWriter, Master, str]:
    writer, master = StreamWriter(bufferSize=buffer, overwrite=True, files=WarmFiles()), Master()
    master >> writer.getChannel(1)
    return writer, master, str(folder / "ours")


def session_of(folder: Path, batches: list[FrameBatch], buffer: int = PIECE) -> Callable[[], None]:
    writer, master, path = writer_of(folder, buffer)

    def session() -> None:
        writer.open(path)
        for batch in batches:
            master._sendBatch(batch)
        writer.close()

    return session


def rewriting(folder: Path, size: int, sync_every: int = 0) -> Callable[[], None]:
    """Return the baseline: `size` bytes to a file in pieces, synced every so many bytes."""
    data = memoryview(np.fromfile(folder / "ours", np.uint8))
    fd = os.open(folder / "base", os.O_RDWR | os.O_CREAT)

    def rewrite() -> None:
        os.lseek(fd, 0, os.SEEK_SET)
        for first in range(0, size, PIECE):
            os.write(fd, data[first : first + PIECE])
            if sync_every and (first + PIECE) % sync_every == 0:
                os.fdatasync(fd)
        if sync_every:
            os.fdatasync(fd)

    return rewrite


def sized(random: np.random.Generator, sizes: np.ndarray) -> FrameBatch:
    payload = random.integers(0, 256, int(sizes.sum()), np.uint8)
    return FrameBatch(payload, np.cumsum(sizes) - sizes, sizes)


def place(folder: Path) -> str:
    return "memory" if folder.is_relative_to("/dev/shm") else "disk"  # noqa: S108  # as in conftest


@pytest.mark.parametrize("synced", [False, True])
def test_batches_of_large_frames(race, folder, synced) -> None:
    if synced and place(folder) == "memory":
        pytest.skip("memory needs no sync")
    payload = np.random.default_rng(1).integers(0, 256, (300, 100, 10_000), np.uint8)
    session = session_of(folder, [FrameBatch.from_rows(rows) for rows in payload])
    session()
    size = (folder / "ours").stat().st_size
    baseline = rewriting(folder, size, 64 << 20 if synced else 0)
    race(f"record 10 kB frames in batches, {place(folder)}", session, baseline,
         named="os.write + fdatasync" if synced else "os.write", amount=size / 1e9, unit="GB/s",
         floor=0.9)  # fmt: skip


def test_batches_of_small_frames(race, folder) -> None:
    payload = np.random.default_rng(1).integers(0, 256, (100, 10_000, 100), np.uint8)
    session = session_of(folder, [FrameBatch.from_rows(rows) for rows in payload])
    race(f"record 100 B frames in batches, {place(folder)}", session, 1 / 15,
         named="15 M frames/s", amount=1, unit="M frames/s", floor=1)  # fmt: skip


@pytest.mark.parametrize(("low", "high"), [(50, 151), (1, 200)])
def test_batches_of_mixed_frames(race, folder, low, high) -> None:
    random = np.random.default_rng(1)
    batches = [sized(random, random.integers(low, high, 10_000)) for _ in range(50)]
    race(f"record {low} to {high - 1} B frames in batches, {place(folder)}", session_of(folder, batches),
         0.5 / 5, named="5 M frames/s", amount=0.5, unit="M frames/s", floor=1)  # fmt: skip


@pytest.mark.parametrize(
    ("size", "buffer", "us"), [(100, PIECE, 1.2), (10_000, PIECE, 5.0), (100, 0, 2.6), (10_000, 0, 7.8)]
)
def test_frames_one_by_one(race, folder, size, buffer, us) -> None:
    """Frame made, sent, accepted, encoded and written."""
    writer, master, path = writer_of(folder, buffer)
    payload, count = bytes(size), 100_000 if buffer and size == 100 else 10_000

    def session() -> None:
        writer.open(path)
        for _ in range(count):
            master._sendFrame(Frame(payload))
        writer.close()

    kind = "buffered" if buffer else "unbuffered"
    floor = 1 if us == 1.2 else None
    race(f"record {size} B frames one by one, {kind}, {place(folder)}", session, us * 1e-6 * count,
         named=f"{us} us a frame" + ("" if floor else ", the peer's"), amount=count / 1e6,
         unit="M frames/s", floor=floor)  # fmt: skip
