"""Data objects of other packages, taken by their attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sapwood.fileio.pymodaq.axes import Axis
from sapwood.fileio.pymodaq.data_errors import DataTypeError
from sapwood.fileio.pymodaq.data_objects import DataWithAxes

if TYPE_CHECKING:
    from sapwood.fileio.pymodaq.data_export import DataToExport

__all__ = ["as_data", "as_export"]


def as_data(data: Any) -> DataWithAxes:
    """Return `data` as `DataWithAxes`: itself, or a copy of an object with the same attributes.

    Needed are ``name`` and ``data`` (a list of arrays); ``labels``, ``units``, ``axes``,
    ``nav_indexes``, ``errors``, ``origin``, ``source``, ``distribution``, ``timestamp`` and those that
    ``extra_attributes`` names are taken over where they are there. Arrays are not copied.

    Raises
    ------
    DataTypeError
        It has neither.
    """
    if isinstance(data, DataWithAxes):
        return data
    if not hasattr(data, "name") or not hasattr(data, "data"):
        raise DataTypeError("This is no data object", expected="name and data", seen=type(data).__name__)
    facts: dict[str, Any] = {
        name: getattr(data, name)
        for name in ("labels", "origin", "timestamp", "nav_indexes")
        if getattr(data, name, None) is not None
    }
    for name in ("source", "distribution"):
        if getattr(data, name, None) is not None:
            facts[name] = _name_of(getattr(data, name))
    facts["units"] = str(getattr(data, "units", ""))
    facts["axes"] = [Axis.from_object(axis) for axis in getattr(data, "axes", None) or ()]
    errors = getattr(data, "errors", None)
    if errors is not None and len(errors):
        facts["errors"] = list(errors)
    result = DataWithAxes(str(data.name), data=list(data.data), **facts)
    for key in getattr(data, "extra_attributes", None) or ():
        result.add_extra_attribute(str(key), getattr(data, key))
    return result


def as_export(data: Any) -> DataToExport:
    """Return `data` as `DataToExport`: itself, or a copy of an object with ``name`` and a list ``data``.

    Raises
    ------
    DataTypeError
        It is something else.
    """
    from sapwood.fileio.pymodaq.data_export import DataToExport  # it uses as_data

    if isinstance(data, DataToExport):
        return data
    if not hasattr(data, "name") or not isinstance(getattr(data, "data", None), (list, tuple)):
        raise DataTypeError("This is no DataToExport", expected="name and data", seen=type(data).__name__)
    return DataToExport(str(data.name), data=list(data.data), timestamp=getattr(data, "timestamp", None))


def _name_of(member: Any) -> Any:
    """Return the name of a member of another package's enumeration."""
    return getattr(member, "name", member)
