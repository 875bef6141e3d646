"""Data objects, backgrounds and errors, saved and loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood.fileio.hdf5 import h5py
from sapwood.fileio.pymodaq.axes import Axis
from sapwood.fileio.pymodaq.data_axes import AxisSaverLoader
from sapwood.fileio.pymodaq.data_bundle import DataBundle
from sapwood.fileio.pymodaq.data_errors import AxisError, DataShapeError, DataTypeError, NotDataError
from sapwood.fileio.pymodaq.data_export import DataToExport
from sapwood.fileio.pymodaq.data_export_saving import DataToExportSaver
from sapwood.fileio.pymodaq.data_objects import DataRaw
from sapwood.fileio.pymodaq.data_saving import BkgSaver, DataSaverLoader, ErrorSaverLoader
from sapwood.fileio.pymodaq.loader import DataLoader
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel


@pytest.fixture
def saver(tmp_path: Path) -> Iterator[H5SaverLowLevel]:
    saver = H5SaverLowLevel.from_file(tmp_path / "data.h5", save_type="detector", new_file=True)
    yield saver
    saver.close_file()


def spectrum(**more: Any) -> DataRaw:
    facts: dict[str, Any] = {
        "data": [np.arange(4.0), np.arange(4.0) * 2],
        "labels": ["s", "c"],
        "units": "mV",
        "origin": "Det",
        "axes": [Axis("t", "s", data=np.arange(4.0) * 0.1)],
        "timestamp": 5.0,
    }
    return DataRaw("spectrum", **{**facts, **more})


def test_what_is_saved_is_loaded(saver: H5SaverLowLevel) -> None:
    data = spectrum(errors=[np.ones(4), np.zeros(4)], exposure=0.5)
    group = saver.add_det_group("/RawData")
    keeper = DataSaverLoader(saver)
    keeper.add_data(group, data, gain=3)
    again = keeper.load_data(f"{group.path}/Data00", load_all=True)
    assert [array.tolist() for array in again] == [array.tolist() for array in data]
    assert again.errors is not None
    assert again.errors[1].tolist() == [0, 0, 0, 0]
    assert (again.labels, again.units, again.origin, again.timestamp) == (["s", "c"], "mV", "Det", 5.0)
    assert again.axes == data.axes
    assert again.extra_attributes == ["exposure", "gain", "path"]
    assert keeper.get_last_node_name(group) == "Data01"
    assert keeper.get_index_from_node_name(f"{group.path}/Data01") == 1
    assert keeper.get_axes(group) == data.axes


def test_units_that_look_like_numbers_stay_text(saver: H5SaverLowLevel) -> None:
    group = saver.add_det_group("/RawData")
    for number, units in enumerate(("1", "1e3", "true", "null", "NaN", '"q"', "µm", "")):
        DataSaverLoader(saver).add_data(group, DataRaw("d", data=[np.zeros(2)], units=units))
        assert DataLoader(saver).load_data(f"{group.path}/Data{number:02d}").units == units


def test_a_second_object_in_a_group_does_not_double_its_axes(saver: H5SaverLowLevel) -> None:
    group = saver.add_det_group("/RawData")
    keeper = DataSaverLoader(saver)
    keeper.add_data(group, spectrum())
    keeper.add_data(group, spectrum())
    assert sorted(group.children()) == ["Axis00", "Data00", "Data01", "Data02", "Data03"]
    assert len(keeper.load_data(f"{group.path}/Data03").axes) == 1


def test_errors_have_the_number_of_their_data(saver: H5SaverLowLevel) -> None:
    group = saver.add_det_group("/RawData")
    keeper = DataSaverLoader(saver)
    keeper.add_data(group, spectrum())
    BkgSaver(saver).add_data(group, spectrum(data=[np.ones(4)] * 2, errors=[np.full(4, 4.0)] * 2))
    keeper.add_data(group, spectrum(errors=[np.full(4, 3.0)] * 2))
    assert "ErrorBar00" not in group.children()
    first, last = (keeper.load_data(f"{group.path}/Data{n:02d}") for n in (0, 3))
    assert first.errors is None
    assert last.errors is not None
    assert last.errors[0].tolist() == [3] * 4
    together = keeper.load_data(f"{group.path}/Data00", load_all=True)
    assert together.errors is not None
    assert [bool(np.isnan(error).all()) for error in together.errors] == [True, True, False, False]
    reduced = keeper.load_data(f"{group.path}/Data00", with_bkg=True)
    assert reduced.data[0].tolist() == [-1, 0, 1, 2]
    assert reduced.errors is not None
    assert reduced.errors[0].tolist() == [4] * 4


def test_errors_can_come_on_their_own(saver: H5SaverLowLevel) -> None:
    group = saver.add_det_group("/RawData")
    DataSaverLoader(saver).add_data(group, spectrum())
    given = spectrum(data=[np.ones(4), np.zeros(4)])
    ErrorSaverLoader(saver).add_data(group, given)
    assert given.source == "raw"
    errors = DataLoader(saver).load_data(f"{group.path}/Data01").errors
    assert errors is not None
    assert errors[0].tolist() == [0] * 4


def test_a_background_does_not_wrap_unsigned_numbers(saver: H5SaverLowLevel) -> None:
    group = saver.add_det_group("/RawData")
    DataSaverLoader(saver).add_data(group, DataRaw("d", data=[np.array([1, 2], "u2")]))
    BkgSaver(saver).add_data(group, DataRaw("d", data=[np.array([2, 2], "u2")]))
    assert DataLoader(saver).load_data(f"{group.path}/Data00", with_bkg=True).data[0].tolist() == [-1, 0]


def test_a_background_of_another_shape_is_refused(saver: H5SaverLowLevel) -> None:
    group = saver.add_det_group("/RawData")
    DataSaverLoader(saver).add_data(group, DataRaw("d", data=[np.zeros(3)]))
    BkgSaver(saver).add_data(group, DataRaw("d", data=[np.zeros(2)]))
    with pytest.raises(DataShapeError, match="background"):
        DataLoader(saver).load_data(f"{group.path}/Data00", with_bkg=True)


def test_data_are_refused_before_anything_is_written(saver: H5SaverLowLevel) -> None:
    group = saver.add_det_group("/RawData")
    for wrong, more in ((object(), {}), (spectrum(), {"units": "V"}), (spectrum(dtype="u2"), {})):
        with pytest.raises(DataTypeError):
            DataSaverLoader(saver).add_data(group, wrong, **more)
    assert group.children() == {}


def test_axes_alone(saver: H5SaverLowLevel) -> None:
    group = saver.add_det_group("/RawData")
    keeper = AxisSaverLoader(saver)
    axis = Axis("x", "mm", data=np.array([1.0, 2.0, 5.0]), index=1, spread_order=2)
    node = keeper.add_axis(group, axis)
    assert keeper.load_axis(node) == axis
    assert node.attrs["distribution"] == "spread"
    assert node.attrs["scaling"] is None
    growing = keeper.add_axis(group, axis, enlargeable=True)
    assert len(growing) == 0
    growing.append(np.array([1.0, 2.0]), expand=False)
    saver.flush()
    assert keeper.load_axis(growing).size == 2
    assert growing.attrs["size"] == 2
    with pytest.raises(AxisError):
        keeper.load_axis(group)


def test_export_saver_sorts_by_dimensionality(saver: H5SaverLowLevel) -> None:
    group = saver.add_det_group("/RawData")
    image = DataRaw("image", data=[np.zeros((3, 4), "u2")], origin="Det")
    other = DataRaw("other", data=[np.zeros(5)], origin="Det")
    keeper = DataToExportSaver(saver)
    keeper.add_data(group, DataToExport("e", data=[spectrum(), image, other]), settings_as_xml="<a/>", run=7)
    assert sorted(group.children()) == ["Data1D", "Data2D"]
    channels = saver.get_node(f"{group.path}/Data1D").children()
    assert {name: node.title for name, node in channels.items()} == {"CH00": "spectrum", "CH01": "other"}
    assert channels["CH00"].node.attrs["origin"] == "Det"
    node = saver.get_node(f"{group.path}/Data2D/CH00/Data00")
    assert (node.attrs["settings"], node.attrs["run"]) == ("<a/>", 7)
    keeper.add_bkg(group, DataToExport("b", data=[spectrum(data=[np.ones(4)] * 2)]))
    keeper.add_error(group, DataToExport("b", data=[spectrum(data=[np.ones(4)] * 2)]))
    names = sorted(channels["CH00"].children())
    assert names == ["Axis00", "Bkg00", "Bkg01", "Data00", "Data01", "ErrorBar00", "ErrorBar01"]
    keeper.add_data_bundle(DataBundle(DataToExport("e", data=[DataRaw("z", data=1)]), group))
    assert sorted(group.children()) == ["Data0D", "Data1D", "Data2D"]
    with pytest.raises(DataTypeError, match="where"):
        keeper.add_data_bundle(DataBundle(DataToExport("e")))


def test_viewers_find_data_with_errors(saver: H5SaverLowLevel, tmp_path: Path) -> None:
    group = saver.add_det_group("/RawData")
    DataToExportSaver(saver).add_data(group, DataToExport("e", data=[spectrum(errors=[np.ones(4)] * 2)]))
    saver.close_file()
    with h5py().File(tmp_path / "data.h5") as file:
        assert file.attrs["default"] == "entry"
        plot = file["entry"][file["entry"].attrs["default"]]
        assert plot.attrs["NX_class"] == "NXdata"
        assert list(plot.attrs["axes"]) == ["Axis00"]
        assert plot["Data00_errors"].shape == plot[plot.attrs["signal"]].shape
        assert plot["Data00"].attrs["units"] == "mV"
        assert plot["Data00"] == file["RawData/Detector000/Data1D/CH00/Data00"]


def test_the_group_with_the_data_is_found_by_its_type(tmp_path: Path) -> None:
    saver = H5SaverLowLevel(save_type="detector")
    saver.init_file(tmp_path / "other.h5", raw_group_name="Measured", new_file=True)
    DataSaverLoader(saver).add_data("/Measured", spectrum())
    saver.close_file()
    with DataLoader(tmp_path / "other.h5") as loader:
        assert loader.raw_group.name == "Measured"
        assert loader.load_all().get_names() == ["spectrum"]
    with DataLoader(tmp_path / "other.h5", raw_group="Measured") as loader:
        assert loader.load_data_from_name_origin("spectrum", "Det").length == 2


def test_a_file_without_data_says_so(tmp_path: Path) -> None:
    with h5py().File(tmp_path / "plain.h5", "w") as file:
        file["a"] = np.arange(3)
    before = (tmp_path / "plain.h5").read_bytes()
    with DataLoader(tmp_path / "plain.h5") as loader:
        assert loader.load_data("/a").data[0].tolist() == [0, 1, 2]
        with pytest.raises(NotDataError):
            loader.load_all()
    assert (tmp_path / "plain.h5").read_bytes() == before


def test_bare_arrays_can_be_loaded(saver: H5SaverLowLevel) -> None:
    saver.add_array("/RawData", "bare", "data", np.arange(3.0), data_dimension="Data1D")
    data = DataLoader(saver).load_data("/RawData/Bare")
    assert (data.labels, data.units, data.axes[0].size) == (["Bare"], "", 3)


def test_a_saver_opens_a_path(tmp_path: Path) -> None:
    with DataSaverLoader(tmp_path / "new.h5", new_file=True, metadata={"run": 3}) as keeper:
        keeper.add_data("/RawData", spectrum())
        assert keeper.isopen()
        assert keeper.raw_group.attrs["run"] == 3  # of the saver behind it
    with pytest.raises(DataTypeError):
        DataSaverLoader(3)
