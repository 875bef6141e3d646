"""MCAP: time-stamped messages on topics, for viewers of the robotics world (extra `mcap`)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from sapwood.extras import need
from sapwood.fileio.formats import PathLike
from sapwood.fileio.sinks.facts import fact_text, table_facts
from sapwood.fileio.sinks.jsonrows import row_objects
from sapwood.fileio.sinks.plainfile import FileSink
from sapwood.fileio.sinks.sinkformat import SinkFormat
from sapwood.fileio.table import FRAMES, Table, TableInfo

__all__ = ["MCAP", "McapSink"]

_PREFIX = struct.Struct("<HBB")  # flags, error, 0: MCAP has no place for them
_TIMES = ("time", "timestamp")


class McapSink(FileSink):
    """Writes frames as messages of topic ``/stream/<channel>``, other tables as JSON on ``/<table>``.

    A frame's message is flags (u16), error (u8), 0 (u8), then the payload; the channel's metadata
    says so. Message times are those of the rows, in ns since 1970 UTC; 0 when not known. Units of
    columns and attributes of the table are metadata of the channel.

    Parameters
    ----------
    compression
        ``none``, ``zstd`` or ``lz4``.
    """

    kinds = "biufeSUMV"

    def __init__(self, path: PathLike, tables: Sequence[TableInfo] = (), compression: str = "none") -> None:
        library = need("mcap.writer", extra="mcap")
        kind = library.CompressionType[compression.upper()]
        super().__init__(path, tables)
        self._writer = library.Writer(self.file, compression=kind)
        self._writer.start(profile="", library="sapwood")
        self._channels: dict[tuple[str, str], int] = {}  # topic and encoding -> number

    def append(self, table: Table) -> None:
        """Add a message a row."""
        if table.name == FRAMES:
            self._add_frames(table)
        else:
            self._add_rows(table)

    def _add_frames(self, table: Table) -> None:
        batch = table.to_frames()
        facts = {"prefix": "flags u16, error u8, 0 u8; little-endian", **_facts(table)}
        payload = np.ascontiguousarray(batch.payload).data
        columns = (batch.channel, batch.flags, batch.error, batch.time, batch.start, batch.start + batch.size)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for row, (channel, flags, error, time, begin, end) in enumerate(rows):
            data = _PREFIX.pack(flags, error, 0) + payload[begin:end]
            self._add(self._channel(f"/stream/{channel}", "raw", facts), time, data, row)

    def _add_rows(self, table: Table) -> None:
        channel = self._channel(f"/{table.name}", "json", _facts(table), table.name)
        key = next((name for name in _TIMES if name in table.columns and not table[name].ragged), None)
        times = [0] * len(table) if key is None else table[key].values.astype("i8").tolist()
        for row, text in enumerate(row_objects(table)):
            self._add(channel, times[row], text, row)

    def _channel(self, topic: str, encoding: str, facts: dict[str, str], schema: str = "") -> int:
        if (topic, encoding) not in self._channels:
            kind = 0
            if schema:
                kind = self._writer.register_schema(schema, "jsonschema", b'{"type": "object"}')
            self._channels[topic, encoding] = self._writer.register_channel(topic, encoding, kind, facts)
        return self._channels[topic, encoding]

    def _add(self, channel: int, time: int, data: bytes, sequence: int) -> None:
        when = max(time, 0)
        self._writer.add_message(channel, when, data, when, sequence)

    def finish(self) -> None:
        """Write the summary."""
        self._writer.finish()
        super().finish()


def _facts(table: Table) -> dict[str, str]:
    units = {name: column.unit for name, column in table.columns.items() if column.unit}
    return {**{key: fact_text(value) for key, value in table_facts(table).items()}, **units}


MCAP = SinkFormat("mcap", (".mcap",), McapSink, ("none", "zstd", "lz4"))
