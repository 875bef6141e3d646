"""FITS: one binary table a table, laid out beforehand and filled chunk by chunk.

The counts of all rows are known from the reader, so every table and the heap of its ragged
columns have their final places before the first chunk comes. Headers are astropy's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError
from sapwood.extras import need
from sapwood.fileio.formats import Format, PathLike
from sapwood.fileio.table import Column, ColumnInfo, Table, TableInfo

__all__ = ["FITS", "FitsFormat", "FitsSink", "text_hdu"]

_BLOCK = 2880
_RAGGED = {"u1": ("u1", "B"), "i1": ("i2", "I"), "b1": ("b1", "L"), "i2": ("i2", "I"), "u2": ("i4", "J"),
           "i4": ("i4", "J"), "u4": ("i8", "K"), "i8": ("i8", "K"), "u8": ("i8", "K"), "f4": ("f4", "E"),
           "f8": ("f8", "D")}  # fmt: skip
_ABOUT_FILES = ("file", "base")  # attributes of tables that tell where the source lies


def _encoded(values: NDArray[Any]) -> NDArray[Any]:
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
    """Return the type that `_encoded` gives."""
    return _encoded(np.empty(0, dtype)).dtype


class _Place:
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
        self.padded = -(-self.end // _BLOCK) * _BLOCK
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


def _ragged_kind(column: ColumnInfo) -> tuple[np.dtype[Any], str]:
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
    return (column.values or 0) * _ragged_kind(column)[0].itemsize


def _describe_ragged(header: Any, number: int, column: ColumnInfo) -> None:
    header[f"TFORM{number}"] = f"1Q{_ragged_kind(column)[1]}"
    header.remove(f"TDIM{number}", ignore_missing=True)


def text_hdu(name: str, text: str) -> bytes:
    """Return an extension of the bytes of `text`, called `name`: nothing of it is lost."""
    import io

    fits = need("astropy.io.fits", extra="apx")
    hdu = fits.ImageHDU(np.frombuffer(text.encode() or b" ", np.uint8), name=name)
    out = io.BytesIO()
    hdu.writeto(out)
    data: bytes = out.getvalue()[_BLOCK:]  # without the primary unit that astropy puts before it
    return data


class FitsSink:
    """Writes tables as binary tables (BINTABLE), readable by astropy and other FITS software.

    Columns keep name, type and unit; ragged columns are variable-length arrays. Attributes of
    the tables that JSON can hold go into an image extension ``ATTRIBUTES`` of text.

    Parameters
    ----------
    path
        The file, created or truncated.
    tables
        What will be written; counts must be exact.
    comments
        COMMENT cards of each table.
    named
        Tables get their names as EXTNAME.
    """

    def __init__(
        self,
        path: PathLike,
        tables: Sequence[TableInfo],
        *,
        comments: Sequence[str] = (),
        named: bool = True,
    ) -> None:
        fits = need("astropy.io.fits", extra="apx")
        self._path = os.fspath(path)
        self._places: dict[str, _Place] = {}
        self._attributes: dict[str, Any] = {}
        self._units: set[str] = set()
        self._named = named
        primary = fits.PrimaryHDU().header.tostring().encode("ascii")
        self._end = len(primary)
        for table in tables:
            place = self._places[table.name] = _Place(table, self._end, comments, named=named)
            self._end = place.padded
        self._file = open(path, "w+b", buffering=0)  # noqa: SIM115  # closed by close and abort
        try:
            self._put(primary, 0)
            for place in self._places.values():
                self._put(place.header, place.data - len(place.header))
                self._put(bytes(place.padded - place.end), place.end)
        except BaseException:
            self.abort()
            raise

    def _put(self, data: bytes | memoryview, offset: int) -> None:
        view = memoryview(data).cast("B")
        while view:
            done = os.pwrite(self._file.fileno(), view, offset)
            view, offset = view[done:], offset + done

    def write(self, table: Table) -> None:
        """Append the rows of `table`.

        Raises
        ------
        FileError
            When they are not what was announced.
        """
        place = self._places.get(table.name)
        if place is None or list(place.info.columns) != list(table):
            raise FileError(f"Table {table.name} was not announced", file=self._path, seen=list(table))
        if place.rows + len(table) > place.info.rows:
            raise FileError(f"More rows than announced for {table.name}", file=self._path)
        rows = np.empty(len(table), place.row)
        for name, column in table.columns.items():
            if column.start is not None and column.size is not None:
                self._put_ragged(place, rows[name], column, _ragged_kind(place.info.columns[name])[0])
            else:
                rows[name] = _encoded(np.asarray(column.values))
        self._put(rows.data if len(rows) else b"", place.data + place.rows * place.row.itemsize)
        place.rows += len(table)
        self._note(table)

    def _put_ragged(self, place: _Place, pairs: NDArray[Any], column: Column, kind: np.dtype[Any]) -> None:
        dense = column.dense()
        if dense.dtype == np.uint64 and len(dense) and int(dense.max()) > np.iinfo(np.int64).max:
            raise FileError(
                "A value of a ragged column is too large for FITS", file=self._path, expected="< 2^63"
            )
        values = np.ascontiguousarray(_encoded(dense.astype(kind, copy=False)))
        sizes = np.asarray(column.size)
        pairs[:, 0] = sizes
        pairs[:, 1] = place.heaped + (np.cumsum(sizes) - sizes) * values.itemsize
        if place.heap + place.heaped + values.nbytes > place.end:
            raise FileError(f"More values than announced for {place.info.name}", file=self._path)
        if values.nbytes:
            self._put(values.data, place.heap + place.heaped)
        place.heaped += values.nbytes

    def _note(self, table: Table) -> None:
        """Keep units and attributes; they come with the rows, and are written at the end."""
        if table.name in self._attributes:
            return
        self._attributes[table.name] = {
            key: value
            for key, value in table.attributes.items()
            if key not in _ABOUT_FILES and isinstance(value, (str, int, float, bool, list, dict))
        }
        if self._named:
            self._write_units(self._places[table.name], table)

    def _write_units(self, place: _Place, table: Table) -> None:
        """Put the units into the header, where it has room for them without growing."""
        header = need("astropy.io.fits", extra="apx").Header.fromstring(place.header)
        for number, column in enumerate(table.columns.values(), 1):
            if column.unit:
                header.set(f"TUNIT{number}", column.unit, after=f"TFORM{number}")
        text = header.tostring().encode("ascii")
        if len(text) == len(place.header):
            self._put(text, place.data - len(place.header))

    def sync(self) -> None:
        """Hand everything written so far to the disk."""
        os.fsync(self._file.fileno())

    def append(self, hdu: bytes) -> None:
        """Put a whole extension behind the tables."""
        self._put(hdu, self._end)
        self._end += len(hdu)

    def close(self) -> None:
        """Complete the file.

        Raises
        ------
        FileError
            When fewer rows came than were announced.
        """
        if self._file.closed:
            return
        for place in self._places.values():
            if place.rows != place.info.rows:
                raise FileError(
                    f"Fewer rows than announced for {place.info.name}",
                    file=self._path,
                    expected=place.info.rows,
                    seen=place.rows,
                )
        if self._named and any(self._attributes.values()):
            self.append(text_hdu("ATTRIBUTES", json.dumps(self._attributes)))
        self.abort()

    def abort(self) -> None:
        """Close the file as it is."""
        self._file.close()


class FitsFormat(Format):
    """FITS binary tables, written only."""

    name = "fits"
    endings = (".fits",)

    def create(self, path: PathLike, *, tables: Sequence[TableInfo] = (), **options: Any) -> FitsSink:
        """Begin a file for `tables`."""
        return FitsSink(path, tables)


FITS = FitsFormat()
