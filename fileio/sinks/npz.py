"""NumPy's ``.npz``: one array a column, laid out beforehand and filled chunk by chunk.

The counts of all rows and values are known from the reader, so every array has its final place
in the archive (members are stored, not compressed) before the first chunk comes. Each byte is
written once, and memory is that of one chunk.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError
from sapwood.fileio.formats import Format, PathLike
from sapwood.fileio.sinks.npzlayout import Layout, Member, directory
from sapwood.fileio.table import Table, TableInfo

__all__ = ["NPZ", "NpzFormat", "NpzSink"]


class NpzSink:
    """Writes tables as arrays that `numpy.load` reads.

    An array column keeps its name. A ragged column becomes its values, dense, and their bounds
    ``offset`` (i8, shape (n + 1,)): row i is ``values[offset[i] : offset[i + 1]]``. With several
    ragged columns in a table the bounds are called ``<column>_offset``; with several tables all
    names begin with ``<table>/``.

    Parameters
    ----------
    path
        The file, created or truncated.
    tables
        What will be written; counts must be exact.
    """

    def __init__(self, path: PathLike, tables: Sequence[TableInfo]) -> None:
        self._path = os.fspath(path)
        self._layouts: dict[str, Layout] = {}
        self._end = 0
        for table in tables:
            layout = self._layouts[table.name] = Layout(table)
            self._end = layout.place(self._end, f"{table.name}/" if len(tables) > 1 else "")
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            self._begin_members()
        except BaseException:
            self.abort()
            raise

    def _begin_members(self) -> None:
        for layout in self._layouts.values():
            for member in layout.members.values():
                self._append(member, member.header)
            for name in layout.bounds.values():
                self._append(layout.members[name], bytes(8))

    def write(self, table: Table) -> None:
        """Append the rows of `table`.

        Raises
        ------
        FileError
            When they are not what was announced.
        """
        layout = self._layouts.get(table.name)
        if layout is None or layout.table.columns.keys() != table.columns.keys():
            raise FileError(f"Table {table.name} was not announced", file=self._path, seen=list(table))
        for name, column in table.columns.items():
            if column.size is not None:
                done = layout.values[name]
                ends = np.cumsum(column.size, dtype=np.int64) + done
                self._append_array(layout.members[layout.bounds[name]], ends)
                layout.values[name] = int(ends[-1]) if len(ends) else done
            self._append_array(layout.members[name], column.dense())

    def _append_array(self, member: Member, values: NDArray[Any]) -> None:
        data = np.ascontiguousarray(values, member.dtype).reshape(-1).view(np.uint8)
        self._append(member, data.data)

    def _append(self, member: Member, data: bytes | memoryview) -> None:
        if member.filled + len(data) > member.nbytes:
            raise FileError(
                f"More rows than announced for {member.name.decode()}",
                file=self._path,
                expected=f"{member.nbytes} bytes",
                seen=f"{member.filled + len(data)} bytes or more",
            )
        member.crc = zlib.crc32(data, member.crc)
        self._put(data, member.data_begin + member.filled)
        member.filled += len(data)

    def _put(self, data: bytes | memoryview, offset: int) -> None:
        view = memoryview(data)
        while view:
            done = os.pwrite(self._fd, view, offset)
            view, offset = view[done:], offset + done

    def sync(self) -> None:
        """Hand everything written so far to the disk."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Write the directory of the archive.

        Raises
        ------
        FileError
            When fewer rows came than were announced.
        """
        if self._fd < 0:
            return
        members = [member for layout in self._layouts.values() for member in layout.members.values()]
        for member in members:
            if member.filled != member.nbytes:
                raise FileError(
                    f"Fewer rows than announced for {member.name.decode()}",
                    file=self._path,
                    expected=f"{member.nbytes} bytes",
                    seen=f"{member.filled} bytes",
                )
            self._put(member.local_header(), member.begin)
        self._put(directory(members, self._end), self._end)
        self.abort()

    def abort(self) -> None:
        """Close the file as it is."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class NpzFormat(Format):
    """NumPy archives, written only."""

    name = "npz"
    endings = (".npz",)

    def create(self, path: PathLike, *, tables: Sequence[TableInfo] = (), **options: Any) -> NpzSink:
        """Begin an archive for `tables`."""
        return NpzSink(path, tables)


NPZ = NpzFormat()
