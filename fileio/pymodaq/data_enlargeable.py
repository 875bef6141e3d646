"""DataEnlargeableSaver: data that grow, without a shape known before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.pymodaq.axes import Axis
from sapwood.fileio.pymodaq.data_axes import AxisSaverLoader
from sapwood.fileio.pymodaq.data_convert import as_data
from sapwood.fileio.pymodaq.data_errors import DataDimError, DataError, DataShapeError
from sapwood.fileio.pymodaq.data_nexus import set_units
from sapwood.fileio.pymodaq.data_nodes import index_of_name, nodes_of_kind, path_of
from sapwood.fileio.pymodaq.data_objects import DataWithAxes, check_types, dim_of_shape
from sapwood.fileio.pymodaq.data_saving import DataSaverLoader, facts_of
from sapwood.fileio.pymodaq.enums import DataDistribution, DataType

__all__ = ["DataEnlargeableSaver", "axis_rows", "pairs"]


def pairs(names: Iterable[str] | str | None, units: Iterable[str] | str | None) -> list[tuple[str, str]]:
    """Return names and units of axes as pairs; units missing altogether are empty.

    Raises
    ------
    DataError
        There are more of one than of the other.
    """
    first = [names] if isinstance(names, str) else list(names or ())
    if units is None:
        units = [""] * len(first)
    second = [units] if isinstance(units, str) else list(units)
    if len(first) != len(second):
        raise DataError(
            "There should be as many units as names of axes", expected=len(first), seen=len(second)
        )
    return list(zip(first, second, strict=True))


def axis_rows(values: Sequence[Any], axes: int, rows: int | None = None) -> list[NDArray[Any]]:
    """Return one array of axis values for each axis, all of one length.

    Raises
    ------
    DataShapeError
        There are more or fewer than `axes`, or their lengths differ or are not `rows`.
    """
    arrays = [np.atleast_1d(np.asarray(value, dtype=np.float64)).ravel() for value in values]
    rows = len(arrays[0]) if rows is None and arrays else rows
    if len(arrays) != axes or any(len(array) != rows for array in arrays):
        raise DataShapeError(
            "The values of axes do not fit",
            expected=f"{axes} axes of {rows} points",
            seen=[len(array) for array in arrays],
        )
    return arrays


@dataclass
class _Plan:
    """Where the arrays, errors and values of axes of one group go."""

    shared: Any
    data: list[Any] = field(default_factory=list)
    errors: list[Any] = field(default_factory=list)
    axes: list[Any] = field(default_factory=list)
    record: tuple[int, ...] = ()
    dtypes: list[Any] = field(default_factory=list)


class DataEnlargeableSaver(DataSaverLoader):
    """Appends data points to arrays ``EnlData00`` ... that grow with each call.

    Parameters
    ----------
    h5saver
        The open file, or a path.
    enl_axis_names, enl_axis_units
        One for each axis along which the data grow.
    """

    data_type = DataType.data_enlargeable

    def __init__(
        self,
        h5saver: Any,
        enl_axis_names: Iterable[str] = ("nav axis",),
        enl_axis_units: Iterable[str] = ("",),
    ) -> None:
        super().__init__(h5saver)
        self._enl = pairs(enl_axis_names, enl_axis_units)
        self._plans: dict[str, _Plan] = {}

    def add_data(  # type: ignore[override]  # the peer's signatures differ, too
        self, where: Any, data: Any, axis_values: Iterable[Any] | None = None, **kwargs: Any
    ) -> None:
        """Append to the arrays in the group `where`, which the first call makes.

        Data without navigation index are one point; with one they are as many points as that
        dimension has, and its axis gives the values when `axis_values` are missing. All arrays get
        their points, or none.

        Parameters
        ----------
        axis_values
            For each axis a number, or an array with one for each point.
        kwargs
            Further attributes of the arrays.

        Raises
        ------
        DataDimError
            The data have more than one navigation index.
        DataShapeError
            Data or axis values differ in number or shape from those before.
        """
        own = data if isinstance(data, DataWithAxes) else as_data(data)
        axes, values = self._values(own, axis_values)
        with self.h5saver.lock:
            for node, array in self.prepare(where, own, axes, values, kwargs):
                node.append(array, expand=False)

    def prepare(
        self,
        where: Any,
        data: DataWithAxes,
        axes: Sequence[Axis],
        values: Sequence[NDArray[Any]],
        extra: dict[str, Any],
    ) -> list[tuple[Any, NDArray[Any]]]:
        """Return what is to be appended where, after all checks; the caller holds the saver's lock.

        Parameters
        ----------
        axes, values
            Axes that grow in the group itself, and their values for these points.

        Raises
        ------
        DataDimError, DataShapeError
            As `add_data`.
        """
        if len(data.nav_indexes) > 1:
            raise DataDimError(
                "Data that grow have one navigation index at most", path=data.name, seen=data.nav_indexes
            )
        rows = [self._rows(data, array) for array in data.data]
        errors = [self._rows(data, array) for array in data.errors or ()]
        if values:
            axis_rows(values, len(axes), len(rows[0]))
        path = path_of(where)
        plan = self._plans.get(path)
        if plan is None or plan.shared is not self.h5saver.shared:
            plan = self._plans[path] = self._plan(path, data, rows, errors, axes, extra)
        self._check(data, plan, rows, values)
        nodes = [*plan.data, *plan.axes]
        if plan.errors:
            nodes += plan.errors
            errors = errors or [np.full(array.shape, np.nan) for array in rows]
        return list(zip(nodes, [*rows, *values, *errors], strict=False))

    @staticmethod
    def _rows(data: DataWithAxes, array: NDArray[Any]) -> NDArray[Any]:
        """Return points first; a scalar record keeps a dimension of 1."""
        if not data.nav_indexes:
            return array[np.newaxis]
        moved = np.moveaxis(array, data.nav_indexes[0], 0)
        return moved if moved.ndim > 1 else moved[:, np.newaxis]

    def _values(
        self, data: DataWithAxes, axis_values: Iterable[Any] | None
    ) -> tuple[list[Axis], list[NDArray[Any]]]:
        """Return the axes of the points, and their values."""
        if axis_values is not None:
            axes = [Axis(name, units, spread_order=i) for i, (name, units) in enumerate(self._enl)]
            return axes, axis_rows(list(axis_values), len(axes))
        axes = data.get_nav_axes()
        return axes, [np.asarray(axis.get_data(), dtype=np.float64) for axis in axes]

    @staticmethod
    def _check(
        data: DataWithAxes, plan: _Plan, rows: Sequence[NDArray[Any]], values: Sequence[NDArray[Any]]
    ) -> None:
        check_types(data.data, plan.dtypes, data.name)
        record = plan.record
        if data.errors is not None and not plan.errors:
            raise DataShapeError("The first of these data had no errors", path=data.name)
        if len(rows) != len(plan.data) or rows[0].shape[1:] != record or len(values) != len(plan.axes):
            raise DataShapeError(
                "Data that grow have the arrays and axes of the first point",
                path=data.name,
                expected=f"{len(plan.data)} of {record}, {len(plan.axes)} axes",
                seen=f"{len(rows)} of {rows[0].shape[1:]}, {len(values)} axes",
            )

    # ---- the first point

    def _plan(
        self,
        path: str,
        data: DataWithAxes,
        rows: Sequence[NDArray[Any]],
        errors: Sequence[NDArray[Any]],
        axes: Sequence[Axis],
        extra: dict[str, Any],
    ) -> _Plan:
        """Return the arrays of a group, made now or found there."""
        group = self.get_group(path)
        there = nodes_of_kind(group, self.data_type)
        if there:
            numbers = {index_of_name(node.name) for node in there}
            old = [one for one in nodes_of_kind(group, DataType.error) if index_of_name(one.name) in numbers]
            axis_nodes = [
                one for one in nodes_of_kind(group, DataType.axis) if one.attrs.get("index", 0) == 0
            ]
            return _Plan(
                self.h5saver.shared,
                there,
                old,
                axis_nodes,
                tuple(there[0].shape[1:]),
                [n.dtype for n in there],
            )
        plan = _Plan(self.h5saver.shared, record=rows[0].shape[1:], dtypes=[row.dtype for row in rows])
        for number, array in enumerate(rows):
            name = self._take_name(path)
            plan.data.append(self._make_array(path, name, data, number, array, self.data_type, extra))
            if errors:
                own = self._name(index_of_name(name) or 0, DataType.error)
                noise = data.errors_as_dwa()
                node = self._make_array(path, own, noise, number, errors[number], DataType.error, extra)
                plan.errors.append(node)
        saver = AxisSaverLoader(self.h5saver)
        for rank, axis in enumerate(axes):
            moved = Axis(axis.label, axis.units, np.zeros(0), index=0, spread_order=rank)
            plan.axes.append(saver.add_axis(path, moved, enlargeable=True))
        saver.add_axes(path, self._moved(data))
        return plan

    def _make_array(
        self,
        path: str,
        name: str,
        data: DataWithAxes,
        number: int,
        array: NDArray[Any],
        kind: DataType,
        extra: dict[str, Any],
    ) -> Any:
        record = array.shape[1:]
        node = self.h5saver.add_array(
            path,
            name,
            kind,
            title=data.name,
            data_shape=record,
            array_type=array.dtype,
            data_dimension=dim_of_shape(record),
            enlargeable=True,
            metadata=facts_of(data, data.labels[number], (0,), DataDistribution.spread, **extra),
        )
        set_units(node, data.units, data.labels[number])
        return node

    @staticmethod
    def _moved(data: DataWithAxes) -> list[Axis]:
        """Return the axes of one point, behind the dimension that grows."""
        if data.shape == (1,):
            return []
        order = [index for index in range(len(data.shape)) if index not in data.nav_indexes]
        own = [axis for axis in data.axes if axis.index in order]
        return [axis.copy(index=order.index(axis.index) + 1) for axis in own]
