"""Recorders with a writer thread: seconds by the clock, from the first frame to a closed file.

The baseline of HDF5 columns is h5py alone: one growing dataset, resized and written a batch at a time,
flushed and synced as often as ours. That of ICF is its writer, called in the producer's thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sapwood.fileio import BatchRecorder, ChannelWriter
from sapwood.fileio.icf.live import IcfFrames
from sapwood.fileio.icf.writer import RawObjectWriterV1
from sapwood.fileio.sinks.hdf5live import Hdf5Frames
from sapwood.streams import Frame, FrameBatch, Master

BATCHES, ROWS, SIZE = 200, 100, 10_000


@pytest.fixture(scope="module")
def batches() -> list[FrameBatch]:
    data = np.random.default_rng(1).integers(0, 256, (BATCHES, ROWS, SIZE), np.uint8)
    return [FrameBatch.from_rows(rows) for rows in data]


def recording(format: Any, path: Path, batches: list[FrameBatch]) -> Callable[[], None]:
    writer, source = ChannelWriter(BatchRecorder(format), overwrite=True), Master()
    source >> writer.getChannel(0)

    def session() -> None:
        writer.open(path)
        for batch in batches:
            source._sendBatch(batch)
        writer.close()

    return session


def test_hdf5_columns(race, folder: Path, batches: list[FrameBatch]) -> None:
    def bare() -> None:
        with h5py.File(folder / "bare.h5", "w", libver="v110") as file:
            data = file.create_dataset("d", (0, SIZE), "u1", maxshape=(None, SIZE), chunks=(ROWS, SIZE))
            for number, batch in enumerate(batches):
                data.resize((number + 1) * ROWS, axis=0)
                data[number * ROWS :] = batch.rows()
                if number % 64 == 63 or number == BATCHES - 1:
                    file.flush()
                    os.fdatasync(file.id.get_vfd_handle())

    session = recording(Hdf5Frames(), folder / "run.h5", batches)
    race("record 10 kB frames as HDF5 columns", session, bare, named="h5py alone",
         amount=BATCHES * ROWS * SIZE / 1e6, unit="MB/s", floor=0.8)  # fmt: skip


def test_icf(race, folder: Path, batches: list[FrameBatch]) -> None:
    def direct() -> None:
        with RawObjectWriterV1(folder / "direct.sof") as writer:
            for batch in batches:
                writer.write_frames(batch)
            writer.sync()

    session = recording(IcfFrames(), folder / "run.sof", batches)
    race("record 10 kB frames as ICF objects", session, direct, named="the writer alone",
         amount=BATCHES * ROWS * SIZE / 1e6, unit="MB/s", floor=0.8)  # fmt: skip


def test_icf_single_frames(race, folder: Path) -> None:
    frames = [Frame(bytes(1000)) for _ in range(50_000)]
    writer, source = ChannelWriter(BatchRecorder(IcfFrames()), overwrite=True), Master()
    source >> writer.getChannel(0)

    def session() -> None:
        writer.open(folder / "run.sof")
        for frame in frames:
            source._sendFrame(frame)
        writer.close()

    def direct() -> None:
        with RawObjectWriterV1(folder / "direct.sof") as file:
            for frame in frames:
                file.write(bytes(frame))
            file.sync()

    race("record single frames of 1 kB as ICF objects", session, direct, named="the writer alone",
         amount=len(frames) / 1e6, unit="M frames/s")  # fmt: skip
