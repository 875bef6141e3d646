"""ECSV: text with the types and units of the columns before it, as astropy reads and writes it."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from sapwood.errors import FileError
from sapwood.extras import need
from sapwood.fileio.formats import Format, PathLike
from sapwood.fileio.sinks.rowtext import rows_text
from sapwood.fileio.table import Table, TableInfo

__all__ = ["ECSV", "EcsvFormat", "EcsvSink", "ecsv_head"]

_ABOUT_FILES = ("file", "base")  # attributes of tables that tell where the source lies


def ecsv_head(dtype: np.dtype[Any], meta: dict[str, Any], units: dict[str, str] | None = None) -> bytes:
    """Return the lines before the rows, made by astropy.

    Parameters
    ----------
    dtype
        Names and types of the columns.
    meta
        Facts of the table.
    units
        Column -> unit.
    """
    table = need("astropy.table", extra="apx").Table(np.empty(0, dtype), meta=meta)
    for name, unit in (units or {}).items():
        table[name].unit = unit
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    return text.getvalue().encode()


class EcsvSink:
    """Writes one table of flat columns of numbers.

    Parameters
    ----------
    path
        The file, created or truncated.
    tables
        What will be written.
    """

    def __init__(self, path: PathLike, tables: Sequence[TableInfo] = ()) -> None:
        need("astropy.table", extra="apx")
        self._path = os.fspath(path)
        self._announced = list(tables)
        self._table: str | None = None
        self._file = open(path, "wb")  # noqa: SIM115  # closed by close and abort

    def write(self, table: Table) -> None:
        """Append the rows of `table`.

        Raises
        ------
        FileError
            When it is another table than before, or has columns of anything but single numbers.
        """
        if self._table is None:
            self._begin(table)
        elif self._table != table.name:
            raise FileError(
                "An ECSV file holds one table",
                file=self._path,
                expected=self._table,
                seen=table.name,
                hint="Name the table to write.",
            )
        self._file.write(rows_text([np.asarray(column.values) for column in table.columns.values()], b" "))

    def _begin(self, table: Table) -> None:
        for name, column in table.columns.items():
            if column.ragged or column.values.ndim != 1 or column.values.dtype.kind not in "iufb":
                raise FileError(
                    f"Column {name} cannot be written as ECSV",
                    file=self._path,
                    expected="one number a row",
                    seen="a ragged column"
                    if column.ragged
                    else f"{column.values.dtype} {column.values.shape}",
                )
        meta = {
            key: value
            for key, value in table.attributes.items()
            if key not in _ABOUT_FILES and isinstance(value, (str, int, float, bool))
        }
        dtype = np.dtype([(name, column.values.dtype) for name, column in table.columns.items()])
        units = {name: column.unit for name, column in table.columns.items() if column.unit}
        self._file.write(ecsv_head(dtype, meta, units))
        self._table = table.name

    def sync(self) -> None:
        """Hand everything written so far to the disk."""
        self._complete()
        self._file.flush()
        os.fsync(self._file.fileno())

    def _complete(self) -> None:
        """Write the head of a table that had no rows."""
        if self._table is None and self._announced:
            info = self._announced[0]
            dtype = np.dtype([(name, column.dtype) for name, column in info.columns.items()])
            self._file.write(ecsv_head(dtype, {}))
            self._table = info.name

    def close(self) -> None:
        """Complete the file."""
        if not self._file.closed:
            self._complete()
            self._file.close()

    def abort(self) -> None:
        """Close the file as it is."""
        self._file.close()


class EcsvFormat(Format):
    """Enhanced character-separated values, written only."""

    name = "ecsv"
    endings = (".ecsv",)
    one_table = True

    def create(self, path: PathLike, *, tables: Sequence[TableInfo] = (), **options: Any) -> EcsvSink:
        """Begin a file for one of `tables`."""
        return EcsvSink(path, tables)


ECSV = EcsvFormat()
