"""Columns as arrays of Arrow, their types known before the first row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.extras import need
from sapwood.fileio.sinks.facts import fact_text, table_facts
from sapwood.fileio.sinks.flat import bounds_of
from sapwood.fileio.table import FRAMES, Column, Table

__all__ = ["to_arrow", "to_schema"]


def to_schema(table: Table) -> Any:
    """Return the `pyarrow.Schema` of `table`; units and attributes are metadata."""
    arrow, fields = need("pyarrow", extra="export"), []
    for name, column in table.columns.items():
        facts = {key: fact_text(value) for key, value in column.attributes.items()}
        is_time = table.name == FRAMES and name == "time"
        kind = arrow.timestamp("ns", "UTC") if is_time else _type(arrow, column)
        fields.append(arrow.field(name, kind, metadata={"unit": column.unit, **facts}))
    facts = {key: fact_text(value) for key, value in table_facts(table).items()}
    return arrow.schema(fields, {"table": table.name, **facts})


def to_arrow(table: Table, schema: Any) -> Any:
    """Return `table` as a `pyarrow.RecordBatch` of `schema`; dense columns are not copied."""
    arrow = need("pyarrow", extra="export")
    arrays = []
    for field, column in zip(schema, table.columns.values(), strict=True):
        array = _array(arrow, column)
        arrays.append(array if array.type == field.type else array.cast(field.type))
    return arrow.RecordBatch.from_arrays(arrays, schema=schema)


def _type(arrow: Any, column: Column) -> Any:
    dtype = column.values.dtype
    found = {"S": arrow.binary(), "U": arrow.string()}.get(dtype.kind)
    if found is None:
        found = arrow.from_numpy_dtype(dtype.newbyteorder("="))
    for size in reversed(column.values.shape[1:]):
        found = arrow.list_(found, size)
    if not column.ragged:
        return found
    return arrow.large_binary() if _is_bytes(column.values) else arrow.large_list(found)


def _is_bytes(values: NDArray[Any]) -> bool:
    return values.dtype == np.uint8 and values.ndim == 1


def _array(arrow: Any, column: Column) -> Any:
    values = column.dense()
    bounds = None if column.size is None else bounds_of(column.size)
    if bounds is not None and _is_bytes(values):
        buffers = [None, arrow.py_buffer(bounds), arrow.py_buffer(np.ascontiguousarray(values))]
        return arrow.Array.from_buffers(arrow.large_binary(), len(column), buffers)
    flat = _flat(arrow, np.ascontiguousarray(values).reshape(-1))
    for size in reversed(values.shape[1:]):
        flat = arrow.FixedSizeListArray.from_arrays(flat, size)
    return flat if bounds is None else arrow.LargeListArray.from_arrays(arrow.array(bounds), flat)


def _flat(arrow: Any, values: NDArray[Any]) -> Any:
    if values.dtype.kind in "SU":
        kind = arrow.binary() if values.dtype.kind == "S" else arrow.string()
        return arrow.array(values.astype(object), kind)
    return arrow.array(values.astype(values.dtype.newbyteorder("="), copy=False))
