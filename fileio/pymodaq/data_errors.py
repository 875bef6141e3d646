"""Errors of data objects and of the data layer."""

from __future__ import annotations

from sapwood.errors import FormatError, SapwoodError

__all__ = [
    "AxisError",
    "DataDimError",
    "DataError",
    "DataIndexError",
    "DataShapeError",
    "DataTypeError",
    "NotDataError",
    "UnknownDataError",
]


class DataError(SapwoodError, ValueError):
    """A data object was built or used wrongly."""


class AxisError(DataError):
    """An axis does not fit, or a node is no axis."""


class DataDimError(DataError):
    """Data have another dimensionality than is wanted."""


class DataShapeError(DataError, TypeError):
    """Arrays that belong together differ in shape."""


class DataTypeError(DataError, TypeError):
    """Something is no data object, or holds no arrays."""


class DataIndexError(DataError, IndexError):
    """An index lies outside of a scan."""


class UnknownDataError(SapwoodError, NameError):
    """No data of this name and origin are in the file."""


class NotDataError(FormatError, KeyError):
    """A node holds no data that can be loaded."""

    __str__ = FormatError.__str__
