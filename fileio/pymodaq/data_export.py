"""DataToExport: the data of one moment, of several instruments and dimensionalities."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, overload

from sapwood.fileio.pymodaq.data_convert import as_data
from sapwood.fileio.pymodaq.data_errors import UnknownDataError
from sapwood.fileio.pymodaq.enums import DataDim, enum_checker

if TYPE_CHECKING:
    from typing import Self

    from sapwood.fileio.pymodaq.data_objects import DataWithAxes

__all__ = ["DataToExport"]


class DataToExport:
    """A list of data objects with a name.

    Parameters
    ----------
    name
        Of the whole.
    data
        One data object or several; those of other packages are converted (see `as_data`). Objects
        without an origin get `name` as theirs when they are saved, not here.
    timestamp
        Seconds since the epoch; now by default.
    extra
        Kept as attributes.
    """

    def __init__(
        self, name: str, data: Iterable[Any] | Any = (), timestamp: float | None = None, **extra: Any
    ) -> None:
        self.name = str(name)
        self.timestamp = time.time() if timestamp is None else float(timestamp)
        self.extra_attributes = list(extra)
        for key, value in extra.items():
            setattr(self, key, value)
        several = isinstance(data, (list, tuple)) or not hasattr(data, "nav_indexes")
        self.data: list[DataWithAxes] = [as_data(one) for one in (data if several else [data])]

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[DataWithAxes]:
        return iter(self.data)

    @overload
    def __getitem__(self, index: int) -> DataWithAxes: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> DataWithAxes | Self:
        return self._with(self.data[index]) if isinstance(index, slice) else self.data[index]

    def append(self, data: Any) -> None:
        """Add data, or all of another `DataToExport`; those of the same name and origin are replaced."""
        for one in list(data) if hasattr(data, "get_dim_presents") else [data]:
            new = as_data(one)
            place = [i for i, old in enumerate(self.data) if old.get_full_name() == new.get_full_name()]
            if place:
                self.data[place[0]] = new
            else:
                self.data.append(new)

    def _with(self, data: list[DataWithAxes]) -> Self:
        other = copy.copy(self)
        other.data = data
        return other

    def get_dim_presents(self) -> list[str]:
        """Return the names of the dimensionalities that occur, in order."""
        return [dim.name for dim in DataDim if any(one.dim == dim for one in self.data)]

    def get_data_from_dim(self, dim: Any) -> Self:
        """Return those of dimensionality `dim`."""
        wanted = enum_checker(DataDim, dim)
        return self._with([one for one in self.data if one.dim == wanted])

    def get_names(self, dim: Any = None) -> list[str]:
        """Return the names of all data, or of those of one dimensionality."""
        return [one.name for one in (self if dim is None else self.get_data_from_dim(dim))]

    def get_full_names(self, dim: Any = None) -> list[str]:
        """Return ``origin/name`` of all data, or of those of one dimensionality."""
        return [one.get_full_name() for one in (self if dim is None else self.get_data_from_dim(dim))]

    def get_origins(self) -> list[str]:
        """Return the origins, each once, in order."""
        return list(dict.fromkeys(one.origin for one in self.data))

    def get_data_from_name(self, name: str) -> DataWithAxes:
        """Return the first of this name.

        Raises
        ------
        UnknownDataError
            None has it.
        """
        return self.get_data_from_name_origin(name)

    def get_data_from_name_origin(self, name: str, origin: str = "") -> DataWithAxes:
        """Return the first of this name and, if one is given, origin.

        Raises
        ------
        UnknownDataError
            None has them.
        """
        for one in self.data:
            if one.name == name and origin in ("", one.origin):
                return one
        raise UnknownDataError(f"No data named {name!r} here", path=self.name, seen=self.get_full_names())

    def get_data_from_full_name(self, full_name: str) -> DataWithAxes:
        """Return the first whose ``origin/name`` this is.

        Raises
        ------
        UnknownDataError
            None has it.
        """
        origin, _, name = full_name.rpartition("/")
        return self.get_data_from_name_origin(name, origin)

    def deepcopy(self) -> Self:
        """Return a copy that shares nothing."""
        return copy.deepcopy(self)

    def __repr__(self) -> str:
        return "\n".join([f"DataToExport: {self.name} <len:{len(self)}>", *(f"    * {one}" for one in self)])
