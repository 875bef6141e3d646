"""Slow-signal files written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from sapwood import __version__
from sapwood.errors import FileError, FormatError
from sapwood.fileio.hdf5 import open_h5
from sapwood.fileio.hdf5faults import close_written, is_forsaken, refusal_told
from sapwood.fileio.icf.mappings import PIXEL_MAPPINGS
from sapwood.fileio.slowsignal.chunkfilter import ChunkFilter
from sapwood.fileio.slowsignal.errors import ClosedFile
from sapwood.fileio.slowsignal.layout import (
    GROUP,
    GROUP_TITLE,
    READOUT,
    ROOT_TITLE,
    TELESCOPE,
    put_attribute,
    put_group_attributes,
)
from sapwood.fileio.slowsignal.tablewriter import TableWriter

if TYPE_CHECKING:
    from typing import Self

    from sapwood.fileio.formats import PathLike
    from sapwood.fileio.icf.readout import SSReadout

__all__ = ["SSDataWriter"]

_DATA_VERSION = 0
_OWN = ("ss_data_version", "ssdaq_version", "ssl2asic_ch")
_MASK64 = (1 << 64) - 1


class SSDataWriter:
    """Writes readouts of slow signals, and where the telescope pointed.

    Parameters
    ----------
    filename
        The file; one of that name is replaced.
    attrs
        Attributes of the table of readouts: text, numbers and arrays of numbers.
    filters
        A `Filters` object of PyTables (bzip2 or zlib); bzip2 of level 9 with shuffle and checksum
        when left out.
    buffer
        After so many readouts everything is flushed: it is then readable, also when the writer
        is killed.
    tel_table
        Make the table of telescope data.

    Raises
    ------
    FileError
        When the file cannot be made.
    FormatError
        For other filters, or attributes that cannot be kept.
    """

    def __init__(
        self,
        filename: PathLike,
        attrs: Mapping[str, Any] | None = None,
        filters: Any = None,
        buffer: int = 1000,
        tel_table: bool = True,
    ) -> None:
        self._filters = ChunkFilter.of(filters)
        self.filename = os.fspath(filename)
        self.buffer = buffer
        # Space is not used again: what was flushed stays as it is until the next flush.
        self._file = open_h5(filename, "w", fs_strategy="none")
        try:
            with self._disk():
                self._begin(attrs or {}, tel_table)
                self._file.flush()
        except BaseException:
            close_written(self._file)
            raise

    def _begin(self, attrs: Mapping[str, Any], tel_table: bool) -> None:
        packed = self._filters.packed
        put_group_attributes(self._file, ROOT_TITLE, packed)
        group = self._file.create_group(GROUP)
        put_group_attributes(group, GROUP_TITLE, packed)
        self._readouts = TableWriter(group, READOUT, self._filters)
        node = self._readouts.node
        for name, value in attrs.items():
            if name in _OWN:
                raise FormatError(f"Attribute {name} is set by the writer itself", file=self.filename)
            put_attribute(node, name, value)
        put_attribute(node, "ss_data_version", np.int64(_DATA_VERSION))
        put_attribute(node, "ssdaq_version", f"sapwood {__version__}")
        put_attribute(node, "ssl2asic_ch", np.array(PIXEL_MAPPINGS["ssl2asic_ch"], np.uint64))
        self._telescope = TableWriter(group, TELESCOPE, self._filters) if tel_table else None

    def write_readout(self, ro: SSReadout) -> None:
        """Append a readout; numbers wrap to 64 bits, amplitudes are rounded to float32.

        Raises
        ------
        FormatError
            (A `ValueError`) when its data cannot be given the shape (32, 64).
        ClosedFile
            After `close`.
        """
        self._check_open()
        row = self._readouts.next_row
        try:
            row["data"] = ro.data
        except (TypeError, ValueError) as error:
            raise FormatError(
                "The data of a readout has another shape",
                file=self.filename,
                expected=READOUT.dtype["data"].shape,
                seen=np.shape(ro.data),
            ) from error
        row["cpu_t"] = ro.cpu_t
        for name in ("cpu_t_ns", "cpu_t_s", "iro", "time"):
            row[name] = int(getattr(ro, name)) & _MASK64
        with self._disk():
            self._readouts.append()
        if self.buffer and self._readouts.rows % self.buffer == 0:
            self.flush()

    write = write_readout

    def write_tel_data(self, ra: float, dec: float, time: float, seconds: int, ns: int) -> None:
        """Append where the telescope pointed: angles, and the time of the data base.

        Raises
        ------
        FormatError
            When the file has no table of telescope data.
        ClosedFile
            After `close`.
        """
        self._check_open()
        if self._telescope is None:
            hint = "Make the writer with tel_table=True"
            raise FormatError("The file has no table of telescope data", file=self.filename, hint=hint)
        row = self._telescope.next_row
        row["ra"], row["dec"], row["db_t"] = ra, dec, time
        row["db_t_s"], row["db_t_ns"] = int(seconds) & _MASK64, int(ns) & _MASK64
        with self._disk():
            self._telescope.append()

    def write_rows(self, table: str, rows: Any) -> None:
        """Append rows of the type of table ``readout`` or ``tel_table``."""
        self._check_open()
        tables = {"readout": self._readouts, "tel_table": self._telescope}
        writer = tables.get(table)
        if writer is None:
            raise FormatError(f"The file has no table {table!r}", file=self.filename, expected=list(tables))
        with self._disk():
            writer.extend(rows)

    def flush(self) -> None:
        """Make everything written so far readable by others.

        Raises
        ------
        FileError
            When the disk refuses.
        """
        self._check_open()
        with self._disk():
            self._readouts.flush()
            if self._telescope is not None:
                self._telescope.flush()
            self._file.flush()

    def _disk(self) -> AbstractContextManager[None]:
        """Tell of a disk that refuses; the file is not written any more then: rows are missing in it."""
        return refusal_told(self.filename, self._file)

    def _check_open(self) -> None:
        if not self._file:
            raise ClosedFile("The file is closed", file=self.filename)
        if is_forsaken(self._file):
            told = "The file could not be written, what was flushed before is in it"
            raise FileError(told, file=self.filename)

    def close(self) -> None:
        """Write what is left and close; nothing happens when it is closed, or could not be written."""
        if self._file and not is_forsaken(self._file):
            try:
                self.flush()
            finally:
                close_written(self._file)

    close_file = close

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
