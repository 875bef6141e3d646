"""The number of the last run, kept in a file."""

from __future__ import annotations

import os
from pathlib import Path

from sapwood.errors import FormatError
from sapwood.fileio import FileLayer

__all__ = ["RunNumber"]


class RunNumber:
    """The number of the last run, in a text file that is replaced in one step.

    Parameters
    ----------
    path
        The file; its folder must exist. Without the file the last number is 0.
    files
        The disk; tests replace it.
    """

    def __init__(self, path: str, files: FileLayer | None = None) -> None:
        self._path = path
        self._files = FileLayer() if files is None else files

    def last(self) -> int:
        """Return the number of the last run.

        Raises
        ------
        FormatError
            The file holds something else.
        """
        try:
            text = Path(self._path).read_bytes()
        except FileNotFoundError:
            return 0
        digits = text.strip()
        if not digits.isdigit():
            raise FormatError(
                "This is no run number",
                file=self._path,
                offset=0,
                expected="a whole number",
                seen=repr(text[:40]),
                hint="Write the number of the last run into the file",
            )
        return int(digits)

    def advance(self) -> int:
        """Take the next number: return it once it is safe on the disk, so that it is never used twice."""
        number = self.last() + 1
        part = f"{self._path}.part"
        files = self._files
        fd = files.open(part, exclusive=False)
        try:
            data = memoryview(b"%d\n" % number)
            while data:
                data = data[files.writev(fd, [data]) :]
            files.fdatasync(fd)
        finally:
            files.close(fd)
        files.rename(part, self._path)
        files.sync_dir(os.path.dirname(self._path) or os.curdir)
        return number
