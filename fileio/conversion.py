"""Conversion: tables from a reader into a sink, in memory of one chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sapwood.errors import FormatError, nearest
from sapwood.fileio.formats import CHUNK_BYTES, Format, PathLike, Reader, Sink
from sapwood.fileio.partfile import complete_file
from sapwood.fileio.registry import by_ending, open
from sapwood.fileio.table import FRAMES, TableInfo

__all__ = ["WrongChoice", "chosen_tables", "convert", "pump"]

_MOST_NAMES = 20  # told in a message


class WrongChoice(FormatError):  # noqa: N818  # says what to do, as the names in sapwood.errors do
    """A table or compression that is not there, or several tables where the target holds one."""


def convert(
    src: PathLike,
    dst: PathLike,
    format: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    overwrite: bool = False,
    tables: Sequence[str] | None = None,
    compression: str | None = None,
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
    tables
        Names of the tables to write; all that hold data of their own when left out, for files
        that take only frames the table ``frames``. Files of one table need a name when the
        recording has several.
    compression
        For formats that offer it, such as ``zstd`` (Parquet, Arrow) or ``gzip`` (HDF5).
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
        When a format is not known, or cannot be read or written; `WrongChoice` when a table is not
        there, or is one of several for a file that holds one.
    FileError
        When a file cannot be read or written.
    """
    target = by_ending(dst)
    packing = {} if compression is None else {"compression": compression}
    if compression is not None and compression not in target.compressions:
        choices = ", ".join(target.compressions) or "no compression"
        raise WrongChoice(
            f"Files of format {target.name} cannot be compressed so", expected=choices, seen=compression
        )
    with open(src, format, **options) as reader, complete_file(dst, overwrite=overwrite) as part:
        wanted = chosen_tables(reader, target, tables)
        sink = target.create(part, tables=wanted, **packing)
        try:
            rows = pump(reader, sink, progress, wanted)
            sink.sync()
            sink.close()
        except BaseException:
            sink.abort()
            raise
    return rows


def chosen_tables(reader: Reader, target: Format, names: Sequence[str] | None) -> Sequence[TableInfo]:
    """Return the tables of `reader` that go into a file of format `target`.

    Tables without rows are left out where only one has room.

    Raises
    ------
    WrongChoice
        For a name that is none of its tables, and for several tables where the target holds one.
    """
    there = {table.name: table for table in reader.tables()}
    if names is None:
        found = _by_default(there, target)
    else:
        missing = [name for name in names if name not in there]
        if missing:
            near = nearest(missing[0], there)
            raise WrongChoice(
                f"There is no table {missing[0]!r}",
                expected=_listed(there),
                hint=f"Did you mean: {', '.join(near)}?" if near else None,
            )
        found = [there[name] for name in dict.fromkeys(names)]
    if target.one_table and len(found) > 1:
        raise WrongChoice(
            f"Files of format {target.name} hold one table, the recording has {len(found)}",
            expected=f"one of {_listed(table.name for table in found)}",
            hint="Name the table: tables=[name], on the command line --table NAME.",
        )
    return found


def _by_default(there: Mapping[str, TableInfo], target: Format) -> list[TableInfo]:
    if target.frames_only and FRAMES in there:
        return [there[FRAMES]]
    own = [table for table in there.values() if not table.view]
    filled = [table for table in own if table.rows]
    return filled or own[:1] if target.one_table else own


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    more = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    return ", ".join(known[:_MOST_NAMES]) + more


def pump(
    reader: Reader,
    sink: Sink,
    progress: Callable[[int, int], None] | None = None,
    tables: Sequence[TableInfo] | None = None,
) -> int:
    """Write `tables` of `reader`, all when left out, into `sink`; return the rows written."""
    wanted = reader.tables() if tables is None else tables
    total = sum(table.rows for table in wanted)
    done = 0
    for table in wanted:
        for chunk in reader.chunks(table.name, nbytes=CHUNK_BYTES):
            sink.write(chunk)
            done += len(chunk)
            if progress is not None:
                progress(done, total)
    return done
