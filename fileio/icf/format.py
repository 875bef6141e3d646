"""Indexed container files as the registry knows them."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from sapwood.errors import FileError
from sapwood.fileio.filelayer import FileLayer
from sapwood.fileio.formats import (
    CHUNK_BYTES,
    MAGIC,
    NO,
    PLAUSIBLE,
    UNREADABLE,
    Format,
    PathLike,
    Report,
)
from sapwood.fileio.icf.batches import batches_of
from sapwood.fileio.icf.checking import check
from sapwood.fileio.icf.layout import HEADER_BYTES, MARKER
from sapwood.fileio.icf.recording import IcfReader
from sapwood.fileio.icf.source import Source
from sapwood.fileio.icf.writer import RawObjectWriterBase
from sapwood.fileio.partfile import complete_file
from sapwood.fileio.table import Table

__all__ = ["ICF", "IcfFormat", "IcfSink"]

_ENDINGS = (".sof", ".icf")
_LOOK_BYTES = 64 << 10  # of a file of protocol 0, which has no marker


class IcfSink:
    """Writes the table ``frames``: the payload of each frame becomes an object, the rest is left out.

    Parameters
    ----------
    path
        The file, created or replaced.
    options
        Those of `RawObjectWriterBase`.
    """

    def __init__(self, path: PathLike, **options: Any) -> None:
        self._writer = RawObjectWriterBase(path, **options)

    def write(self, table: Table) -> None:
        """Append the frames of `table`.

        Raises
        ------
        FileError
            When it holds something else than frames, or the disk refuses.
        """
        self._writer.write_frames(table.to_frames())

    def sync(self) -> None:
        """Hand everything written so far to the disk."""
        self._writer.sync()

    def close(self) -> None:
        """Complete the file."""
        self._writer.close()

    def abort(self) -> None:
        """Close the file as it is."""
        self._writer.abort()


class IcfFormat(Format):
    """Container files of both protocols."""

    name = "icf"
    endings = _ENDINGS
    frames_only = True
    in_parts = True
    compressions = ("none", "bz2")
    lenient = MappingProxyType({"damaged": "skip"})

    def detect(self, head: bytes, path: str) -> int:
        """Return MAGIC for the marker; PLAUSIBLE when chunks of protocol 0 chain and one checks."""
        if len(head) < HEADER_BYTES:
            return NO
        version = int.from_bytes(head[8:12], "little")
        if head.startswith(MARKER) and version:
            return MAGIC
        return PLAUSIBLE if version == 0 and not any(head[12:HEADER_BYTES]) and _chains(head, path) else NO

    def open(  # type: ignore[override]  # a format names its own options
        self, path: PathLike, *, damaged: Literal["raise", "skip"] = "raise"
    ) -> IcfReader:
        """Open a file; what is whole in a damaged one is read.

        Parameters
        ----------
        damaged
            ``skip`` leaves out objects whose checksum does not match, instead of raising.
        """
        return IcfReader(path, damaged)

    def create(
        self,
        path: PathLike,
        *,
        tables: Any = (),
        protocol: int = 1,
        compressor: str | None = None,
        compression: str = "none",
        files: FileLayer | None = None,
        **options: Any,
    ) -> IcfSink:
        """Begin a file; options are those of `RawObjectWriterBase`, ``compression`` its compressor."""
        if compressor is None and compression != "none":
            compressor = compression
        return IcfSink(path, protocol=protocol, compressor=compressor, files=files, **options)

    def verify(self, path: PathLike) -> Report:
        """Check every object against its checksum."""
        source = Source(path, recover=True)
        try:
            return check(source)
        finally:
            source.close()

    def recover(self, path: PathLike, out: PathLike) -> Report:
        """Write every whole object to the new file `out`, with the same header, and read it back.

        Nothing is written when there is no whole object.
        """
        source = Source(path, recover=True)
        try:
            report = check(source)
            if report.status != UNREADABLE:
                with complete_file(out) as part:
                    _copy(source, part)
                    _compare(part, report.good)
        finally:
            source.close()
        return report


ICF = IcfFormat()


def _chains(head: bytes, path: str) -> bool:
    """Tell whether `path` is a file of protocol 0, from its first chunks."""
    if len(head) == HEADER_BYTES:
        return path.lower().endswith(_ENDINGS)
    try:
        source = Source(path, limit=_LOOK_BYTES)
    except FileError:
        return False
    try:
        if not source.index.runs:
            return False
        block = source.load(0)
        filled = block.sizes > 0
        whole = np.ones(len(block), np.bool_)
        whole[block.bad] = False
        return bool((whole & filled).any() or (path.lower().endswith(_ENDINGS) and whole.all()))
    finally:
        source.close()


def _copy(source: Source, target: str) -> None:
    header = source.header
    options: dict[str, Any] = (
        {"header": header.custom}
        if header.version == 0
        else {
            "header_ext": header.extension,
            "marker_ext": header.marker_text,
            "timestamp": header.created,
        }
    )
    compressor = source.compressor.name
    with RawObjectWriterBase(target, header.version, compressor, **options) as writer:
        for batch in batches_of(source, CHUNK_BYTES, None):
            writer.write_frames(batch)


def _compare(path: str, objects: int) -> None:
    """Make sure that `path` holds so many objects, all whole."""
    source = Source(path)
    report = check(source)
    source.close()
    if report.good != objects or report.problems:
        raise FileError(
            "The recovered file does not hold what was written",
            file=path,
            expected=f"{objects} objects",
            seen=f"{report.good} objects",
            problems=report.problems,
        )
