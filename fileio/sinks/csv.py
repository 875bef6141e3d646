"""Text of comma-separated values: one line a row, ragged columns as their place and size."""

from __future__ import annotations

import contextlib
import csv
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError
from sapwood.fileio.formats import Format, PathLike
from sapwood.fileio.sinks.rowtext import rows_text
from sapwood.fileio.table import Table

__all__ = ["CSV", "CsvFormat", "CsvSink"]

_DOUBLE = 8  # bytes of the largest float that Python knows


class CsvSink:
    """Writes one table as text.

    One-dimensional columns become fields of their name, columns of several dimensions one field
    for each element, ``name[0]``, ``name[1]`` or ``name[0,1]``. A ragged column becomes its ``start``,
    the byte of the source file where the values of the row begin, and its ``size``; when
    a table has several, they are called ``<column>_start`` and ``<column>_size``. The values
    themselves are not written.

    Parameters
    ----------
    path
        The file, created or truncated.
    """

    def __init__(self, path: PathLike) -> None:
        self._path = os.fspath(path)
        self._file = open(path, "w", newline="", encoding="utf-8")  # noqa: SIM115  # closed by close and abort
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._table: str | None = None

    def write(self, table: Table) -> None:
        """Append the rows of `table`.

        Raises
        ------
        FileError
            When it is not the table that was begun with.
        """
        fields = self._fields(table)
        if self._table is None:
            self._table = table.name
            self._writer.writerow(fields)
        elif self._table != table.name:
            raise FileError(
                "A CSV file holds one table",
                file=self._path,
                expected=self._table,
                seen=table.name,
                hint="Name the table to write.",
            )
        columns = list(fields.values())
        if all(map(_plain, columns)):
            self._file.flush()
            self._file.buffer.write(rows_text(columns, b","))
        else:
            self._writer.writerows(zip(*(column.tolist() for column in columns), strict=True))

    def _fields(self, table: Table) -> dict[str, NDArray[Any]]:
        several = sum(column.ragged for column in table.columns.values()) > 1
        base = int(table.attributes.get("base", 0))
        fields: dict[str, NDArray[Any]] = {}
        for name, column in table.columns.items():
            if column.start is not None and column.size is not None:
                prefix = f"{name}_" if several else ""
                fields[f"{prefix}start"] = column.start * column.values.itemsize + base
                fields[f"{prefix}size"] = column.size
            else:
                values = np.asarray(column.values)
                for index in np.ndindex(values.shape[1:]):
                    place = f"[{','.join(map(str, index))}]" if index else ""
                    fields[name + place] = values[(slice(None), *index)]
        return fields

    def sync(self) -> None:
        """Hand everything written so far to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Complete the file."""
        self._file.close()

    def abort(self) -> None:
        """Close the file as it is."""
        with contextlib.suppress(OSError):  # what is not yet on the disk need not get there
            self._file.close()


def _plain(values: NDArray[Any]) -> bool:
    """Tell whether the values are numbers that `rows_text` writes as Python does."""
    return values.dtype.kind in "bui" or (values.dtype.kind == "f" and values.dtype.itemsize <= _DOUBLE)


class CsvFormat(Format):
    """Comma-separated values, written only."""

    name = "csv"
    endings = (".csv",)
    one_table = True

    def create(self, path: PathLike, **options: Any) -> CsvSink:
        """Begin a CSV file."""
        return CsvSink(path)


CSV = CsvFormat()
