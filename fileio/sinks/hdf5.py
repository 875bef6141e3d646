"""HDF5 columns as a format: written by two sinks, read by `sapwood.fileio.hdf5columns`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sapwood.fileio.formats import MAGIC, NO, PathLike, Report
from sapwood.fileio.hdf5 import SIGNATURE
from sapwood.fileio.hdf5columns import MARK, Hdf5ColumnsReader, recover_columns, verify_columns
from sapwood.fileio.hdf5glance import glance
from sapwood.fileio.sinks.base import TableSink
from sapwood.fileio.sinks.hdf5growing import LiveHdf5Sink
from sapwood.fileio.sinks.hdf5sink import Hdf5Sink
from sapwood.fileio.sinks.sinkformat import SinkFormat
from sapwood.fileio.table import TableInfo

__all__ = ["HDF5", "Hdf5Format"]


class Hdf5Format(SinkFormat):
    """Tables as HDF5 columns, which Sapwood reads too."""

    in_parts = True

    def __init__(self) -> None:
        super().__init__("hdf5", (".h5", ".hdf5"), Hdf5Sink, ("none", "gzip", "lzf"))

    def detect(self, head: bytes, path: str) -> int:
        """Return MAGIC for an HDF5 file with our mark."""
        if not head.startswith(SIGNATURE):
            return NO
        top = glance(path)
        return MAGIC if top is not None and MARK in top.attributes else NO

    def open(self, path: PathLike, **options: Any) -> Hdf5ColumnsReader:
        """Open the file."""
        return Hdf5ColumnsReader(path)

    def create(
        self, path: PathLike, *, tables: Sequence[TableInfo] = (), live: bool = False, **options: Any
    ) -> TableSink:
        """Begin a file for `tables`, of sizes that are not known when it is `live`."""
        if live:
            return LiveHdf5Sink(path, tables, **options)
        return super().create(path, tables=tables, **options)

    def verify(self, path: PathLike) -> Report:
        """Read every row."""
        return verify_columns(path)

    def recover(self, path: PathLike, out: PathLike) -> Report:
        """Write the rows that are whole in all columns to the new file `out`."""
        return recover_columns(path, out)


HDF5 = Hdf5Format()
