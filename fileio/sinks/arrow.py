"""Apache Parquet and Arrow IPC: what analysis packages read fastest (pyarrow, extra `export`)."""

from __future__ import annotations

import contextlib
import json
import os
from types import ModuleType
from typing import Any

import numpy as np

from sapwood.errors import FileError
from sapwood.extras import need
from sapwood.fileio.formats import Format, PathLike
from sapwood.fileio.table import FRAMES, Column, Table

__all__ = ["ARROW", "ARROW_STREAM", "PARQUET", "ArrowFormat", "ArrowSink"]

_LOCAL = ("file", "base")  # attributes about one chunk's place, not about the table


def _pa() -> ModuleType:
    return need("pyarrow", extra="export")


def to_arrow(table: Table) -> Any:
    """Return `table` as a `pyarrow.RecordBatch`; dense columns are not copied."""
    pa = _pa()
    arrays, fields = [], []
    for name, column in table.columns.items():
        array = _array(pa, column)
        if table.name == FRAMES and name == "time":
            array = array.cast(pa.timestamp("ns", "UTC"))
        meta = {key: _text(value) for key, value in column.attributes.items()}
        arrays.append(array)
        fields.append(pa.field(name, array.type, metadata={"unit": column.unit, **meta}))
    facts = {key: _text(value) for key, value in table.attributes.items() if key not in _LOCAL}
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, {"table": table.name, **facts}))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _array(pa: ModuleType, column: Column) -> Any:
    values = column.dense()
    if values.dtype.kind in "SU":
        values = values.astype(object)
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    for size in reversed(values.shape[1:]):
        flat = pa.FixedSizeListArray.from_arrays(flat, size)
    if column.size is None:
        return flat
    bounds = np.zeros(len(column) + 1, np.int64)
    np.cumsum(column.size, out=bounds[1:])
    if values.dtype == np.uint8 and values.ndim == 1:
        buffers = [None, pa.py_buffer(bounds), pa.py_buffer(values)]
        return pa.Array.from_buffers(pa.large_binary(), len(column), buffers)
    return pa.LargeListArray.from_arrays(pa.array(bounds), flat)


class ArrowSink:
    """Writes one table as Parquet (`kind` ``parquet``), Arrow file (``file``) or stream (``stream``).

    Bytes of ragged u1 columns become ``large_binary``, other ragged columns lists, arrays lists of
    fixed size; units and attributes go into the metadata of fields and schema.

    Parameters
    ----------
    compression
        ``none``, ``zstd``, ``lz4``; for Parquet also ``snappy``, ``gzip``, ``brotli``.
    """

    def __init__(self, path: PathLike, kind: str, compression: str = "none") -> None:
        self._path, self._kind = os.fspath(path), kind
        self._compression = None if compression == "none" else compression
        self._writer: Any = None
        self._table: str | None = None
        self._file = _pa().OSFile(self._path, "wb")

    def write(self, table: Table) -> None:
        """Append the rows of `table`.

        Raises
        ------
        FileError
            When it is not the table that was begun with.
        """
        if self._table not in (None, table.name):
            hint = "Name the table to write."
            raise FileError(
                "The file holds one table", file=self._path, expected=self._table, seen=table.name, hint=hint
            )
        batch = to_arrow(table)
        if self._writer is None:
            self._table = table.name
            self._writer = self._begin(batch.schema)
        self._writer.write_batch(batch)

    def _begin(self, schema: Any) -> Any:
        if self._kind == "parquet":
            parquet = need("pyarrow.parquet", extra="export")
            plain = [f.name for f in schema if not str(f.type).startswith(("large_binary", "large_list"))]
            return parquet.ParquetWriter(
                self._file,
                schema,
                compression=self._compression or "NONE",
                use_dictionary=False,
                write_statistics=plain,
                store_schema=True,
            )
        ipc = need("pyarrow.ipc", extra="export")
        options = ipc.IpcWriteOptions(compression=self._compression)
        return (ipc.new_file if self._kind == "file" else ipc.new_stream)(self._file, schema, options=options)

    def sync(self) -> None:
        """Hand everything written so far to the system; `convert` syncs the complete file."""
        self._file.flush()

    def close(self) -> None:
        """Complete the file."""
        if self._writer is None:
            self._writer = self._begin(_pa().schema([]))
        self._writer.close()
        self._file.close()

    def abort(self) -> None:
        """Close the file as it is."""
        with contextlib.suppress(OSError, ValueError, _pa().ArrowException):  # the file is to be removed
            if self._writer is not None:
                self._writer.close()  # else it complains when it is collected
        self._file.close()


class ArrowFormat(Format):
    """Parquet, or Arrow IPC as file or stream; written only."""

    one_table = True

    def __init__(self, name: str, kind: str, endings: tuple[str, ...], more: tuple[str, ...] = ()) -> None:
        self.name, self.endings = name, endings
        self.compressions = ("none", "zstd", "lz4", *more)
        self._kind = kind

    def create(self, path: PathLike, *, compression: str = "none", **options: Any) -> ArrowSink:
        """Begin a file."""
        return ArrowSink(path, self._kind, compression)


PARQUET = ArrowFormat("parquet", "parquet", (".parquet", ".pq"), ("snappy", "gzip", "brotli"))
ARROW = ArrowFormat("arrow", "file", (".arrow", ".feather"))
ARROW_STREAM = ArrowFormat("arrow-stream", "stream", (".arrows",))
