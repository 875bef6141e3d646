"""Files of one table that a writer of pyarrow makes (extra `export`)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from sapwood.extras import need
from sapwood.fileio.formats import PathLike
from sapwood.fileio.sinks.arrowcolumns import to_arrow, to_schema
from sapwood.fileio.sinks.base import TableSink
from sapwood.fileio.table import Table, TableInfo

__all__ = ["ArrowSink"]


class ArrowSink(TableSink):
    """Writes one table; what kinds of files differ in is how their writer is made.

    Bytes of ragged u1 columns become ``large_binary``, other ragged columns lists, arrays lists of
    fixed size; units and attributes go into the metadata of fields and schema.

    Parameters
    ----------
    compression
        ``none``, ``zstd``, ``lz4``; for Parquet also ``snappy``, ``gzip``, ``brotli``.
    """

    one_table = True
    kinds = "biufeSUMm"

    def __init__(self, path: PathLike, tables: Sequence[TableInfo] = (), compression: str = "none") -> None:
        arrow = need("pyarrow", extra="export")
        super().__init__(path, tables)
        self.compression = None if compression == "none" else compression
        self._errors = (arrow.ArrowException, TypeError, ValueError)
        self._writer: Any = None
        self.file = arrow.OSFile(self.path, "wb")

    def open_writer(self, schema: Any) -> Any:
        """Return the writer of a file with columns of `schema`."""
        raise NotImplementedError

    def begin(self, table: Table) -> None:
        """Write the schema."""
        with self.refusing(table, *self._errors):
            self._schema = to_schema(table)
            self._writer = self.open_writer(self._schema)

    def append(self, table: Table) -> None:
        """Write a record batch."""
        with self.refusing(table, *self._errors):
            self._writer.write_batch(to_arrow(table, self._schema))

    def sync(self) -> None:
        """Hand everything written so far to the system."""
        self.file.flush()

    def finish(self) -> None:
        """Write the footer."""
        if self._writer is None:
            self._writer = self.open_writer(need("pyarrow", extra="export").schema([]))
        self._writer.close()

    def release(self) -> None:
        """Close the file as it is."""
        with contextlib.suppress(OSError, *self._errors):
            if self._writer is not None:
                self._writer.close()  # else it complains when it is collected
        self.file.close()
