"""Raw digitiser streams as tables of any format."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from sapwood.errors import FormatError
from sapwood.fileio.formats import CHUNK_BYTES, CLEAN, LOSS, PathLike, Reader, Report, no_table
from sapwood.fileio.lh5.columns import ObjectTable
from sapwood.fileio.raw.datastreamer import DataStreamer
from sapwood.fileio.raw.orca.header import OrcaHeader
from sapwood.fileio.raw.orca.streamer import OrcaStreamer
from sapwood.fileio.raw.packetstreamer import PacketStreamer
from sapwood.fileio.raw.reading import ChosenTables
from sapwood.fileio.raw.rescue import torn_bytes
from sapwood.fileio.raw.streams import get_streamer
from sapwood.fileio.raw.structcolumns import columns_of, plain
from sapwood.fileio.raw.summary import Summary
from sapwood.fileio.table import Column, ColumnInfo, Table, TableInfo

__all__ = ["RawReader"]

_ROWS = 8192  # of a table at a time at least: a packet may hold many
_MOST_ROWS = 1 << 20
_MEMORY_BYTES = 24 << 20
_GARBAGE = "garbage"
_CHANNELS = ("channel", "fadc_channel_id")  # columns
_LOGGERS = [logging.getLogger(f"sapwood.fileio.raw{part}") for part in ("", ".orca")]
_DOCUMENT = "Document Info"


class RawReader(Reader):
    """Yields the tables of a stream's decoders.

    The file is decoded once to count rows, when they are first asked for, and again up to the rows
    wanted by each `chunks`. Headers that are no tables have one row; their members are its columns.
    Packets that could not be decoded are in the table ``garbage``.

    Parameters
    ----------
    path
        The file, plain or packed.
    format
        Name of the format.
    stream_type
        See `get_streamer`.
    options
        Further ones of `get_streamer`.

    Raises
    ------
    FormatError
        When the beginning of the stream is damaged.
    FileError
        When it cannot be read.
    """

    def __init__(self, path: PathLike, format: str, stream_type: str, **options: Any) -> None:
        self._path, self._format, self._type = os.fspath(path), format, stream_type
        self._options = options
        self._header = self._read_header()

    def streamer(self) -> DataStreamer:
        """Return a new streamer of the stream's type, not open."""
        return get_streamer(self._path, self._type, **self._options)

    def _read_header(self) -> dict[str, Any]:
        streamer = self.streamer()
        first = streamer.open_stream(self._path)
        try:
            if isinstance(streamer, OrcaStreamer):
                return _orca_header(streamer.header)
            return {one.out_name: plain(one.lgdo.rows(0, 1) if one.size else one.lgdo) for one in first}
        finally:
            streamer.close_stream()

    @cached_property
    def _counted(self) -> _Counted:
        return _Counted.of(self.streamer(), self._path)

    def info(self) -> dict[str, Any]:
        """Return a summary that JSON can hold: header, tables, channels, lengths of waveforms, losses."""
        counted = self._counted
        return {
            "format": self._format,
            "file": os.path.basename(self._path),
            "stream": self._type,
            "tables": {info.name: info.rows for info in self.tables()},
            "empty": [name for name, table in counted.tables.items() if not table.rows],
            "packets": counted.summary.packets,
            "channels": {name: sorted(table.channels) for name, table in counted.tables.items()
                         if table.channels},
            "samples": {f"{info.name}/{name.rpartition('/')[0]}": column.shape[0]
                        for info in self.tables() for name, column in info.columns.items()
                        if name.endswith("/values") and column.shape},
            "header": self._header,
            "losses": [text for text in counted.summary.losses() if text not in counted.summary.problems],
        }  # fmt: skip

    def problems(self) -> Sequence[str]:
        """Return what is damaged; packets that no decoder is known for are no damage."""
        return tuple(_damage(self._counted.summary))

    def tables(self) -> Sequence[TableInfo]:
        """Return the tables that have rows."""
        return [table.info(name) for name, table in self._counted.tables.items() if table.rows]

    def report(self) -> Report:
        """Return what was found in the file."""
        summary, problems = self._counted.summary, list(self.problems())
        streamer = self.streamer()
        torn = torn_bytes(streamer, self._path) if problems and isinstance(streamer, PacketStreamer) else 0
        lost = sum(summary.garbage.values()) + bool(torn)
        return Report(LOSS if problems else CLEAN, summary.packets, lost, torn, problems)

    def chunks(
        self, table: str, start: int = 0, stop: int | None = None, nbytes: int = CHUNK_BYTES
    ) -> Iterator[Table]:
        """Yield rows `start` to `stop` of `table`, about `nbytes` of decoded rows at a time.

        Raises
        ------
        FormatError
            When there is no such table.
        """
        info = next((one for one in self.tables() if one.name == table), None)
        if info is None:
            raise no_table(table, self._path, [one.name for one in self.tables()])
        first, last, _ = slice(start, stop).indices(info.rows)
        step, before = _rows_in(info, nbytes), 0
        if first >= last:
            return
        for obj, rows in self._objects(table, step, nbytes):
            for begin in range(max(first - before, 0), min(last - before, rows), step):
                end = min(begin + step, last - before, rows)
                yield self._table(info, obj.rows(begin, end) if hasattr(obj, "rows") else obj)
            before += rows
            if before >= last:
                return

    def _objects(self, table: str, step: int, nbytes: int) -> Iterator[tuple[Any, int]]:
        """Yield the rows of a table as LGDOs that nobody else holds, and how many they are."""
        if table == _GARBAGE:
            yield from ((one, len(one)) for one in self._counted.garbage)
            return
        size, memory = min(max(step, _ROWS), _MOST_ROWS), min(nbytes, _MEMORY_BYTES)
        for _, obj, rows in _decoded(self.streamer(), self._path, [table], size, memory):
            yield obj, rows

    def _table(self, info: TableInfo, obj: Any) -> Table:
        columns = {}
        for name, column in columns_of(obj, info.name):
            dtype = info.columns[name].dtype
            if column.values.dtype != dtype:  # text as wide as the longest of the file
                values = column.values.astype(dtype)
                column = Column(values, column.start, column.size, column.unit, column.attributes)
            columns[name] = column
        return ObjectTable(info.name, columns, {"file": os.path.basename(self._path)}, obj)

    def close(self) -> None:
        """Do nothing: files are open only while they are read."""


@dataclass
class _Rows:
    """What was seen of one table."""

    rows: int = 0
    columns: dict[str, ColumnInfo] = field(default_factory=dict)
    channels: set[int] = field(default_factory=set)

    def add(self, obj: Any, name: str, rows: int) -> None:
        self.rows += rows
        for key, column in columns_of(obj, name):
            dtype, known = column.values.dtype, self.columns.get(key)
            values = None if column.size is None else int(column.size.sum())
            if known is not None:
                dtype = np.promote_types(dtype, known.dtype)
                values = None if values is None else values + (known.values or 0)
            self.columns[key] = ColumnInfo(dtype, column.values.shape[1:], values)
            if key in _CHANNELS and not column.ragged:
                self.channels.update(np.unique(column.values).tolist())

    def info(self, name: str) -> TableInfo:
        return TableInfo(name, self.rows, self.columns)


@dataclass
class _Counted:
    """What a stream holds: rows by table, packets that could not be decoded, losses."""

    tables: dict[str, _Rows]
    garbage: list[Any]
    summary: Summary

    @classmethod
    def of(cls, streamer: DataStreamer, path: str) -> _Counted:
        tables: dict[str, _Rows] = {}
        for name, obj, rows in _decoded(streamer, path, None, _ROWS, _MEMORY_BYTES):
            tables.setdefault(name, _Rows()).add(obj, name, rows)
        ordered = {name: tables.get(name, _Rows()) for name in streamer.rb_lib.get_list_of("out_name")}
        garbage = [one.garbage_table for one in streamer.get_decoder_list() if len(one.garbage_table)]
        for one in garbage:
            ordered.setdefault(_GARBAGE, _Rows()).add(one, _GARBAGE, len(one))
        return cls(ordered, garbage, streamer.summary())


def _decoded(
    streamer: DataStreamer, path: str, tables: Sequence[str] | None, size: int, memory: int
) -> Iterator[tuple[str, Any, int]]:
    """Yield name, LGDO and number of rows of the tables of a stream, `size` rows or `memory` bytes at a time.

    With `tables`, what was yielded is not touched again; else it is used again at the next turn.
    """
    library = ChosenTables({"*": {"{name}": {"key_list": ["*"]}}})
    library.tables = tables
    streamer.memory_limit = memory
    try:
        with _quiet():
            chunk = streamer.open_stream(path, library, size) or streamer.read_chunk()
        while chunk:
            for one in chunk:
                obj, rows = one.lgdo, one.loc
                yield one.out_name, obj.rows(0, rows) if hasattr(obj, "rows") else obj, rows
            del obj
            if tables is None:
                for one in chunk:
                    one.loc = 0
            else:
                library.prepare(streamer.get_decoder_list(), size)  # a new table in the buffer
            with _quiet():
                chunk = streamer.read_chunk()
    finally:
        streamer.close_stream()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Log nothing about the stream in this thread: it is read several times, and `problems` tells."""
    thread = threading.get_ident()

    def keep(record: logging.LogRecord) -> bool:
        return record.thread != thread

    for logger in _LOGGERS:
        logger.addFilter(keep)
    try:
        yield
    finally:
        for logger in _LOGGERS:
            logger.removeFilter(keep)


def _rows_in(info: TableInfo, nbytes: int) -> int:
    row = 1.0
    for column in info.columns.values():
        item = column.dtype.itemsize * math.prod(column.shape)
        row += item if column.values is None else item * column.values / max(1, info.rows)
    return max(1, int(nbytes / row))


def _damage(summary: Summary) -> Iterator[str]:
    for decoder, count in summary.garbage.items():
        yield f"{decoder}: {count} packets could not be decoded"
    yield from summary.problems


def _orca_header(header: OrcaHeader) -> dict[str, Any]:
    """Return run number, versions and decoders: the whole header is long."""
    facts: dict[str, Any] = {"decoders": header.get_decoder_list()}
    try:
        facts["run_number"] = header.get_run_number()
    except FormatError:
        facts["run_number"] = None
    document = header.get(_DOCUMENT)
    return {**facts, **plain(document)} if isinstance(document, dict) else facts
