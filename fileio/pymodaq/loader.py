"""DataLoader: data objects from the arrays of a file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.pymodaq.axes import Axis
from sapwood.fileio.pymodaq.data_axes import axis_of_node
from sapwood.fileio.pymodaq.data_errors import NotDataError, UnknownDataError
from sapwood.fileio.pymodaq.data_export import DataToExport
from sapwood.fileio.pymodaq.data_nexus import ENTRY
from sapwood.fileio.pymodaq.data_nodes import index_of_name, kind_of, nodes_of_kind
from sapwood.fileio.pymodaq.data_objects import DataWithAxes
from sapwood.fileio.pymodaq.data_reading import (
    damage_told,
    fit_axes,
    kept_dimensions,
    nav_indexes_of,
    read_alike,
    read_array,
    squeeze,
    subtract,
)
from sapwood.fileio.pymodaq.enums import DataDistribution, DataSource, DataType, SaveType, enum_checker
from sapwood.fileio.pymodaq.nodes import GROUP
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel

if TYPE_CHECKING:
    from typing import Self

__all__ = ["DataLoader", "kind_in"]

NAV = "navaxes"
DATA = (DataType.data, DataType.data_enlargeable)
# attributes with a meaning of their own: all others become attributes of the data object
KNOWN = frozenset(
    {
        *("CLASS", "TITLE", "VERSION", "EXTDIM", "shape", "dtype", "subdtype", "backend", "size"),
        *("data_type", "data_dimension", "timestamp", "label", "source", "distribution", "origin"),
        *("units", "nav_indexes", "long_name", "interpretation", "name", "data", "labels", "axes", "errors"),
    }
)


def kind_in(node: Any) -> DataType:
    """Return the `DataType` of an array that holds data.

    Raises
    ------
    NotDataError
        It is a group, or holds texts.
    """
    if isinstance(node, GROUP):
        raise NotDataError("A group holds no data itself", expected="an array", seen=node.path)
    kind = kind_of(node)
    if kind is DataType.strings or node.attrs.get("subdtype", "") == "string":
        raise NotDataError("This array holds texts, no data", seen=node.path)
    return DataType.data if kind is None else kind


class DataLoader:
    """Loads data objects from a file, which is opened for reading only and never altered.

    Parameters
    ----------
    h5saver
        A path, or a saver with an open file.
    swmr_mode
        Read beside a live writer; by itself this happens when the file cannot be opened otherwise.
    raw_group
        Group with the data; found by its ``type`` without one.
    """

    def __init__(self, h5saver: Any, swmr_mode: bool = False, raw_group: str | None = None) -> None:
        if isinstance(h5saver, (str, os.PathLike)):
            saver = H5SaverLowLevel()
            try:
                with damage_told(h5saver):
                    saver.init_file(
                        h5saver, raw_group_name=raw_group or "RawData", mode="r", swmr_mode=swmr_mode
                    )
            except BaseException:
                saver.close_file()
                raise
            h5saver = saver
        self.h5saver = h5saver
        self._raw = raw_group

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_file()

    def close_file(self) -> None:
        """Close the file."""
        self.h5saver.close_file()

    close = close_file

    # ---- nodes

    @property
    def raw_group(self) -> Any:
        """The group with the data: the one named, ``/RawData``, or the first of a `SaveType`'s type.

        Raises
        ------
        NotDataError
            The file has none.
        """
        children = self.h5saver.get_node("/").children()
        name = (self._raw or "RawData").strip("/")
        if name in children:
            return children[name]
        for node in children.values():
            if isinstance(node, GROUP) and node.attrs.get("type", None) in SaveType.names():
                return node
        raise NotDataError("The file has no group with data", expected=name, seen=sorted(children))

    def get_node(self, where: Any, name: str | None = None) -> Any:
        """Return a node by path, or by group and name."""
        return self.h5saver.get_node(where, name)

    def walk_nodes(
        self, where: Any = "/", depth: int | None = None, only_groups: bool = False
    ) -> Iterator[Any]:
        """Yield a node and all below it."""
        yield from self.h5saver.walk_nodes(where, depth, only_groups)

    def get_nav_group(self, where: Any) -> Any:
        """Return the nearest group ``NavAxes`` on the way up to the root, None without one."""
        group = self.h5saver.get_node(where)
        while group is not None:
            if isinstance(group, GROUP):
                for name, node in group.children().items():
                    if name.lower() == NAV:
                        return node
            group = group.parent_node
        return None

    def _groups_below(self, where: Any) -> Iterator[Any]:
        """Yield all groups below a node, itself first, in the order of names; not the links of plots."""
        rest = [self.h5saver.get_node(where)]
        while rest:
            group = rest.pop(0)
            if not isinstance(group, GROUP):
                continue
            yield group
            below = sorted(group.children().items())
            rest[:0] = [node for _, node in below if isinstance(node, GROUP) and node.path != f"/{ENTRY}"]

    # ---- data

    def load_data(self, where: Any, with_bkg: bool = False, load_all: bool = False) -> DataWithAxes:
        """Return the data of one array.

        Axes are those of its group and those of the nearest ``NavAxes``. Dimensions of size 1 that
        were not scanned go, others without an axis are counted from 0. Attributes that have no
        meaning here become attributes of the object, and so does ``path``. What a plain array lacks
        is filled in.

        Parameters
        ----------
        with_bkg
            Subtract the backgrounds of the group, each from the array of its number.
        load_all
            Take all arrays of the same kind in the group.

        Raises
        ------
        NotDataError
            The node is a group or holds texts.
        DataShapeError
            Arrays to be taken together, or their background, differ in shape.
        """
        with damage_told(self.h5saver.file_path):
            node = self.h5saver.get_node(where)
            kind = kind_in(node)
            group = node.parent_node
            nodes = nodes_of_kind(group, kind) if load_all and kind_of(node) is kind else [node]
            return self._load(nodes, node, group, kind, with_bkg)

    def _load(
        self, nodes: Sequence[Any], node: Any, group: Any, kind: DataType, with_bkg: bool
    ) -> DataWithAxes:
        facts = node.attrs.to_dict()
        nav = nav_indexes_of(facts, kind, len(node.shape))
        arrays = read_alike(nodes, kind)
        errors = self._errors(group, nodes, arrays) if kind in DATA else None
        if with_bkg and kind in DATA:
            arrays, errors = self._subtract(group, nodes, arrays, errors)
        kept = kept_dimensions(arrays[0].shape, nav)
        data = DataWithAxes(
            _text(node.title) if "TITLE" in facts else node.name,
            source=_member(DataSource, facts.get("source"), DataSource.raw),
            distribution=_distribution(facts, kind),
            data=[squeeze(array, kept) for array in arrays],
            labels=[_text(one.attrs.get("label", one.name)) for one in nodes],
            origin=_text(facts.get("origin", "")),
            units=_text(facts.get("units", "")),
            nav_indexes=[kept.index(index) for index in nav if index in kept],
            axes=fit_axes(self._axes(node, group, kind, nav), kept, arrays[0].shape),
            errors=None if errors is None else [squeeze(error, kept) for error in errors],
            timestamp=_number(facts.get("timestamp")),
        )
        data.create_missing_axes()
        for key in sorted(set(facts) - KNOWN):
            if not hasattr(data, key):
                data.add_extra_attribute(key, facts[key])
        data.add_extra_attribute("path", node.path)
        return data

    def _axes(self, node: Any, group: Any, kind: DataType, nav: Sequence[int]) -> list[Axis]:
        """Return the axes of an array: of its group and, when it was scanned, of the nearest ``NavAxes``."""
        if kind is DataType.axis:
            own = axis_of_node(node)
            return [Axis(own.label, own.units, np.arange(own.size, dtype=np.float64))]
        axes = [axis_of_node(one) for one in nodes_of_kind(group, DataType.axis)]
        above = self.get_nav_group(group) if nav else None
        if above is not None:
            axes = [axis_of_node(one) for one in nodes_of_kind(above, DataType.axis)] + axes
        return axes

    @staticmethod
    def _errors(
        group: Any, nodes: Sequence[Any], arrays: Sequence[NDArray[Any]]
    ) -> list[NDArray[Any]] | None:
        """Return the errors with the numbers of these arrays; not-a-number for those without."""
        there = {index_of_name(one.name): one for one in nodes_of_kind(group, DataType.error)}
        own = [there.get(index_of_name(one.name)) for one in nodes]
        shape = arrays[0].shape
        found = [None if one is None else read_array(one)[: shape[0]] for one in own]
        if all(error is None or error.shape != shape for error in found):
            return None
        return [np.full(shape, np.nan) if error is None or error.shape != shape else error for error in found]

    @staticmethod
    def _subtract(
        group: Any,
        nodes: Sequence[Any],
        arrays: Sequence[NDArray[Any]],
        errors: Sequence[NDArray[Any]] | None,
    ) -> tuple[list[NDArray[Any]], list[NDArray[Any]] | None]:
        """Return arrays and errors with the backgrounds of the same numbers taken off."""
        there = {index_of_name(one.name): one for one in nodes_of_kind(group, DataType.bkg)}
        children = group.children()
        result, noise = list(arrays), None if errors is None else list(errors)
        for i, node in enumerate(nodes):
            bkg = there.get(index_of_name(node.name))
            if bkg is None:
                continue
            result[i] = subtract(arrays[i], read_array(bkg), node.path)
            spoiled = children.get(f"{bkg.name}_errors")
            if spoiled is not None:
                noise = noise or [np.zeros(array.shape) for array in arrays]
                noise[i] = np.hypot(noise[i], read_array(spoiled))
        return result, noise

    # ---- several

    def _data_nodes(self, where: Any) -> Iterator[list[Any]]:
        """Yield the arrays of each data object below a node: one group, kind, title and record."""
        for group in self._groups_below(where):
            for kind in DATA:
                alike: dict[Any, list[Any]] = {}
                for node in nodes_of_kind(group, kind):
                    shape = node.shape[1:] if kind is DataType.data_enlargeable else node.shape
                    alike.setdefault((node.title, shape), []).append(node)
                yield from alike.values()

    def load_all(
        self, where: Any = None, data: DataToExport | None = None, with_bkg: bool = False
    ) -> DataToExport:
        """Return all data below `where`, the group with the data by default.

        Parameters
        ----------
        data
            A `DataToExport` to add them to; a new one has the title of the group as its name.
        """
        with damage_told(self.h5saver.file_path):
            top = self.raw_group if where is None else self.h5saver.get_node(where)
            if not isinstance(top, GROUP):
                top = top.parent_node
            result = DataToExport(_text(top.title) or top.name) if data is None else data
            for nodes in self._data_nodes(top):
                kind = kind_in(nodes[0])
                result.data.append(self._load(nodes, nodes[0], nodes[0].parent_node, kind, with_bkg))
        return result

    def load_data_from_name_origin(
        self, name: str, origin: str = "", where: Any = None, with_bkg: bool = False, load_all: bool = True
    ) -> DataWithAxes:
        """Return the first data of this name and, if one is given, origin.

        Parameters
        ----------
        where
            Look below this node only.

        Raises
        ------
        UnknownDataError
            None has them.
        """
        seen = []
        with damage_told(self.h5saver.file_path):
            for nodes in self._data_nodes(self.raw_group if where is None else where):
                node = nodes[0]
                title, source = _text(node.title), _text(node.attrs.get("origin", ""))
                seen.append(f"{source}/{title}")
                if title == name and origin in ("", source):
                    own = nodes if load_all else nodes[:1]
                    return self._load(own, node, node.parent_node, kind_in(node), with_bkg)
        raise UnknownDataError(f"No data named {name!r} from {origin!r}", expected=name, seen=seen[:20])


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else "" if value is None else str(value)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _distribution(facts: Mapping[str, Any], kind: DataType) -> DataDistribution:
    """Return the distribution of data; for an axis the word means something else."""
    named = None if kind is DataType.axis else facts.get("distribution")
    found: DataDistribution = _member(DataDistribution, named, DataDistribution.uniform)
    return found


def _member(enum: Any, name: Any, default: Any) -> Any:
    try:
        return enum_checker(enum, _text(name))
    except ValueError:
        return default
