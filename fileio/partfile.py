"""Files that get their name only when they are complete."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from sapwood.errors import FileError, RecordingExists

__all__ = ["complete_file"]


@contextlib.contextmanager
def complete_file(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[str]:
    """Give the name ``<path>.part`` to write to; at the end of the block it becomes `path`.

    The file is synced before it is renamed, the folder after. When the block raises, whatever
    it raises, the file is removed and nothing lies under the final name.

    Raises
    ------
    RecordingExists
        When `path` is there already and `overwrite` is off.
    FileError
        When the disk refuses.
    """
    name = os.fspath(path)
    part = f"{name}.part"
    if not overwrite:
        _refuse_existing(name)
    try:
        yield part
        _sync(part, os.O_RDWR)
        if not overwrite:
            _refuse_existing(name)
        os.replace(part, name)
        _sync(os.path.dirname(name) or ".", os.O_RDONLY)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(part)
        if isinstance(error, OSError) and not isinstance(error, FileError):
            seen = os.strerror(error.errno) if error.errno else str(error)  # libraries add much text
            raise FileError(f"Failed to write file: {name}", seen=seen) from error
        raise


def _refuse_existing(name: str) -> None:
    if os.path.lexists(name):
        raise RecordingExists(
            f"The file {name} exists already", hint="Choose another name or allow overwriting."
        )


def _sync(name: str, mode: int) -> None:
    descriptor = os.open(name, mode | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
