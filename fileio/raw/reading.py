"""Columns of a raw stream, chunk by chunk, for analysis without a file between."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sapwood.fileio.raw.buffer import RawBufferList
from sapwood.fileio.raw.decoder import DataDecoder
from sapwood.fileio.raw.errors import OutSpecError
from sapwood.fileio.raw.library import RawBufferLibrary
from sapwood.fileio.raw.streams import get_streamer, input_path

__all__ = ["ChosenTables", "read_raw"]


def read_raw(
    in_stream: Any,
    in_stream_type: str | None = None,
    tables: str | Sequence[str] | None = None,
    buffer_size: int = 8192,
    compass_config_file: Any = None,
    timezone: str | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield the tables of a stream, some rows at a time.

    Parameters
    ----------
    in_stream, in_stream_type, compass_config_file, timezone
        See `get_streamer`.
    tables
        Name of the table wanted, such as ``FCEvent``, or several; all by default.
    buffer_size
        Rows of a table at a time, about.

    Yields
    ------
    dict
        Name of a table -> its next rows, an object of `sapwood.fileio.lh5`; tables without new
        rows are missing. Columns are views: copy what is to outlive the next turn.

    Raises
    ------
    OutSpecError
        When there is no table of a name.
    FormatError
        When the beginning of the stream is damaged.
    """
    streamer = get_streamer(in_stream, in_stream_type, compass_config_file, timezone)
    library = ChosenTables({"*": {"{name}": {"key_list": ["*"]}}})
    library.tables = [tables] if isinstance(tables, str) else tables
    chunk = streamer.open_stream(input_path(in_stream), library, buffer_size)
    try:
        chunk = chunk or streamer.read_chunk()
        while chunk:
            yield {one.out_name: _rows(one.lgdo, one.loc) for one in chunk}
            for one in chunk:
                one.loc = 0
            chunk = streamer.read_chunk()
    finally:
        streamer.close_stream()


def _rows(lgdo: Any, count: int) -> Any:
    return lgdo.rows(0, count) if hasattr(lgdo, "rows") else lgdo


class ChosenTables(RawBufferLibrary):
    """A library of some tables only."""

    tables: Sequence[str] | None = None

    def match(self, decoders: Iterable[DataDecoder]) -> None:
        """Leave buffers out that nobody wants."""
        super().match(decoders)
        if self.tables is None:
            return
        there = self.get_list_of("out_name")
        if missing := set(self.tables) - set(there):
            raise OutSpecError(f"There is no table {', '.join(sorted(missing))}", expected=", ".join(there))
        for name, buffers in list(self.items()):
            self[name] = RawBufferList(one for one in buffers if one.out_name in self.tables)
