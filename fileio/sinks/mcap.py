"""MCAP: time-stamped messages on topics, for viewers of the robotics world (extra `mcap`)."""

from __future__ import annotations

import os
import struct
from typing import Any

from sapwood.extras import need
from sapwood.fileio.formats import Format, PathLike
from sapwood.fileio.sinks.jsonlines import row_objects
from sapwood.fileio.table import FRAMES, Table

__all__ = ["MCAP", "McapFormat", "McapSink"]

_PREFIX = struct.Struct("<HBB")  # flags, error, 0: MCAP has no place for them
_TIMES = ("time", "timestamp")


class McapSink:
    """Writes frames as messages of topic ``/stream/<channel>``, other tables as JSON on ``/<table>``.

    A frame's message is flags (u16), error (u8), 0 (u8), then the payload; the channel's metadata
    says so. Message times are those of the rows, in ns since 1970 UTC; 0 when not known.
    """

    def __init__(self, path: PathLike) -> None:
        writer = need("mcap.writer", extra="mcap")
        self._file = open(path, "wb")  # noqa: SIM115  # closed by close and abort
        self._writer = writer.Writer(self._file)
        self._writer.start(profile="", library="sapwood")
        self._topics: dict[str, int] = {}
        self._schemas: dict[str, int] = {}

    def write(self, table: Table) -> None:
        """Append the rows of `table`."""
        if table.name == FRAMES:
            self._write_frames(table)
        else:
            self._write_rows(table)

    def _write_frames(self, table: Table) -> None:
        batch = table.to_frames()
        columns = (batch.channel, batch.flags, batch.error, batch.time)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        facts = {"prefix": "flags u16, error u8, 0 u8; little-endian"}
        for row, (channel, flags, error, time) in enumerate(rows):
            data = _PREFIX.pack(flags, error, 0) + batch.frame_bytes(row).tobytes()
            self._add(self._topic(f"/stream/{channel}", "raw", 0, facts), time, data, row)

    def _write_rows(self, table: Table) -> None:
        if table.name not in self._schemas:
            self._schemas[table.name] = self._writer.register_schema(
                name=table.name, encoding="jsonschema", data=b'{"type": "object"}'
            )
        units = {name: column.unit for name, column in table.columns.items() if column.unit}
        topic = self._topic(f"/{table.name}", "json", self._schemas[table.name], units)
        key = next((name for name in _TIMES if name in table.columns and not table[name].ragged), None)
        times = [0] * len(table) if key is None else table[key].values.astype("i8").tolist()
        for row, text in enumerate(row_objects(table)):
            self._add(topic, times[row], text.encode(), row)

    def _topic(self, name: str, encoding: str, schema: int, facts: dict[str, str]) -> int:
        if name not in self._topics:
            self._topics[name] = self._writer.register_channel(
                topic=name, message_encoding=encoding, schema_id=schema, metadata=facts
            )
        return self._topics[name]

    def _add(self, topic: int, time: int, data: bytes, sequence: int) -> None:
        when = max(time, 0)
        self._writer.add_message(topic, log_time=when, publish_time=when, data=data, sequence=sequence)

    def sync(self) -> None:
        """Hand everything written so far to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Complete the file."""
        self._writer.finish()
        self._file.close()

    def abort(self) -> None:
        """Close the file as it is."""
        self._file.close()


class McapFormat(Format):
    """MCAP files, written only."""

    name = "mcap"
    endings = (".mcap",)

    def create(self, path: PathLike, **options: Any) -> McapSink:
        """Begin an MCAP file."""
        return McapSink(path)


MCAP = McapFormat()
