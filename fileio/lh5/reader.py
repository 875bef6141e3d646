"""LH5 files as tables of any format."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sapwood.fileio.formats import CHUNK_BYTES, PathLike, Reader, no_table
from sapwood.fileio.hdf5 import open_h5
from sapwood.fileio.lh5 import datatype
from sapwood.fileio.lh5.columns import to_columns
from sapwood.fileio.lh5.errors import LH5DecodeError
from sapwood.fileio.lh5.nodes import attributes, datatype_of, is_dataset, member, members, rows_of, typed
from sapwood.fileio.lh5.reading import Request, read_object
from sapwood.fileio.lh5.scalar import Scalar
from sapwood.fileio.lh5.selection import read_rows
from sapwood.fileio.lh5.table import Table as LgdoTable
from sapwood.fileio.table import Column, ColumnInfo, Table, TableInfo

__all__ = ["Lh5Reader", "table_paths"]

_DEEPEST = 32  # levels: links may make circles
_CONTAINERS = (datatype.STRUCT, datatype.HISTOGRAM)


def table_paths(group: Any, depth: int = _DEEPEST) -> Iterator[tuple[str, Any]]:
    """Yield name and h5py object of everything with rows that lies in no other such thing."""
    for name in members(group):
        node = group[name]
        if "datatype" not in node.attrs:
            if not is_dataset(node) and depth:
                yield from table_paths(node, depth - 1)
            continue
        kind = datatype_of(node).kind
        if kind in _CONTAINERS and not is_dataset(node):
            if depth:
                yield from table_paths(node, depth - 1)
        elif kind != datatype.SCALAR:
            yield node.name.strip("/"), node


class Lh5Reader(Reader):
    """Yields the tables of an LH5 file; arrays and vectors outside of tables are tables of one column.

    Encoded columns are decoded.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    FileError
        When it cannot be opened.
    """

    def __init__(self, path: PathLike) -> None:
        self._path = os.fspath(path)
        with typed(self._path):
            self._file = open_h5(self._path)
        self._problems: list[str] = []
        self._infos: dict[str, TableInfo] = {}
        self._nodes: dict[str, Any] = {}
        try:
            with typed(self._path):
                self._look()
        except BaseException:
            self.close()
            raise

    def _look(self) -> None:
        for name, node in table_paths(self._file):
            try:
                self._infos[name] = _info(name, node)
                self._nodes[name] = node
            except LH5DecodeError as error:
                self._problems.append(str(error))

    def info(self) -> dict[str, Any]:
        """Return a summary that JSON can hold: tables, and all objects with types and units."""
        scalars: dict[str, Any] = {}
        objects: dict[str, dict[str, Any]] = {}
        with typed(self._path):
            _describe(self._file, objects, scalars, _DEEPEST)
        return {
            "format": "lh5",
            "file": os.path.basename(self._path),
            "tables": {name: info.rows for name, info in self._infos.items()},
            "objects": objects,
            "scalars": scalars,
            "problems": list(self._problems),
        }

    def problems(self) -> Sequence[str]:
        """Return what could not be understood, one sentence each."""
        return tuple(self._problems)

    def tables(self) -> Sequence[TableInfo]:
        """Return what the file holds."""
        return tuple(self._infos.values())

    def chunks(
        self, table: str, start: int = 0, stop: int | None = None, nbytes: int = CHUNK_BYTES
    ) -> Iterator[Table]:
        """Yield rows `start` to `stop` of `table`, about `nbytes` of unpacked data at a time.

        Raises
        ------
        LH5DecodeError
            When rows cannot be read.
        FormatError
            When there is no such table.
        """
        info = self._infos.get(table.strip("/"))
        if info is None:
            raise no_table(table, self._path, self._infos)
        first, last, _ = slice(start, stop).indices(info.rows)
        step = _rows_in(info, nbytes)
        for row in range(first, last, step):
            with typed(self._path):
                part = self._table(info, row, min(row + step, last))
            yield part

    def _table(self, info: TableInfo, start: int, stop: int) -> Table:
        node = self._nodes[info.name]
        obj = read_object(node, Request(slice(start, stop)))
        columns = dict(_fitted(info, _named(obj, node)))
        facts = {name: value for name, value in obj.attrs.items() if name != "datatype"}
        is_table = isinstance(obj, LgdoTable)
        return Table(
            info.name, columns, {"file": os.path.basename(self._path), **(facts if is_table else {})}
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _named(obj: Any, node: Any) -> Iterator[tuple[str, Column]]:
    """Yield the columns of a table; anything else is one column, called as it is in its group."""
    return to_columns(obj, "" if isinstance(obj, LgdoTable) else node.name.rpartition("/")[2])


def _fitted(info: TableInfo, columns: Iterator[tuple[str, Column]]) -> Iterator[tuple[str, Column]]:
    """Yield columns as `info` announces them: text as wide as the longest of the file."""
    for name, column in columns:
        announced = info.columns[name].dtype
        if column.values.dtype.kind == "U" and column.values.dtype != announced:
            values = column.values.astype(announced)
            column = Column(values, column.start, column.size, column.unit, column.attributes)
        yield name, column


def _rows_in(info: TableInfo, nbytes: int) -> int:
    row = 1.0
    for column in info.columns.values():
        item = column.dtype.itemsize * math.prod(column.shape)
        row += item if column.values is None else item * column.values / max(1, info.rows)
    return max(1, int(nbytes / row))


def _info(name: str, node: Any) -> TableInfo:
    """Return what a table will hold; but for views, only what says how much there is is read."""
    view = datatype_of(node).kind == datatype.VIEW
    empty = read_object(node, Request(None if view else slice(0, 0)))
    rows = rows_of(node) or 0
    columns = {}
    for column_name, column in _named(empty, node):
        dtype, shape = column.values.dtype, column.values.shape[1:]
        if view:
            columns[column_name] = ColumnInfo(dtype, shape, len(column.dense()) if column.ragged else None)
            continue
        source = node if not isinstance(empty, LgdoTable) else _source(node, column_name)
        if dtype.kind == "U":
            dtype = _text_dtype(source)
        values = None if not column.ragged else _count(source, column_name, column)
        columns[column_name] = ColumnInfo(dtype, shape, values)
    return TableInfo(name, rows, columns, view=view)


def _source(node: Any, column: str) -> Any:
    """Return the object that a column is made of: of columns of lengths the one they belong to."""
    found = node.get(column)
    return found if found is not None else member(node, column.rpartition("_lengths")[0])


def _text_dtype(dataset: Any) -> np.dtype[Any]:
    width = 1
    for start in range(0, len(dataset), 1 << 16):
        part = read_object(dataset, Request(slice(start, start + (1 << 16)))).nda
        width = max(width, max((len(text) for text in part.reshape(-1)), default=1))
    return np.dtype(f"U{width}")


def _count(node: Any, name: str, column: Column) -> int:
    """Return how many values a ragged column has in all."""
    kind = datatype_of(node).kind
    if kind == datatype.ENCODED_VECTORS:
        sizes = member(node, "decoded_size")
        return int(sum(_summed(sizes)))
    level = name.rpartition("_lengths")[2] if "lengths_of" in column.attributes else ""
    rows, depth = len(member(node, "cumulative_length")), 0
    while not is_dataset(node) and (not level or depth < int(level)):
        rows = _last(member(node, "cumulative_length"), rows)
        node, depth = member(node, "flattened_data"), depth + 1
    return rows


def _summed(sizes: Any) -> Iterator[int]:
    for start in range(0, len(sizes), 1 << 20):
        yield int(read_rows(sizes, slice(start, min(start + (1 << 20), len(sizes)))).sum(dtype=np.int64))


def _last(ends: Any, rows: int) -> int:
    """Return the cumulative length behind row `rows`."""
    return int(read_rows(ends, slice(rows - 1, rows))[0]) if rows else 0


def _describe(group: Any, objects: dict[str, dict[str, Any]], scalars: dict[str, Any], depth: int) -> None:
    for name in members(group) if depth else []:
        node = group[name]
        path = node.name.strip("/")
        facts = objects[path] = {}
        try:
            facts.update({key: str(value) for key, value in attributes(node).items()})
            if is_dataset(node):
                facts.update(dtype=str(node.dtype), shape=[int(size) for size in node.shape])
                if node.shape == ():
                    scalars[path] = _value(node)
            else:
                _describe(node, objects, scalars, depth - 1)
        except LH5DecodeError as error:
            facts["problem"] = str(error)


def _value(node: Any) -> Any:
    found = read_object(node, Request())
    value = found.value if isinstance(found, Scalar) else None
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, bool | int | float | str) else str(value)
