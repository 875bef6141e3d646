"""NumPy's ``.npz``: one array a column, laid out beforehand and filled chunk by chunk.

The counts of all rows and values are known from the reader, so every array has its final place
in the archive (members are stored, not compressed) before the first chunk comes. Each byte is
written once, and memory is that of one chunk.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from sapwood.errors import FileError
from sapwood.fileio.formats import Format, PathLike
from sapwood.fileio.table import Table, TableInfo

__all__ = ["NPZ", "NpzFormat", "NpzSink"]

_VERSION = 45  # of the zip format: sizes of 64 bits
_DOS_DATE = (1 << 5) | 1  # 1 January 1980: the same rows give the same file
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_LOCAL_EXTRA = struct.Struct("<2H2Q")
_CENTRAL_EXTRA = struct.Struct("<2H3Q")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF  # "see the 64-bit field"


class _Member:
    """One array of the archive: its place, and how far it is filled."""

    def __init__(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], begin: int) -> None:
        self.name = f"{name}.npy".encode()
        self.dtype = dtype
        text = io.BytesIO()
        spec = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        npy.write_array_header_1_0(text, spec)
        self.header = text.getvalue()
        self.begin = begin
        self.data_begin = begin + _LOCAL.size + len(self.name) + _LOCAL_EXTRA.size
        self.nbytes = len(self.header) + dtype.itemsize * math.prod(shape)
        self.filled = 0
        self.crc = 0

    @property
    def end(self) -> int:
        return self.data_begin + self.nbytes

    def local_header(self) -> bytes:
        extra = _LOCAL_EXTRA.pack(1, 16, self.nbytes, self.nbytes)
        fixed = (_VERSION, 0, 0, 0, _DOS_DATE, self.crc, _FULL32, _FULL32, len(self.name), len(extra))
        return _LOCAL.pack(b"PK\3\4", *fixed) + self.name + extra

    def central_header(self) -> bytes:
        extra = _CENTRAL_EXTRA.pack(1, 24, self.nbytes, self.nbytes, self.begin)
        fixed = (_VERSION, _VERSION, 0, 0, 0, _DOS_DATE, self.crc, _FULL32, _FULL32)
        rest = (len(self.name), len(extra), 0, 0, 0, 0, _FULL32)
        return _CENTRAL.pack(b"PK\1\2", *fixed, *rest) + self.name + extra


class _Layout:
    """The arrays that one table becomes."""

    def __init__(self, table: TableInfo) -> None:
        self.table = table
        ragged = [name for name, column in table.columns.items() if column.values is not None]
        self.bounds = {name: "offset" if len(ragged) == 1 else f"{name}_offset" for name in ragged}
        self.members: dict[str, _Member] = {}
        self.values = dict.fromkeys(ragged, 0)  # of each ragged column so far

    def place(self, begin: int, prefix: str) -> int:
        """Give every array its place from byte `begin` on; return where they end."""
        for name, column in self.table.columns.items():
            rows = self.table.rows
            arrays = {name: (column.dtype, (rows, *column.shape))}
            if column.values is not None:
                bounds = {self.bounds[name]: (np.dtype(np.int64), (rows + 1,))}
                arrays = {**bounds, name: (column.dtype, (column.values, *column.shape))}
            for key, (dtype, shape) in arrays.items():
                if key in self.members:
                    raise FileError(f"Two arrays of table {self.table.name} are called {key}")
                member = self.members[key] = _Member(prefix + key, dtype, shape, begin)
                begin = member.end
        return begin


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
        self._layouts: dict[str, _Layout] = {}
        self._end = 0
        for table in tables:
            layout = self._layouts[table.name] = _Layout(table)
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

    def _append_array(self, member: _Member, values: NDArray[Any]) -> None:
        data = np.ascontiguousarray(values, member.dtype).reshape(-1).view(np.uint8)
        self._append(member, data.data)

    def _append(self, member: _Member, data: bytes | memoryview) -> None:
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
        self._put(_directory(members, self._end), self._end)
        self.abort()

    def abort(self) -> None:
        """Close the file as it is."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _directory(members: Sequence[_Member], begin: int) -> bytes:
    """Return the central directory of the archive, which begins at byte `begin`."""
    entries = b"".join(member.central_header() for member in members)
    count, size = len(members), len(entries)
    end64 = _END64.pack(b"PK\6\6", _END64.size - 12, _VERSION, _VERSION, 0, 0, count, count, size, begin)
    locator = _LOCATOR.pack(b"PK\6\7", 0, begin + size, 1)
    end = _END.pack(b"PK\5\6", 0, 0, _FULL16, _FULL16, _FULL32, _FULL32, 0)
    return entries + end64 + locator + end


class NpzFormat(Format):
    """NumPy archives, written only."""

    name = "npz"
    endings = (".npz",)

    def create(self, path: PathLike, *, tables: Sequence[TableInfo] = (), **options: Any) -> NpzSink:
        """Begin an archive for `tables`."""
        return NpzSink(path, tables)


NPZ = NpzFormat()
