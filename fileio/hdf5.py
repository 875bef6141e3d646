"""HDF5 for the formats built on it: the library when needed, and a first look at a file."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sapwood.errors import FileError
from sapwood.extras import need

if TYPE_CHECKING:
    from sapwood.fileio.formats import PathLike

__all__ = ["SIGNATURE", "Glance", "glance", "h5py", "open_h5"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def h5py() -> ModuleType:
    """Return the package h5py; filters of hdf5plugin (bzip2, blosc, zstd ...) work if that is installed."""
    with contextlib.suppress(ImportError):
        import hdf5plugin  # noqa: F401  # registers its filters
    return need("h5py", extra="export")


def open_h5(path: PathLike, mode: str = "r", **options: Any) -> Any:
    """Open an HDF5 file as `h5py.File`; reading never alters it and takes no lock.

    A file whose writer was killed, or is still at work, is read as far as it was flushed.

    Raises
    ------
    FileError
        When it cannot be opened.
    """
    name = os.fspath(path)
    if mode == "r":
        options.setdefault("locking", False)
    try:
        return h5py().File(name, mode, **options)
    except OSError as error:
        if mode == "r" and not options.get("swmr"):
            with contextlib.suppress(OSError, ValueError):
                return h5py().File(name, mode, **options, swmr=True)
        raise FileError(f"Failed to open HDF5 file: {name}", file=name, seen=str(error)) from error


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
