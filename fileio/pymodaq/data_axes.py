"""AxisSaverLoader: axes as arrays of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from sapwood.fileio.pymodaq.axes import Axis
from sapwood.fileio.pymodaq.data_errors import AxisError
from sapwood.fileio.pymodaq.data_nexus import set_units
from sapwood.fileio.pymodaq.data_nodes import NodeSaver, index_of_name, kind_of
from sapwood.fileio.pymodaq.data_reading import read_array
from sapwood.fileio.pymodaq.enums import DataDim, DataType
from sapwood.fileio.pymodaq.nodes import GROUP

__all__ = ["AxisSaverLoader", "axis_of_node"]


def axis_of_node(node: Any) -> Axis:
    """Return the axis that an array node holds; its length is that of the array, whatever ``size`` says.

    Raises
    ------
    AxisError
        The node holds something else.
    """
    if kind_of(node) is not DataType.axis:
        raise AxisError("This node is no axis", path=node.path, expected="data_type axis")
    attributes = node.attrs
    return Axis(
        label=_text(attributes.get("label", "")),
        units=_text(attributes.get("units", "")),
        data=np.atleast_1d(read_array(node)).ravel(),
        index=int(attributes.get("index", 0)),
        spread_order=int(attributes.get("spread_order", 0)),
    )


def _text(value: Any) -> str:
    """Return a label or units; the peer's decoder makes a number of a plain text such as ``1``."""
    return value.decode(errors="replace") if isinstance(value, bytes) else "" if value is None else str(value)


class AxisSaverLoader(NodeSaver):
    """Saves and loads axes."""

    data_type = DataType.axis

    def add_axis(self, where: Any, axis: Any, enlargeable: bool = False) -> Any:
        """Save an axis in the group `where`; return its node.

        Parameters
        ----------
        enlargeable
            Make an array that grows; it starts empty, whatever `axis` holds.
        """
        own = Axis.from_object(axis)
        values = own.get_data()
        metadata: dict[str, Any] = {
            "size": 0 if enlargeable else own.size,
            "label": own.label,
            "index": own.index,
            "offset": 0.0 if enlargeable else own.offset,
            "scaling": 1.0 if enlargeable else own.scaling,
            "distribution": "uniform" if enlargeable or own.scaling is not None else "spread",
            "spread_order": own.spread_order,
        }
        node = self.h5saver.add_array(
            where,
            self._take_name(where),
            self.data_type,
            title=own.label,
            array_to_save=None if enlargeable else values,
            array_type=values.dtype if values.dtype.kind in "iufc" else np.dtype(np.float64),
            data_dimension=DataDim.Data1D,
            enlargeable=enlargeable,
            metadata=metadata,
        )
        set_units(node, own.units, own.label)
        return node

    def add_axes(self, where: Any, axes: Iterable[Any]) -> list[Any]:
        """Save several axes; return their nodes."""
        return [self.add_axis(where, axis) for axis in axes]

    def load_axis(self, where: Any) -> Axis:
        """Return the axis that the array `where` holds.

        Raises
        ------
        AxisError
            It holds something else.
        """
        return axis_of_node(self.h5saver.get_node(where))

    def get_axis_nodes(self, where: Any) -> list[Any]:
        """Return the nodes of all axes in a group and its sub-groups; for an array those of its group."""
        found: list[Any] = []
        rest = [self.get_group(where)]
        while rest:
            group = rest.pop(0)
            children = group.children().values()
            axes = [node for node in children if kind_of(node) is DataType.axis]
            found += sorted(axes, key=lambda node: (index_of_name(node.name) or 0, node.name))
            rest += [node for node in children if isinstance(node, GROUP)]
        return found

    def get_axes(self, where: Any) -> list[Axis]:
        """Return all axes in a group and its sub-groups; for an array those of its group."""
        return [axis_of_node(node) for node in self.get_axis_nodes(where)]
