"""Framed Rogue files as a target of conversion."""

from __future__ import annotations

import os

from sapwood.fileio.filelayer import FileLayer
from sapwood.fileio.formats import PathLike
from sapwood.fileio.recording.parts import write_all
from sapwood.fileio.rogue.encode import RogueEncoder
from sapwood.fileio.table import Table

__all__ = ["RogueSink"]


class RogueSink:
    """Writes the table ``frames`` as records: channel, flags, error and payload.

    Rogue records have no times: the column ``time`` is left out.

    Parameters
    ----------
    path
        The file, created or truncated.
    """

    def __init__(self, path: PathLike) -> None:
        self._files = FileLayer()
        self._encoder = RogueEncoder()
        self._fd = self._files.open(os.fspath(path), exclusive=False)

    def write(self, table: Table) -> None:
        """Append the frames of `table`.

        Raises
        ------
        FileError
            When it holds something else than frames.
        StreamError
            When a frame is too large for a record.
        """
        records = self._encoder.records(table.to_frames(), 0)
        nbytes = records.span(0, records.count)
        if not nbytes:
            return
        _, error = write_all(self._files, self._fd, records.pieces(0, records.count), nbytes)
        if error is not None:
            raise error

    def sync(self) -> None:
        """Hand everything written so far to the disk."""
        self._files.fdatasync(self._fd)

    def close(self) -> None:
        """Complete the file; every prefix of whole records is one already."""
        if self._fd >= 0:
            self._files.close(self._fd)
            self._fd = -1

    def abort(self) -> None:
        """Close the file as it is."""
        self.close()
