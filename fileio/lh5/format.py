"""The format LH5 as the registry knows it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from sapwood.fileio.formats import MAGIC, NO, UNREADABLE, Format, PathLike, Report
from sapwood.fileio.hdf5 import SIGNATURE
from sapwood.fileio.hdf5glance import glance
from sapwood.fileio.lh5 import datatype
from sapwood.fileio.lh5.errors import UnknownDatatypeError
from sapwood.fileio.lh5.reader import Lh5Reader
from sapwood.fileio.lh5.salvage import check, rescue
from sapwood.fileio.lh5.sink import Lh5Sink
from sapwood.fileio.partfile import complete_file
from sapwood.fileio.table import TableInfo

__all__ = ["LH5", "Lh5Format"]


class Lh5Format(Format):
    """HDF5 files whose objects carry an attribute ``datatype`` of LH5."""

    name = "lh5"
    endings = (".lh5",)
    in_parts = True

    def detect(self, head: bytes, path: str) -> int:
        """Return MAGIC for an HDF5 file with datatypes of LH5 at its top."""
        if not head.startswith(SIGNATURE):
            return NO
        top = glance(path)
        if top is None:
            return NO
        found = [top.attributes.get("datatype"), *(child.get("datatype") for child in top.children.values())]
        return MAGIC if any(_is_datatype(text) for text in found) else NO

    def open(self, path: PathLike) -> Lh5Reader:  # type: ignore[override]  # a format names its own options
        """Open a file as tables."""
        return Lh5Reader(path)

    def create(self, path: PathLike, *, tables: Sequence[TableInfo] = (), **options: Any) -> Lh5Sink:
        """Begin a file for `tables`; option: ``hdf5_settings`` of all datasets."""
        return Lh5Sink(path, tables, **options)

    def verify(self, path: PathLike) -> Report:
        """Read all rows; columns must be of one length, cumulative lengths must not fall."""
        return check(path)

    def recover(self, path: PathLike, out: PathLike) -> Report:
        """Write all rows that can be read to the new file `out`; nothing when there are none."""
        report = Report(UNREADABLE)
        with contextlib.suppress(_NothingLeft), complete_file(out) as part:
            report = rescue(path, part)
            if report.status == UNREADABLE:
                raise _NothingLeft
        return report


class _NothingLeft(Exception):  # noqa: N818  # ends a block, nobody sees it
    """No row could be read, so no file is made."""


LH5 = Lh5Format()


def _is_datatype(text: Any) -> bool:
    try:
        return isinstance(text, str) and bool(datatype.parse(text))
    except UnknownDatatypeError:
        return False
