"""Savers of DataToExport: one group for each dimensionality, in it one for each data object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sapwood.fileio.pymodaq.axes import Axis
from sapwood.fileio.pymodaq.data_axes import AxisSaverLoader
from sapwood.fileio.pymodaq.data_convert import as_export
from sapwood.fileio.pymodaq.data_enlargeable import DataEnlargeableSaver, axis_rows, pairs
from sapwood.fileio.pymodaq.data_errors import DataTypeError
from sapwood.fileio.pymodaq.data_extended import DataExtendedSaver
from sapwood.fileio.pymodaq.data_nexus import link_plot
from sapwood.fileio.pymodaq.data_nodes import NodeSaver, index_of_name, nodes_of_kind, path_of
from sapwood.fileio.pymodaq.data_saving import BkgSaver, DataSaverLoader, ErrorSaverLoader
from sapwood.fileio.pymodaq.enums import DataDistribution, DataType, SaveType
from sapwood.fileio.pymodaq.nodes import GROUP

if TYPE_CHECKING:
    from sapwood.fileio.pymodaq.data_bundle import DataBundle
    from sapwood.fileio.pymodaq.data_export import DataToExport
    from sapwood.fileio.pymodaq.data_objects import DataWithAxes

__all__ = [
    "NAV_GROUP",
    "DataToExportEnlargeableSaver",
    "DataToExportExtendedSaver",
    "DataToExportSaver",
    "DataToExportTimedSaver",
]

NAV_GROUP = "NavAxes"


class DataToExportSaver(NodeSaver):
    """Saves all data of a `DataToExport` as ``where/Data1D/CH00/Data00`` and so on.

    Parameters
    ----------
    h5saver
        The open file, or a path.
    save_type, new_file, metadata
        For a path, as in `H5SaverLowLevel.from_file`.
    """

    def __init__(
        self,
        h5saver: Any,
        save_type: Any = SaveType.custom,
        new_file: bool = False,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(h5saver, new_file=new_file, metadata=metadata, save_type=save_type)
        self._channels: dict[tuple[Any, ...], str] = {}

    @staticmethod
    def channel_formatter(ind: int) -> str:
        """Return the name of channel group `ind`."""
        return f"CH{ind:02d}"

    def add_data(self, where: Any, data: Any, settings_as_xml: str | bytes = "", **kwargs: Any) -> None:
        """Save all data in the group `where`.

        Parameters
        ----------
        settings_as_xml
            Settings of the module, kept as the attribute ``settings`` of each array.
        kwargs
            Further attributes of each array.
        """
        saver = DataSaverLoader(self.h5saver)
        extra = self._extra(settings_as_xml, kwargs)
        with self.h5saver.lock:
            for own in as_export(data):
                saver.add_data(self._channel(where, own), own, **extra)

    def add_bkg(self, where: Any, data: Any) -> None:
        """Save backgrounds beside the data of the same dimensionality, name and origin."""
        self._add_beside(BkgSaver(self.h5saver), where, data)

    def add_error(self, where: Any, data: Any) -> None:
        """Save errors beside the data of the same dimensionality, name and origin."""
        self._add_beside(ErrorSaverLoader(self.h5saver), where, data)

    def add_data_bundle(self, data: DataBundle) -> None:
        """Save what a bundle holds."""
        self.add_data(self._node_of(data), data.dte, settings_as_xml=data.settings)

    def _add_beside(self, saver: DataSaverLoader, where: Any, data: Any) -> None:
        with self.h5saver.lock:
            for own in as_export(data):
                saver.add_data(self._channel(where, own), own)

    @staticmethod
    def _node_of(bundle: DataBundle) -> Any:
        if bundle.node is None:
            raise DataTypeError("The bundle does not say where the data go", expected="a node", seen=None)
        return bundle.node

    @staticmethod
    def _extra(settings_as_xml: str | bytes, kwargs: dict[str, Any]) -> dict[str, Any]:
        return {**({"settings": settings_as_xml} if settings_as_xml else {}), **kwargs}

    def _channel(self, where: Any, data: DataWithAxes) -> str:
        """Return the path of the channel group of these data, made when it is not there."""
        path = path_of(where)
        key = (path, data.dim, data.name, data.origin, self.h5saver.shared)
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = self._find_channel(path, data)
        return channel

    def _find_channel(self, path: str, data: DataWithAxes) -> str:
        group = self.h5saver.get_set_group(path, data.dim.name)
        channels = {name: node for name, node in group.children().items() if isinstance(node, GROUP)}
        for node in channels.values():
            if node.title == data.name and node.attrs.get("origin", "") == data.origin:
                return str(node.path)
        numbers = [index_of_name(name) for name in channels if name.startswith("CH")]
        free = max((number for number in numbers if number is not None), default=-1) + 1
        made = self.h5saver.get_set_group(
            group.path, self.channel_formatter(free), data.name, origin=data.origin
        )
        return str(made.path)


class _ScanSaver(DataToExportSaver):
    """What the savers of scans share: navigation axes, plots of both together, readers beside the writer."""

    def __init__(self, h5saver: Any) -> None:
        super().__init__(h5saver)
        self._begun: set[tuple[Any, ...]] = set()

    def _finish(self, where: Any, channels: Sequence[str], kind: DataType, extra: dict[str, Any]) -> None:
        """End the saving of a point: the first one completes the structure, and then lets readers in."""
        key = (*channels, self.h5saver.shared)
        if key not in self._begun:
            self._begun.add(key)
            for path in channels if extra else ():
                for node in nodes_of_kind(self.h5saver.get_node(path), kind):
                    for name, value in extra.items():
                        node.attrs[name] = value
            self._show(where, channels, kind)
            if self.h5saver.shared.swmr_made and not self.h5saver.shared.swmr_active:
                self.h5saver.enable_swmr()
        if self.h5saver.shared.swmr_made:
            self.h5saver.tick_flush()

    def _nav_nodes(self, where: Any) -> list[Any]:
        group = self.h5saver.get_node(where).children().get(NAV_GROUP)
        return [] if group is None else nodes_of_kind(group, DataType.axis)

    def _show(self, where: Any, channels: Iterable[str], kind: DataType) -> None:
        """Give viewers the data of each channel, over their navigation axes, as a plot."""
        axes = self._nav_nodes(where)
        for path in channels:
            group = self.h5saver.get_node(path)
            nodes = nodes_of_kind(group, kind)
            errors = {index_of_name(node.name): node for node in nodes_of_kind(group, DataType.error)}
            own = [*axes, *nodes_of_kind(group, DataType.axis)]
            placed = [(int(node.attrs.get("index", 0)), node) for node in own]
            link_plot(
                self.h5saver,
                path.strip("/").partition("/")[2].replace("/", "_"),
                group.title,
                {node.name: node for node in nodes},
                {node.name: errors[n] for node in nodes if (n := index_of_name(node.name)) in errors},
                [(index, node) for index, node in placed if index < len(nodes[0].shape)],
            )


class DataToExportExtendedSaver(_ScanSaver):
    """Saves the points of a scan whose shape is known, by their indexes.

    Parameters
    ----------
    h5saver
        The open file, or a path.
    extended_shape
        Points along each dimension of the scan.
    fill_value
        For points not written; the saver's (not-a-number) by default.
    """

    def __init__(self, h5saver: Any, extended_shape: Iterable[int], fill_value: Any = None) -> None:
        super().__init__(h5saver)
        self._saver = DataExtendedSaver(self.h5saver, extended_shape, fill_value)

    @property
    def extended_shape(self) -> tuple[int, ...]:
        """Points along each dimension of the scan."""
        return self._saver.extended_shape

    def add_nav_axes(self, where: Any, axes: Iterable[Any]) -> None:
        """Save the axes of the scan in ``where/NavAxes``; done once, later calls change nothing."""
        with self.h5saver.lock:
            group = self.h5saver.get_set_group(where, NAV_GROUP)
            if not nodes_of_kind(group, DataType.axis):
                AxisSaverLoader(self.h5saver).add_axes(group.path, [Axis.from_object(axis) for axis in axes])

    def add_data(  # type: ignore[override]  # the peer's signatures differ, too
        self,
        where: Any,
        data: Any,
        indexes: Iterable[int],
        distribution: Any = DataDistribution.uniform,
        settings_as_xml: str | bytes = "",
        **kwargs: Any,
    ) -> None:
        """Save one point of the scan.

        In a file made for SWMR the first point, which makes all arrays, lets readers in; each later
        one is flushed at the saver's interval.

        Parameters
        ----------
        settings_as_xml, kwargs
            Attributes of each array, set with the first point.

        Raises
        ------
        DataIndexError, DataShapeError
            As `DataExtendedSaver.add_data`.
        """
        place = self._saver.place(indexes)
        with self.h5saver.lock:
            channels, writes = [], []
            for own in as_export(data):
                channel = self._channel(where, own)
                writes += self._saver.prepare(channel, own, distribution)
                channels.append(channel)
            self._saver.write(place, writes)
            self._finish(where, channels, DataType.data, self._extra(settings_as_xml, kwargs))

    def add_data_bundle(self, data: DataBundle) -> None:
        """Save what a bundle holds."""
        self.add_data(
            self._node_of(data),
            data.dte,
            data.indexes or (),
            distribution=data.distribution,
            settings_as_xml=data.settings,
        )


class DataToExportEnlargeableSaver(_ScanSaver):
    """Appends points to arrays that grow, and the values of their axes to ``where/NavAxes``.

    Parameters
    ----------
    h5saver
        The open file, or a path.
    enl_axis_names, enl_axis_units
        One for each axis along which the data grow.
    axis_name, axis_units
        For a single axis, when the others are not given.
    """

    def __init__(
        self,
        h5saver: Any,
        enl_axis_names: Iterable[str] | None = None,
        enl_axis_units: Iterable[str] | None = None,
        axis_name: str = "nav axis",
        axis_units: str = "",
    ) -> None:
        super().__init__(h5saver)
        one = enl_axis_names is None and enl_axis_units is None
        self._enl = pairs([axis_name], [axis_units]) if one else pairs(enl_axis_names, enl_axis_units)
        self._saver = DataEnlargeableSaver(self.h5saver)
        self._axes: dict[tuple[str, Any], list[Any]] = {}

    def add_data(  # type: ignore[override]  # the peer's signatures differ, too
        self,
        where: Any,
        data: Any,
        axis_values: Iterable[Any] | None = None,
        axis_value: Any = None,
        settings_as_xml: str | bytes = "",
        **kwargs: Any,
    ) -> None:
        """Append one point, or several if the data have a navigation index.

        Parameters
        ----------
        axis_values
            For each axis a number, or an array with one for each point.
        axis_value
            For a single axis.
        settings_as_xml, kwargs
            Attributes of each array, set with the first point.

        Raises
        ------
        DataTypeError
            There are no values for the axes.
        DataShapeError
            Data or axis values differ in number or shape from those before.
        """
        if axis_values is None:
            if axis_value is None:
                raise DataTypeError(
                    "Data that grow need the values of their axes", expected=self._enl, seen=None
                )
            axis_values = [axis_value]
        dte = as_export(data)
        values = axis_rows(list(axis_values), len(self._enl), self._points(dte))
        extra = self._extra(settings_as_xml, kwargs)
        with self.h5saver.lock:
            channels, rows = [], list(zip(self._nav(where), values, strict=True))
            for own in dte:
                channel = self._channel(where, own)
                rows += self._saver.prepare(channel, own, (), (), {})
                channels.append(channel)
            for node, array in rows:
                node.append(array, expand=False)
            self._finish(where, channels, DataType.data_enlargeable, extra)

    @staticmethod
    def _points(dte: DataToExport) -> int:
        """Return how many points the data hold; all hold as many."""
        counts = {own.shape[own.nav_indexes[0]] if own.nav_indexes else 1 for own in dte}
        if len(counts) > 1:
            raise DataTypeError(
                "Data that grow together have one number of points", path=dte.name, seen=counts
            )
        return counts.pop() if counts else 1

    def _nav(self, where: Any) -> list[Any]:
        """Return the arrays of axis values, made when they are not there."""
        path = path_of(where)
        key = (path, self.h5saver.shared)
        nodes = self._axes.get(key)
        if nodes is None:
            group = self.h5saver.get_set_group(path, NAV_GROUP)
            nodes = nodes_of_kind(group, DataType.axis)
            if not nodes:
                saver = AxisSaverLoader(self.h5saver)
                axes = [
                    Axis(name, units, np.zeros(0), 0, spread_order=i)
                    for i, (name, units) in enumerate(self._enl)
                ]
                nodes = [saver.add_axis(group.path, axis, enlargeable=True) for axis in axes]
            self._axes[key] = nodes
        return nodes

    def add_data_bundle(self, data: DataBundle) -> None:
        """Save what a bundle holds."""
        self.add_data(
            self._node_of(data), data.dte, axis_values=data.axis_values, settings_as_xml=data.settings
        )


class DataToExportTimedSaver(DataToExportEnlargeableSaver):
    """Appends points over the time at which the data were taken.

    Parameters
    ----------
    h5saver
        The open file, or a path.
    """

    def __init__(self, h5saver: Any) -> None:
        super().__init__(h5saver, ("time",), ("s",))

    def add_data(  # type: ignore[override]  # the peer's signatures differ, too
        self, where: Any, data: Any, settings_as_xml: str | bytes = "", **kwargs: Any
    ) -> None:
        """Append one point; its value on the axis ``time`` is the time of `data`."""
        dte = as_export(data)
        super().add_data(where, dte, axis_values=[dte.timestamp], settings_as_xml=settings_as_xml, **kwargs)

    def add_data_bundle(self, data: DataBundle) -> None:
        """Save what a bundle holds."""
        self.add_data(self._node_of(data), data.dte, settings_as_xml=data.settings)
