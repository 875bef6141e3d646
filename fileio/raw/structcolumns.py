"""Headers of streams, which are no tables: as columns of one row, and as values for JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sapwood.fileio.lh5 import Array, Scalar, Struct, Table
from sapwood.fileio.lh5.columns import to_columns
from sapwood.fileio.table import Column

__all__ = ["columns_of", "plain"]


def columns_of(obj: Any, name: str) -> Iterator[tuple[str, Column]]:
    """Yield the columns of a table; members of structs and scalars are columns of one row.

    Parameters
    ----------
    obj
        An LGDO.
    name
        What a column is called that is no member of anything.
    """
    if isinstance(obj, Table):
        yield from to_columns(obj, "")
    elif isinstance(obj, Struct):
        for path, member in _members(obj, ""):
            yield from _row(member, path)
    else:
        yield from _row(obj, name)


def _members(obj: Struct, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, member in obj.items():
        if isinstance(member, Struct) and not isinstance(member, Table):
            yield from _members(member, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", member


def _row(member: Any, name: str) -> Iterator[tuple[str, Column]]:
    if isinstance(member, Scalar):
        yield name, Column(np.array([member.value]), unit=str(member.attrs.get("units", "")))
    elif isinstance(member, Array):
        yield name, Column(np.asarray(member.nda)[np.newaxis], unit=member.units)


def plain(obj: Any) -> Any:
    """Return what an LGDO or a column holds as JSON knows it; numbers that are none become None.

    Of a table that is its first row.
    """
    if isinstance(obj, Table):
        return {name: plain(column[0]) for name, column in to_columns(obj, "")}
    if isinstance(obj, Mapping):
        return {str(name): plain(value) for name, value in obj.items()}
    if isinstance(obj, Scalar):
        return plain(obj.value)
    if isinstance(obj, np.ndarray):
        return plain(obj.tolist())
    if isinstance(obj, list | tuple):
        return [plain(value) for value in obj]
    if isinstance(obj, np.generic):
        return plain(obj.item())
    if isinstance(obj, float):
        return obj if math.isfinite(obj) else None
    return obj if obj is None or isinstance(obj, bool | int | str) else str(obj)
