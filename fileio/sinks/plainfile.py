"""Sinks that write their file by themselves, byte after byte or at places known beforehand."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from sapwood.fileio.formats import PathLike
from sapwood.fileio.sinks.base import TableSink
from sapwood.fileio.table import TableInfo

__all__ = ["FileSink"]


class FileSink(TableSink):
    """A sink over `file`, a binary file that is created or truncated.

    A sink either writes to `file` or puts everything at places of its own, by `put`.
    """

    def __init__(self, path: PathLike, tables: Sequence[TableInfo] = ()) -> None:
        super().__init__(path, tables)
        self.file = open(path, "wb")  # noqa: SIM115  # closed by release

    def put(self, data: bytes | memoryview, offset: int) -> None:
        """Write `data` from byte `offset` of the file on."""
        view = memoryview(data)
        while view:
            done = os.pwrite(self.file.fileno(), view, offset)
            view, offset = view[done:], offset + done

    def sync(self) -> None:
        """Hand everything written so far to the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def finish(self) -> None:
        """Flush, so that a disk that is full is told of."""
        self.file.flush()

    def release(self) -> None:
        """Close the file as it is."""
        with contextlib.suppress(OSError):  # what is not yet on the disk need not get there
            self.file.close()
