"""What all sinks share: each table begins once, its columns stay what they are, the file ends once."""

from __future__ import annotations

import os
from collections.abc import Sequence

from sapwood.fileio.formats import PathLike, Sink
from sapwood.fileio.sinks.kinds import kind_of, signature
from sapwood.fileio.sinks.refusing import Refusing
from sapwood.fileio.table import Column, Table, TableInfo

__all__ = ["TableSink"]


class TableSink(Refusing, Sink):
    """A file being written from tables.

    A sink overrides `append` and `release`, and where it needs them `begin`, `finish` and `sync`.

    Parameters
    ----------
    path
        The file.
    tables
        What will be written, as far as it is known; those of which nothing came are begun at the end.
    """

    one_table = False  # the file holds one table
    kinds = "biufSU"  # of columns it takes, see `kind_of`

    def __init__(self, path: PathLike, tables: Sequence[TableInfo] = ()) -> None:
        self.path = os.fspath(path)
        self.announced = {info.name: info for info in tables}
        self._begun: dict[str, dict[str, str]] = {}  # table -> what its columns are
        self._closed = False

    def begin(self, table: Table) -> None:
        """Prepare for `table`: called once, with its first rows, or none if it is empty."""

    def append(self, table: Table) -> None:
        """Write the rows of `table`; there are some."""
        raise NotImplementedError

    def finish(self) -> None:
        """Complete what is in the file."""

    def release(self) -> None:
        """Close the file as it is; called again, do nothing."""
        raise NotImplementedError

    def check(self, name: str, column: Column) -> None:
        """Raise `FileError` for a column that such a file cannot hold."""
        if kind_of(column.values.dtype) not in self.kinds:
            message, expected = f"Column {name} cannot be written", f"types of kind {self.kinds}"
            raise self.refusal(message, expected, column.values.dtype)

    def write(self, table: Table) -> None:
        """Append the rows of `table`.

        Raises
        ------
        FileError
            When the file cannot hold it, or its columns are not what they were before.
        """
        if table.name not in self._begun:
            self._begin(table)
        seen, expected = signature(table), self._begun[table.name]
        if len(table) and seen != expected:
            raise self.refusal(f"Table {table.name} has other columns than before", expected, seen)
        if len(table):
            self.append(table)

    def _begin(self, table: Table) -> None:
        if self.one_table and self._begun:
            hint = "Name the table to write."
            raise self.refusal("The file holds one table", ", ".join(self._begun), table.name, hint)
        for name, column in table.columns.items():
            self.check(name, column)
        self.begin(table)
        self._begun[table.name] = signature(table)

    def sync(self) -> None:
        """Hand everything written so far to the system."""

    def close(self) -> None:
        """Complete the file; called again, do nothing."""
        if self._closed:
            return
        for name, info in self.announced.items():
            if name not in self._begun and not (self.one_table and self._begun):
                self._begin(info.empty())
        self.finish()
        self.abort()

    def abort(self) -> None:
        """Give up: close the file as it is."""
        self._closed = True
        self.release()
