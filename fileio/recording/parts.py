"""The files of one recording: their names, how they are opened, and whole writes to them."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

from sapwood.errors import FileError, RecordingExists
from sapwood.fileio.filelayer import Buffer, FileLayer, retried

__all__ = ["Part", "PartChain", "cut_back", "part_path", "write_all"]

_MAX_PIECES = 1024  # IOV_MAX of Linux


@dataclass(slots=True, eq=False)
class Part:
    """One open file of a recording.

    Attributes
    ----------
    size
        Bytes of whole records given to the system.
    synced
        Bytes known to be on the disk.
    named
        The file's name is on the disk.
    busy
        The sync thread is at work on the descriptor: nobody else may close it.
    """

    path: str
    fd: int
    size: int = 0
    synced: int = 0
    named: bool = False
    busy: bool = False


def part_path(base: str, number: int) -> str:
    """Return the name of part `number` of the recording `base`; 0 is the unsplit file."""
    return f"{base}.{number}" if number else base


class PartChain:
    """The chain of files that one `open` of a recorder makes.

    Parameters
    ----------
    base
        Name of the recording.
    split
        True: parts are ``base.1``, ``base.2``, ...; False: ``base``, and after it ``base.2``, ...
    overwrite
        Replace files of an earlier recording of this name; else refuse them.
    """

    def __init__(self, files: FileLayer, base: str, *, split: bool, overwrite: bool) -> None:
        self._files = files
        self._base = base
        self._overwrite = overwrite
        self._number = 1 if split else 0
        self.folder = os.path.dirname(base) or "."

    @property
    def path(self) -> str:
        """Name of the file made last, or tried last."""
        return part_path(self._base, self._number)

    def first(self) -> Part:
        """Create the first file; its name is on the disk when this returns.

        Raises
        ------
        RecordingExists
            When a file of this recording exists and may not be replaced.
        FileError
            When the system cannot create it.
        """
        path = self.path
        try:
            if not self._overwrite:
                self._refuse_existing(path)
            part = self._create(path)
            self._sync_name(part)
        except FileExistsError as error:
            raise _exists(str(error.filename or path)) from error
        except OSError as error:
            raise FileError(f"Failed to open data file: {path}", file=path, seen=error) from error
        return part

    def next(self) -> Part:
        """Create the next file; its name may not be on the disk yet.

        Raises
        ------
        OSError
            When the system cannot create it, or it exists and may not be replaced.
        """
        self._number = max(self._number, 1) + 1
        return self._create(self.path)

    def _create(self, path: str) -> Part:
        if self._overwrite:
            self._remove_successors()
        fd = retried(partial(self._files.open, path, exclusive=not self._overwrite))
        return Part(path, fd)

    def _sync_name(self, part: Part) -> None:
        """Bring the new name to the disk, or take the new file away again."""
        try:
            retried(self._files.sync_dir, self.folder)
        except OSError:
            self._files.close(part.fd)
            if not self._overwrite:
                self._files.remove(part.path)
            raise
        part.named = True

    def _refuse_existing(self, path: str) -> None:
        """Raise when a reader of the new recording could take an older file for a part of it."""
        if self._files.exists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        stale = self._successors() if not self._number else self._numbered()
        for older in stale:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), older)

    def _successors(self) -> list[str]:
        """Return the older files that a reader would chain to the part about to be made."""
        found: list[str] = []
        starts = (1, 2) if self._number == 0 else (self._number + 1,)
        for start in starts:
            for number in count(start):
                path = part_path(self._base, number)
                if path in found or not self._files.exists(path):
                    break
                found.append(path)
        return found

    def _numbered(self) -> list[str]:
        """Return every existing file whose name is that of a part, by number."""
        prefix = os.path.basename(self._base) + "."
        tails = (name[len(prefix) :] for name in self._files.names(self.folder) if name.startswith(prefix))
        numbers = [int(tail) for tail in tails if tail.isascii() and tail.isdigit() and tail[0] != "0"]
        return [part_path(self._base, number) for number in sorted(numbers)]

    def _remove_successors(self) -> None:
        for path in self._successors():
            self._files.remove(path)


def _exists(path: str) -> RecordingExists:
    return RecordingExists(
        f"Failed to open data file: {path}: the file exists and is not overwritten",
        file=path,
        hint="Choose another name (AutoName makes one) or turn Overwrite on to replace it.",
    )


def write_all(files: FileLayer, fd: int, pieces: Sequence[Buffer], nbytes: int) -> tuple[int, OSError | None]:
    """Write all `pieces`, `nbytes` together: short writes are continued, interrupted ones repeated.

    Returns
    -------
    done : int
        Bytes taken by the system.
    error : OSError or None
        What ended it before the end of the pieces.
    """
    done = 0
    rest = pieces
    while done < nbytes:
        group = rest if len(rest) <= _MAX_PIECES else rest[:_MAX_PIECES]
        try:
            taken = files.writev(fd, group)
        except InterruptedError:
            continue
        except OSError as error:
            return done, error
        if taken <= 0:
            return done, OSError(errno.ENOSPC, "The disk takes no more bytes")
        done += taken
        if done < nbytes:
            rest = _after(rest, taken)
    return done, None


def _after(pieces: Sequence[Buffer], taken: int) -> Sequence[Buffer]:
    """Return what is left of `pieces` after their first `taken` bytes."""
    for index, piece in enumerate(pieces):
        if taken < len(piece):
            return [memoryview(piece)[taken:], *pieces[index + 1 :]]
        taken -= len(piece)
    return ()


def cut_back(files: FileLayer, part: Part, torn: int) -> str:
    """Remove the `torn` bytes after the last whole record; return what to tell people about them."""
    if torn:
        try:
            retried(files.truncate, part.fd, part.size)
        except OSError as error:
            return f" {torn} bytes of a torn record stay at the end of the file ({error})."
    return ""
