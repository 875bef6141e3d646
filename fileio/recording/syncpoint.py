"""Syncing of files that a library writes, whose descriptor is not ours."""

from __future__ import annotations

import os

from sapwood.fileio.filelayer import FileLayer, retried

__all__ = ["SyncPoint"]


class SyncPoint:
    """A descriptor of our own, to sync what others have written to the same file.

    Raises
    ------
    OSError
        When the file cannot be opened.
    """

    def __init__(self, path: str, files: FileLayer) -> None:
        self.path = path
        self._files = files
        self._fd: int | None = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def sync(self) -> None:
        """Return when what the system has of the file lies on the disk."""
        if self._fd is not None:
            retried(self._files.fdatasync, self._fd)

    @property
    def size(self) -> int:
        """Bytes of the file as the system sees it."""
        try:
            return os.stat(self.path).st_size
        except OSError:
            return 0

    def close(self) -> None:
        """Give the descriptor back; once closed, do nothing."""
        fd, self._fd = self._fd, None
        if fd is not None:
            self._files.close(fd)
