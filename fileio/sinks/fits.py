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
from sapwood.fileio.sinks.fitslayout import BLOCK, Place, encoded, ragged_kind
from sapwood.fileio.table import Column, Table, TableInfo

__all__ = ["FITS", "FitsFormat", "FitsSink", "text_hdu"]

_ABOUT_FILES = ("file", "base")  # attributes of tables that tell where the source lies


def text_hdu(name: str, text: str) -> bytes:
    """Return an extension of the bytes of `text`, called `name`: nothing of it is lost."""
    import io

    fits = need("astropy.io.fits", extra="apx")
    hdu = fits.ImageHDU(np.frombuffer(text.encode() or b" ", np.uint8), name=name)
    out = io.BytesIO()
    hdu.writeto(out)
    data: bytes = out.getvalue()[BLOCK:]  # without the primary unit that astropy puts before it
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
        self._places: dict[str, Place] = {}
        self._attributes: dict[str, Any] = {}
        self._units: set[str] = set()
        self._named = named
        primary = fits.PrimaryHDU().header.tostring().encode("ascii")
        self._end = len(primary)
        for table in tables:
            place = self._places[table.name] = Place(table, self._end, comments, named=named)
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
                self._put_ragged(place, rows[name], column, ragged_kind(place.info.columns[name])[0])
            else:
                rows[name] = encoded(np.asarray(column.values))
        self._put(rows.data if len(rows) else b"", place.data + place.rows * place.row.itemsize)
        place.rows += len(table)
        self._note(table)

    def _put_ragged(self, place: Place, pairs: NDArray[Any], column: Column, kind: np.dtype[Any]) -> None:
        dense = column.dense()
        if dense.dtype == np.uint64 and len(dense) and int(dense.max()) > np.iinfo(np.int64).max:
            raise FileError(
                "A value of a ragged column is too large for FITS", file=self._path, expected="< 2^63"
            )
        values = np.ascontiguousarray(encoded(dense.astype(kind, copy=False)))
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

    def _write_units(self, place: Place, table: Table) -> None:
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
