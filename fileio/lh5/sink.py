"""Tables of any format into LH5 files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from sapwood.errors import FileError
from sapwood.fileio.formats import PathLike
from sapwood.fileio.hdf5 import open_h5
from sapwood.fileio.hdf5faults import close_written, refusal_told
from sapwood.fileio.lh5.columns import from_table
from sapwood.fileio.lh5.nodes import full_name
from sapwood.fileio.lh5.writing import ObjectWriter
from sapwood.fileio.table import Table, TableInfo

__all__ = ["Lh5Sink"]


class Lh5Sink:
    """Writes each table as an LGDO table; a column ``a/b`` is column b of the inner table a.

    Parameters
    ----------
    path
        The file, created or truncated.
    tables
        What will be written: tables without rows are made too.
    hdf5_settings
        Of all datasets, see `DEFAULT_HDF5_SETTINGS`.
    """

    def __init__(
        self, path: PathLike, tables: Sequence[TableInfo] = (), hdf5_settings: dict[str, Any] | None = None
    ) -> None:
        self._path = os.fspath(path)
        self._settings = dict(hdf5_settings or {})
        self._announced = {table.name: table for table in tables}
        self._attributes: dict[str, dict[str, Any]] = {}
        self._file = open_h5(self._path, "w")
        self._writer: ObjectWriter | None = ObjectWriter(self._file)

    def write(self, table: Table) -> None:
        """Append the rows of `table`.

        Raises
        ------
        FileError
            When they do not fit those before, or the file is closed.
        """
        if self._writer is None:
            raise FileError("The file is closed", file=self._path)
        obj = from_table(table)
        kept = self._attributes.setdefault(table.name, obj.getattrs())
        obj.attrs = {**kept, "datatype": obj.form_datatype()}
        with refusal_told(self._path, self._file):
            self._writer.append(obj, full_name("/", table.name), self._settings)

    def sync(self) -> None:
        """Hand everything written so far to the disk."""
        if self._writer is not None:
            self._flush(self._writer)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def close(self) -> None:
        """Complete the file."""
        if self._writer is None:
            return
        for name, info in self._announced.items():
            if name not in self._attributes:
                self.write(info.empty())
        self._flush(self._writer)
        self.abort()

    def _flush(self, writer: ObjectWriter) -> None:
        with refusal_told(self._path, self._file):
            writer.flush()

    def abort(self) -> None:
        """Close the file as it is."""
        self._writer = None
        close_written(self._file)
