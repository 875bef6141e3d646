"""Conversion: tables from a reader into a sink, in memory of one chunk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sapwood.fileio.formats import CHUNK_BYTES, PathLike, Reader, Sink
from sapwood.fileio.partfile import complete_file
from sapwood.fileio.registry import by_ending, open

__all__ = ["convert", "pump"]


def convert(
    src: PathLike,
    dst: PathLike,
    format: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    overwrite: bool = False,
    **options: Any,
) -> int:
    """Write the recording `src` as `dst`, in the format that the ending of `dst` stands for.

    The new file is called ``<dst>.part`` until it is complete and on the disk; when anything
    stops the conversion, Ctrl-C too, nothing lies under the name `dst`.

    Parameters
    ----------
    src, dst
        See `sapwood.fileio.open` for what `src` may name.
    format
        That of `src`; found by looking at it when left out.
    progress
        Called after each chunk with the rows done and the rows in all.
    overwrite
        Replace an existing `dst`.
    options
        For opening `src`, such as ``single=True``.

    Returns
    -------
    int
        Rows written.

    Raises
    ------
    RecordingExists
        When `dst` is there already.
    FormatError
        When a format is not known, or cannot be read or written.
    FileError
        When a file cannot be read or written.
    """
    target = by_ending(dst)
    with open(src, format, **options) as reader, complete_file(dst, overwrite=overwrite) as part:
        sink = target.create(part, tables=reader.tables())
        try:
            rows = pump(reader, sink, progress)
            sink.sync()
            sink.close()
        except BaseException:
            sink.abort()
            raise
    return rows


def pump(reader: Reader, sink: Sink, progress: Callable[[int, int], None] | None = None) -> int:
    """Write all tables of `reader` into `sink`; return the rows written."""
    tables = reader.tables()
    total = sum(table.rows for table in tables)
    done = 0
    for table in tables:
        for chunk in reader.chunks(table.name, nbytes=CHUNK_BYTES):
            sink.write(chunk)
            done += len(chunk)
            if progress is not None:
                progress(done, total)
    return done
