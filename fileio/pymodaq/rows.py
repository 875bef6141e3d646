"""Rows on their way into a growing dataset: gathered in memory, written a chunk at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError
from sapwood.fileio import hdf5, hdf5faults
from sapwood.fileio.pymodaq.errors import NodeError

__all__ = ["FixedRows", "RaggedRows", "chunk_shape", "write_ragged"]

_ONE = (1,)
_CHUNK_BYTES = 64 << 10  # of records smaller than this
_LARGEST_CHUNK = 1 << 20
_RAGGED_ROWS, _RAGGED_BYTES = 1024, 1 << 20  # gathered before they are written


def chunk_shape(record: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the chunks for records of that shape: whole records, or equal pieces of a large one."""
    size = max(1, math.prod(record) * itemsize)
    if size <= _LARGEST_CHUNK:
        return (max(1, _CHUNK_BYTES // size), *(max(1, length) for length in record))
    piece = list(record)
    for axis, length in enumerate(record):
        rest = max(1, math.prod(piece[axis + 1 :]) * itemsize)
        piece[axis] = max(1, min(length, _LARGEST_CHUNK // rest))
        if rest <= _LARGEST_CHUNK:
            break
    return (1, *piece)


def _stored_as_in_memory(dataset: Any) -> bool:
    """Tell whether the bytes of a chunk are those of the array: no filter, no conversion."""
    if dataset.id.get_create_plist().get_nfilters():
        return False
    same: bool = dataset.id.get_type().equal(hdf5.h5py().h5t.py_create(dataset.dtype, logical=True))
    return same and not dataset.dtype.hasobject


class _Rows:
    """Rows bound for `dataset`; every method is called with the lock of the file held.

    Parameters
    ----------
    dataset
        An `h5py.Dataset` without limit on its first axis.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.stored = int(dataset.shape[0])
        self.closed = False  # whoever has this asks the file for the rows anew
        self.grew = False  # the attribute of the shape is old

    def _extend(self, count: int, write: Callable[[int], None]) -> None:
        """Make room for rows and let `write` fill it from a row on; undo it when that fails."""
        begin, record = self.stored, tuple(self.dataset.shape[1:])
        try:
            self.dataset.id.set_extent((begin + count, *record))
            write(begin)
        except Exception as error:  # noqa: BLE001  # raised again, as few words
            self.dataset.id.set_extent((begin, *record))
            cause = hdf5faults.refusal(error) or error
            raise FileError(
                f"Rows could not be written to {self.dataset.name}",
                file=self.dataset.file.filename,
                seen=getattr(cause, "strerror", None) or str(cause),
            ) from cause
        self.stored = begin + count
        self.grew = True


class FixedRows(_Rows):
    """Rows of equal shape."""

    def __init__(self, dataset: Any) -> None:
        super().__init__(dataset)
        self.record: tuple[int, ...] = tuple(dataset.shape[1:])
        self.dtype: np.dtype[Any] = dataset.dtype
        self.waiting = 0
        self._ones = self.record == (1,) or self.record == ()
        self._chunk = tuple(dataset.chunks)
        self._direct = self._chunk[1:] == self.record and _stored_as_in_memory(dataset)
        self._buffer = np.empty((self._chunk[0], *self.record), self.dtype)
        self._limit = self._room()

    def _room(self) -> int:
        """Return the rows to gather until a chunk is full."""
        return int(self._chunk[0] - self.stored % self._chunk[0])

    def append(self, data: NDArray[Any], expand: bool) -> None:
        """Take one record or several; those that fill a chunk are written.

        Raises
        ------
        ValueError
            When the shape does not fit; nothing has changed then.
        """
        waiting, shape = self.waiting, data.shape
        if shape == _ONE and self._ones:
            self._buffer[waiting] = data[0]
            self.waiting = waiting + 1
        elif shape == self.record:
            if self._chunk[0] == 1:
                self._write(data.astype(self.dtype, copy=False)[None])
                return
            self._buffer[waiting] = data
            self.waiting = waiting + 1
        else:
            self._take_many(self._fitted(data, expand))
        if self.waiting >= self._limit:
            self.commit()

    def _fitted(self, data: NDArray[Any], expand: bool) -> NDArray[Any]:
        """Return `data` as an array of records."""
        if expand and data.ndim == 1 and self._ones:
            data = data[:, None]
        one = tuple(length for length in data.shape[1:] if length != 1)
        if one != tuple(length for length in self.record if length != 1):
            raise NodeError(
                f"Data of shape {data.shape} cannot be appended to {self.dataset.name}",
                expected=f"records of shape {self.record}",
                seen=data.shape,
            )
        return data.reshape(len(data), *self.record)

    def _take_many(self, data: NDArray[Any]) -> None:
        count = len(data)
        if self.waiting + count <= len(self._buffer):
            self._buffer[self.waiting : self.waiting + count] = data
            self.waiting += count
            return
        values = data.astype(self.dtype, copy=False)  # first: what cannot be cast changes nothing
        self.commit()
        self._write(values)

    def commit(self) -> None:
        """Write what was gathered into the dataset.

        Raises
        ------
        FileError
            When the disk refuses; the rows are kept and the dataset is as it was.
        """
        if self.waiting:
            self._write(self._buffer[: self.waiting])
            self.waiting = 0
            self._limit = self._room()

    def _write(self, values: NDArray[Any]) -> None:
        self._extend(len(values), lambda begin: self._put(begin, values))
        self._limit = self._room()

    def _put(self, begin: int, values: NDArray[Any]) -> None:
        """Write whole chunks past the library's own copying, and the rest through it."""
        rows, at = self._chunk[0], 0
        if self._direct and begin % rows == 0:
            data = np.ascontiguousarray(values)
            for at in range(0, len(data) - rows + 1, rows):
                piece = data[at : at + rows].reshape(-1).view(np.uint8)
                self.dataset.id.write_direct_chunk((begin + at, *(0,) * len(self.record)), piece)
            at = len(data) // rows * rows
        if at < len(values):
            self.dataset[begin + at : begin + len(values)] = values[at:]


def write_ragged(dataset: Any, begin: int, values: NDArray[Any]) -> None:
    """Write rows below the convenience layer of h5py, which takes rows of equal length for a 2-D array."""
    h5 = hdf5.h5py()
    space = dataset.id.get_space()
    space.select_hyperslab((begin,), values.shape)
    dataset.id.write(h5.h5s.create_simple(values.shape), space, values, h5.h5t.py_create(dataset.dtype))


class RaggedRows(_Rows):
    """Rows of their own length."""

    def __init__(self, dataset: Any) -> None:
        super().__init__(dataset)
        self._rows: list[NDArray[Any]] = []
        self._bytes = 0
        self._base = hdf5.h5py().check_vlen_dtype(dataset.dtype)

    def append(self, data: NDArray[Any], expand: bool) -> None:
        """Take one row of any length; when enough were gathered they are written."""
        row = np.array(data, dtype=self._base).reshape(-1)
        self._rows.append(row)
        self._bytes += row.nbytes
        if len(self._rows) >= _RAGGED_ROWS or self._bytes >= _RAGGED_BYTES:
            self.commit()

    def commit(self) -> None:
        """Write what was gathered into the dataset.

        Raises
        ------
        FileError
            When the disk refuses; the rows are kept.
        """
        if not self._rows:
            return
        values = np.empty(len(self._rows), dtype=self.dataset.dtype)
        for at, row in enumerate(self._rows):
            values[at] = row
        self._extend(len(values), lambda begin: write_ragged(self.dataset, begin, values))
        self._rows, self._bytes = [], 0
