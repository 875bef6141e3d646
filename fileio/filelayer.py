"""Every disk call of the recorders, one small method each: the place where faults are injected."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Callable, Sequence
from typing import TypeVar

from sapwood.fileio.recording.iovector import Buffer, IoVector

__all__ = ["Buffer", "FileLayer", "retried"]

_NEW_FILE_MODE = 0o666  # less the umask

_Result = TypeVar("_Result")


def retried(call: Callable[..., _Result], *args: object) -> _Result:
    """Return ``call(*args)``, begun anew each time a signal interrupts it."""
    while True:
        try:
            return call(*args)
        except InterruptedError:
            continue


class FileLayer:
    """The disk as a recorder sees it.

    Methods raise `OSError` as the system does. Tests and special disks subclass it.
    """

    def open(self, path: str, *, exclusive: bool) -> int:
        """Open `path` for writing from byte 0 and return its descriptor.

        Parameters
        ----------
        path
            The file; its folder must exist.
        exclusive
            True: the file must not exist yet. False: a new file replaces an existing one, so that
            whoever has mapped the old one keeps its bytes (they would else be killed by a bus
            error); a link, a device, or a file that cannot be removed, is truncated.

        Raises
        ------
        FileExistsError
            When `exclusive` and something of that name exists.
        """
        if not exclusive:
            with contextlib.suppress(OSError):  # not there, or it cannot be removed: opening will tell
                if stat.S_ISREG(os.lstat(path).st_mode):
                    os.unlink(path)
        flags = os.O_RDWR | os.O_CREAT | (os.O_EXCL if exclusive else os.O_TRUNC)
        return os.open(path, flags, _NEW_FILE_MODE)

    def writev(self, fd: int, buffers: Sequence[Buffer]) -> int:
        """Write the buffers one after the other; return the bytes taken, maybe fewer than given."""
        return buffers.writev(fd) if isinstance(buffers, IoVector) else os.writev(fd, buffers)

    def fdatasync(self, fd: int) -> None:
        """Return when everything written to `fd` lies on the disk; devices have nothing to sync."""
        try:
            os.fdatasync(fd)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise

    def truncate(self, fd: int, size: int) -> None:
        """Cut the file back to `size` bytes."""
        os.ftruncate(fd, size)

    def close(self, fd: int) -> None:
        """Give the descriptor back."""
        os.close(fd)

    def exists(self, path: str) -> bool:
        """Tell whether something of this name exists, a dangling link included."""
        return os.path.lexists(path)

    def names(self, folder: str) -> list[str]:
        """Return the names in `folder`."""
        return os.listdir(folder)

    def remove(self, path: str) -> None:
        """Delete a file."""
        os.unlink(path)

    def rename(self, source: str, target: str) -> None:
        """Give a file its final name, replacing what has it."""
        os.replace(source, target)

    def sync_dir(self, folder: str) -> None:
        """Return when the names in `folder` lie on the disk, where its file system can promise that."""
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(fd)

    def free(self, folder: str) -> int:
        """Return the free bytes of the disk that holds `folder`."""
        return shutil.disk_usage(folder).free
