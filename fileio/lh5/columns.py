"""LGDO tables as tables of any format, and back.

Columns of inner tables are called ``table/column``. Vectors are ragged columns; of vectors deeper
than that the innermost values are, beside columns ``<name>_lengths1`` ... with the lengths of the
levels between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FormatError
from sapwood.fileio.lh5.array import Array, ArrayOfEqualSizedArrays
from sapwood.fileio.lh5.table import Table
from sapwood.fileio.lh5.vectors import VectorOfVectors
from sapwood.fileio.table import Column
from sapwood.fileio.table import Table as AnyTable

__all__ = ["LENGTHS", "ObjectTable", "from_table", "to_columns"]

LENGTHS = "lengths_of"  # attribute of columns of lengths: the column they belong to
_NOT_KEPT = frozenset({"datatype", "units", LENGTHS})
_OF_READERS = frozenset({"file", "base"})
_PLAIN = (str, bytes, bool, int, float, complex, np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class ObjectTable(AnyTable):
    """A table with the LGDO that its columns are those of: LH5 files get that, with types and attributes."""

    lgdo: Any = None


def to_columns(obj: Any, name: str, prefix: str = "") -> Iterator[tuple[str, Column]]:
    """Yield the columns that `obj`, a column called `name` or a table, stands for."""
    if isinstance(obj, Table):
        for inner, column in obj.items():
            yield from to_columns(column, inner, f"{prefix}{name}/" if name else "")
        return
    facts = {key: value for key, value in obj.attrs.items() if key not in _NOT_KEPT}
    name, unit = prefix + name, obj.units
    if isinstance(obj, Array):
        values = obj.nda
        if values.dtype.kind == "O":
            values = values.astype(np.str_)
        yield name, Column(values, unit=unit, attributes=facts)
        return
    start, size = obj.starts(), obj.lengths()
    flat, level = obj.flattened_data, 0
    while isinstance(flat, VectorOfVectors):
        level += 1
        inner_size = flat.lengths()
        yield f"{name}_lengths{level}", Column(inner_size, start, size, attributes={LENGTHS: name})
        bounds = np.concatenate([[0], np.cumsum(inner_size)])
        start, size = bounds[start], bounds[start + size] - bounds[start]
        flat = flat.flattened_data
    yield name, Column(flat.nda, start, size, unit, facts)


def from_table(table: AnyTable) -> Any:
    """Return `table` as an LGDO; an `ObjectTable` has its own, which may be no table.

    Raises
    ------
    FormatError
        When names of columns contradict each other.
    """
    if isinstance(table, ObjectTable) and table.lgdo is not None:
        return table.lgdo
    found = Table(size=len(table), attrs=_kept(table.attributes, _OF_READERS))
    for name, column in table.columns.items():
        if LENGTHS not in column.attributes:
            if name in found:
                raise FormatError(f"Table {table.name} has a column and a table called {name!r}")
            found[name] = _column(name, column, table.columns)
    return found


def _column(name: str, column: Column, others: Mapping[str, Column]) -> Any:
    attrs = _kept(column.attributes, _NOT_KEPT)
    if column.unit:
        attrs["units"] = column.unit
    if column.size is None:
        values = column.values
        return (
            Array(values, attrs=attrs)
            if values.ndim == 1
            else ArrayOfEqualSizedArrays(nda=values, attrs=attrs)
        )
    flat: Any = column.dense()
    size = column.size
    for lengths in reversed(_levels(name, others)):
        inner = lengths.dense()
        flat = VectorOfVectors(flattened_data=flat, cumulative_length=np.cumsum(inner, dtype=np.int64))
        size = lengths.size  # type: ignore[assignment]  # such columns are ragged
    return VectorOfVectors(flattened_data=flat, cumulative_length=_ends(size), attrs=attrs)


def _levels(name: str, others: Mapping[str, Column]) -> list[Column]:
    """Return the columns of lengths that belong to column `name`, outermost first."""
    found: list[Column] = []
    while True:
        column = others.get(f"{name}_lengths{len(found) + 1}")
        if column is None or column.attributes.get(LENGTHS) != name or column.size is None:
            return found
        found.append(column)


def _ends(size: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.cumsum(size, dtype=np.int64)


def _kept(attributes: Mapping[str, Any], dropped: frozenset[str]) -> dict[str, Any]:
    return {
        name: value for name, value in attributes.items() if name not in dropped and isinstance(value, _PLAIN)
    }
