"""The data layer of PyMoDAQ files, in wall time: scans by index, growing data, loading.

The peer's figures for the same work (its faster backend): 23 s for a scan of 100 x 100 points of
1024 float64, 3.7 ms a step of its timed saver with a number and 1024 values. Where it is installed
it runs beside ours, on fewer points.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood.fileio.pymodaq.axes import Axis
from sapwood.fileio.pymodaq.data_export import DataToExport
from sapwood.fileio.pymodaq.data_export_saving import DataToExportExtendedSaver, DataToExportTimedSaver
from sapwood.fileio.pymodaq.data_extended import DataExtendedSaver
from sapwood.fileio.pymodaq.data_objects import DataRaw
from sapwood.fileio.pymodaq.loader import DataLoader
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel

pytestmark = [
    pytest.mark.benchmark(timer=time.perf_counter),
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),  # what the peer warns of
]

RECORD = np.arange(1024.0)
PEER_SCAN_S, PEER_STEP_S = 23.0, 3.7e-3
SCAN_FLOOR_S = 0.3


def spectrum() -> DataRaw:
    return DataRaw("one", data=[RECORD], axes=[Axis("t", "s", data=RECORD)], units="V", origin="Det")


def scan(folder: Path, side: int, export: bool) -> None:
    """Save a square scan point by point."""
    saver = H5SaverLowLevel.from_file(folder / "scan.h5", new_file=True)
    data, group = spectrum(), saver.add_scan_group()
    if export:
        dte = DataToExport("e", data=[data])
        keeper = DataToExportExtendedSaver(saver, (side, side))
        values = np.arange(float(side))
        keeper.add_nav_axes(group, [Axis(name, data=values, index=i) for i, name in enumerate("xy")])
        for index in np.ndindex(side, side):
            keeper.add_data(group, dte, index)
    else:
        single = DataExtendedSaver(saver, (side, side))
        for index in np.ndindex(side, side):
            single.add_data(group, data, index)
    saver.close_file()


def timed(folder: Path, steps: int) -> None:
    """Save a number and a spectrum at each step."""
    saver = H5SaverLowLevel.from_file(folder / "timed.h5", new_file=True)
    dte = DataToExport("e", data=[spectrum(), DataRaw("zero", data=1.5, origin="Det")])
    keeper = DataToExportTimedSaver(saver)
    for _ in range(steps):
        keeper.add_data("/RawData", dte)
    saver.close_file()


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The peer's modules; its settings go to a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        pytest.importorskip("pymodaq_data", reason="the peer is not installed")
        names = ("pymodaq_data.data", "pymodaq_data.h5modules.saving", "pymodaq_data.h5modules.data_saving")
        yield [importlib.import_module(name) for name in names]


def peer_timed(peer: Any, path: Path, steps: int) -> Callable[[], None]:
    data, saving, layer = peer

    def work() -> None:
        saver = saving.H5SaverLowLevel()
        saver.init_file(path, new_file=True)
        one = data.DataRaw("one", data=[RECORD], axes=[data.Axis("t", "s", data=RECORD)], origin="Det")
        zero = data.DataRaw("zero", data=[np.array([1.5])], origin="Det")
        keeper = layer.DataToExportTimedSaver(saver)
        for _ in range(steps):
            keeper.add_data("/RawData", data.DataToExport("e", data=[one, zero]))
        saver.close_file()

    return work


def peer_scan(peer: Any, path: Path, side: int) -> Callable[[], None]:
    data, saving, layer = peer

    def work() -> None:
        saver = saving.H5SaverLowLevel()
        saver.init_file(path, new_file=True)
        one = data.DataRaw("one", data=[RECORD], axes=[data.Axis("t", "s", data=RECORD)], origin="Det")
        keeper = layer.DataToExportExtendedSaver(saver, (side, side))
        values = np.arange(float(side))
        axes = [data.Axis(name, data=values, index=i) for i, name in enumerate("xy")]
        keeper.add_nav_axes("/RawData", axes)
        for index in np.ndindex(side, side):
            keeper.add_data("/RawData", data.DataToExport("e", data=[one.deepcopy()]), index)
        saver.close_file()

    return work


@pytest.mark.parametrize("export", [False, True], ids=["DataExtendedSaver", "DataToExportExtendedSaver"])
def test_scan_by_index(race, tmp_path: Path, export: bool) -> None:
    name = "DataToExportExtendedSaver" if export else "DataExtendedSaver"
    race(
        f"{name}, 100 x 100 x 1024 float64",
        lambda: scan(tmp_path, 100, export),
        PEER_SCAN_S,
        named="the peer, stated",
        amount=10_000,
        unit="points/s",
        floor=PEER_SCAN_S / SCAN_FLOOR_S,
    )


def test_scan_by_index_beside_the_peer(race, peer: Any, tmp_path: Path) -> None:
    race(
        "DataToExportExtendedSaver, 15 x 15 x 1024 float64",
        lambda: scan(tmp_path, 15, True),
        peer_scan(peer, tmp_path / "peer.h5", 15),
        named="the peer, same run",
        amount=225,
        unit="points/s",
        rounds=3,
    )


def test_timed_saver(race, tmp_path: Path) -> None:
    race(
        "DataToExportTimedSaver, 0D + 1D(1024), 1000 steps",
        lambda: timed(tmp_path, 1000),
        1000 * PEER_STEP_S,
        named="the peer, stated",
        amount=1000,
        unit="steps/s",
    )


def test_timed_saver_beside_the_peer(race, peer: Any, tmp_path: Path) -> None:
    race(
        "DataToExportTimedSaver, 0D + 1D(1024), 200 steps",
        lambda: timed(tmp_path, 200),
        peer_timed(peer, tmp_path / "peer.h5", 200),
        named="the peer, same run",
        amount=200,
        unit="steps/s",
        rounds=3,
    )


def test_load_a_scan(race, tmp_path: Path) -> None:
    scan(tmp_path, 100, True)
    path = tmp_path / "scan.h5"

    def load() -> None:
        with DataLoader(path) as loader:
            assert loader.load_data_from_name_origin("one").shape == (100, 100, 1024)

    def read() -> None:
        values = np.fromfile(path, np.uint8)
        assert values.size > 80_000_000

    race("DataLoader, 82 MB", load, read, named="reading the bytes", amount=82, unit="MB/s")
