"""Formats that are written only: a name, endings, and the class of their sinks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sapwood.errors import FormatError
from sapwood.fileio.formats import Format, PathLike
from sapwood.fileio.sinks.base import TableSink
from sapwood.fileio.table import TableInfo

__all__ = ["SinkFormat"]


class SinkFormat(Format):
    """A format whose files a `TableSink` writes.

    Parameters
    ----------
    name
        For ``--format`` and `sapwood.fileio.find`.
    endings
        Of its files, such as ``.csv``.
    sink
        Called with the path and the tables announced.
    compressions
        Values of the option ``compression``, which `sink` takes too if there are any.
    """

    def __init__(
        self, name: str, endings: tuple[str, ...], sink: type[TableSink], compressions: tuple[str, ...] = ()
    ) -> None:
        self.name, self.endings, self.compressions = name, endings, compressions
        self.one_table = sink.one_table
        self._sink = sink

    def create(self, path: PathLike, *, tables: Sequence[TableInfo] = (), **options: Any) -> TableSink:
        """Begin a file for `tables`.

        Raises
        ------
        FormatError
            For an option that files of this format do not have.
        """
        for name, value in options.items():
            if name != "compression" or value not in self.compressions:
                raise FormatError(
                    f"Files of format {self.name} have no such option",
                    file=path,
                    expected=f"compression: {', '.join(self.compressions) or 'left out'}",
                    seen=f"{name}={value!r}",
                )
        return self._sink(path, tables, **options)
