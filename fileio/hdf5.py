"""HDF5 for the formats built on it: the library when it is needed, and files opened with it."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sapwood.errors import FileError
from sapwood.extras import need
from sapwood.fileio.hdf5faults import refusal

if TYPE_CHECKING:
    from sapwood.fileio.formats import PathLike

__all__ = ["SIGNATURE", "h5py", "open_h5", "register_filters"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FILTERS = (None, "gzip", "lzf", "szip", *range(10))  # of h5py itself; True is 1


def h5py() -> ModuleType:
    """Return the package h5py."""
    found = sys.modules.get("h5py")
    return _import_h5py() if found is None else found


def _import_h5py() -> ModuleType:
    """Import h5py; it asks for the kind of machine, and Python would begin a process to answer.

    `platform` finds out the name of the processor, which h5py does not need, along with it.
    """
    facts = vars(platform.uname())
    known = "processor" in facts
    facts.setdefault("processor", "")
    try:
        return need("h5py", extra="export")
    finally:
        if not known:
            facts.pop("processor", None)


def register_filters(compression: object) -> None:
    """Make the filter `compression` of ``create_dataset`` known to HDF5, if hdf5plugin is there and has it.

    Its import takes time, which is spared with the filters that h5py has.
    """
    if not isinstance(compression, str | int | None) or compression not in _FILTERS:
        _register_all()


def _register_all() -> None:
    with contextlib.suppress(ImportError):
        import hdf5plugin  # noqa: F401  # registers its filters: bzip2, blosc, zstd ...


def open_h5(path: PathLike, mode: str = "r", **options: Any) -> Any:
    """Open an HDF5 file as `h5py.File`; reading never alters it and takes no lock.

    A file whose writer was killed, or is still at work, is read as far as it was flushed. What
    filters of hdf5plugin packed (bzip2, blosc, zstd ...) is read if that is installed.

    Raises
    ------
    FileError
        When it cannot be opened.
    """
    name = os.fspath(path)
    if mode == "r":
        options.setdefault("locking", False)
    if not _new(name, mode):
        _register_all()
    there = os.path.lexists(name)
    try:
        return h5py().File(name, mode, **options)
    except (OSError, RuntimeError) as error:
        if mode == "r" and not options.get("swmr") and _is_marked(name):
            with contextlib.suppress(OSError, ValueError, RuntimeError):
                return h5py().File(name, mode, **options, swmr=True)
        cause = refusal(error) or error
        if not (there or mode in ("r", "r+") or isinstance(cause, FileExistsError | BlockingIOError)):
            with contextlib.suppress(OSError):
                os.unlink(name)  # the disk took its name, and hardly more; it is of no other process
        seen = getattr(cause, "strerror", None) or str(cause)
        raise FileError(f"Failed to open HDF5 file: {name}", file=name, seen=seen) from cause


def _is_marked(path: str) -> bool:
    """Tell whether a writer marked the file as open.

    Others are not read as such: the library would try what is damaged in them again and again.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError:
        return False
    return len(head) == 12 and head[8] >= 3 and bool(head[11] & 5)  # superblock 3: its consistency flags


def _new(path: str, mode: str) -> bool:
    """Tell whether a file opened like this holds nothing yet."""
    if mode == "a":
        return not os.path.exists(path)
    return mode in ("w", "w-", "x")
