"""Tables: members of equal length, and waveforms as one of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from sapwood.fileio.lh5 import datatype
from sapwood.fileio.lh5.array import Array, ArrayOfEqualSizedArrays
from sapwood.fileio.lh5.errors import LH5EncodeError
from sapwood.fileio.lh5.lgdo import LGDO
from sapwood.fileio.lh5.struct import Struct
from sapwood.fileio.lh5.vectors import VectorOfVectors

__all__ = ["Table", "WaveformTable"]


class Table(Struct):
    """Columns of equal length: arrays, vectors, encoded data or tables.

    Parameters
    ----------
    col_dict
        Columns by name; plain NumPy arrays become `Array` (one axis) or `ArrayOfEqualSizedArrays`.
    size
        Rows; columns of other length are resized. By default that of the first column.
    attrs
        See `LGDO`.
    """

    kind = datatype.TABLE

    def __init__(
        self,
        col_dict: Mapping[str, Any] | None = None,
        size: int | None = None,
        attrs: Mapping[str, Any] | None = None,
    ) -> None:
        self._size: int | None = size
        super().__init__(col_dict, attrs)

    @property
    def size(self) -> int:
        """Rows of every column."""
        return self._size or 0

    def _checked(self, name: str, obj: Any) -> LGDO:
        if isinstance(obj, np.ndarray):
            obj = Array(obj) if obj.ndim == 1 else ArrayOfEqualSizedArrays(nda=obj)
        elif not isinstance(obj, LGDO) and isinstance(obj, Mapping):
            obj = Table(obj, self._size)
        if not isinstance(obj, LGDO) or not hasattr(obj, "resize"):
            raise LH5EncodeError(f"Column {name!r} has no rows", seen=type(obj).__name__)
        if self._size is None:
            self._size = len(obj)  # type: ignore[arg-type]  # what can be resized has a length
        elif len(obj) != self._size:  # type: ignore[arg-type]
            obj.resize(self._size)
        return obj

    def _new_inner(self) -> Struct:
        return Table(size=self._size)

    def add_column(self, name: str, obj: Any, use_obj_size: bool = False) -> None:
        """Add a column; the table takes its size over when `use_obj_size`."""
        self.add_field(name, obj, use_obj_size)

    def add_field(self, name: str, obj: Any, use_obj_size: bool = False) -> None:
        """Add a column; the table takes its size over when `use_obj_size`."""
        if use_obj_size:
            self.resize(len(obj))
        self[name] = obj

    def remove_column(self, name: str, delete: bool = False) -> None:
        """Remove a column."""
        self.remove_field(name, delete)

    def join(
        self,
        other_table: Table,
        cols: list[str] | None = None,
        keep_mine: bool = False,
        prefix: str = "",
        suffix: str = "",
    ) -> None:
        """Add columns of `other_table`, by default all; those of both stay mine if `keep_mine`."""
        for name in other_table if cols is None else cols:
            new = f"{prefix}{name}{suffix}"
            if not (keep_mine and new in self):
                self[new] = other_table[name]

    def resize(self, new_size: int | None = None, trim: bool = False) -> None:
        """Have `new_size` rows in every column; those of the first column when left out."""
        if new_size is None:
            new_size = next((len(column) for _, column in self.items()), 0)
        self._size = new_size
        for name in self:
            self[name].resize(new_size, trim)

    def reserve_capacity(self, capacity: int) -> None:
        """Make room for `capacity` rows in every column without having them."""
        for name in self:
            self[name].reserve_capacity(capacity)

    def clear(self, trim: bool = False) -> None:
        """Have no rows; the columns stay, and their memory unless `trim`."""
        self.resize(0, trim)

    def put(self, loc: int, block: Mapping[str, Any]) -> int:
        """Set rows from `loc` on; return the row after the last.

        Parameters
        ----------
        loc
            The first row, at most the number of rows.
        block
            For every column what its `put` takes: an array of shape (n, ...), a `RaggedBlock` or
            ``(values, lengths)``, a mapping for a table.

        Raises
        ------
        LH5EncodeError
            When a column is missing or unknown, or the blocks differ in length.
        """
        self._same_columns(block)
        ends = {name: column.put(loc, block[name]) for name, column in self.items()}
        end = max(ends.values(), default=loc)
        if len(set(ends.values())) > 1:
            raise LH5EncodeError("The columns of the block differ in length", seen=ends)
        self._size = max(self.size, end)
        return end

    def _same_columns(self, block: Mapping[str, Any]) -> None:
        if not isinstance(block, Mapping):
            raise LH5EncodeError(
                "The block of a table has no columns", expected=sorted(self), seen=type(block).__name__
            )
        if set(block) != set(self):
            raise LH5EncodeError(
                "The block has other columns than the table", expected=sorted(self), seen=sorted(block)
            )

    def extend(self, block: Mapping[str, Any]) -> None:
        """Append rows, given as for `put`."""
        self.put(self.size, block)

    def append(self, row: Mapping[str, Any]) -> None:
        """Append one row: a value for every column."""
        self._same_columns(row)
        for name, column in self.items():
            column.append(row[name])
        self._size = self.size + 1

    def rows(self, start: int, stop: int) -> Self:
        """Return rows `start` to `stop` of every column, over the same memory."""
        start, stop, _ = slice(start, stop).indices(self.size)
        parts = {name: column.rows(start, stop) for name, column in self.items()}
        return self._like(parts, max(0, stop - start))

    def take(self, index: NDArray[np.int64]) -> Self:
        """Return the rows `index`, copied."""
        return self._like({name: column.take(index) for name, column in self.items()}, len(index))

    def _like(self, columns: Mapping[str, Any], size: int) -> Self:
        new = type(self).__new__(type(self))
        Table.__init__(new, columns, size, self.attrs)
        return new

    def flatten(self, prefix: str = "") -> Table:
        """Return the columns of inner tables beside the others, called ``<table>__<column>``."""
        flat = Table(size=self._size)
        for name, column in self.items():
            if isinstance(column, Table):
                flat.update(column.flatten(f"{prefix}{name}__"))
            else:
                flat[prefix + name] = column
        return flat

    def __len__(self) -> int:
        return self.size


class WaveformTable(Table):
    """Waveforms: columns ``t0`` (time of the first sample), ``dt`` (between samples) and ``values``.

    Parameters
    ----------
    size
        Rows; by default those of the first of the columns that is given.
    t0, dt
        One number for all rows, or a column.
    t0_units, dt_units, values_units
        Their attribute ``units``.
    values
        Samples: shape (rows, samples), or vectors, or encoded data.
    wf_len, dtype
        Samples of a row and their type, for new values.
    attrs
        See `LGDO`.
    """

    def __init__(
        self,
        size: int | None = None,
        t0: float | ArrayLike = 0,
        t0_units: str | None = None,
        dt: float | ArrayLike = 1,
        dt_units: str | None = None,
        values: Any = None,
        values_units: str | None = None,
        wf_len: int | None = None,
        dtype: DTypeLike | None = None,
        attrs: Mapping[str, Any] | None = None,
    ) -> None:
        if size is None:
            sized: list[Any] = [
                column for column in (values, t0, dt) if not np.isscalar(column) and column is not None
            ]
            size = len(sized[0]) if sized else 0
        if values is None:
            values = ArrayOfEqualSizedArrays(shape=(size, wf_len or 0), dtype=dtype or np.uint16)
        elif not isinstance(values, LGDO):
            values = _samples(values, dtype)
        columns = {
            "t0": _with_units(_column(t0, size), t0_units),
            "dt": _with_units(_column(dt, size), dt_units),
            "values": _with_units(values, values_units),
        }
        super().__init__(columns, size, attrs)

    @property
    def t0(self) -> Array:
        """Time of the first sample of each row."""
        found: Array = dict.__getitem__(self, "t0")
        return found

    @property
    def dt(self) -> Array:
        """Time between two samples of each row."""
        found: Array = dict.__getitem__(self, "dt")
        return found

    @property
    def values(self) -> Any:
        """The samples; use `items` to see all columns."""
        return dict.__getitem__(self, "values")

    @property
    def t0_units(self) -> str:
        """Of `t0`."""
        return self.t0.units

    @property
    def dt_units(self) -> str:
        """Of `dt`."""
        return self.dt.units

    @property
    def values_units(self) -> str:
        """Of `values`."""
        return str(self.values.units)

    @property
    def wf_len(self) -> int:
        """Samples of a row; of the longest where they differ."""
        if isinstance(self.values, VectorOfVectors):
            return int(self.values.lengths().max(initial=0))
        if isinstance(self.values, ArrayOfEqualSizedArrays):
            return self.values.shape[1]
        return int(self.values.decoded_size.value)

    def resize_wf_len(self, new_len: int) -> None:
        """Change the samples of every row, keeping what fits; new ones are zero."""
        if not isinstance(self.values, ArrayOfEqualSizedArrays):
            raise LH5EncodeError("Only waveforms of equal size have one length")
        self.values.resize_inner(new_len)


def _column(value: Any, size: int) -> Array:
    if isinstance(value, Array):
        return value
    if np.isscalar(value):
        return Array(shape=(size,), dtype=np.asarray(value).dtype, fill_val=value)
    return Array(value)


def _samples(values: Any, dtype: DTypeLike | None) -> LGDO:
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return ArrayOfEqualSizedArrays(nda=values, dtype=dtype)
    return VectorOfVectors(values, dtype=dtype)


def _with_units(obj: Any, units: str | None) -> Any:
    if units is not None:
        obj.attrs["units"] = units
    return obj
