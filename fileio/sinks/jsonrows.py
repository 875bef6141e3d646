"""Rows of a table as JSON objects, a column at a time: its values become text, a template joins them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.sinks.flat import bounds_of
from sapwood.fileio.sinks.texts import decoded
from sapwood.fileio.table import Column, Table

__all__ = ["row_objects"]

_BLOCK = 1024  # rows that are lists of Python's numbers at a time
_encode = json.JSONEncoder(ensure_ascii=False).encode


def row_objects(table: Table, first: Mapping[str, Any] | None = None) -> Iterator[bytes]:
    """Yield the rows of `table` as JSON objects in UTF-8.

    Arrays become lists; bytes of ragged u1 columns, and records, text in hex; times ISO 8601; NaN and
    infinities null. Text that is bytes is taken for UTF-8.

    Parameters
    ----------
    table
        Columns of all kinds but objects, complex numbers and long doubles.
    first
        Members that each object begins with.
    """
    begin = [f"{_encode(key)}: {_encode(value)}".replace("%", "%%") for key, value in (first or {}).items()]
    members = [f"{_encode(name).replace('%', '%%')}: %s" for name in table.columns]
    template = "{" + ", ".join([*begin, *members]) + "}"
    for row in range(0, len(table), _BLOCK):
        columns = table.part(row, row + _BLOCK).columns.values()
        for values in zip(*map(_texts, columns), strict=True):
            yield (template % values).encode("utf-8", "backslashreplace")


def _texts(column: Column) -> Iterable[Any]:
    """Return what ``%s`` makes JSON of, for each row."""
    values = column.dense()
    kind = values.dtype.kind
    if kind == "V" or (column.ragged and values.dtype == np.uint8 and values.ndim == 1):
        return _hex(column, values)
    if kind in "iu" or (kind == "f" and np.isfinite(values).all()):
        return _rows(column, values.tolist())  # Python says numbers and lists of them as JSON does
    if kind == "b" and values.ndim == 1 and not column.ragged:
        said: list[str] = np.where(values, "true", "false").tolist()
        return said
    return map(_encode, _rows(column, _listed(values)))


def _rows(column: Column, values: list[Any]) -> list[Any]:
    """Return what of the dense `values` belongs to each row."""
    if column.size is None:
        return values
    bounds = bounds_of(column.size).tolist()
    return [values[begin:end] for begin, end in pairwise(bounds)]


def _listed(values: NDArray[Any]) -> list[Any]:
    """Return values as JSON knows them."""
    if values.dtype.kind == "f":
        known = np.isfinite(values)
        values = values.astype(object)
        values[~known] = None
    elif values.dtype.kind == "M":
        values = np.datetime_as_string(values)
    listed: list[Any] = decoded(values).tolist()
    return listed


def _hex(column: Column, values: NDArray[Any]) -> Iterator[str]:
    """Yield the bytes of each row as text in hex."""
    data = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
    item = len(data) // max(len(values), 1)
    sizes = np.ones(len(column), np.int64) if column.size is None else column.size
    bounds = (bounds_of(sizes) * item).tolist()
    for begin, end in pairwise(bounds):
        yield f'"{data[begin:end].hex()}"'
