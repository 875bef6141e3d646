"""Kinds of columns: which types a file takes, and whether a chunk has the columns of the one before."""

from __future__ import annotations

from typing import Any

import numpy as np

from sapwood.fileio.table import Column, Table

__all__ = ["kind_of", "signature"]

_RARE = "egG"  # half and long double floats


def kind_of(dtype: np.dtype[Any]) -> str:
    """Return one letter, mostly ``dtype.kind``.

    ``b`` bool, ``i`` ``u`` integers, ``f`` floats of 4 and 8 bytes, ``e`` of 2, ``g`` long double,
    ``c`` complex, ``G`` of long doubles, ``S`` bytes, ``U`` text, ``M`` time, ``m`` duration,
    ``V`` records and raw bytes, ``O`` objects.
    """
    return dtype.char if dtype.char in _RARE else dtype.kind


def signature(table: Table) -> dict[str, str]:
    """Return type and shape of each column in words; texts may differ in width."""
    return {name: _words(column) for name, column in table.columns.items()}


def _words(column: Column) -> str:
    dtype = column.values.dtype
    kind = "text" if dtype.kind in "SU" else dtype.newbyteorder("=").str[1:]
    return f"{'ragged ' if column.ragged else ''}{kind} {list(column.values.shape[1:])}"
