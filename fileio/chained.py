"""Recordings split into parts, for formats whose readers know one file: read, checked and saved as one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from sapwood.errors import FileError, FormatError, RecordingExists
from sapwood.fileio.chain import missing_part
from sapwood.fileio.formats import (
    CHUNK_BYTES,
    CLEAN,
    LOSS,
    UNREADABLE,
    Format,
    PathLike,
    Reader,
    Report,
    no_table,
)
from sapwood.fileio.recording.parts import part_path
from sapwood.fileio.table import Column, ColumnInfo, Table, TableInfo
from sapwood.streams import FrameBatch

__all__ = ["ChainedReader", "recover_parts", "verify_parts"]


@dataclass(frozen=True)
class _Part:
    """What is kept of a part that was looked at."""

    tables: dict[str, TableInfo]
    handover: dict[str, Any]


class ChainedReader(Reader):
    """The parts of a recording one after the other, in as many open files as are being iterated over.

    Tables of one name are one table. A part may lack a table.

    Parameters
    ----------
    format
        That of all parts.
    files
        The parts, in order.
    options
        For opening each of them.
    """

    def __init__(self, format: Format, files: Sequence[PathLike], **options: Any) -> None:
        self.files = [os.fspath(file) for file in files]
        self._format = format
        self._options = options
        self._parts: list[_Part] = []
        self._open = True
        self._at = 0
        self._reader = format.open(self.files[0], **options)
        self._used: list[Reader] = []  # by iterations that are under way, each once for every one of them

    def _part(self, index: int) -> Reader:
        """Return the reader of part `index`; that of another part is closed unless it is used."""
        if not self._open:
            raise FileError("The reader is closed", file=self.files[index])
        if index != self._at:
            left = self._looked_at(index - 1).handover if index else {}
            fresh = self._format.open(self.files[index], **self._options, **left)
            former, self._reader, self._at = self._reader, fresh, index
            self._close_unused(former)
        return self._reader

    @contextlib.contextmanager
    def _use(self, index: int) -> Iterator[Reader]:
        """Give the reader of part `index`, which stays open in the block whatever else is read."""
        reader = self._part(index)
        self._used.append(reader)
        try:
            yield reader
        finally:
            self._used.remove(reader)
            self._close_unused(reader)

    def _close_unused(self, reader: Reader) -> None:
        if reader is not self._reader and reader not in self._used:
            reader.close()

    def _looked_at(self, index: int) -> _Part:
        """Return what part `index` holds; it and those before it are looked at once."""
        while len(self._parts) <= index:
            reader = self._part(len(self._parts))
            tables = {table.name: table for table in reader.tables()}
            self._parts.append(_Part(tables, reader.handover()))
        return self._parts[index]

    def tables(self) -> list[TableInfo]:
        """Return the tables of all parts; counts are exact."""
        return list(self._joined.values())

    @cached_property
    def _joined(self) -> dict[str, TableInfo]:
        self._looked_at(len(self.files) - 1)
        found: dict[str, TableInfo] = {}
        for file, part in zip(self.files, self._parts, strict=True):
            for name, info in part.tables.items():
                found[name] = _joined(found[name], info, file) if name in found else info
        return found

    def chunks(
        self, table: str, start: int = 0, stop: int | None = None, nbytes: int = CHUNK_BYTES
    ) -> Iterator[Table]:
        """Yield rows `start` to `stop` of `table`, about `nbytes` of a file at a time.

        Raises
        ------
        FileError
            For a name that is none of the tables, and as the readers of the parts do.
        """
        whole = self._joined.get(table)
        if whole is None:
            raise no_table(table, self.files[0], self._joined)
        row = 0
        for index, part in enumerate(self._parts):
            if table not in part.tables:
                continue
            rows = part.tables[table].rows
            first, last = max(start - row, 0), rows if stop is None else min(stop - row, rows)
            row += rows
            if first < last:
                with self._use(index) as reader:
                    for chunk in reader.chunks(table, first, last, nbytes):
                        yield _fitted(chunk, whole)

    def batches(self, *, nbytes: int = CHUNK_BYTES) -> Iterator[FrameBatch]:
        """Yield the frames of all parts in order, about `nbytes` of a file at a time."""
        for index in range(len(self.files)):
            with self._use(index) as reader:
                yield from reader.batches(nbytes=nbytes)

    def read(self) -> FrameBatch:
        """Return all frames as one batch, copied together."""
        return FrameBatch.concat([self._part(index).read() for index in range(len(self.files))])

    def info(self) -> dict[str, Any]:
        """Return a summary that JSON can hold.

        Returns
        -------
        dict
            ``format, file, tables {name: rows}, file_bytes, parts [what each of them tells],
            problems``.
        """
        told = [self._part(index).info() for index in range(len(self.files))]
        return {
            "format": self._format.name,
            "file": os.path.basename(self.files[0]),
            "tables": {table.name: table.rows for table in self.tables()},
            "file_bytes": sum(map(os.path.getsize, self.files)),
            "parts": told,
            "problems": self.problems(),
        }

    def problems(self) -> list[str]:
        """Return what is damaged in any part, and the part that is missing."""
        found = [text for index in range(len(self.files)) for text in self._part(index).problems()]
        return [*found, *_missing(self.files)]

    def close(self) -> None:
        """Let go of the files; what was yielded stays valid."""
        self._open = False
        for reader in {self._reader, *self._used}:
            reader.close()


def _missing(files: Sequence[PathLike]) -> list[str]:
    missing = missing_part(files)
    return [] if missing is None else [f"{missing}: this part is missing, later ones are there"]


def _joined(one: TableInfo, other: TableInfo, file: str) -> TableInfo:
    """Return the description of the rows of `one` and then those of `other`, which is in `file`."""
    columns = dict(one.columns)
    for name, column in other.columns.items():
        try:
            columns[name] = _wider(columns[name], column) if name in columns else column
        except TypeError as error:
            raise FormatError(
                f"Column {name} of table {one.name} is of another type than in the parts before",
                file=file,
                expected=columns[name].dtype,
                seen=column.dtype,
                hint="Open the parts one by one.",
            ) from error
    return replace(one, rows=one.rows + other.rows, columns=columns)


def _wider(one: ColumnInfo, other: ColumnInfo) -> ColumnInfo:
    """Return what holds the values of both; the bytes of ragged columns add up."""
    dtype = _common(one.dtype, other.dtype)
    values = None if one.values is None else one.values + (other.values or 0)
    return replace(one, dtype=dtype, values=values)


def _common(one: np.dtype[Any], other: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type that holds the values of both; a `TypeError` where none holds all of them."""
    dtype = np.promote_types(one, other)
    if dtype.kind in "fc" and any(kind.kind in "iu" and kind.itemsize == 8 for kind in (one, other)):
        raise TypeError("integers of 64 bits are no floats")
    return dtype


def _fitted(chunk: Table, whole: TableInfo) -> Table:
    """Return `chunk` with the types of columns that the whole recording has."""
    narrow = {
        name: column.values.astype(whole.columns[name].dtype)
        for name, column in chunk.columns.items()
        if name in whole.columns and column.values.dtype != whole.columns[name].dtype
    }
    if not narrow:
        return chunk
    columns: dict[str, Column] = {
        name: replace(column, values=narrow[name]) if name in narrow else column
        for name, column in chunk.columns.items()
    }
    return replace(chunk, columns=columns)


def verify_parts(format: Format, files: Sequence[PathLike]) -> Report:
    """Check every part; one that cannot be opened does not keep the others from being checked."""
    return _together([_tried(format.verify, file) for file in files], files)


def _tried(check: Callable[..., Report], *paths: PathLike) -> Report:
    try:
        return check(*paths)
    except FileError as error:
        return Report(UNREADABLE, problems=[str(error)])


def _together(reports: Sequence[Report], files: Sequence[PathLike]) -> Report:
    """Return one report on all parts."""
    found = Report(
        good=sum(report.good for report in reports),
        lost=sum(report.lost for report in reports),
        torn_bytes=sum(report.torn_bytes for report in reports),
        problems=[text for report in reports for text in report.problems] + _missing(files),
    )
    if all(report.status == UNREADABLE for report in reports):
        found.status = UNREADABLE
    elif found.problems or any(report.status != CLEAN for report in reports):
        found.status = LOSS
    return found


def recover_parts(format: Format, files: Sequence[PathLike], out: PathLike) -> Report:
    """Write everything whole in each part to ``<out>.1``, ``<out>.2``, ...: a recording of parts, too.

    A part of which nothing can be read is left out.

    Raises
    ------
    RecordingExists
        When a file of that name is there already.
    """
    base, reports, number = os.fspath(out), [], 1
    for taken in (base, *(part_path(base, index + 1) for index in range(len(files)))):
        if os.path.lexists(taken):
            raise RecordingExists(f"The file {taken} exists already", hint="Choose another name.")
    for file in files:
        target = part_path(base, number)
        reports.append(_tried(format.recover, file, target))
        number += os.path.exists(target)
    return _together(reports, files)
