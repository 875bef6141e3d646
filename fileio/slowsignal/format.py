"""Slow-signal files as the registry knows them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError, FormatError
from sapwood.fileio.formats import (
    CHUNK_BYTES,
    CLEAN,
    LOSS,
    MAGIC,
    NO,
    UNREADABLE,
    Format,
    PathLike,
    Reader,
    Report,
)
from sapwood.fileio.hdf5 import SIGNATURE
from sapwood.fileio.hdf5glance import glance
from sapwood.fileio.partfile import complete_file
from sapwood.fileio.slowsignal.layout import GROUP, READOUT, TELESCOPE, TableLayout
from sapwood.fileio.slowsignal.reader import SSDataReader
from sapwood.fileio.slowsignal.writer import SSDataWriter
from sapwood.fileio.table import Column, ColumnInfo, Table, TableInfo

__all__ = ["SLOW_SIGNAL", "SlowSignalFormat", "SlowSignalReader", "SlowSignalSink"]

_LAYOUTS = {layout.name: layout for layout in (READOUT, TELESCOPE)}
_UNITS = {"cpu_t": "s", "cpu_t_s": "s", "cpu_t_ns": "ns", "data": "mV", "time": "ns", "db_t": "s",
          "db_t_s": "s", "db_t_ns": "ns"}  # fmt: skip


class SlowSignalReader(Reader):
    """Tables ``readout`` (pixels in the order of the file) and ``tel_table``."""

    def __init__(self, path: PathLike) -> None:
        self._reader = SSDataReader(path, "raw")

    def info(self) -> dict[str, Any]:
        """Return ``format, file, tables {name: rows}, bytes, attributes``."""
        about = ("CLASS", "VERSION", "TITLE", "NROWS")
        return {
            "format": SLOW_SIGNAL.name,
            "file": os.path.basename(self._reader.filename),
            "tables": {name: len(self._reader.table(name)) for name in self._reader.table_names},
            "bytes": os.path.getsize(self._reader.filename),
            "attributes": {
                name: value.decode(errors="replace")
                if isinstance(value, bytes)
                else np.asarray(value).tolist()
                for name, value in self._reader.attributes.items()
                if name not in about and not name.startswith("FIELD_")
            },
        }

    def tables(self) -> list[TableInfo]:
        """Return the tables; counts are exact."""
        return [
            TableInfo(name, len(self._reader.table(name)), _columns(_LAYOUTS[name]))
            for name in self._reader.table_names
        ]

    def chunks(
        self, table: str, start: int = 0, stop: int | None = None, nbytes: int = CHUNK_BYTES
    ) -> Iterator[Table]:
        """Yield rows `start` to `stop` of `table`, about `nbytes` at a time.

        Raises
        ------
        FormatError
            For another table, or where rows are damaged.
        """
        rows = self._reader.table(table)
        stop = len(rows) if stop is None else min(stop, len(rows))
        step = max(nbytes // (rows.chunk_rows * _LAYOUTS[table].dtype.itemsize), 1) * rows.chunk_rows
        for first in range(start, stop, step):
            yield _as_table(table, rows.rows(first, min(first + step, stop)))

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


def _columns(layout: TableLayout) -> dict[str, ColumnInfo]:
    fields = {name: layout.dtype[name] for name in layout.dtype.names or ()}
    return {name: ColumnInfo(field.base, field.shape) for name, field in fields.items()}


def _as_table(name: str, rows: NDArray[Any]) -> Table:
    columns = {key: Column(rows[key], unit=_UNITS.get(key, "")) for key in rows.dtype.names or ()}
    return Table(name, columns)


class SlowSignalSink:
    """Writes the tables ``readout`` and ``tel_table``; columns that are not there stay zero."""

    def __init__(self, path: PathLike) -> None:
        self._path = os.fspath(path)
        self._writer = SSDataWriter(path, buffer=0)

    def write(self, table: Table) -> None:
        """Append the rows of `table`.

        Raises
        ------
        FormatError
            When it is another table, or has other columns.
        """
        layout = _LAYOUTS.get(table.name)
        if layout is None or not set(table) <= set(layout.dtype.names or ()):
            raise FormatError(
                f"Table {table.name} is none of slow-signal data",
                file=self._path,
                expected=list(_LAYOUTS),
                seen=list(table),
            )
        rows = np.zeros(len(table), layout.dtype)
        for name, column in table.columns.items():
            rows[name] = column.values
        self._writer.write_rows(table.name, rows)

    def sync(self) -> None:
        """Hand everything written so far to the system."""
        self._writer.flush()

    def close(self) -> None:
        """Complete the file."""
        self._writer.close()

    def abort(self) -> None:
        """Close the file as it is."""
        self._writer.close()


class SlowSignalFormat(Format):
    """Slow-signal monitor data of SSDAQ in HDF5."""

    name = "slowsignal"
    endings = (".ss.h5",)

    def detect(self, head: bytes, path: str) -> int:
        """Return MAGIC for an HDF5 file with the group of slow-signal data."""
        if not head.startswith(SIGNATURE):
            return NO
        top = glance(path)
        return MAGIC if top is not None and GROUP in top.children else NO

    def open(self, path: PathLike, **options: Any) -> SlowSignalReader:
        """Open the file."""
        return SlowSignalReader(path)

    def create(self, path: PathLike, **options: Any) -> SlowSignalSink:
        """Begin a file for the tables ``readout`` and ``tel_table``."""
        return SlowSignalSink(path)

    def verify(self, path: PathLike) -> Report:
        """Read every row; the checksum of each chunk is compared."""
        report = Report()
        with self.open(path) as reader:
            for info in reader.tables():
                for piece in _whole_pieces(reader, info, report):
                    report.good += len(piece)
        if report.problems:
            report.status = LOSS if report.good else UNREADABLE
        else:
            report.status = CLEAN
        return report

    def recover(self, path: PathLike, out: PathLike) -> Report:
        """Write all rows in chunks that are whole to the new file `out`."""
        report = self.verify(path)
        if report.status == UNREADABLE:
            return report
        with self.open(path) as reader, complete_file(out) as part:
            sink = SlowSignalSink(part)
            try:
                for info in reader.tables():
                    for piece in _whole_pieces(reader, info, Report()):
                        sink.write(piece)
            finally:
                sink.close()
        return report


SLOW_SIGNAL = SlowSignalFormat()


def _whole_pieces(reader: SlowSignalReader, info: TableInfo, report: Report) -> Iterator[Table]:
    """Yield the rows of a table, chunk by chunk where one is damaged; note that in `report`."""
    for first in range(0, info.rows, _STEP):
        last = min(first + _STEP, info.rows)
        try:
            yield from list(reader.chunks(info.name, first, last))
        except FileError:
            size = _LAYOUTS[info.name].chunk_rows
            for begin in range(first, last, size):
                end = min(begin + size, last)
                try:
                    yield from list(reader.chunks(info.name, begin, end))
                except FileError as error:
                    report.problems.append(str(error))
                    report.lost += end - begin


_STEP = READOUT.chunk_rows * TELESCOPE.chunk_rows  # whole chunks of either table
