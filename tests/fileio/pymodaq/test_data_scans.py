"""Scans of known shape, data that grow, and readers beside them."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sapwood.fileio.hdf5 import h5py
from sapwood.fileio.pymodaq.axes import Axis
from sapwood.fileio.pymodaq.data_bundle import DataBundle
from sapwood.fileio.pymodaq.data_enlargeable import DataEnlargeableSaver
from sapwood.fileio.pymodaq.data_errors import DataDimError, DataError, DataShapeError, DataTypeError
from sapwood.fileio.pymodaq.data_export import DataToExport
from sapwood.fileio.pymodaq.data_export_saving import (
    DataToExportEnlargeableSaver,
    DataToExportExtendedSaver,
    DataToExportTimedSaver,
)
from sapwood.fileio.pymodaq.data_extended import DataExtendedSaver
from sapwood.fileio.pymodaq.data_objects import DataRaw
from sapwood.fileio.pymodaq.loader import DataLoader
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel

NAV = [Axis("x", "mm", data=np.linspace(0, 1, 4)), Axis("y", "mm", data=np.array([0.0, 1.0, 5.0]), index=1)]


@pytest.fixture
def saver(tmp_path: Path) -> Iterator[H5SaverLowLevel]:
    saver = H5SaverLowLevel.from_file(tmp_path / "scan.h5", new_file=True)
    yield saver
    saver.close_file()


def trace(value: float = 0.0, **more: Any) -> DataRaw:
    facts: dict[str, Any] = {"units": "V", "origin": "Det", "axes": [Axis("t", "s", data=np.arange(8) * 0.1)]}
    return DataRaw("one", data=[np.arange(8.0) + value], **{**facts, **more})


def point(value: float = 0.0, when: float = 5.0) -> DataToExport:
    zero = DataRaw("zero", data=[np.array([float(value)])], units="K", origin="Det")
    return DataToExport("p", data=[zero, trace(value)], timestamp=when)


def fill(saver: H5SaverLowLevel, group: Any) -> DataToExportExtendedSaver:
    keeper = DataToExportExtendedSaver(saver, (4, 3))
    keeper.add_nav_axes(group, NAV)
    for i in range(4):
        for j in range(3):
            if (i, j) != (3, 2):
                keeper.add_data(group, point(10 * i + j), (i, j))
    return keeper


def test_a_scan_is_loaded_as_one_array(saver: H5SaverLowLevel) -> None:
    group = saver.add_scan_group()
    fill(saver, group).add_nav_axes(group, NAV)
    everything = DataLoader(saver).load_all()
    zero, one = (everything.get_data_from_name(name) for name in ("zero", "one"))
    assert (zero.shape, one.shape, one.nav_indexes, one.dim) == ((4, 3), (4, 3, 8), (0, 1), "DataND")
    assert (zero.units, one.units) == ("K", "V")
    assert [axis.label for axis in one.axes] == ["x", "y", "t"]
    assert one.axes[1].data.tolist() == [0, 1, 5]
    assert zero.data[0][2, 1] == 21
    assert one.data[0][2, 1].tolist() == [21 + i for i in range(8)]
    assert np.isnan(zero.data[0][3, 2])


def test_the_callers_axes_stay_as_they_are(saver: H5SaverLowLevel) -> None:
    group = saver.add_scan_group()
    data = trace()
    keeper = DataExtendedSaver(saver, (2,))
    for index in range(2):
        keeper.add_data(group, data, (index,))
    assert data.axes[0].index == 0
    assert saver.get_node(f"{group.path}/Axis00").attrs["index"] == 1


@pytest.mark.parametrize("indexes", [(0,), (0, 0, 0), (4, 0), (0, 3), (-1, 0)])
def test_indexes_outside_are_refused(saver: H5SaverLowLevel, indexes: tuple[int, ...]) -> None:
    group = saver.add_scan_group()
    with pytest.raises(IndexError):
        DataToExportExtendedSaver(saver, (4, 3)).add_data(group, point(), indexes)
    assert group.children() == {}


def test_a_point_that_does_not_fit_changes_nothing(saver: H5SaverLowLevel) -> None:
    group = saver.add_scan_group()
    keeper = DataToExportExtendedSaver(saver, (2,))
    keeper.add_data(group, point(1), (0,))
    wrong = point(2)
    wrong.data[1] = DataRaw("one", data=[np.zeros(9)], units="V", origin="Det")
    with pytest.raises(TypeError):
        keeper.add_data(group, wrong, (1,))
    noisy = point(2)
    noisy.data[1] = trace(2, errors=[np.zeros(8)])
    with pytest.raises(DataShapeError, match="errors"):
        keeper.add_data(group, noisy, (1,))
    assert np.isnan(DataLoader(saver).load_all().get_data_from_name("zero").data[0][1])
    short = DataToExport("s", data=[DataRaw("zero", data=[np.array([1j])], origin="Det")])
    with pytest.raises(DataTypeError, match="complex"):
        keeper.add_data(group, short, (1,))
    assert np.isnan(DataLoader(saver).load_all().get_data_from_name("zero").data[0][1])
    with pytest.raises(DataShapeError, match="another scan"):
        DataToExportExtendedSaver(saver, (3,)).add_data(group, point(), (0,))


def test_a_scan_goes_on_in_a_file_opened_anew(saver: H5SaverLowLevel, tmp_path: Path) -> None:
    group = saver.add_scan_group()
    keeper = DataExtendedSaver(saver, (2,), fill_value=-1)
    data = trace(errors=[np.ones(8)])
    keeper.add_data(group, data, (0,))
    saver.close_file()
    saver.init_file(tmp_path / "scan.h5")
    keeper.add_data(group.path, data, (1,))
    loaded = DataLoader(saver).load_data("/RawData/Scan000/Data00")
    assert loaded.data[0].tolist() == [list(range(8))] * 2
    assert loaded.errors is not None
    assert loaded.errors[0].tolist() == [[1] * 8] * 2


@pytest.mark.parametrize("dtype", ["u2", "i4", "f4", "c16", "?"])
def test_types_are_kept(saver: H5SaverLowLevel, dtype: str) -> None:
    group = saver.add_scan_group()
    values = np.array([0, 1, 1], dtype)
    DataExtendedSaver(saver, (2,), fill_value=0).add_data(group, DataRaw("d", data=[values]), (1,))
    loaded = DataLoader(saver).load_data(f"{group.path}/Data00").data[0]
    assert loaded.dtype == values.dtype
    assert loaded[1].tolist() == values.tolist()


def test_spread_scans_have_all_axes_on_one_dimension(saver: H5SaverLowLevel) -> None:
    group = saver.add_scan_group()
    keeper = DataToExportExtendedSaver(saver, (5,))
    axes = [
        Axis(name, "m", data=np.random.default_rng(i).random(5), spread_order=i)
        for i, name in enumerate("uv")
    ]
    keeper.add_nav_axes(group, axes)
    for index in range(5):
        bundle = DataBundle(point(index), group.path, indexes=[index], distribution="spread")
        keeper.add_data_bundle(bundle)
    data = DataLoader(saver).load_data_from_name_origin("one", "Det")
    assert (data.distribution, data.shape, data.nav_indexes) == ("spread", (5, 8), (0,))
    assert data.get_nav_axes() == axes
    assert [axis.label for axis in data.get_sig_axes()] == ["t"]


def test_timed_data_grow_over_time(saver: H5SaverLowLevel) -> None:
    group = saver.add_generic_group(group_type="data_logger")
    keeper = DataToExportTimedSaver(saver)
    for step in range(5):
        keeper.add_data(group, point(step, when=100.0 + step), settings_as_xml="<a/>")
    data = DataLoader(saver).load_data_from_name_origin("one")
    assert (data.shape, data.units, data.distribution) == ((5, 8), "V", "spread")
    assert data.settings == "<a/>"
    assert [(axis.label, axis.units, axis.size) for axis in data.axes] == [("time", "s", 5), ("t", "s", 8)]
    assert data.axes[0].data.tolist() == [100, 101, 102, 103, 104]
    saver.flush()
    axis = saver.get_node(f"{group.path}/NavAxes/Axis00")
    assert (axis.attrs["size"], axis.attrs["shape"]) == (5, (5,))


def test_several_axes_grow_together(saver: H5SaverLowLevel) -> None:
    group = saver.add_generic_group(group_type="optimizer")
    keeper = DataToExportEnlargeableSaver(saver, ["u", "v"], ["m", "K"])
    for step in range(3):
        keeper.add_data_bundle(DataBundle(point(step), group, axis_values=[step, -step]))
    data = DataLoader(saver).load_data_from_name_origin("zero")
    assert data.data[0].tolist() == [0, 1, 2]
    assert [(axis.label, axis.data.tolist()) for axis in data.axes] == [("u", [0, 1, 2]), ("v", [0, -1, -2])]
    with pytest.raises(TypeError):
        keeper.add_data(group, point())
    with pytest.raises(DataShapeError):
        keeper.add_data(group, point(), axis_values=[1])
    with pytest.raises(DataTypeError, match="complex"):
        keeper.add_data(
            group, DataToExport("c", data=[DataRaw("zero", data=1j, origin="Det")]), axis_values=[1, 2]
        )
    wrong = DataToExport("w", data=[point()[0], DataRaw("one", data=[np.zeros(3)], origin="Det")])
    with pytest.raises(DataShapeError):
        keeper.add_data(group, wrong, axis_values=[1, 2])
    assert DataLoader(saver).load_data_from_name_origin("zero").shape == (3,)
    with pytest.raises(DataError):
        DataToExportEnlargeableSaver(saver, ["u", "v"], ["m"])
    uneven = DataToExport("u", data=[trace(), DataRaw("z", data=[np.zeros((2, 3))], nav_indexes=(0,))])
    with pytest.raises(DataTypeError):
        keeper.add_data(group, uneven, axis_values=[1, 2])


def test_chunks_of_points_are_appended_with_their_axis(saver: H5SaverLowLevel) -> None:
    group = saver.add_scan_group()
    keeper = DataEnlargeableSaver(saver)
    for begin in (0.0, 4.0, 8.0):
        nav = Axis("n", "s", data=begin + np.arange(4))
        signal = Axis("t", "s", data=np.arange(3.0), index=1)
        data = DataRaw("d", data=[begin + np.zeros((4, 3))], axes=[nav, signal], nav_indexes=(0,),
                       errors=[np.ones((4, 3))], units="V")  # fmt: skip
        keeper.add_data(group, data)
    loaded = DataLoader(saver).load_data(f"{group.path}/EnlData00")
    assert loaded.shape == (12, 3)
    assert [axis.label for axis in loaded.axes] == ["n", "t"]
    assert loaded.axes[0].data.tolist() == list(range(12))
    assert loaded.errors is not None
    assert loaded.errors[0].shape == (12, 3)
    flat = DataRaw("d", data=[np.zeros((2, 2))], nav_indexes=(0, 1))
    with pytest.raises(DataDimError):
        keeper.add_data(group, flat)


def test_single_points_can_bring_their_axis_values(saver: H5SaverLowLevel) -> None:
    group = saver.add_scan_group()
    keeper = DataEnlargeableSaver(saver, ["a", "b"], ["m", "s"])
    for step in range(3):
        keeper.add_data(group, trace(step), axis_values=[step, 2.0 * step])
    loaded = DataLoader(saver).load_data(f"{group.path}/EnlData00")
    assert [(axis.label, axis.index, axis.size) for axis in loaded.axes] == [
        ("a", 0, 3),
        ("b", 0, 3),
        ("t", 1, 8),
    ]
    with pytest.raises(DataShapeError):
        keeper.add_data(group, trace(), axis_values=[1])
    with pytest.raises(DataShapeError):
        keeper.add_data(group, trace())


@settings(max_examples=15, deadline=None)
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    record=st.lists(st.integers(2, 4), max_size=2).map(lambda sizes: tuple(sizes) or (1,)),
    seed=st.integers(0, 99),
)
def test_any_scan_comes_back(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, ...], record: tuple[int, ...], seed: int
) -> None:
    saver = H5SaverLowLevel.from_file(tmp_path_factory.mktemp("scan") / "scan.h5", new_file=True)
    keeper = DataExtendedSaver(saver, shape)
    values = np.random.default_rng(seed).random((*shape, *record))
    for index in np.random.default_rng(seed).permutation(list(np.ndindex(*shape))):
        keeper.add_data("/RawData", DataRaw("d", data=[values[tuple(index)]]), index)
    loaded = DataLoader(saver).load_data("/RawData/Data00")
    assert np.array_equal(loaded.data[0], values.reshape(loaded.shape))
    assert loaded.nav_indexes == tuple(range(len(shape)))
    saver.close_file()


def test_threads_lose_no_point(saver: H5SaverLowLevel) -> None:
    group = saver.add_scan_group()
    keeper = DataToExportTimedSaver(saver)
    keeper.add_data(group, point())

    def work() -> None:
        for _ in range(100):
            keeper.add_data(group, point())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [data.shape[0] for data in DataLoader(saver).load_all()] == [401, 401]


def test_viewers_find_the_scan(saver: H5SaverLowLevel, tmp_path: Path) -> None:
    fill(saver, saver.add_scan_group())
    saver.close_file()
    with h5py().File(tmp_path / "scan.h5") as file:
        assert file.attrs["default"] == "entry"
        plot = file["entry"][file["entry"].attrs["default"]]
        assert list(plot.attrs["axes"]) == ["Axis00", "Axis01", "Axis02"]
        assert plot[plot.attrs["signal"]].shape == (4, 3, 8)
        assert plot["Axis00"] == file["RawData/Scan000/NavAxes/Axis00"]
        assert [plot[name].attrs["units"] for name in plot.attrs["axes"]] == ["mm", "mm", "s"]


READ = """
    import sys
    from sapwood.fileio.pymodaq.loader import DataLoader
    with DataLoader(sys.argv[1]) as loader:
        data = loader.load_data_from_name_origin("one")
        print(data.data[0][2, 1].tolist(), data.axes[0].label)
"""


@pytest.mark.parametrize("swmr", [False, True])
def test_another_process_reads_a_scan_that_goes_on(tmp_path: Path, swmr: bool) -> None:
    saver = H5SaverLowLevel.from_file(tmp_path / "live.h5", new_file=True, swmr_mode=swmr)
    keeper = fill(saver, saver.add_scan_group())
    if not swmr:
        saver.flush()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(READ), str(tmp_path / "live.h5")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == f"{[21.0 + i for i in range(8)]} x\n", done.stderr
    keeper.add_data("/RawData/Scan000", point(99), (3, 2))
    saver.close_file()
    with DataLoader(tmp_path / "live.h5") as loader:
        assert loader.load_data_from_name_origin("zero").data[0][3, 2] == 99
