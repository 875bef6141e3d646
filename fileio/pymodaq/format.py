"""PyMoDAQ files as the registry knows them."""

from __future__ import annotations

import os
from pathlib import Path

from sapwood.fileio.formats import MAGIC, NO, Format, PathLike, Report
from sapwood.fileio.hdf5 import SIGNATURE
from sapwood.fileio.hdf5glance import Glance, glance
from sapwood.fileio.pymodaq import recovery
from sapwood.fileio.pymodaq.codec import decode
from sapwood.fileio.pymodaq.enums import SaveType
from sapwood.fileio.pymodaq.h5file import FILE_TITLE
from sapwood.fileio.pymodaq.reader import PymodaqReader

__all__ = ["PYMODAQ", "PymodaqFormat"]

_VERSIONS = ("pymodaq_version", "pymodaq_data_version")


class PymodaqFormat(Format):
    """HDF5 files of PyMoDAQ, found by the attributes of their root or of their raw group."""

    name = "pymodaq"
    in_parts = True

    def detect(self, head: bytes, path: str) -> int:
        """Return MAGIC when root or raw group carry PyMoDAQ's attributes."""
        if not head.startswith(SIGNATURE):
            return NO
        top = glance(path)
        return MAGIC if top is not None and _is_pymodaq(top) else NO

    def open(self, path: PathLike) -> PymodaqReader:  # type: ignore[override]  # it has no options
        """Open a file for reading; it is never altered."""
        return PymodaqReader(path)

    def verify(self, path: PathLike) -> Report:
        """Read every node."""
        return recovery.verify(Path(os.fspath(path)))

    def recover(self, path: PathLike, out: PathLike) -> Report:
        """Write every node that can be read to the new file `out`."""
        return recovery.recover(Path(os.fspath(path)), Path(os.fspath(out)).absolute())


PYMODAQ = PymodaqFormat()


def _is_pymodaq(top: Glance) -> bool:
    attributes = top.attributes
    if any(name in attributes for name in _VERSIONS) or decode(attributes.get("TITLE")) == FILE_TITLE:
        return True
    return any(_is_raw_group(each) for each in top.children.values())


def _is_raw_group(attributes: dict[str, object]) -> bool:
    kind = attributes.get("type")
    return isinstance(kind, str) and kind.startswith('{"module"') and decode(kind) in SaveType.names()
