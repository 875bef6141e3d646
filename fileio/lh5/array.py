"""Arrays with rows along the first axis that grow when rows are put in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from sapwood.fileio.lh5 import datatype
from sapwood.fileio.lh5.errors import LH5EncodeError
from sapwood.fileio.lh5.lgdo import LGDO

__all__ = ["Array", "ArrayOfDetectorIDs", "ArrayOfEqualSizedArrays", "FixedSizeArray", "grown"]


def grown(storage: NDArray[Any], used: int, needed: int) -> NDArray[Any]:
    """Return `storage`, or a larger copy of its first `used` rows when `needed` rows do not fit."""
    if needed <= len(storage):
        return storage
    new = np.zeros((max(needed, len(storage) + len(storage) // 2, 16), *storage.shape[1:]), storage.dtype)
    new[:used] = storage[:used]
    return new


class Array(LGDO):
    """An array of any rank.

    Parameters
    ----------
    nda
        The values; used as they are, not copied, as long as no rows are added.
    shape, dtype, fill_val
        For a new array when `nda` is left out; filled with zero by default. The memory of a large
        one is taken by the system only where rows are put.
    attrs
        See `LGDO`.
    """

    kind = datatype.ARRAY

    def __init__(
        self,
        nda: ArrayLike | None = None,
        shape: int | tuple[int, ...] = (),
        dtype: DTypeLike | None = None,
        fill_val: Any = None,
        attrs: Mapping[str, Any] | None = None,
    ) -> None:
        if nda is None:
            size = (shape,) if isinstance(shape, int) else tuple(shape)
            values = np.zeros(size or (0,), dtype)
            if fill_val is not None and fill_val != 0:
                values[...] = fill_val
        else:
            values = np.asarray(nda, dtype)
        if values.ndim == 0:
            raise LH5EncodeError("An array needs at least one dimension", hint="Use Scalar.")
        self._storage: NDArray[Any] = values
        self._size = len(values)
        self._set_attrs(attrs)

    @property
    def nda(self) -> NDArray[Any]:
        """The rows, a view."""
        return self._storage[: self._size]

    @nda.setter
    def nda(self, values: ArrayLike) -> None:
        self._storage = np.asarray(values)
        self._size = len(self._storage)
        self.attrs["datatype"] = self.form_datatype()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the elements."""
        return self._storage.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""
        return (self._size, *self._storage.shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._storage.ndim

    def form_datatype(self) -> str:
        """Return the text of the attribute ``datatype``."""
        return datatype.form(self.kind, datatype.element_of(self.dtype), self._dims())

    def _dims(self) -> tuple[int, ...]:
        return (self.ndim,)

    def get_capacity(self) -> int:
        """Return how many rows fit without new memory."""
        return len(self._storage)

    def reserve_capacity(self, capacity: int) -> None:
        """Make room for `capacity` rows without having them."""
        self._storage = grown(self._storage, self._size, capacity)

    def trim_capacity(self) -> None:
        """Give back memory that holds no rows."""
        if len(self._storage) > self._size:
            self._storage = self.nda.copy()

    def resize(self, new_size: int, trim: bool = False) -> None:
        """Have `new_size` rows; new ones are zero."""
        self.reserve_capacity(new_size)
        if new_size > self._size:
            self._storage[self._size : new_size] = np.zeros((), self.dtype)
        self._size = new_size
        if trim:
            self.trim_capacity()

    def clear(self, trim: bool = False) -> None:
        """Have no rows; the memory is kept for new ones unless `trim`."""
        self.resize(0, trim)

    def put(self, loc: int, block: ArrayLike) -> int:
        """Set rows from `loc` on to those of `block`, shape (n, ...); return ``loc + n``.

        When rows are arrays, a block with one more axis, shape (m, k, ...), stands for m * k rows.

        Raises
        ------
        LH5EncodeError
            When the shape of a row differs, or rows before `loc` are missing.
        """
        values = _values(block)
        inner = self._storage.shape[1:]
        grid = bool(inner) and values.ndim == self._storage.ndim + 1 and values.shape[2:] == inner
        if not (grid or values.shape[1:] == inner) or not 0 <= loc <= self._size:
            raise LH5EncodeError(
                "The rows do not fit the array",
                expected=f"rows of shape {inner} from row {self._size} at most",
                seen=f"shape {values.shape[1:]} at row {loc}",
            )
        end = loc + (values.shape[0] * values.shape[1] if grid else len(values))
        self._storage = grown(self._storage, self._size, end)
        target = self._storage[loc:end]
        if grid and target.flags.c_contiguous:
            target.reshape(values.shape)[...] = values
        else:
            target[...] = values.reshape(target.shape) if grid else values
        self._size = max(self._size, end)
        return end

    def extend(self, block: ArrayLike) -> None:
        """Append the rows of `block`, shape (n, ...)."""
        self.put(self._size, block)

    def append(self, value: ArrayLike) -> None:
        """Append one row."""
        self.put(self._size, _values(value)[np.newaxis])

    def insert(self, i: int, value: ArrayLike) -> None:
        """Insert one row before row `i`."""
        self.put(i, np.concatenate([_values(value)[np.newaxis], self.nda[i:]]))

    def replace(self, i: int, value: ArrayLike) -> None:
        """Set row `i`."""
        self.nda[i] = _values(value)

    def rows(self, start: int, stop: int) -> Self:
        """Return rows `start` to `stop`, over the same memory."""
        return self._like(self.nda[start:stop])

    def take(self, index: NDArray[np.int64]) -> Self:
        """Return the rows `index`, copied."""
        return self._like(self.nda[index])

    def _like(self, values: NDArray[Any]) -> Self:
        return type(self)(nda=values, attrs=self.attrs)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, key: Any) -> Any:
        return self.nda[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.nda[key] = value

    def __iter__(self) -> Iterator[Any]:
        return iter(self.nda)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        values = self.nda
        if dtype is not None and values.dtype != dtype:
            return values.astype(dtype)
        return values.copy() if copy else values

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Array):
            return NotImplemented
        same = type(self) is type(other) and self.attrs == other.attrs and self.dtype == other.dtype
        return same and np.array_equal(self.nda, other.nda, equal_nan=self.dtype.kind in "fc")

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.nda!r}, attrs={self.attrs!r})"


class FixedSizeArray(Array):
    """An array whose inner shape never changes."""

    kind = datatype.FIXED_SIZE


class ArrayOfDetectorIDs(Array):
    """An array of detector identifiers."""

    kind = datatype.DETECTOR_IDS

    def form_datatype(self) -> str:
        """Return the text of the attribute ``datatype``."""
        return datatype.form(self.kind, "detectorid", self._dims())


class ArrayOfEqualSizedArrays(Array):
    """Arrays of one size, such as waveforms: shape (rows, samples).

    Parameters
    ----------
    dims
        How many axes count the arrays, and how many are of one array; by default 1 and the rest.
    nda, shape, dtype, fill_val, attrs
        See `Array`.
    """

    kind = datatype.EQUAL_SIZED

    def __init__(
        self,
        dims: tuple[int, ...] | None = None,
        nda: ArrayLike | None = None,
        shape: int | tuple[int, ...] = (),
        dtype: DTypeLike | None = None,
        fill_val: Any = None,
        attrs: Mapping[str, Any] | None = None,
    ) -> None:
        self.dims = dims
        if nda is None and not isinstance(shape, int) and len(shape) < 2:
            shape = (*shape, 0) if shape else (0, 0)
        super().__init__(nda, shape, dtype, fill_val, attrs)
        if self.ndim < 2 or (dims is not None and sum(dims) != self.ndim):
            raise LH5EncodeError(
                "The array does not consist of arrays",
                expected=f"{2 if dims is None else sum(dims)} axes",
                seen=self.ndim,
            )

    def _dims(self) -> tuple[int, ...]:
        return self.dims or (1, self.ndim - 1)

    def _like(self, values: NDArray[Any]) -> Self:
        return type(self)(self.dims, nda=values, attrs=self.attrs)

    def resize_inner(self, length: int) -> None:
        """Change the length of every array, keeping what fits; new samples are zero."""
        old = self._storage
        kept = min(length, old.shape[1])
        new = np.zeros((len(old), length, *old.shape[2:]), old.dtype)
        if kept:
            new[: self._size, :kept] = old[: self._size, :kept]
        self._storage = new

    @property
    def row_bytes(self) -> int:
        """Bytes of one array."""
        return self.dtype.itemsize * math.prod(self.shape[1:])


def _values(block: ArrayLike) -> NDArray[Any]:
    return block.nda if isinstance(block, Array) else np.asarray(block)
