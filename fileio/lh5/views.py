"""Views: rows of another object, by their numbers."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.hdf5 import h5py
from sapwood.fileio.lh5.errors import LH5EncodeError
from sapwood.fileio.lh5.writing import ObjectWriter

__all__ = ["Link", "write"]


class Link(NamedTuple):
    """Where the object of a view is: its name, the kind of link (or None), its file (or None)."""

    target: str
    kind: str | None
    file: str | None

    def make(self, file: Any) -> Any:
        """Return what h5py makes a link of.

        Raises
        ------
        LH5EncodeError
            When the object is not where it should be.
        """
        target = posixpath.join("/", self.target)
        kind = self.kind or ("external" if self.file else "hard" if target in file else "soft")
        if kind == "external" and self.file:
            return h5py().ExternalLink(self.file, target)
        if kind == "soft" and not self.file:
            return h5py().SoftLink(target)
        if kind == "hard" and not self.file and target in file:
            return file[target]
        raise LH5EncodeError(f"A {kind} link cannot lead to {target}", seen=self.file or file.filename)


def write(
    writer: ObjectWriter, link: Link, entries: NDArray[Any], path: str, mode: str, keywords: Mapping[str, Any]
) -> None:
    """Write a view as `path`, or add `entries` to the one there; see `LH5Store.write_view`."""
    _check(entries)
    if mode == "overwrite":
        writer.truncate(path, 0)
    there = writer.file.get(path)
    if there is None:
        writer.add_view(path, link.make(writer.file), entries, keywords)
        return
    stored = there.get("entries")
    if mode == "write_safe" or stored is None or stored.shape[1:] != entries.shape[1:]:
        raise LH5EncodeError(f"{path} is there already", file=writer.file.filename)
    if len(stored) and len(entries) and entries.flat[0] <= stored[-1:].flat[-1] - (entries.ndim == 2):
        raise LH5EncodeError("Entries must follow those of the view", expected=f"more than {stored[-1]}")
    size = len(stored)
    stored.resize(size + len(entries), axis=0)
    stored[size:] = entries


def _check(entries: NDArray[Any]) -> None:
    kind = "slices" if entries.ndim == 2 and entries.shape[1] == 2 else "entries"
    fits = entries.dtype.kind in "iu" and (entries.ndim == 1 or kind == "slices")
    flat = entries.reshape(-1).astype(np.int64) if fits else np.zeros(0, np.int64)
    steps = np.diff(flat)
    if kind == "slices":
        steps[0::2] += 1  # a range may be empty
        steps[1::2] += 1  # and begin where the one before ended
    if not fits or (len(flat) and flat[0] < 0) or (steps <= 0).any():
        raise LH5EncodeError("Entries must be whole numbers, positive and ascending", seen=entries.shape)
