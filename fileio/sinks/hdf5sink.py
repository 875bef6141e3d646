"""HDF5 columns written, when the sizes of all tables are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.formats import PathLike
from sapwood.fileio.hdf5faults import close_written, refusal_told
from sapwood.fileio.sinks.base import TableSink
from sapwood.fileio.sinks.counted import Counts
from sapwood.fileio.sinks.flat import FlatTable
from sapwood.fileio.sinks.hdf5datasets import encoded, filters_of, new_dataset
from sapwood.fileio.sinks.hdf5layout import begin_group, describe, new_file
from sapwood.fileio.table import Table, TableInfo

__all__ = ["Hdf5Sink"]

_CHUNK_BYTES = 1 << 20


class Hdf5Sink(TableSink):
    """Writes tables as groups of datasets; see `Hdf5ColumnsReader` for the layout.

    Parameters
    ----------
    tables
        What will be written; counts must be exact, the datasets have their final size at once.
    compression
        ``none``, ``gzip`` or ``lzf`` (both after the shuffle filter).

    Raises
    ------
    FileError
        When the file cannot be made.
    """

    kinds = "biufegcSUV"

    def __init__(self, path: PathLike, tables: Sequence[TableInfo] = (), compression: str = "none") -> None:
        super().__init__(path, tables)
        self._filters = filters_of(compression)
        self._counts = Counts(self.path, self.announced)
        self._tables: dict[str, FlatTable] = {}
        self._filled: dict[str, int] = {}  # by path of the dataset
        self._file = new_file(path)

    def begin(self, table: Table) -> None:
        """Make the group and its datasets."""
        flat = self._tables[table.name] = FlatTable(self._counts.info(table))
        size = _CHUNK_BYTES if self._filters else 0
        with self.refusing(table, ValueError, TypeError, OSError, RuntimeError):
            group = begin_group(self._file, table)
            for name, (dtype, shape) in flat.arrays.items():
                new_dataset(group, name, dtype, shape, size, **self._filters)
            describe(group, table, flat)
        for bounds in flat.bounds.values():
            self._put(f"{table.name}/{bounds}", np.zeros(1, np.int64))

    def append(self, table: Table) -> None:
        """Write the rows behind those before."""
        self._counts.add(table)
        with refusal_told(self.path, self._file):
            for name, values in self._tables[table.name].pieces(table):
                self._put(f"{table.name}/{name}", encoded(values))

    def _put(self, place: str, values: NDArray[Any]) -> None:
        begin = self._filled.get(place, 0)
        end = self._filled[place] = begin + len(values)
        if end > begin:
            self._file[place][begin:end] = values

    def sync(self) -> None:
        """Hand everything written so far to the system."""
        with refusal_told(self.path, self._file):
            self._file.flush()

    def finish(self) -> None:
        """Refuse a file with fewer rows than announced."""
        self._counts.check_complete()

    def release(self) -> None:
        """Close the file as it is."""
        close_written(self._file)
