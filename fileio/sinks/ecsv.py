"""ECSV: text with the types and units of the columns before it, as astropy reads and writes it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from sapwood.extras import need
from sapwood.fileio.formats import PathLike
from sapwood.fileio.sinks.facts import table_facts
from sapwood.fileio.sinks.plainfile import FileSink
from sapwood.fileio.sinks.rowtext import row_blocks
from sapwood.fileio.sinks.sinkformat import SinkFormat
from sapwood.fileio.table import Column, Table, TableInfo

__all__ = ["ECSV", "EcsvSink", "ecsv_head"]


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


class EcsvSink(FileSink):
    """Writes one table of plain columns of numbers."""

    one_table = True
    kinds = "biuf"

    def __init__(self, path: PathLike, tables: Sequence[TableInfo] = ()) -> None:
        need("astropy.table", extra="apx")
        super().__init__(path, tables)

    def check(self, name: str, column: Column) -> None:
        """Raise `FileError` for a column of anything but one number a row."""
        super().check(name, column)
        if column.ragged or column.values.ndim != 1:
            seen = "a ragged column" if column.ragged else f"arrays of shape {column.values.shape[1:]}"
            raise self.refusal(f"Column {name} cannot be written", "one number a row", seen)

    def begin(self, table: Table) -> None:
        """Write the head."""
        dtype = np.dtype([(name, column.values.dtype) for name, column in table.columns.items()])
        units = {name: column.unit for name, column in table.columns.items() if column.unit}
        with self.refusing(table, TypeError, ValueError):
            self.file.write(ecsv_head(dtype, table_facts(table), units))

    def append(self, table: Table) -> None:
        """Write a line a row."""
        columns = [np.asarray(one.values) for one in table.columns.values()]
        self.file.writelines(row_blocks(columns, b" "))


ECSV = SinkFormat("ecsv", (".ecsv",), EcsvSink)
