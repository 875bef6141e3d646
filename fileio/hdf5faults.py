"""What the HDF5 library does on full disks and damaged files: its errors in our words, and safe closing."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sapwood.errors import FileError, FormatError
from sapwood.extras import need

if TYPE_CHECKING:
    from sapwood.fileio.formats import PathLike

__all__ = ["close_written", "damage_told", "forsake", "is_forsaken", "refusal", "refusal_told"]

_ERRNO = re.compile(r"errno = (\d+)")
_FAULTS = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, MemoryError)
_forsaken: list[Any] = []  # files that nobody may close


def refusal(error: BaseException) -> OSError | None:
    """Return the error of the system that the library tells of; None when it tells of another."""
    found = _ERRNO.search(str(error))
    if found is None:
        return None
    number = int(found[1])
    cause = OSError(number, os.strerror(number))
    cause.__cause__ = error
    return cause


@contextlib.contextmanager
def refusal_told(path: PathLike, file: Any = None) -> Iterator[None]:
    """Turn what the library raises where the disk refuses into an error that says so in few words.

    Parameters
    ----------
    file
        The `h5py.File`, if it is to be forsaken then.

    Raises
    ------
    FileError
        Caused by the error of the system.
    """
    try:
        yield
    except FileError:
        raise
    except (OSError, RuntimeError, ValueError) as error:  # the library takes any of these
        cause = refusal(error)
        if cause is None:
            raise
        forsake(file)
        raise FileError("The file could not be written", file=path, seen=cause.strerror) from cause


@contextlib.contextmanager
def damage_told(path: PathLike, what: str = "The file is damaged") -> Iterator[None]:
    """Turn what the library raises on a damaged file into an error that names the file.

    Raises
    ------
    FormatError
        That says `what`, and what the library says.
    """
    try:
        yield
    except FileError:
        raise
    except _FAULTS as error:
        hint = "Save what can be read by `sapwood file recover`."
        raise FormatError(what, file=path, seen=str(error).strip("'\""), hint=hint) from error


def is_forsaken(file: Any) -> bool:
    """Tell whether `forsake` was called for this `h5py.File`."""
    return any(file is one for one in _forsaken)


def close_written(file: Any) -> None:
    """Close an `h5py.File` that was written to; one that is closed, or forsaken, is left alone.

    Raises
    ------
    FileError
        When the disk does not take what was left to write. The file is forsaken then.
    """
    if not file or is_forsaken(file):
        return
    path = file.filename
    try:
        with refusal_told(path):
            file.flush()
    except Exception as error:
        forsake(file)
        if isinstance(error, FileError):
            raise
        raise FileError("The file could not be written", file=path, seen=str(error)) from error
    finally:  # an interrupt is no refusal
        if not is_forsaken(file):
            file.close()


def forsake(file: Any) -> None:
    """Keep an `h5py.File` and its objects open until the program ends, whatever becomes of them.

    The library crashes, then or later, where it closes something that it could not write.
    """
    if not file or is_forsaken(file):  # None, closed
        return
    _forsaken.append(file)
    library = need("h5py", extra="export")
    for each in (file.id, *library.h5f.get_obj_ids(file.id)):
        library.h5i.inc_ref(each)
