"""Where the rows of a FITS table lie, how their values are stored, and its header by astropy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError
from sapwood.extras import need
from sapwood.fileio.table import ColumnInfo, TableInfo

__all__ = ["BLOCK", "Place", "encoded", "ragged_kind"]

BLOCK = 2880
_RAGGED = {"u1": ("u1", "B"), "i1": ("i2", "I"), "b1": ("b1", "L"), "i2": ("i2", "I"), "u2": ("i4", "J"),
           "i4": ("i4", "J"), "u4": ("i8", "K"), "i8": ("i8", "K"), "u8": ("i8", "K"), "f4": ("f4", "E"),
           "f8": ("f8", "D")}  # fmt: skip


def encoded(values: NDArray[Any]) -> NDArray[Any]:
    """Return values as FITS stores them: big-endian; numbers of the other sign are shifted by half."""
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "b":
        return np.where(values, np.uint8(ord("T")), np.uint8(ord("F")))
    if kind == "u" and size > 1:
        shifted = values ^ values.dtype.type(1 << (8 * size - 1))
        stored: NDArray[Any] = shifted.astype(f">u{size}").view(f">i{size}")
        return stored
    if kind == "i" and size == 1:
        return values.astype(">i2")  # astropy takes signed bytes for logical values
    return values.astype(values.dtype.newbyteorder(">"))


def _stored(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type that `encoded` gives."""
    return encoded(np.empty(0, dtype)).dtype


class Place:
    """Where one table lies in the file, and how far it is filled."""

    def __init__(self, info: TableInfo, begin: int, comments: Sequence[str], *, named: bool) -> None:
        self.info = info
        self.ragged = [name for name, column in info.columns.items() if column.values is not None]
        self.row = np.dtype([(name, *_field(column)) for name, column in info.columns.items()])
        self.header = self._header(comments, named)
        self.data = begin + len(self.header)
        self.heap = self.data + info.rows * self.row.itemsize
        sizes = [_values_bytes(info.columns[name]) for name in self.ragged]
        self.end = self.heap + sum(sizes)
        self.padded = -(-self.end // BLOCK) * BLOCK
        self.rows = self.heaped = 0

    def _header(self, comments: Sequence[str], named: bool) -> bytes:
        fits, table = need("astropy.io.fits", extra="apx"), need("astropy.table", extra="apx")
        columns = self.info.columns
        kinds = [(name, *_shown(column)) for name, column in columns.items()]
        empty = table.Table(
            np.empty(0, np.dtype(kinds)), meta={"comments": list(comments)} if comments else {}
        )
        header = fits.table_to_hdu(empty).header
        header["NAXIS2"] = self.info.rows
        for number, column in enumerate(columns.values(), 1):
            if column.values is not None:
                _describe_ragged(header, number, column)
        header["PCOUNT"] = sum(_values_bytes(columns[name]) for name in self.ragged)
        if named:
            header["EXTNAME"] = self.info.name
        text: bytes = header.tostring().encode("ascii")
        return text


def _shown(column: ColumnInfo) -> tuple[Any, ...]:
    """Return type and shape as astropy is told of them; ragged columns are pairs of count and place."""
    if column.values is not None:
        return (np.int64, (2,))
    signed_byte = column.dtype == np.int8
    return (np.dtype(np.int16) if signed_byte else column.dtype, column.shape)


def _field(column: ColumnInfo) -> tuple[Any, ...]:
    if column.values is not None:
        return (">i8", (2,))
    return (_stored(column.dtype), column.shape)


def ragged_kind(column: ColumnInfo) -> tuple[np.dtype[Any], str]:
    """Return the type that values of a ragged column are stored as, and its code.

    It is a signed one that holds them: software (astropy too) shifts unsigned values of these
    columns wrongly.
    """
    kind = _RAGGED.get(column.dtype.str[1:])
    if kind is None or column.shape:
        raise FileError(
            "A ragged column of this kind cannot be written as FITS",
            seen=f"{column.dtype} {list(column.shape)}",
        )
    return np.dtype(kind[0]), kind[1]


def _values_bytes(column: ColumnInfo) -> int:
    return (column.values or 0) * ragged_kind(column)[0].itemsize


def _describe_ragged(header: Any, number: int, column: ColumnInfo) -> None:
    header[f"TFORM{number}"] = f"1Q{ragged_kind(column)[1]}"
    header.remove(f"TDIM{number}", ignore_missing=True)
