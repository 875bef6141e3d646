"""AstroPix files as a target of conversion."""

from __future__ import annotations

from typing import Any

import numpy as np

from sapwood.errors import FileError
from sapwood.fileio.apx.header import FileHeader
from sapwood.fileio.apx.readout import AstroPix4Readout
from sapwood.fileio.apx.writer import ApxWriter
from sapwood.fileio.formats import PathLike
from sapwood.fileio.table import FRAMES, Table
from sapwood.streams import FrameBatch

__all__ = ["ApxSink"]

_READOUTS = "readouts"


class ApxSink:
    """Writes readouts: the table ``readouts``, or ``frames``, whose payloads are the boards' bytes.

    Frames from an AstroPix file keep their counts; others are counted from 0.

    Parameters
    ----------
    path
        The file, created or truncated.
    header
        Of the file; when left out that of the tables, or one of AstroPix 4 without metadata.
    """

    def __init__(self, path: PathLike, header: FileHeader | None = None) -> None:
        self._path = path
        self._header = header
        self._writer = None if header is None else ApxWriter(path, header)

    def write(self, table: Table) -> None:
        """Append the readouts of `table`.

        Raises
        ------
        FileError
            For another table, or when the disk refuses.
        """
        if table.name == FRAMES:
            batch, readout_id, timestamp = table.to_frames(), table.attributes.get("readout_id"), None
        elif table.name == _READOUTS:
            data = table["data"]
            batch = FrameBatch(data.values, _given(data.start), _given(data.size))
            readout_id, timestamp = table["readout_id"].values, table["timestamp"].values
        else:
            raise FileError(
                "An AstroPix file holds readouts",
                file=self._path,
                expected=f"table {_READOUTS} or {FRAMES}",
                seen=table.name,
            )
        self._opened(table.attributes.get("header")).write_batch(batch, readout_id, timestamp)

    def _opened(self, header: Any = None) -> ApxWriter:
        if self._writer is None:
            known = (
                FileHeader.deserialize(header) if isinstance(header, str) else FileHeader(AstroPix4Readout)
            )
            self._writer = ApxWriter(self._path, known)
        return self._writer

    def sync(self) -> None:
        """Hand everything written so far to the disk."""
        self._opened().sync()

    def close(self) -> None:
        """Complete the file; every prefix of whole records is one already."""
        writer = self._opened()
        if not writer.closed:
            writer.close()

    def abort(self) -> None:
        """Close the file as it is."""
        if self._writer is not None:
            self._writer.abort()


def _given(column: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    if column is None:
        raise FileError("The column data of readouts must be ragged")
    found: np.ndarray[Any, np.dtype[np.int64]] = column
    return found
