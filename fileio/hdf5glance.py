"""A first look at an HDF5 file, which all formats that are built on it share to detect theirs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sapwood.fileio.hdf5 import open_h5

if TYPE_CHECKING:
    from sapwood.fileio.formats import PathLike

__all__ = ["Glance", "glance"]


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
