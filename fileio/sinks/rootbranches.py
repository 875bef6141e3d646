"""Columns as branches of a TTree: their types for uproot, and their arrays for awkward."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.extras import need
from sapwood.fileio.sinks.flat import bounds_of
from sapwood.fileio.sinks.texts import joined
from sapwood.fileio.table import Column

__all__ = ["branch", "branch_name", "branch_type"]


def branch_name(name: str) -> str:
    """Return `name` as a branch or tree may be called."""
    return name.replace("/", "_")


def branch_type(column: Column) -> Any:
    """Return the type of a branch as ``mktree`` takes it."""
    dtype = column.values.dtype.newbyteorder("=")
    if column.ragged:
        return f"var * {dtype.name}"
    return "string" if dtype.kind in "SU" else np.dtype((dtype, column.values.shape[1:]))


def branch(column: Column) -> NDArray[Any] | Any:
    """Return the rows as ``extend`` takes them."""
    values = column.dense()
    if values.dtype.kind in "SU":
        text, size = joined(values)
        return _lists(text, size, "string", "char")
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    return values if column.size is None else _lists(values, column.size)


def _lists(values: NDArray[Any], size: NDArray[np.int64], kind: str = "", item: str = "") -> Any:
    """Return an awkward array of lists over buffers that are there."""
    awkward = need("awkward", extra="root")
    contents, offsets = awkward.contents, awkward.index.Index64(bounds_of(size))
    flat = contents.NumpyArray(values, parameters={"__array__": item} if item else None)
    lists = contents.ListOffsetArray(offsets, flat, parameters={"__array__": kind} if kind else None)
    return awkward.Array(lists)
