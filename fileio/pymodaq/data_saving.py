"""DataSaverLoader and its kinds: data objects as arrays with their axes and errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.pymodaq.axes import Axis
from sapwood.fileio.pymodaq.data_axes import AxisSaverLoader
from sapwood.fileio.pymodaq.data_convert import as_data
from sapwood.fileio.pymodaq.data_errors import DataTypeError
from sapwood.fileio.pymodaq.data_nexus import link_plot, set_units
from sapwood.fileio.pymodaq.data_nodes import NodeSaver, index_of_name, nodes_of_kind
from sapwood.fileio.pymodaq.enums import DataSource, DataType
from sapwood.fileio.pymodaq.loader import DataLoader, kind_in

if TYPE_CHECKING:
    from sapwood.fileio.pymodaq.data_objects import DataWithAxes

__all__ = ["BkgSaver", "DataSaverLoader", "ErrorSaverLoader", "facts_of"]

# attributes that an array has for another reason: data cannot use their names
RESERVED = frozenset(
    {
        *("CLASS", "TITLE", "VERSION", "EXTDIM", "shape", "dtype", "subdtype", "backend"),
        *("data_type", "data_dimension", "timestamp", "label", "source", "distribution", "origin"),
        *("units", "nav_indexes", "long_name"),
    }
)


def facts_of(
    data: DataWithAxes, label: str, nav_indexes: Sequence[int], distribution: Any, **more: Any
) -> dict[str, Any]:
    """Return the attributes that an array of `data` is saved with.

    Raises
    ------
    DataTypeError
        An extra attribute has the name of one with a meaning of its own.
    """
    extra = {key: getattr(data, key) for key in data.extra_attributes if key != "path"}
    extra.update(more)
    taken = RESERVED.intersection(extra)
    if taken:
        raise DataTypeError(
            "These attributes of data have a meaning already", path=data.name, seen=sorted(taken)
        )
    return {
        "timestamp": float(data.timestamp),
        "label": label,
        "source": data.source.name,
        "distribution": getattr(distribution, "name", distribution),
        "origin": data.origin,
        "nav_indexes": tuple(nav_indexes),
        **extra,
    }


class DataSaverLoader(NodeSaver):
    """Saves data objects as ``Data00`` ... with ``Axis00`` ... and ``ErrorBar00`` ..., and loads them."""

    data_type = DataType.data

    def add_data(self, where: Any, data: Any, save_axes: bool = True, **kwargs: Any) -> None:
        """Save all arrays of `data` in the group `where`.

        Errors get the number of the array they belong to.

        Parameters
        ----------
        save_axes
            Save the axes too; those that the group holds already are not saved again.
        kwargs
            Further attributes of each array.

        Raises
        ------
        DataTypeError
            This is no data object, or an attribute cannot be saved; nothing was written.
        """
        own = as_data(data)
        facts_of(own, "", (), own.distribution, **kwargs)
        with self.h5saver.lock:
            names = [self._add_array(where, own, i, array, kwargs) for i, array in enumerate(own.data)]
            if save_axes:
                self._add_axes(where, own.axes)
            if own.errors is not None:
                self._add_errors(where, own, names, kwargs)
            self._show(where, own, names)

    def _add_array(
        self,
        where: Any,
        data: DataWithAxes,
        number: int,
        array: NDArray[Any],
        extra: dict[str, Any],
        name: str | None = None,
    ) -> str:
        name = name or self._take_name(where)
        label = data.labels[number]
        node = self.h5saver.add_array(
            where,
            name,
            self.data_type,
            title=data.name,
            array_to_save=np.asarray(array),
            data_dimension=data.dim,
            metadata=facts_of(data, label, data.nav_indexes, data.distribution, **extra),
        )
        set_units(node, data.units, label)
        return name

    def _add_axes(self, where: Any, axes: Sequence[Axis]) -> None:
        saver = AxisSaverLoader(self.h5saver)
        if not axes:
            return
        there = [saver.load_axis(node) for node in nodes_of_kind(self.get_group(where), DataType.axis)]
        saver.add_axes(where, [axis for axis in axes if axis not in there])

    def _add_errors(
        self, where: Any, data: DataWithAxes, names: Sequence[str], extra: dict[str, Any]
    ) -> None:
        """Save errors under the numbers of their arrays."""
        errors = data.errors_as_dwa()
        saver = ErrorSaverLoader(self.h5saver)
        for number, (name, array) in enumerate(zip(names, errors.data, strict=True)):
            own = saver._name(index_of_name(name) or 0)
            saver._add_array(where, errors, number, array, extra, name=own)

    def _show(self, where: Any, data: DataWithAxes, names: Sequence[str]) -> None:
        """Give viewers data with errors, which they know by other names than the peer, as a plot."""
        if data.errors is None or self.data_type is not DataType.data or data.shape == (1,):
            return
        group = self.get_group(where)
        children = group.children()
        numbers = [index_of_name(name) or 0 for name in names]
        link_plot(
            self.h5saver,
            group.path.strip("/").partition("/")[2].replace("/", "_") or group.name,
            data.name,
            {name: children[name] for name in names},
            {name: children[self._name(n, DataType.error)] for name, n in zip(names, numbers, strict=True)},
            [(int(node.attrs["index"]), node) for node in nodes_of_kind(group, DataType.axis)],
        )

    # ---- loading

    def load_data(self, where: Any, with_bkg: bool = False, load_all: bool = False) -> DataWithAxes:
        """Return the data that the array `where` holds; see `DataLoader.load_data`."""
        return DataLoader(self.h5saver).load_data(where, with_bkg=with_bkg, load_all=load_all)

    def get_axes(self, where: Any) -> list[Axis]:
        """Return the axes in the group of `where`."""
        return AxisSaverLoader(self.h5saver).get_axes(where)

    def get_bkg_nodes(self, where: Any) -> list[Any]:
        """Return the arrays with backgrounds in the group of `where`."""
        return nodes_of_kind(self.get_group(where), DataType.bkg)

    def get_data_arrays(
        self, where: Any, with_bkg: bool = False, load_all: bool = False
    ) -> list[NDArray[Any]]:
        """Return the arrays that `load_data` would give."""
        node = self.h5saver.get_node(where)
        kind_in(node)
        return self.load_data(node, with_bkg=with_bkg, load_all=load_all).data


class BkgSaver(DataSaverLoader):
    """Saves backgrounds as ``Bkg00`` ... beside the data they are to be subtracted from.

    Their errors become ``Bkg00_errors`` ..., apart from the errors of data.
    """

    data_type = DataType.bkg

    def _add_errors(
        self, where: Any, data: DataWithAxes, names: Sequence[str], extra: dict[str, Any]
    ) -> None:
        group = self.get_group(where)
        for name, array in zip(names, data.errors or (), strict=True):
            node = self.h5saver.create_carray(group, f"{name}_errors", array, f"{data.name}_errors")
            set_units(node, data.units)


class ErrorSaverLoader(DataSaverLoader):
    """Saves errors as ``ErrorBar00`` ... beside the data they belong to."""

    data_type = DataType.error

    def add_data(self, where: Any, data: Any, save_axes: bool = True, **kwargs: Any) -> None:
        """Save the arrays of `data` as errors; see `DataSaverLoader.add_data`."""
        own = as_data(data).deepcopy_with_new_data(as_data(data).data)
        own.source = DataSource.calculated
        super().add_data(where, own, save_axes, **kwargs)
