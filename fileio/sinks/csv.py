"""Text of comma-separated values: one line a row, ragged columns as their place and size."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.sinks.plainfile import FileSink
from sapwood.fileio.sinks.rowtext import row_blocks
from sapwood.fileio.sinks.sinkformat import SinkFormat
from sapwood.fileio.sinks.texts import decoded
from sapwood.fileio.table import Table

__all__ = ["CSV", "CsvSink"]

_AS_NUMBERS = "biuef"  # kinds that `row_blocks` writes as Python does


class CsvSink(FileSink):
    """Writes one table as text.

    One-dimensional columns become fields of their name, columns of several dimensions one field
    for each element, ``name[0]``, ``name[1]`` or ``name[0,1]``. A ragged column becomes its ``start``,
    the byte of the source file where the values of the row begin, and its ``size``; when
    a table has several, they are called ``<column>_start`` and ``<column>_size``. The values
    themselves are not written. Bytes are taken for UTF-8.
    """

    one_table = True
    kinds = "biufegcGSUMmV"

    def begin(self, table: Table) -> None:
        """Write the line of names."""
        names = [name for name, _ in _fields(table)]
        if len(set(names)) < len(names):
            raise self.refusal(f"Two fields of table {table.name} have one name", None, names)
        self.file.write(_lines([names]))

    def append(self, table: Table) -> None:
        """Write a line a row."""
        fields = [values for _, values in _fields(table)]
        if all(values.dtype.kind in _AS_NUMBERS and values.dtype.itemsize <= 8 for values in fields):
            self.file.writelines(row_blocks(fields, b","))
        else:
            self.file.write(_lines(zip(*(decoded(values).tolist() for values in fields), strict=True)))


def _lines(rows: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _fields(table: Table) -> list[tuple[str, NDArray[Any]]]:
    """Return names and values, one a row each, of the fields that the columns become."""
    several = sum(column.ragged for column in table.columns.values()) > 1
    base = int(table.attributes.get("base", 0))
    fields: list[tuple[str, NDArray[Any]]] = []
    for name, column in table.columns.items():
        if column.start is not None and column.size is not None:
            prefix = f"{name}_" if several else ""
            place = column.start * column.values.itemsize + base
            fields += [(f"{prefix}start", place), (f"{prefix}size", column.size)]
            continue
        values = np.asarray(column.values)
        for index in np.ndindex(values.shape[1:]):
            place_in = f"[{','.join(map(str, index))}]" if index else ""
            fields.append((name + place_in, values[(slice(None), *index)]))
    return fields


CSV = SinkFormat("csv", (".csv",), CsvSink)
