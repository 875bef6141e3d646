"""PyMoDAQ files, in seconds of the clock: appends, frames, groups, lookups, against PyMoDAQ itself."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sapwood.fileio.pymodaq.saver import H5SaverLowLevel

pytestmark = [pytest.mark.benchmark(timer=time.perf_counter), pytest.mark.timeout(600)]

POINTS, PEER_POINTS = 100_000, 1_000
FRAMES = 300
GROUPS, PEER_GROUPS = 999, 60
FRAME = np.random.default_rng(1).integers(0, 4096, (512, 1024), np.uint16)


def ours(path: Path, backend: str = "h5py") -> H5SaverLowLevel:
    saver = H5SaverLowLevel(backend=backend)
    saver.init_file(path, new_file=True)
    return saver


def peers(path: Path, backend: str) -> Any:
    saving = pytest.importorskip("pymodaq_data.h5modules.saving", reason="the peer is not installed")
    pytest.importorskip("tables", reason="the peer's backend PyTables is not installed")
    saver = saving.H5SaverLowLevel(backend=backend)
    saver.init_file(path, new_file=True)
    return saver


def appending(make: Callable[..., Any], path: Path, count: int, *backend: str) -> Callable[[], None]:
    point = np.array([1.0])

    def run() -> None:
        saver = make(path, *backend)
        array = saver.add_array(
            "/RawData",
            "points",
            "data_enlargeable",
            enlargeable=True,
            array_type="f8",
            data_dimension="Data0D",
        )
        for _ in range(count):
            array.append(point)
        saver.close_file()

    return run


def numbering(make: Callable[..., Any], path: Path, count: int, *backend: str) -> Callable[[], None]:
    def run() -> None:
        saver = make(path, *backend)
        for _ in range(count):
            saver.add_scan_group("/RawData", title="scan")
        saver.close_file()

    return run


def test_single_appends(race, tmp_path) -> None:
    race("100,000 single appends, float64", appending(ours, tmp_path / "a.h5", POINTS), 0.5,
         named="5 us each, stated", amount=POINTS / 1e3, unit="k appends/s", floor=1)  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("backend", "floor"), [("h5py", 40), ("tables", 9)])
def test_single_appends_against_the_peer(race, tmp_path, backend, floor) -> None:
    mine = appending(ours, tmp_path / "a.h5", 20 * PEER_POINTS)
    theirs = appending(peers, tmp_path / "b.h5", PEER_POINTS, backend)
    race("20,000 single appends", mine, theirs, named=f"1,000 by the peer ({backend})",
         amount=20 * PEER_POINTS / 1e3, unit="k appends/s", floor=floor / 20, rounds=3)  # fmt: skip


def frames(path: Path) -> None:
    saver = ours(path)
    array = saver.add_array("/RawData", "frames", "data_enlargeable", enlargeable=True, array_type=np.uint16,
                            data_shape=FRAME.shape, data_dimension="Data2D")  # fmt: skip
    for _ in range(FRAMES):
        array.append(FRAME)
    saver.close_file()


def direct(path: Path) -> None:
    with h5py.File(path, "w") as file:
        shape = (FRAMES, *FRAME.shape)
        array = file.create_dataset("frames", shape, FRAME.dtype, chunks=(1, *FRAME.shape))
        for row in range(FRAMES):
            array.id.write_direct_chunk((row, 0, 0), FRAME.reshape(-1).view(np.uint8))


def raw(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for _ in range(FRAMES):
            file.write(FRAME.data)


@pytest.mark.parametrize("baseline", [direct, raw], ids=["h5py", "raw"])
def test_frames(race, folder, baseline) -> None:
    named = {direct: "h5py's direct chunks, all known before", raw: "plain write()"}[baseline]
    floor = {direct: 0.8, raw: 0.5}[baseline]
    os.sync()
    race(f"{FRAMES} frames of 1 MiB, {'memory' if 'shm' in str(folder) else 'disk'}",
         lambda: frames(folder / "a.h5"), lambda: baseline(folder / "b"), named=named,
         amount=FRAMES * FRAME.nbytes / 1e6, unit="MB/s", floor=floor, rounds=3)  # fmt: skip


def test_numbered_groups(race, tmp_path) -> None:
    race("999 groups of scans", numbering(ours, tmp_path / "a.h5", GROUPS), 0.5, named="0.5 s, stated",
         amount=GROUPS, unit="groups/s", floor=1)  # fmt: skip


@pytest.mark.filterwarnings("ignore")
def test_numbered_groups_against_the_peer(race, tmp_path) -> None:
    race(f"{PEER_GROUPS} groups of scans", numbering(ours, tmp_path / "a.h5", PEER_GROUPS),
         numbering(peers, tmp_path / "b.h5", PEER_GROUPS, "tables"), named="the peer (tables)",
         amount=PEER_GROUPS, unit="groups/s", rounds=3)  # fmt: skip


def test_log_lines(race, tmp_path) -> None:
    def lines() -> None:
        saver = ours(tmp_path / "a.h5")
        for row in range(2_000):
            saver.add_log(f"line {row}")
        saver.close_file()

    race("2,000 lines of log", lines, 2_000 * 64e-6, named="the peer (tables), stated: 64 us each",
         amount=2_000, unit="lines/s", floor=1)  # fmt: skip


def test_lookup_in_a_large_tree(race, tmp_path) -> None:
    saver = ours(tmp_path / "a.h5")
    for _ in range(5_000):
        saver.add_det_group("/RawData", title="same")
    saver.close_file()

    def find() -> None:
        reader = H5SaverLowLevel.from_file(tmp_path / "a.h5", mode="r")
        assert reader.get_node_from_title("/", "nowhere") is None
        assert reader.get_last_group("/RawData", "detector").name == "Detector4999"
        reader.close_file()

    race("open, find by title in 5,000 groups, last group", find, 1.2, named="the peer, stated",
         amount=1, unit="lookups/s", floor=2, rounds=3)  # fmt: skip
