"""NumPy's ``.npz``: one array a column, laid out beforehand and filled chunk by chunk.

The counts of all rows and values are known from the reader, so every array has its final place
in the archive (members are stored, not compressed) before its first rows come. Each byte is
written once, and memory is that of one chunk.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.formats import PathLike
from sapwood.fileio.sinks.counted import Counts
from sapwood.fileio.sinks.flat import FlatTable
from sapwood.fileio.sinks.npzlayout import Member, directory
from sapwood.fileio.sinks.plainfile import FileSink
from sapwood.fileio.sinks.sinkformat import SinkFormat
from sapwood.fileio.table import Table, TableInfo

__all__ = ["NPZ", "NpzSink"]


class NpzSink(FileSink):
    """Writes tables as arrays that `numpy.load` reads; see `FlatTable` for what becomes of columns.

    With several tables all names begin with ``<table>/``.

    Parameters
    ----------
    path
        The file, created or truncated.
    tables
        What will be written; counts must be exact.
    """

    kinds = "biufegcGSUMmV"

    def __init__(self, path: PathLike, tables: Sequence[TableInfo] = ()) -> None:
        super().__init__(path, tables)
        self._counts = Counts(self.path, self.announced)
        self._tables: dict[str, FlatTable] = {}
        self._members: dict[str, Member] = {}
        self._end = 0

    def _name(self, table: str, array: str) -> str:
        return f"{table}/{array}" if len(self.announced) > 1 else array

    def begin(self, table: Table) -> None:
        """Give the arrays of `table` their places."""
        flat = self._tables[table.name] = FlatTable(self._counts.info(table))
        for array, (dtype, shape) in flat.arrays.items():
            name = self._name(table.name, array)
            if name in self._members:
                raise self.refusal(f"Two arrays are called {name}", "different names", table.name)
            member = self._members[name] = Member(name, dtype, shape, self._end)
            self._end = member.end
            self._append(member, member.header)
        for array in flat.bounds.values():
            self._append(self._members[self._name(table.name, array)], bytes(8))

    def append(self, table: Table) -> None:
        """Append the rows to their arrays."""
        self._counts.add(table)
        for array, values in self._tables[table.name].pieces(table):
            member = self._members[self._name(table.name, array)]
            self._append(member, _bytes(values, member.dtype))

    def _append(self, member: Member, data: bytes | memoryview) -> None:
        member.crc = zlib.crc32(data, member.crc)
        self.put(data, member.data_begin + member.filled)
        member.filled += len(data)

    def finish(self) -> None:
        """Write what goes before the arrays, and the directory of the archive."""
        self._counts.check_complete()
        for member in self._members.values():
            self.put(member.local_header(), member.begin)
        self.put(directory(list(self._members.values()), self._end), self._end)


def _bytes(values: NDArray[Any], dtype: np.dtype[Any]) -> memoryview:
    return np.ascontiguousarray(values, dtype).reshape(-1).view(np.uint8).data


NPZ = SinkFormat("npz", (".npz",), NpzSink)
