"""Tables whose sizes are known beforehand, checked against what was announced."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sapwood.fileio.sinks.kinds import signature
from sapwood.fileio.sinks.refusing import Refusing
from sapwood.fileio.table import Column, ColumnInfo, Table, TableInfo

__all__ = ["Counts"]


class Counts(Refusing):
    """Counts rows, and the values of ragged columns.

    Parameters
    ----------
    path
        The file, for messages.
    tables
        What was announced, by name; counts must be exact.
    """

    def __init__(self, path: str, tables: Mapping[str, TableInfo]) -> None:
        self.path, self._tables = path, tables
        self._seen = {name: dict.fromkeys(_announced(info), 0) for name, info in tables.items()}

    def info(self, table: Table) -> TableInfo:
        """Return what was announced of `table`.

        Raises
        ------
        FileError
            When nothing was, or other columns were.
        """
        info = self._tables.get(table.name)
        if info is None or list(info.columns) != list(table):
            raise self.refusal(f"Table {table.name} was not announced", list(self._tables), list(table))
        for name, column in table.columns.items():
            if not _fits(column, info.columns[name]):
                message = f"Column {name} of table {table.name} is not as announced"
                raise self.refusal(message, info.columns[name], signature(table)[name])
        return info

    def add(self, table: Table) -> None:
        """Count the rows of `table`, before they are written.

        Raises
        ------
        FileError
            When they are not what was announced, or more.
        """
        announced, seen = _announced(self.info(table)), self._seen[table.name]
        more = {table.name: len(table)}
        for name, column in table.columns.items():
            if column.size is not None:
                more[f"{table.name}/{name}"] = int(column.size.sum())
        for place, count in announced.items():
            if seen[place] + more[place] > count:
                message = f"More rows than announced for {place}"
                raise self.refusal(message, count, seen[place] + more[place])
        for place, count in more.items():
            seen[place] += count

    def check_complete(self) -> None:
        """Raise `FileError` when fewer rows came than announced."""
        for name, info in self._tables.items():
            for place, count in _announced(info).items():
                if self._seen[name][place] < count:
                    message = f"Fewer rows than announced for {place}"
                    raise self.refusal(message, count, self._seen[name][place])


def _announced(info: TableInfo) -> dict[str, int]:
    """Return how many rows the table has, and how many values its ragged columns."""
    ragged = {name: one.values for name, one in info.columns.items() if one.values is not None}
    return {info.name: info.rows, **{f"{info.name}/{name}": count for name, count in ragged.items()}}


def _fits(column: Column, info: ColumnInfo) -> bool:
    same = column.ragged == (info.values is not None) and column.values.shape[1:] == info.shape
    return same and np.can_cast(column.values.dtype, info.dtype, "safe")
