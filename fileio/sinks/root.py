"""ROOT files with one TTree a table, through uproot (extra `root`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sapwood.extras import need
from sapwood.fileio.formats import PathLike
from sapwood.fileio.sinks.base import TableSink
from sapwood.fileio.sinks.rootbranches import branch, branch_name, branch_type
from sapwood.fileio.sinks.sinkformat import SinkFormat
from sapwood.fileio.table import Column, Table, TableInfo

__all__ = ["ROOT", "RootSink"]

_LEVELS = {"zstd": 1, "lz4": 1, "zlib": 1, "lzma": 1}


class RootSink(TableSink):
    """Writes tables as trees, columns as branches; ``/`` in names becomes ``_``.

    Ragged columns become jagged branches: ``x`` comes with its counter ``nx``. A tree has a basket a
    branch and chunk.

    Parameters
    ----------
    compression
        ``none``, or ``zstd``, ``lz4``, ``zlib``, ``lzma`` at level 1.
    """

    def __init__(self, path: PathLike, tables: Sequence[TableInfo] = (), compression: str = "none") -> None:
        uproot = need("uproot", extra="root")
        super().__init__(path, tables)
        kind = None if compression == "none" else getattr(uproot, compression.upper())(_LEVELS[compression])
        self._file = uproot.recreate(self.path, compression=kind)
        self._trees: dict[str, Any] = {}

    def check(self, name: str, column: Column) -> None:
        """Raise `FileError` for a column that no branch can hold."""
        super().check(name, column)
        if column.values.dtype.kind in "SU" and (column.ragged or column.values.ndim > 1):
            raise self.refusal(f"Column {name} cannot be written", "one text a row", "several")

    def begin(self, table: Table) -> None:
        """Make the tree."""
        names = [branch_name(name) for name in table.columns]
        names += [f"n{branch_name(name)}" for name, column in table.columns.items() if column.ragged]
        if len(set(names)) < len(names):
            raise self.refusal(f"Two branches of table {table.name} have one name", None, names)
        tree = branch_name(table.name)
        if tree in self._file:
            raise self.refusal(f"Two trees are called {tree}", None, table.name)
        with self.refusing(table, TypeError, ValueError, NotImplementedError):
            types = {branch_name(name): branch_type(column) for name, column in table.columns.items()}
            self._trees[table.name] = self._file.mktree(tree, types, title=table.name)

    def append(self, table: Table) -> None:
        """Write a basket a branch."""
        with self.refusing(table, TypeError, ValueError):
            arrays = {branch_name(name): branch(column) for name, column in table.columns.items()}
            self._trees[table.name].extend(arrays)

    def release(self) -> None:
        """Close the file as it is."""
        self._file.close()


ROOT = SinkFormat("root", (".root",), RootSink, ("none", *_LEVELS))
