"""ROOT files with one TTree a table, through uproot (extra `root`)."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError
from sapwood.extras import need
from sapwood.fileio.formats import Format, PathLike
from sapwood.fileio.table import Column, Table

__all__ = ["ROOT", "RootFormat", "RootSink"]


class RootSink:
    """Writes tables as trees of their names (``/`` becomes ``_``); ragged columns as jagged branches.

    A jagged branch ``x`` comes with its counter ``nx``; tables may be written in turn.
    """

    def __init__(self, path: PathLike) -> None:
        self._path = os.fspath(path)
        self._file = need("uproot", extra="root").recreate(self._path)
        self._trees: dict[str, Any] = {}

    def write(self, table: Table) -> None:
        """Append the rows of `table`.

        Raises
        ------
        FileError
            When a column is of a kind that trees cannot hold.
        """
        name = table.name.replace("/", "_")
        branches = {key: _branch(column) for key, column in table.columns.items()}
        try:
            if name not in self._trees:
                types = {key: _type(column) for key, column in table.columns.items()}
                self._trees[name] = self._file.mktree(name, types, title=table.name)
            if len(table):
                self._trees[name].extend(branches)
        except (TypeError, ValueError) as error:
            raise FileError(
                f"Table {table.name} cannot be written as a tree", file=self._path, seen=error
            ) from error

    def sync(self) -> None:
        """Do nothing: uproot writes at once, and `convert` syncs the complete file."""

    def close(self) -> None:
        """Complete the file."""
        self._file.close()

    def abort(self) -> None:
        """Close the file as it is."""
        self._file.close()


def _type(column: Column) -> Any:
    item = np.dtype((column.values.dtype.newbyteorder("="), column.values.shape[1:]))
    if column.size is None:
        return item
    return f"var * {column.values.dtype.name}"


def _branch(column: Column) -> NDArray[Any] | Any:
    values = column.dense()
    if column.size is None:
        return np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    awkward = need("awkward", extra="root")
    bounds = np.zeros(len(column) + 1, np.int64)
    np.cumsum(column.size, out=bounds[1:])
    contents = awkward.contents
    layout = contents.ListOffsetArray(awkward.index.Index64(bounds), contents.NumpyArray(values))
    return awkward.Array(layout)


class RootFormat(Format):
    """ROOT files, written only."""

    name = "root"
    endings = (".root",)

    def create(self, path: PathLike, **options: Any) -> RootSink:
        """Begin a ROOT file."""
        return RootSink(path)


ROOT = RootFormat()
