"""A table as plain arrays: a ragged column becomes its values and their bounds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError
from sapwood.fileio.table import ColumnInfo, Table, TableInfo

__all__ = ["FlatTable", "bounds_of"]


def bounds_of(size: NDArray[np.int64], begin: int = 0) -> NDArray[np.int64]:
    """Return where rows of `size` values begin and end when they follow each other: i8, shape (n + 1,)."""
    bounds = np.empty(len(size) + 1, np.int64)
    bounds[0] = begin
    np.cumsum(size, out=bounds[1:])
    bounds[1:] += begin
    return bounds


class FlatTable:
    """The arrays that a table becomes, and what goes into them.

    An array column keeps its name. A ragged column becomes its values, dense, under its name, and
    their bounds ``offset`` (i8, shape (n + 1,)): row i is ``values[offset[i] : offset[i + 1]]``. With
    several ragged columns the bounds are called ``<column>_offset``.

    Parameters
    ----------
    info
        The table.

    Attributes
    ----------
    bounds
        Ragged column -> name of its bounds.
    arrays
        Name -> type and shape of an array, in the order of the columns.

    Raises
    ------
    FileError
        When two arrays would have the same name.
    """

    def __init__(self, info: TableInfo) -> None:
        ragged = [name for name, column in info.columns.items() if column.values is not None]
        self.bounds = {name: "offset" if len(ragged) == 1 else f"{name}_offset" for name in ragged}
        self.arrays: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
        self._values = dict.fromkeys(ragged, 0)  # of each ragged column so far
        for name, column in info.columns.items():
            if column.values is not None:
                self._add(info, self.bounds[name], ColumnInfo(np.dtype(np.int64)), info.rows + 1)
            self._add(info, name, column, info.rows if column.values is None else column.values)

    def _add(self, info: TableInfo, name: str, column: ColumnInfo, count: int) -> None:
        if name in self.arrays:
            raise FileError(f"Two arrays of table {info.name} are called {name}")
        self.arrays[name] = (column.dtype, (count, *column.shape))

    def pieces(self, table: Table) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield what follows in each array for further rows; bounds begin with a 0, which is not told."""
        for name, column in table.columns.items():
            if column.size is not None:
                bounds = bounds_of(column.size, self._values[name])
                self._values[name] = int(bounds[-1])
                yield self.bounds[name], bounds[1:]
            yield name, column.dense()
