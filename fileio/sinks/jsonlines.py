"""JSON lines: one object a row, for scripts in any language."""

from __future__ import annotations

from sapwood.fileio.sinks.jsonrows import row_objects
from sapwood.fileio.sinks.plainfile import FileSink
from sapwood.fileio.sinks.sinkformat import SinkFormat
from sapwood.fileio.table import Table

__all__ = ["JSON_LINES", "JsonLinesSink"]

_TABLE = "table"  # the first member of each object


class JsonLinesSink(FileSink):
    """Writes rows as objects: ``table``, then the columns; see `row_objects` for their values."""

    kinds = "biufeSUMV"

    def begin(self, table: Table) -> None:
        """Refuse a column that is called like the first member."""
        if _TABLE in table.columns:
            raise self.refusal(f"Table {table.name} cannot be written", "other names", f"column {_TABLE}")

    def append(self, table: Table) -> None:
        """Write a line a row."""
        for text in row_objects(table, {_TABLE: table.name}):
            self.file.write(text)
            self.file.write(b"\n")


JSON_LINES = SinkFormat("jsonl", (".jsonl", ".ndjson"), JsonLinesSink)
