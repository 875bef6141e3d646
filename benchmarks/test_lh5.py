"""LH5 files of waveforms: 48 MB in appends of 500 rows, against h5py with the same filters in one thread.

Files lie in memory; times are those of the clock, since compression runs in threads.
"""

from __future__ import annotations

import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from sapwood.fileio import lh5
from sapwood.fileio.lh5 import deflate

pytestmark = [pytest.mark.benchmark(timer=time.perf_counter), pytest.mark.timeout(600)]

ROWS, SAMPLES, STEP = 4000, 6000, 500
MB = ROWS * SAMPLES * 2 / 1e6
BY_H5PY = "h5py, gzip 4 and shuffle, one thread"


@pytest.fixture(scope="module")
def waves() -> np.ndarray:
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(0, 2, (500, SAMPLES)), axis=1) * 0.2
    block = (7000 + walk + rng.normal(0, 6, (500, SAMPLES))).astype(np.uint16)
    return np.concatenate([block + shift for shift in range(ROWS // 500)])


def table(waves: np.ndarray, start: int, stop: int) -> lh5.Table:
    rows = stop - start
    waveform = lh5.WaveformTable(t0=np.zeros(rows), dt=np.full(rows, 16.0), values=waves[start:stop])
    return lh5.Table({"id": np.arange(start, stop), "waveform": waveform})


def ours(path: Path, waves: np.ndarray) -> None:
    path.unlink(missing_ok=True)
    with lh5.LH5Store(keep_open=True) as store:
        for start in range(0, ROWS, STEP):
            store.write(table(waves, start, start + STEP), "raw", path)


def theirs(path: Path, waves: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        for start in range(0, ROWS, STEP):
            for name, column in table(waves, start, start + STEP).flatten().items():
                values = column.nda
                if start == 0:
                    shape = (None, *values.shape[1:])
                    file.create_dataset(name, data=values, maxshape=shape, compression="gzip", shuffle=True)
                else:
                    file[name].resize(start + STEP, axis=0)
                    file[name][start:] = values


def test_write(race, folder, waves) -> None:
    race(f"write waveforms of {SAMPLES} samples", lambda: ours(folder / "o.lh5", waves),
         lambda: theirs(folder / "t.h5", waves), named=BY_H5PY,
         amount=MB, unit="MB/s", floor=3, rounds=3)  # fmt: skip


def test_write_by_zlib(race, folder, waves, monkeypatch) -> None:
    monkeypatch.setattr(deflate, "_isal", lambda: None)
    race("the same without isal", lambda: ours(folder / "o.lh5", waves),
         lambda: theirs(folder / "t.h5", waves), named=BY_H5PY,
         amount=MB, unit="MB/s", floor=0.9, rounds=3)  # fmt: skip


def test_read(race, folder, waves) -> None:
    ours(folder / "o.lh5", waves)
    theirs(folder / "t.h5", waves)

    def by_h5py() -> None:
        with h5py.File(folder / "t.h5") as file:
            file["waveform__values"][()]

    race("read them", lambda: lh5.read("raw/waveform/values", folder / "o.lh5"), by_h5py,
         named="h5py, one thread", amount=MB, unit="MB/s", floor=1, rounds=3)  # fmt: skip


@pytest.mark.parametrize("codec", ["RadwareSigcompress(codec_shift=-32768)", "ULEB128ZigZagDiff()"])
@pytest.mark.parametrize("way", ["encode", "decode"])
def test_codecs(race, waves, codec, way) -> None:
    encoded = lh5.encode(waves[:500], codec)
    work = (lambda: lh5.encode(waves[:500], codec)) if way == "encode" else (lambda: lh5.decode(encoded))
    race(f"{way} {codec.partition('(')[0]}", work, 6.0 / 95, named="writing as fast as gzip 4, 95 MB/s",
         amount=6.0, unit="MB/s", rounds=3)  # fmt: skip
