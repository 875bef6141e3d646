"""Apache Parquet and Arrow IPC: what analysis packages read fastest (pyarrow, extra `export`)."""

from __future__ import annotations

from typing import Any

from sapwood.extras import need
from sapwood.fileio.sinks.arrowsink import ArrowSink
from sapwood.fileio.sinks.sinkformat import SinkFormat

__all__ = ["ARROW", "ARROW_STREAM", "PARQUET", "ArrowFileSink", "ArrowStreamSink", "ParquetSink"]


class ParquetSink(ArrowSink):
    """Writes one table as Parquet, a row group a chunk."""

    def open_writer(self, schema: Any) -> Any:
        """Return the writer."""
        plain = [one.name for one in schema if not str(one.type).startswith(("large_binary", "large_list"))]
        return need("pyarrow.parquet", extra="export").ParquetWriter(
            self.file,
            schema,
            compression=self.compression or "NONE",
            use_dictionary=False,
            write_statistics=plain,
            store_schema=True,
        )


class ArrowStreamSink(ArrowSink):
    """Writes one table as an Arrow IPC stream."""

    _make = "new_stream"

    def open_writer(self, schema: Any) -> Any:
        """Return the writer."""
        ipc = need("pyarrow.ipc", extra="export")
        options = ipc.IpcWriteOptions(compression=self.compression)
        return getattr(ipc, self._make)(self.file, schema, options=options)


class ArrowFileSink(ArrowStreamSink):
    """Writes one table as an Arrow IPC file."""

    _make = "new_file"


_COMPRESSIONS = ("none", "zstd", "lz4")
PARQUET = SinkFormat(
    "parquet", (".parquet", ".pq"), ParquetSink, (*_COMPRESSIONS, "snappy", "gzip", "brotli")
)
ARROW = SinkFormat("arrow", (".arrow", ".feather"), ArrowFileSink, _COMPRESSIONS)
ARROW_STREAM = SinkFormat("arrow-stream", (".arrows",), ArrowStreamSink, _COMPRESSIONS)
