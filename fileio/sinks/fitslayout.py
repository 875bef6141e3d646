"""Where the rows of a FITS table lie, and the values of its ragged columns behind them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sapwood.fileio.sinks.fitsheader import BLOCK
from sapwood.fileio.sinks.fitsvalues import encoded, ragged_kind, ragged_values, stored_type
from sapwood.fileio.sinks.flat import bounds_of
from sapwood.fileio.table import ColumnInfo, Table, TableInfo

__all__ = ["Place"]


class Place:
    """Where one table lies in the file, and how far it is filled.

    Parameters
    ----------
    info
        The table.
    begin
        Byte of the file where its header begins.
    header
        As astropy makes it; it is told how large the heap is.
    """

    def __init__(self, info: TableInfo, begin: int, header: Any) -> None:
        self._columns = info.columns
        self._row = np.dtype([(f"c{n}", *_field(one)) for n, one in enumerate(info.columns.values())])
        heap = header["PCOUNT"] = sum(map(_values_bytes, info.columns.values()))
        self.header: bytes = header.tostring().encode("ascii")
        self._rows = begin + len(self.header)  # where the next rows belong
        self._heap = self._rows + info.rows * self._row.itemsize
        self._heaped = 0  # bytes of the heap that are filled
        self.end = self._heap + heap
        self.padded = -(-self.end // BLOCK) * BLOCK

    def pieces(self, table: Table) -> Iterator[tuple[memoryview, int]]:
        """Yield bytes of further rows, and where in the file they belong."""
        rows = np.empty(len(table), self._row)
        for field, (name, column) in zip(self._row.names or (), table.columns.items(), strict=True):
            if column.size is None:
                rows[field] = encoded(np.asarray(column.values))
                continue
            values = ragged_values(column.dense(), ragged_kind(self._columns[name])[0])
            rows[field][:, 0] = column.size
            rows[field][:, 1] = self._heaped + bounds_of(column.size)[:-1] * values.itemsize
            yield values.view(np.uint8).data, self._heap + self._heaped
            self._heaped += values.nbytes
        yield rows.view(np.uint8).data, self._rows
        self._rows += rows.nbytes


def _field(column: ColumnInfo) -> tuple[Any, ...]:
    if column.values is not None:
        return (">i8", (2,))
    return (stored_type(column.dtype), column.shape)


def _values_bytes(column: ColumnInfo) -> int:
    return 0 if column.values is None else column.values * ragged_kind(column)[0].itemsize
