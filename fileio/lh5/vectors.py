"""Vectors of vectors: rows of different length, one after the other in one array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from sapwood.fileio.lh5 import datatype
from sapwood.fileio.lh5.array import Array, ArrayOfEqualSizedArrays
from sapwood.fileio.lh5.errors import LH5EncodeError
from sapwood.fileio.lh5.lgdo import LGDO

__all__ = ["RaggedBlock", "VectorOfVectors", "gather"]


class RaggedBlock(NamedTuple):
    """Rows to be put into a `VectorOfVectors`.

    Parameters
    ----------
    values
        Of all rows, one after the other: shape (m, ...), or a `VectorOfVectors` of m rows.
    lengths
        Of each row, shape (n,); their sum is m.
    """

    values: Any
    lengths: ArrayLike


def gather(start: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices of the values of rows that begin at `start` and have `size` values."""
    begin = np.cumsum(size) - size
    index: NDArray[np.int64] = np.arange(int(size.sum()), dtype=np.int64) + np.repeat(start - begin, size)
    return index


class VectorOfVectors(LGDO):
    """Rows of different length, nested as deep as wanted.

    Row i is ``flattened_data[cumulative_length[i - 1] : cumulative_length[i]]``.

    Parameters
    ----------
    data
        Rows, each a sequence; nested ones make nested vectors.
    flattened_data, cumulative_length
        Values of all rows, an array or a `VectorOfVectors`; and where each row ends in them. Used
        as they are.
    offsets
        Where rows begin, and the end of the last: instead of `cumulative_length`, one longer.
    shape_guess
        (rows, ...): begin with so many empty rows. With `data` only its length counts: how deep
        vectors are that hold nothing.
    dtype
        Of the values.
    fill_val
        Begin with rows as long as `shape_guess` says, filled with this.
    attrs
        See `LGDO`.
    """

    kind = datatype.VECTORS

    def __init__(
        self,
        data: Sequence[Any] | None = None,
        flattened_data: ArrayLike | VectorOfVectors | None = None,
        cumulative_length: ArrayLike | None = None,
        *,
        offsets: ArrayLike | None = None,
        shape_guess: Sequence[int] | None = None,
        dtype: DTypeLike | None = None,
        fill_val: Any = None,
        attrs: Mapping[str, Any] | None = None,
    ) -> None:
        if offsets is not None:
            cumulative_length = np.asarray(offsets)[1:]
        flat: Array | VectorOfVectors
        ends: Any
        if data is not None:
            flat, ends = _flattened(data, dtype, len(shape_guess or ()))
        elif flattened_data is not None:
            flat, ends = _as_flat(flattened_data, dtype), cumulative_length
        else:
            flat, ends = _empty(tuple(shape_guess or (0, 0)), dtype, fill_val)
        if ends is None:
            raise LH5EncodeError("Flattened data need a cumulative length")
        self.flattened_data: Array | VectorOfVectors = flat
        self.cumulative_length = ends if isinstance(ends, Array) else Array(_whole(ends))
        self._set_attrs(attrs)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the innermost values."""
        return self.flattened_data.dtype

    @property
    def ndim(self) -> int:
        """Depth: 2 when rows hold values."""
        return self.flattened_data.ndim + 1

    def form_datatype(self) -> str:
        """Return the text of the attribute ``datatype``."""
        return datatype.form(self.kind, self.flattened_data.form_datatype(), (1,))

    @property
    def end(self) -> int:
        """How many flattened values belong to rows."""
        return self._begin(len(self))

    def _begin(self, row: int) -> int:
        """Return where row `row` begins in the flattened data."""
        return int(self.cumulative_length.nda[row - 1]) if row else 0

    def lengths(self) -> NDArray[np.int64]:
        """Return the length of every row, i8."""
        ends = self.cumulative_length.nda.astype(np.int64)
        return ends - self._before(ends)

    def starts(self) -> NDArray[np.int64]:
        """Return where every row begins in the flattened data, i8."""
        return self._before(self.cumulative_length.nda.astype(np.int64))

    @staticmethod
    def _before(ends: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.concatenate([np.zeros(min(1, len(ends)), np.int64), ends[:-1]])

    def get_capacity(self) -> tuple[int, ...]:
        """Return how many rows and values fit without new memory."""
        inner = self.flattened_data.get_capacity()
        return (self.cumulative_length.get_capacity(), *(inner if isinstance(inner, tuple) else (inner,)))

    def reserve_capacity(self, capacity: int, *inner: int) -> None:
        """Make room for `capacity` rows, and for `inner` values."""
        self.cumulative_length.reserve_capacity(capacity)
        if inner:
            self.flattened_data.reserve_capacity(*inner)

    def trim_capacity(self) -> None:
        """Give back memory that holds nothing."""
        self.cumulative_length.trim_capacity()
        self.flattened_data.resize(self.end)
        self.flattened_data.trim_capacity()

    def resize(self, new_size: int, trim: bool = False) -> None:
        """Have `new_size` rows; new ones are empty."""
        size, end = len(self), self.end
        self.cumulative_length.resize(new_size)
        if new_size > size:
            self.cumulative_length.nda[size:] = end
        else:
            self.flattened_data.resize(self.end)
        if trim:
            self.trim_capacity()

    def clear(self, trim: bool = False) -> None:
        """Have no rows; the memory is kept for new ones unless `trim`."""
        self.resize(0, trim)

    def put(self, loc: int, block: RaggedBlock | VectorOfVectors | tuple[Any, ArrayLike]) -> int:
        """Set rows from `loc` on to those of `block`; return the row after the last.

        Rows behind them become empty: they are expected to be put next.

        Raises
        ------
        LH5EncodeError
            When lengths and values do not fit each other, or rows before `loc` are missing.
        """
        values, lengths = block.block() if isinstance(block, VectorOfVectors) else block
        sizes = np.asarray(lengths, np.int64)
        if not 0 <= loc <= len(self) or int(sizes.sum()) != len(values) or (sizes < 0).any():
            raise LH5EncodeError(
                "The rows do not fit",
                expected=f"{len(values)} values from row {len(self)} at most",
                seen=f"lengths that sum to {int(sizes.sum())} at row {loc}",
            )
        begin = self._begin(loc)
        ends = self.cumulative_length
        end = ends.put(loc, begin + np.cumsum(sizes))
        ends.nda[end:] = begin + len(values)
        self.flattened_data.put(begin, values)
        self.flattened_data.resize(begin + len(values))
        return end

    def block(self) -> RaggedBlock:
        """Return the rows as they are `put` elsewhere."""
        values = self.flattened_data.rows(0, self.end)
        return RaggedBlock(values.nda if isinstance(values, Array) else values, self.lengths())

    def extend(self, block: RaggedBlock | VectorOfVectors | tuple[Any, ArrayLike]) -> None:
        """Append rows."""
        self.put(len(self), block)

    def append(self, new: ArrayLike | VectorOfVectors) -> None:
        """Append one row."""
        row = new if isinstance(new, VectorOfVectors | Array) else self._as_row(new)
        self.extend(RaggedBlock(row, [len(row)]))

    def _as_row(self, row: Any) -> Any:
        if isinstance(self.flattened_data, VectorOfVectors):
            return VectorOfVectors(row, dtype=self.dtype, shape_guess=(0,) * (self.ndim - 1))
        return np.asarray(row, self.dtype)

    def insert(self, i: int, new: ArrayLike | VectorOfVectors) -> None:
        """Insert one row before row `i`."""
        self._set_tail(i, new, i)

    def replace(self, i: int, new: ArrayLike | VectorOfVectors) -> None:
        """Set row `i`, which may change its length."""
        self._set_tail(i, new, i + 1)

    def _set_tail(self, i: int, new: ArrayLike | VectorOfVectors, rest: int) -> None:
        """Have `new` as row `i`, and behind it the rows from `rest` on."""
        tail = self.take(np.arange(rest, len(self)))
        self.resize(i)
        self.append(new)
        self.extend(tail)

    def rows(self, start: int, stop: int) -> Self:
        """Return rows `start` to `stop`; values lie in the same memory."""
        start, stop, _ = slice(start, stop).indices(len(self))
        stop = max(start, stop)
        begin, end = self._begin(start), self._begin(stop)
        ends = self.cumulative_length.nda[start:stop]
        ends = ends - ends.dtype.type(begin) if begin else ends
        return self._like(self.flattened_data.rows(begin, end), Array(ends))

    def take(self, index: NDArray[np.int64]) -> Self:
        """Return the rows `index`, copied."""
        size = self.lengths()[index]
        values = self.flattened_data.take(gather(self.starts()[index], size))
        return self._like(values, Array(np.cumsum(size).astype(self.cumulative_length.dtype)))

    def _like(self, values: Array | VectorOfVectors, ends: Array) -> Self:
        return type(self)(flattened_data=values, cumulative_length=ends, attrs=self.attrs)

    def to_aoesa(self, max_len: int | None = None, fill_val: Any = 0) -> ArrayOfEqualSizedArrays:
        """Return rows cut or filled up with `fill_val` to `max_len`, that of the longest by default."""
        if not isinstance(self.flattened_data, Array):
            raise LH5EncodeError("Only vectors of one depth become arrays of equal size")
        size = self.lengths()
        width = int(size.max(initial=0)) if max_len is None else max_len
        kept = np.minimum(size, width)
        out = np.full((len(self), width), fill_val, np.result_type(self.dtype, np.min_scalar_type(fill_val)))
        out[np.arange(width) < kept[:, np.newaxis]] = self.flattened_data.nda[gather(self.starts(), kept)]
        return ArrayOfEqualSizedArrays(nda=out, attrs=_without_datatype(self.attrs))

    def __len__(self) -> int:
        return len(self.cumulative_length)

    def __getitem__(self, i: int) -> Any:
        """Return row `i`: a view of its values, or a `VectorOfVectors`."""
        row = range(len(self))[i]
        found = self.flattened_data.rows(self._begin(row), self._begin(row + 1))
        return found.nda if isinstance(found, Array) else found

    def __setitem__(self, i: int, new: ArrayLike) -> None:
        row = range(len(self))[i]
        if self._begin(row + 1) - self._begin(row) == len(new):  # type: ignore[arg-type]  # rows have a length
            self[row][...] = new
        else:
            self.replace(row, new)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, VectorOfVectors):
            return NotImplemented
        same = self.attrs == other.attrs and np.array_equal(self.lengths(), other.lengths())
        mine, theirs = (one.flattened_data.rows(0, one.end) for one in (self, other))
        return same and mine == theirs

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        shown = ", ".join(repr(self[i]) for i in range(min(len(self), 5)))
        more = ", ..." if len(self) > 5 else ""
        return f"{type(self).__name__}({len(self)} rows: [{shown}{more}], attrs={self.attrs!r})"


def _flattened(
    data: Sequence[Any], dtype: DTypeLike | None, depth: int
) -> tuple[Array | VectorOfVectors, NDArray[np.int64]]:
    """Return the values of nested sequences, and where rows end."""
    sizes = [len(row) for row in data]
    values = [value for row in data for value in row]
    if depth > 2 or (values and not np.isscalar(values[0])):
        return VectorOfVectors(values, dtype=dtype, shape_guess=(0,) * (depth - 1)), np.cumsum(
            sizes, dtype=np.int64
        )
    rows = [np.asarray(row, dtype) for row in data if len(row)]
    flat = np.concatenate(rows) if rows else np.zeros(0, dtype)
    return Array(flat), np.cumsum(sizes, dtype=np.int64)


def _as_flat(values: ArrayLike | VectorOfVectors, dtype: DTypeLike | None) -> Array | VectorOfVectors:
    return values if isinstance(values, Array | VectorOfVectors) else Array(values, dtype=dtype)


def _empty(
    shape: tuple[int, ...], dtype: DTypeLike | None, fill_val: Any
) -> tuple[Array | VectorOfVectors, NDArray[np.int64]]:
    """Return values and ends for so many rows: empty ones, or filled ones of the sizes in `shape`."""
    size = shape[1] if fill_val is not None and len(shape) > 1 else 0
    ends = np.arange(1, shape[0] + 1, dtype=np.int64) * size
    if len(shape) > 2:
        inner = (shape[0] * size, *shape[2:])
        return VectorOfVectors(shape_guess=inner, dtype=dtype, fill_val=fill_val), ends
    return Array(shape=(shape[0] * size,), dtype=dtype, fill_val=fill_val), ends


def _whole(ends: ArrayLike) -> NDArray[Any]:
    found = np.asarray(ends)
    return found if found.dtype.kind in "iu" else found.astype(np.int64)


def _without_datatype(attrs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attrs.items() if name != "datatype"}
