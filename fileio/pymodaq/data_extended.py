"""DataExtendedSaver: data of a scan whose shape is known, point by point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from sapwood.fileio.pymodaq.axes import Axis
from sapwood.fileio.pymodaq.data_convert import as_data
from sapwood.fileio.pymodaq.data_errors import DataIndexError, DataShapeError
from sapwood.fileio.pymodaq.data_nexus import set_units
from sapwood.fileio.pymodaq.data_nodes import index_of_name, nodes_of_kind, path_of
from sapwood.fileio.pymodaq.data_objects import DataWithAxes, check_types, dim_of_shape
from sapwood.fileio.pymodaq.data_points import PointWriter
from sapwood.fileio.pymodaq.data_saving import DataSaverLoader, facts_of
from sapwood.fileio.pymodaq.enums import DataDistribution, DataType, enum_checker

__all__ = ["DataExtendedSaver"]


@dataclass
class _Plan:
    """Where the arrays and errors of one group go."""

    handle: Any
    data: list[PointWriter] = field(default_factory=list)
    errors: list[PointWriter] = field(default_factory=list)


class DataExtendedSaver(DataSaverLoader):
    """Saves each point of a scan at its indexes; points never written hold the fill value.

    Parameters
    ----------
    h5saver
        The open file, or a path.
    extended_shape
        Points along each dimension of the scan.
    fill_value
        For points not written; the saver's (not-a-number) by default.
    """

    data_type = DataType.data

    def __init__(self, h5saver: Any, extended_shape: Iterable[int], fill_value: Any = None) -> None:
        super().__init__(h5saver)
        self.extended_shape = tuple(int(size) for size in extended_shape)
        self.fill_value = fill_value
        self._plans: dict[str, _Plan] = {}

    def add_data(  # type: ignore[override]  # the peer's signatures differ, too
        self, where: Any, data: Any, indexes: Iterable[int], distribution: Any = DataDistribution.uniform
    ) -> None:
        """Save one point of the scan in the group `where`.

        The first call makes the arrays and saves the axes of the data, moved behind the dimensions of
        the scan; the caller's objects stay as they are. Nothing is written when this raises.

        Raises
        ------
        DataIndexError
            There are more or fewer indexes than dimensions, or one lies outside.
        DataShapeError
            The data differ in number or shape from those of the first point.
        """
        own = data if isinstance(data, DataWithAxes) else as_data(data)
        place = self.place(indexes)
        with self.h5saver.lock:
            writes = self.prepare(where, own, distribution)
            self.write(place, writes)

    def prepare(
        self, where: Any, data: DataWithAxes, distribution: Any
    ) -> list[tuple[PointWriter, NDArray[Any]]]:
        """Return what is to be written where, after all checks; the caller holds the saver's lock.

        Raises
        ------
        DataShapeError
            As `add_data`.
        """
        path = path_of(where)
        plan = self._plans.get(path)
        if plan is None or plan.handle is not self.h5saver.shared.handle:
            plan = self._plans[path] = self._plan(path, data, enum_checker(DataDistribution, distribution))
        self._check(data, plan)
        writes = list(zip(plan.data, data.data, strict=True))
        if plan.errors and data.errors is not None:
            writes += zip(plan.errors, data.errors, strict=True)
        return writes

    def write(self, place: tuple[int, ...], writes: Sequence[tuple[PointWriter, NDArray[Any]]]) -> None:
        """Write one point into several arrays."""
        with self.h5saver.shared.writing():
            for writer, array in writes:
                writer.write(place, array)

    def place(self, indexes: Iterable[int]) -> tuple[int, ...]:
        """Return the indexes as numbers; `DataIndexError` outside of the scan."""
        place = tuple(map(int, indexes))
        shape = self.extended_shape
        outside = [index for index, size in zip(place, shape, strict=False) if not 0 <= index < size]
        if outside or len(place) != len(shape):
            raise DataIndexError(
                "The indexes lie outside of the scan", expected=f"within {shape}", seen=place
            )
        return place

    @staticmethod
    def _check(data: DataWithAxes, plan: _Plan) -> None:
        if data.errors is not None and not plan.errors:
            raise DataShapeError("The first point of the scan had no errors", path=data.name)
        check_types(data.data, [writer.dtype for writer in plan.data], data.name)
        if len(data.data) != len(plan.data) or not plan.data[0].fits(data.data[0]):
            raise DataShapeError(
                "Each point of a scan has the arrays of the first one",
                path=data.name,
                expected=f"{len(plan.data)} of {plan.data[0].record or (1,)}",
                seen=f"{len(data.data)} of {data.shape}",
            )

    # ---- the first point

    def _plan(self, path: str, data: DataWithAxes, distribution: DataDistribution) -> _Plan:
        """Return the arrays of a group, made now or found there."""
        group = self.get_group(path)
        there = nodes_of_kind(group, self.data_type)
        dims = len(self.extended_shape)
        if not there:
            plan = self._make(path, data, distribution)
            self._add_axes(path, self._moved(data))
            return plan
        for node in there:
            if tuple(node.shape[:dims]) != self.extended_shape:
                raise DataShapeError(
                    "The group holds data of another scan",
                    path=node.path,
                    expected=self.extended_shape,
                    seen=tuple(node.shape[:dims]),
                )
        numbers = {index_of_name(node.name) for node in there}
        errors = [one for one in nodes_of_kind(group, DataType.error) if index_of_name(one.name) in numbers]
        return _Plan(
            self.h5saver.shared.handle,
            [PointWriter(one, dims) for one in there],
            [PointWriter(one, dims) for one in errors],
        )

    def _make(self, path: str, data: DataWithAxes, distribution: DataDistribution) -> _Plan:
        plan = _Plan(self.h5saver.shared.handle)
        dims = len(self.extended_shape)
        for number, array in enumerate(data.data):
            name = self._take_name(path)
            node = self._make_array(path, name, data, number, array, distribution, self.data_type)
            plan.data.append(PointWriter(node, dims))
            if data.errors is None:
                continue
            errors = data.errors_as_dwa()
            own = self._name(index_of_name(name) or 0, DataType.error)
            array = errors.data[number]
            node = self._make_array(path, own, errors, number, array, distribution, DataType.error)
            plan.errors.append(PointWriter(node, dims))
        return plan

    def _make_array(
        self,
        path: str,
        name: str,
        data: DataWithAxes,
        number: int,
        array: Any,
        distribution: DataDistribution,
        kind: DataType,
    ) -> Any:
        dims = len(self.extended_shape)
        own = [index + dims for index in data.nav_indexes]
        node = self.h5saver.add_array(
            path,
            name,
            kind,
            title=data.name,
            data_shape=array.shape,
            array_type=array.dtype,
            data_dimension=dim_of_shape(array.shape) if not data.nav_indexes else data.dim,
            scan_shape=self.extended_shape,
            add_scan_dim=True,
            fill_value=self.fill_value,
            metadata=facts_of(data, data.labels[number], (*range(dims), *own), distribution),
        )
        set_units(node, data.units, data.labels[number])
        return node

    def _moved(self, data: DataWithAxes) -> Sequence[Axis]:
        """Return the axes of one point, behind the dimensions of the scan."""
        dims = len(self.extended_shape)
        if data.shape == (1,):
            return []
        return [axis.copy(index=axis.index + dims) for axis in data.axes]
