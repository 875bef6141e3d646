"""Axes, data objects and the list of them, in memory."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapwood.fileio.pymodaq.axes import Axis
from sapwood.fileio.pymodaq.data_convert import as_data, as_export
from sapwood.fileio.pymodaq.data_errors import AxisError, DataShapeError, DataTypeError, UnknownDataError
from sapwood.fileio.pymodaq.data_export import DataToExport
from sapwood.fileio.pymodaq.data_objects import DataCalculated, DataFromPlugins, DataRaw, DataWithAxes


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e3), st.integers(1, 50))
def test_a_linear_axis_knows_offset_and_scaling(offset: float, scaling: float, size: int) -> None:
    axis = Axis("x", "mm", scaling=scaling, offset=offset, size=size)
    again = Axis("x", "mm", data=axis.get_data())
    assert again == axis
    assert again.offset == pytest.approx(offset)
    assert again.scaling == (1 if size == 1 else pytest.approx(scaling, rel=1e-3))


def test_other_axes_have_neither() -> None:
    axis = Axis(data=np.array([0.0, 1.0, 10.0]))
    assert (axis.offset, axis.scaling, axis.size) == (None, None, 3)
    assert axis.find_index(8) == 2
    assert (axis.min(), axis.max()) == (0, 10)
    assert axis.get_data_at(1).tolist() == [1]
    assert len(Axis()) == 0


def test_copies_of_axes_leave_the_first_as_it_is() -> None:
    axis = Axis("x", "mm", data=[1, 2, 3])
    moved = axis.copy(index=2, data=np.arange(5.0))
    assert (axis.index, axis.size, moved.index, moved.size) == (0, 3, 2, 5)


@pytest.mark.parametrize("wrong", [{"data": [[1]]}, {"index": -1}, {"size": -1}])
def test_impossible_axes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(AxisError):
        Axis(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_dimensionality_follows_from_shape_and_navigation() -> None:
    def dim(*shape: int, nav: tuple[int, ...] = ()) -> str:
        return str(DataRaw("d", data=[np.zeros(shape)], nav_indexes=nav).dim.name)

    assert [dim(1), dim(5), dim(2, 3), dim(2, 3, 4)] == ["Data0D", "Data1D", "Data2D", "DataND"]
    assert dim(5, nav=(0,)) == "DataND"


def test_what_is_missing_is_filled_in() -> None:
    data = DataRaw("d", data=[np.zeros(3), np.ones(3)], labels=["a"])
    assert data.labels == ["a", "CH01"]
    assert data.timestamp > 1.6e9
    assert data.source == "raw"
    assert DataCalculated("d", data=1.5).source == "calculated"
    assert DataRaw("d", data=3).shape == (1,)
    assert DataFromPlugins("d", data=3, save=False).do_save is False
    data.create_missing_axes()
    assert [axis.size for axis in data.axes] == [3]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataShapeError):
        DataRaw("d", data=[np.zeros(3), np.zeros(4)])
    with pytest.raises(DataShapeError):
        DataRaw("d", data=[np.zeros(3)], errors=[np.zeros(2)])
    with pytest.raises(DataShapeError):
        DataRaw("d", data=[np.zeros(3)], nav_indexes=(1,))
    with pytest.raises(AxisError):
        DataRaw("d", data=[np.zeros(3)], axes=[Axis(size=4)])
    for wrong in (None, [], "text", [object()]):
        with pytest.raises(DataTypeError):
            DataRaw("d", data=wrong)
    with pytest.raises(DataTypeError, match="meaning"):
        DataRaw("d", data=[np.zeros(3)], shape=4)


def test_subtraction_adds_errors_in_squares() -> None:
    one = DataRaw("a", data=[np.full(2, 5.0)], errors=[np.full(2, 3.0)])
    two = DataRaw("b", data=[np.ones(2)], errors=[np.full(2, 4.0)])
    result = one - two
    assert result.name == "a"
    assert result.data[0].tolist() == [4, 4]
    assert result.errors is not None
    assert result.errors[0].tolist() == [5, 5]
    assert one.data[0].tolist() == [5, 5]


def test_objects_of_other_packages_are_taken_by_their_attributes() -> None:
    axis = SimpleNamespace(label="t", units="s", index=0, spread_order=0, get_data=lambda: np.arange(3.0))
    other = SimpleNamespace(
        name="d", data=[np.zeros(3)], labels=["l"], units="V", axes=[axis], nav_indexes=(), errors=None,
        origin="o", source=SimpleNamespace(name="calculated"), distribution=SimpleNamespace(name="spread"),
        timestamp=5.0, extra_attributes=["gain"], gain=3,
    )  # fmt: skip
    data = as_data(other)
    assert isinstance(data, DataWithAxes)
    assert (data.units, data.source, data.distribution, data.timestamp) == ("V", "calculated", "spread", 5.0)
    assert data.axes[0].units == "s"
    assert data.extra_attributes == ["gain"]
    assert as_data(data) is data
    export = as_export(SimpleNamespace(name="e", data=[other], timestamp=7.0))
    assert (export.name, export.timestamp, export[0].name) == ("e", 7.0, "d")
    for wrong in (3, object()):
        with pytest.raises(DataTypeError):
            as_data(wrong)
        with pytest.raises(DataTypeError):
            as_export(wrong)


def test_data_to_export_finds_its_data() -> None:
    export = DataToExport("e", data=[DataRaw("a", data=1, origin="x"), DataRaw("b", data=[np.zeros(4)])])
    assert export.get_dim_presents() == ["Data0D", "Data1D"]
    assert export.get_data_from_dim("Data1D").get_names() == ["b"]
    assert export.get_full_names() == ["x/a", "/b"]
    assert export.get_data_from_full_name("x/a") is export[0]
    assert export.get_origins() == ["x", ""]
    export.append(DataRaw("a", data=2, origin="x"))
    assert len(export) == 2
    assert export[0].data[0].tolist() == [2]
    with pytest.raises(NameError) as caught:
        export.get_data_from_name("c")
    assert isinstance(caught.value, UnknownDataError)
