"""Values as FITS stores them: big-endian, unsigned ones shifted by half their range."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError
from sapwood.fileio.table import ColumnInfo

__all__ = ["encoded", "ragged_kind", "ragged_values", "stored_type"]

_RAGGED = {"u1": ("u1", "B"), "i1": ("i2", "I"), "b1": ("b1", "L"), "i2": ("i2", "I"), "u2": ("i4", "J"),
           "i4": ("i4", "J"), "u4": ("i8", "K"), "i8": ("i8", "K"), "u8": ("i8", "K"), "f4": ("f4", "E"),
           "f8": ("f8", "D")}  # fmt: skip


def encoded(values: NDArray[Any]) -> NDArray[Any]:
    """Return values as they are stored.

    Raises
    ------
    UnicodeError
        For text that is not ASCII.
    """
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "b":
        return np.where(values, np.uint8(ord("T")), np.uint8(ord("F")))
    if kind == "u" and size > 1:
        shifted = values ^ values.dtype.type(1 << (8 * size - 1))
        stored: NDArray[Any] = shifted.astype(f">u{size}").view(f">i{size}")
        return stored
    if kind == "i" and size == 1:
        return values.astype(">i2")  # astropy takes signed bytes for logical values
    if kind in "SU":
        text = np.char.decode(values, "ascii") if kind == "S" else values
        return np.char.encode(text, "ascii")
    return values.astype(values.dtype.newbyteorder(">"))


def stored_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type that `encoded` gives."""
    if dtype.kind in "SU":
        return np.dtype(f"S{dtype.itemsize // (4 if dtype.kind == 'U' else 1)}")
    return encoded(np.empty(0, dtype)).dtype


def ragged_kind(column: ColumnInfo) -> tuple[np.dtype[Any], str]:
    """Return the type that values of a ragged column are stored as, and its code.

    It is a signed one that holds them: software (astropy too) shifts unsigned values of these
    columns wrongly.

    Raises
    ------
    FileError
        When there is none.
    """
    kind = _RAGGED.get(column.dtype.str[1:])
    if kind is None or column.shape:
        raise FileError(
            "A ragged column of this kind cannot be written as FITS",
            seen=f"{column.dtype} {list(column.shape)}",
        )
    return np.dtype(kind[0]), kind[1]


def ragged_values(values: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    """Return the dense values of a ragged column as they are stored.

    Raises
    ------
    FileError
        For one that a signed type does not hold.
    """
    if values.dtype == np.uint64 and len(values) and int(values.max()) > np.iinfo(np.int64).max:
        raise FileError("A value of a ragged column is too large for FITS", expected="< 2^63")
    return np.ascontiguousarray(encoded(values.astype(kind, copy=False)))
