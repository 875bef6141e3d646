"""HDF5 for the formats built on it: the library when needed, and a first look at a file."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sapwood.errors import FileError
from sapwood.extras import need

if TYPE_CHECKING:
    from sapwood.fileio.formats import PathLike

__all__ = ["SIGNATURE", "Glance", "glance", "h5py", "open_h5", "register_filters"]

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
    try:
        return h5py().File(name, mode, **options)
    except OSError as error:
        if mode == "r" and not options.get("swmr"):
            with contextlib.suppress(OSError, ValueError):
                return h5py().File(name, mode, **options, swmr=True)
        raise FileError(f"Failed to open HDF5 file: {name}", file=name, seen=str(error)) from error


def _new(path: str, mode: str) -> bool:
    """Tell whether a file opened like this holds nothing yet."""
    if mode == "a":
        return not os.path.exists(path)
    return mode in ("w", "w-", "x")


@dataclass(frozen=True)
class Glance:
    """What the top of an HDF5 file shows.

    Parameters
    ----------
    attributes
        Those of the root group; strings as `str`.
    children
        Name of each member of the root group -> its attributes.
    """

    attributes: dict[str, Any] = field(default_factory=dict)
    children: dict[str, dict[str, Any]] = field(default_factory=dict)


def glance(path: PathLike) -> Glance | None:
    """Return the top of an HDF5 file, for `Format.detect`; None when it cannot be opened."""
    name = os.fspath(path)
    try:
        status = os.stat(name)
    except OSError:
        return None
    return _glance(name, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _glance(path: str, mtime_ns: int, size: int) -> Glance | None:
    """Look once for all formats that ask, as long as the file does not change."""
    try:
        with open_h5(path) as file:
            children = {name: _attributes(file.get(name)) for name in file}
            return Glance(_attributes(file), children)
    except (OSError, RuntimeError, KeyError):
        return None


def _attributes(node: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if node is None:  # a link that leads nowhere
        return found
    for name in node.attrs:
        try:
            value = node.attrs[name]
        except (OSError, TypeError, ValueError):  # of a type that h5py cannot read
            continue
        found[name] = value.decode(errors="replace") if isinstance(value, bytes) else value
    return found
