"""Tables: what readers yield and sinks take, whatever the format."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError
from sapwood.streams import FrameBatch

__all__ = ["FRAMES", "Column", "ColumnInfo", "Table", "TableInfo"]

FRAMES = "frames"  # the name of the table that a FrameBatch is


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column: an array, or a ragged column when `start` and `size` are given.

    Parameters
    ----------
    values
        Array of shape (n, ...); for a ragged column the flat values, shape (m, ...).
    start, size
        i8, shape (n,): row i is ``values[start[i] : start[i] + size[i]]``. Other values may lie
        between the rows.
    unit
        For example ``ns``; empty when there is none.
    attributes
        Further facts for formats that can keep them.
    """

    values: NDArray[Any]
    start: NDArray[np.int64] | None = None
    size: NDArray[np.int64] | None = None
    unit: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.start is None) != (self.size is None):
            raise FileError("A ragged column needs both start and size")

    @property
    def ragged(self) -> bool:
        """Rows have sizes of their own."""
        return self.start is not None

    def __len__(self) -> int:
        return len(self.values if self.start is None else self.start)

    def __getitem__(self, row: int) -> Any:
        """Return the value of row `row`; for a ragged column a view of its values."""
        if self.start is None or self.size is None:
            return self.values[row]
        start = int(self.start[row])
        return self.values[start : start + int(self.size[row])]

    def part(self, first: int, last: int) -> Column:
        """Return rows `first` to ``last - 1``; nothing is copied."""
        rows = slice(first, last)
        if self.start is None or self.size is None:
            return Column(self.values[rows], unit=self.unit, attributes=self.attributes)
        return Column(self.values, self.start[rows], self.size[rows], self.unit, self.attributes)

    def dense(self) -> NDArray[Any]:
        """Return the values of all rows one after the other; a view where they lie so already."""
        if self.start is None or self.size is None:
            return self.values
        values = np.ascontiguousarray(self.values)
        item = values.itemsize * math.prod(values.shape[1:])
        flat = FrameBatch(values.reshape(-1).view(np.uint8), self.start * item, self.size * item).compact()
        return flat.payload.view(values.dtype).reshape(-1, *values.shape[1:])


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Named columns of equal length.

    Parameters
    ----------
    name
        A path such as ``ch0/raw``.
    columns
        In order.
    attributes
        Facts about the table. Readers set ``file`` (name) and ``base`` (bytes): where in which
        file the values of a mapped ragged column begin.

    Raises
    ------
    FileError
        When the columns differ in length.
    """

    name: str
    columns: Mapping[str, Column]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) > 1:
            raise FileError(f"The columns of table {self.name} differ in length", seen=lengths)

    @classmethod
    def from_frames(cls, batch: FrameBatch, attributes: Mapping[str, Any] | None = None) -> Table:
        """Return `batch` as the table ``frames``; nothing is copied."""
        columns = {
            "channel": Column(batch.channel),
            "flags": Column(batch.flags),
            "error": Column(batch.error),
            "time": Column(batch.time, unit="ns"),
            "payload": Column(batch.payload, batch.start, batch.size),
        }
        return cls(FRAMES, columns, attributes or {})

    def to_frames(self) -> FrameBatch:
        """Return the table ``frames`` as a batch; nothing is copied.

        Raises
        ------
        FileError
            When the columns of frames are not there.
        """
        payload = self.columns.get("payload")
        if payload is None or payload.start is None or payload.size is None:
            raise FileError(
                f"Table {self.name} holds no frames", expected="a ragged column payload", seen=list(self)
            )
        scalars = ("channel", "flags", "error", "time")
        given = {name: self.columns[name].values for name in scalars if name in self.columns}
        return FrameBatch(payload.values, payload.start, payload.size, **given)

    def part(self, first: int, last: int) -> Table:
        """Return rows `first` to ``last - 1``; nothing is copied."""
        columns = {name: column.part(first, last) for name, column in self.columns.items()}
        return Table(self.name, columns, self.attributes)

    def __len__(self) -> int:
        for column in self.columns.values():
            return len(column)
        return 0

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """What a column will hold: `dtype`, shape of one item, and values in all if it is ragged."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()
    values: int | None = None

    def empty(self) -> Column:
        """Return the column without rows."""
        values, nothing = np.empty((0, *self.shape), self.dtype), np.empty(0, np.int64)
        return Column(values) if self.values is None else Column(values, nothing, nothing)


@dataclass(frozen=True, slots=True)
class TableInfo:
    """What a reader will yield under `name`: `rows` in all, and its columns.

    Parameters
    ----------
    view
        The same data as another table, seen differently (records as ``frames`` beside the columns
        that they hold): conversions leave it out unless it is asked for.
    """

    name: str
    rows: int
    columns: Mapping[str, ColumnInfo] = field(default_factory=dict)
    view: bool = False

    def empty(self) -> Table:
        """Return the table without rows."""
        return Table(self.name, {name: column.empty() for name, column in self.columns.items()})

    @classmethod
    def of_frames(cls, frames: int, payload_bytes: int, *, view: bool = False) -> TableInfo:
        """Return the description of the table ``frames`` with so many rows and payload bytes."""
        columns = {
            "channel": ColumnInfo(np.dtype(np.uint8)),
            "flags": ColumnInfo(np.dtype(np.uint16)),
            "error": ColumnInfo(np.dtype(np.uint8)),
            "time": ColumnInfo(np.dtype(np.int64)),
            "payload": ColumnInfo(np.dtype(np.uint8), values=payload_bytes),
        }
        return cls(FRAMES, frames, columns, view)
