"""Container files as recordings: tables of frames, and of what typed objects hold."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

from sapwood.errors import FileError, FormatError, MissingExtra
from sapwood.fileio.formats import CHUNK_BYTES, PathLike, Reader
from sapwood.fileio.icf.batches import batches_of
from sapwood.fileio.icf.checking import check
from sapwood.fileio.icf.errors import ChecksumError
from sapwood.fileio.icf.source import Source
from sapwood.fileio.icf.tables import TYPED_TABLES, TypedTable
from sapwood.fileio.icf.typed import type_of
from sapwood.fileio.table import FRAMES, Table, TableInfo
from sapwood.streams import FrameBatch

__all__ = ["IcfReader"]


class IcfReader(Reader):
    """A container file. What its index cannot reach is left out and told by `problems`.

    Parameters
    ----------
    path
        The file.
    damaged
        ``raise`` where an object is damaged, or ``skip`` such objects.

    Raises
    ------
    NotIcf, UnknownId
        When it is no container file that can be read.
    """

    def __init__(self, path: PathLike, damaged: Literal["raise", "skip"] = "raise") -> None:
        if damaged not in ("raise", "skip"):
            raise FormatError("No such way with damaged objects", expected="raise or skip", seen=damaged)
        self.source = Source(path, recover=True)
        self.path = self.source.path
        self._skip = damaged == "skip"
        self.metadata: dict[str, Any] = {}
        self._typed: TypedTable | None = None
        try:
            kind, self.metadata = type_of(self.source.header, self.path)
            self._typed = TYPED_TABLES.get(kind.code) if self._decodes(TYPED_TABLES.get(kind.code)) else None
        except FormatError:  # objects of no known type are frames and nothing more
            return

    def _decodes(self, typed: TypedTable | None) -> bool:
        """Tell whether the first object is of the type that the header gives."""
        if typed is None:
            return False
        try:
            for batch in batches_of(self.source, CHUNK_BYTES, self._damaged, 0, 1):
                typed.columns([batch.frame_bytes(0).tobytes()])
        except (FormatError, MissingExtra):
            return False
        return True

    def _damaged(self, number: int, run: int) -> ChecksumError:
        return ChecksumError(
            f"Object {number} is damaged: its checksum does not match",
            file=self.path,
            offset=self.source.index.runs[run].begin,
            hint="damaged='skip' leaves such objects out, `sapwood file recover` saves the others.",
        )

    def _batches(self, nbytes: int, start: int = 0, stop: int | None = None) -> Iterator[FrameBatch]:
        self.source.map  # noqa: B018  # must be open
        failing: Callable[[int, int], Exception] | None = None if self._skip else self._damaged
        return batches_of(self.source, nbytes, failing, start, stop)

    def batches(self, *, nbytes: int = CHUNK_BYTES) -> Iterator[FrameBatch]:
        """Yield all objects as frames, from about `nbytes` of the file at a time.

        Raises
        ------
        ChecksumError
            Where an object is damaged, unless such are skipped.
        """
        return self._batches(nbytes)

    def read(self) -> FrameBatch:
        """Return all objects as one batch: mapped where the file is not compressed, else copied."""
        batches = list(self._batches(max(self.source.size, 1)))
        return batches[0] if len(batches) == 1 else FrameBatch.concat(batches)

    # Tables

    def tables(self) -> list[TableInfo]:
        """Return ``frames``, and before it the table of a typed file; counts are exact.

        The first call for a typed file, and for one with damaged objects to skip, reads the file.
        """
        rows, nbytes = self._extent
        frames = TableInfo.of_frames(rows, nbytes, view=self._typed is not None)
        return [frames] if self._typed is None else [self._typed_info, frames]

    @cached_property
    def _extent(self) -> tuple[int, int]:
        """Objects and their bytes."""
        if not self._skip:
            return self.source.index.count, self.source.payload_bytes()
        rows = nbytes = 0
        for batch in self._batches(CHUNK_BYTES):
            rows += len(batch)
            nbytes += batch.nbytes
        return rows, nbytes

    @cached_property
    def _typed_info(self) -> TableInfo:
        assert self._typed is not None  # noqa: S101  # asked by tables() only then
        values: dict[str, int] = {}
        rows = 0
        for table in self.chunks(self._typed.name):
            rows += len(table)
            for name, column in table.columns.items():
                if column.size is not None:
                    values[name] = values.get(name, 0) + int(column.size.sum())
        return self._typed.info(rows, values)

    def chunks(
        self, table: str = FRAMES, start: int = 0, stop: int | None = None, nbytes: int = CHUNK_BYTES
    ) -> Iterator[Table]:
        """Yield rows `start` to `stop` of `table`, about `nbytes` of the file at a time.

        Raises
        ------
        FileError
            For another name.
        FormatError
            Where an object is damaged, or not of the type of the file.
        """
        name = os.path.basename(self.path)
        typed = self._typed
        if table != FRAMES and (typed is None or table != typed.name):
            there = FRAMES if typed is None else f"{typed.name} or {FRAMES}"
            raise FileError(f"There is no table {table!r}", file=self.path, expected=there)
        for batch in self._batches(nbytes, start, stop):
            if table == FRAMES:
                yield Table.from_frames(batch, {"file": name})
            elif typed is not None:
                objects = [batch.frame_bytes(row).tobytes() for row in range(len(batch))]
                yield typed.table(objects, {"file": name})

    # Summaries

    def info(self) -> dict[str, Any]:
        """Return a summary that JSON can hold.

        Returns
        -------
        dict
            ``format, file, protocol, objects, payload_bytes, bunches, file_bytes, tables {name:
            rows}, torn_bytes, problems``; of protocol 0 ``custom``; of protocol 1 ``created,
            compressor, marker_ext, header_ext`` (as hexadecimal); of typed files ``metadata``.
        """
        source, header = self.source, self.source.header
        facts: dict[str, Any] = {
            "format": "icf",
            "file": os.path.basename(self.path),
            "protocol": header.version,
            "objects": source.index.count,
            "payload_bytes": source.payload_bytes(),
            "bunches": len(source.index.runs) if header.version else 0,
            "file_bytes": source.size,
            "tables": {table.name: table.rows for table in self.tables()},
        }
        if header.version == 0:
            facts["custom"] = header.custom
        else:
            facts["created"] = datetime.fromtimestamp(min(header.created, 253402300799), UTC).isoformat()
            facts["compressor"] = source.compressor.name
            facts["marker_ext"] = header.marker_text
            facts["header_ext"] = header.extension.hex()
        if self.metadata:
            facts["metadata"] = self.metadata
        return {**facts, "torn_bytes": source.index.torn, "problems": self.problems()}

    def problems(self) -> list[str]:
        """Return what is wrong with the index, one sentence each with file and offset.

        Objects are checked when they are read; `verify` of the format reads them all, and so does
        this where damaged objects are left out.
        """
        return self._left_out if self._skip else list(self.source.index.problems)

    @cached_property
    def _left_out(self) -> list[str]:
        return check(self.source).problems

    def close(self) -> None:
        """Let go of the file; what was yielded stays valid."""
        self.source.close()
