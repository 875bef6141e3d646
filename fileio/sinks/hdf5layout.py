"""What tables become in an HDF5 file: groups and datasets with names that NeXus viewers know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sapwood.fileio.formats import PathLike
from sapwood.fileio.hdf5 import h5py, open_h5
from sapwood.fileio.hdf5columns import ABOUT_ROWS, ABOUT_TABLES, MARK, VERSION
from sapwood.fileio.sinks.facts import fact_text, table_facts
from sapwood.fileio.sinks.flat import FlatTable
from sapwood.fileio.table import FRAMES, Table

__all__ = ["begin_group", "describe", "new_file"]

_AXES = ("time", "timestamp")


def new_file(path: PathLike, libver: tuple[str, str] | None = None) -> Any:
    """Return a new `h5py.File` that is marked as one of columns.

    It holds no chunks back: the library would hide that the disk refuses them until it is too late.
    """
    file = open_h5(path, "w", libver=libver, rdcc_nbytes=0)
    file.attrs[MARK] = VERSION
    file.attrs["NX_class"] = "NXroot"
    return file


def begin_group(file: Any, table: Table) -> Any:
    """Make the group of `table` and return it; viewers plot its last plain column of numbers."""
    group = file.create_group(table.name)
    group.attrs["columns"] = np.array(list(table), h5py().string_dtype())
    _note(group, table_facts(table), ABOUT_TABLES)
    numeric = [
        name
        for name, one in table.columns.items()
        if not one.ragged and one.values.ndim == 1 and one.values.dtype.kind in "iuf"
    ]
    axis = next((name for name in _AXES if name in numeric), None)
    signals = [name for name in numeric if name != axis]
    if table.name == FRAMES or not signals:
        group.attrs["NX_class"] = "NXcollection"
        return group
    group.attrs["NX_class"] = "NXdata"
    group.attrs["signal"] = signals[-1]
    group.attrs["axes"] = np.array([axis or "."], h5py().string_dtype())
    if "default" not in file.attrs:
        file.attrs["default"] = table.name
    return group


def describe(group: Any, table: Table, flat: FlatTable) -> None:
    """Give the datasets of `table`, which are there, the facts about its columns."""
    for name, column in table.columns.items():
        dataset = group[name]
        if name in flat.bounds:
            dataset.attrs["ragged"] = flat.bounds[name]
        if column.unit:
            dataset.attrs["units"] = column.unit
        _note(dataset, column.attributes, ABOUT_ROWS)


def _note(node: Any, facts: Mapping[str, Any], taken: tuple[str, ...]) -> None:
    """Write attributes; those whose names are taken get a ``_`` behind it."""
    for name, value in facts.items():
        key = f"{name}_" if name in taken else name
        try:
            node.attrs[key] = value
        except (TypeError, ValueError, OverflowError):  # HDF5 has no type for it
            node.attrs[key] = fact_text(value)
