"""Rows wanted by numbers, masks or ranges, of one file or several in a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.lh5.buffers import concatenated
from sapwood.fileio.lh5.errors import LH5DecodeError
from sapwood.fileio.lh5.selection import Selection

__all__ = ["read_files"]

ReadOne = Callable[[str, Any, Any, Any, bool], Any]


def read_files(
    read_one: ReadOne,
    count: Callable[[str, Any], int | None],
    name: str,
    files: Any,
    start_row: int,
    n_rows: int,
    idx: Any,
    *,
    field_mask: Any,
    decompress: bool,
) -> Any:
    """Return the wanted rows of `name` in one file, or in a list of files as if they were one.

    Parameters
    ----------
    read_one
        Reads a `Selection`: (name, file, selection, field mask, decompress) -> object.
    count
        Tells how many rows an object of a file has: (name, file) -> rows.
    name, files, start_row, n_rows, idx, field_mask, decompress
        See `LH5Store.read`.

    Raises
    ------
    LH5DecodeError
        For rows that cannot be.
    """
    if start_row < 0 or n_rows < 0:
        raise LH5DecodeError("Rows count from 0", seen=f"start_row={start_row}, n_rows={n_rows}")
    if not isinstance(files, list | tuple):
        return _in_order(read_one, name, files, start_row, n_rows, idx, (field_mask, decompress))
    if not files:
        raise LH5DecodeError("There is no file to read from")
    each = _one_for_each_file(idx, len(files))
    parts: list[Any] = []
    for number, file in enumerate(files):
        wanted = each[number] if each is not None else idx
        found = _in_order(read_one, name, file, start_row, n_rows, wanted, (field_mask, decompress))
        parts.append(found)
        if each is None and hasattr(found, "resize"):
            total = count(name, file) or 0
            start_row, n_rows = max(0, start_row - total), n_rows - (len(found) if idx is None else 0)
            idx = None if idx is None else _numbers(idx) - total
            idx = None if idx is None else idx[idx >= 0]
    return concatenated(parts)


def _one_for_each_file(idx: Any, files: int) -> list[Any] | None:
    """Return `idx` if it is a list with an entry for each file."""
    if isinstance(idx, list) and len(idx) == files and all(one is None or np.ndim(one) for one in idx):
        return idx
    return None


def _in_order(
    read_one: ReadOne, name: str, file: Any, start_row: int, n_rows: int, idx: Any, how: tuple[Any, bool]
) -> Any:
    """Read rows in the order of `idx`, whatever that is."""
    if idx is None:
        rows: Selection | None = slice(start_row, start_row + n_rows)
        return read_one(name, file, rows if start_row or n_rows < (1 << 62) else None, *how)
    numbers = _numbers(idx)[:n_rows]
    if len(numbers) and int(numbers.min()) < 0:
        raise LH5DecodeError("Rows count from 0", seen=int(numbers.min()))
    if (np.diff(numbers) > 0).all():
        return read_one(name, file, numbers, *how)
    ascending, places = np.unique(numbers, return_inverse=True)
    found = read_one(name, file, ascending, *how)
    return found.take(places[places < len(found)])


def _numbers(idx: Any) -> NDArray[np.int64]:
    """Return the numbers of rows that a list, a mask or the result of `numpy.where` stands for."""
    values = np.asarray(idx[0] if isinstance(idx, tuple) and len(idx) == 1 else idx)
    if values.dtype == bool:
        values = np.flatnonzero(values)
    if values.ndim != 1 or (len(values) and values.dtype.kind not in "iu"):
        raise LH5DecodeError(
            "Rows are named by a list of whole numbers", seen=f"{values.dtype} {values.shape}"
        )
    return values.astype(np.int64)
