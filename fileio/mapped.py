"""Files mapped into memory for reading."""

from __future__ import annotations

import mmap
import os
import stat
from typing import TYPE_CHECKING

import numpy as np

from sapwood.errors import FileError

if TYPE_CHECKING:
    from sapwood.fileio.formats import PathLike

__all__ = ["MappedFile"]


class MappedFile:
    """A regular file, mapped read-only at the size it has when it is opened.

    Parameters
    ----------
    path
        The file. Arrays made from `data` stay valid after `close`.
    size
        Map the first so many bytes only, for a file that may have grown since it was looked at.

    Raises
    ------
    FileError
        When it cannot be opened or is no regular file.
    """

    def __init__(self, path: PathLike, size: int | None = None) -> None:
        self.path = os.fspath(path)
        self._map: mmap.mmap | None = None
        try:
            if not stat.S_ISREG(os.stat(self.path).st_mode):  # opening a pipe would wait for its writer
                raise FileError(f"Failed to open data file: {self.path}", expected="a regular file")
            with open(self.path, "rb", buffering=0) as file:
                self._map = self._map_all(file.fileno(), size)
        except (OSError, ValueError) as error:  # ValueError: an impossible name, or cut just now
            if isinstance(error, FileError):
                raise
            reason = getattr(error, "strerror", None) or str(error)
            raise FileError(f"Failed to open data file: {self.path}", seen=reason) from error
        self.size = 0 if self._map is None else len(self._map)
        self.data = np.frombuffer(b"" if self._map is None else self._map, np.uint8)

    def _map_all(self, descriptor: int, size: int | None) -> mmap.mmap | None:
        there = os.fstat(descriptor).st_size
        if size is None:
            size = there
        elif size > there:
            raise self._cut(size, there)
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) if size else None

    def _cut(self, expected: int, seen: int) -> FileError:
        return FileError(
            "The file was cut while it was read",
            file=self.path,
            offset=seen,
            expected=f"{expected} bytes",
            seen=f"{seen} bytes",
        )

    def check(self) -> None:
        """Make sure that the mapped bytes are still there.

        Raises
        ------
        FileError
            When somebody cut the file: its mapping must no longer be touched there.
        """
        size = self.size if self._map is None else self._map.size()
        if size < self.size:
            raise self._cut(self.size, size)

    def release(self, begin: int, end: int) -> None:
        """Tell the system that bytes `begin` to `end` are done with.

        They leave this process's memory, not the page cache; arrays over them stay valid and
        bring them back when touched.
        """
        first = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE
        count = end // mmap.PAGESIZE * mmap.PAGESIZE - first
        if self._map is not None and count > 0:
            self._map.madvise(mmap.MADV_DONTNEED, first, count)

    def close(self) -> None:
        """Let go of the file; the mapping lives until the last array over it is gone."""
        self._map = None
        self.data = np.empty(0, np.uint8)
        self.size = 0

    def __enter__(self) -> MappedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
