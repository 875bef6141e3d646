"""HDF5 columns while they are recorded: rows that nobody knows the number of, which others can follow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sapwood.fileio.formats import PathLike
from sapwood.fileio.hdf5faults import close_written, forsake, refusal_told
from sapwood.fileio.sinks.base import TableSink
from sapwood.fileio.sinks.flat import FlatTable
from sapwood.fileio.sinks.hdf5datasets import encoded, filters_of, new_dataset
from sapwood.fileio.sinks.hdf5layout import begin_group, describe, new_file
from sapwood.fileio.sinks.hdf5rows import GrowingRows
from sapwood.fileio.table import Table, TableInfo

__all__ = ["LiveHdf5Sink"]

_CHUNK_BYTES = 1 << 20
_SCALAR_CHUNK_BYTES = 64 << 10  # of columns with a value a row, so that short recordings are small


class LiveHdf5Sink(TableSink):
    """Writes tables as growing datasets.

    Other processes may read the file meanwhile (SWMR), and what was synced is readable after a crash.

    Parameters
    ----------
    tables
        What will be written, all of it; counts do not matter.
    compression
        ``none``, ``gzip`` or ``lzf`` (both after the shuffle filter).
    """

    kinds = "biufegcSUV"

    def __init__(self, path: PathLike, tables: Sequence[TableInfo] = (), compression: str = "none") -> None:
        super().__init__(path, tables)
        self._filters = filters_of(compression)
        self._tables: dict[str, FlatTable] = {}
        self._rows: dict[str, GrowingRows] = {}  # by path of the dataset
        self._file = new_file(path, ("v110", "v110"))
        try:
            for info in tables:
                self.write(info.empty())
            self._file.swmr_mode = True  # from now on nothing can be made in the file
        except BaseException:
            self.abort()
            raise

    def begin(self, table: Table) -> None:
        """Make the group and its datasets."""
        info = self.announced.get(table.name)
        if info is None or self._file.swmr_mode:
            raise self.refusal(f"Table {table.name} was not announced", list(self.announced), table.name)
        flat = self._tables[table.name] = FlatTable(info)
        with self.refusing(table, ValueError, TypeError, OSError, RuntimeError):
            group = begin_group(self._file, table)
            for name, (dtype, shape) in flat.arrays.items():
                scalar = len(shape) == 1 and name not in flat.bounds
                size = _SCALAR_CHUNK_BYTES if scalar else _CHUNK_BYTES
                made = new_dataset(group, name, dtype, (0, *shape[1:]), size, **self._filters)
                self._rows[f"{table.name}/{name}"] = GrowingRows(made)
            describe(group, table, flat)
        for bounds in flat.bounds.values():
            self._rows[f"{table.name}/{bounds}"].append(np.zeros(1, np.int64))

    def append(self, table: Table) -> None:
        """Take rows."""
        with refusal_told(self.path, self._file):
            for name, values in self._tables[table.name].pieces(table):
                self._rows[f"{table.name}/{name}"].append(encoded(values))

    def sync(self) -> None:
        """Hand everything written so far to the system, and to readers."""
        self.finish()
        with refusal_told(self.path, self._file):
            self._file.flush()

    def finish(self) -> None:
        """Put what was gathered into the datasets."""
        with refusal_told(self.path, self._file):
            for rows in self._rows.values():
                rows.flush()

    def release(self) -> None:
        """Close the file as it is."""
        close_written(self._file)

    def forsake(self) -> None:
        """Never touch the file again, whose disk failed."""
        forsake(self._file)
