"""Rows on their way into a growing HDF5 dataset: whole chunks at once, the rest when flushed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.hdf5 import h5py

__all__ = ["GrowingRows"]


class GrowingRows:
    """Gathers rows up to a chunk; memory is that of one chunk.

    Chunks of datasets without filters go past the library's own copying. A chunk that was flushed in
    part is kept, and written again when it is full.

    Parameters
    ----------
    dataset
        An empty `h5py.Dataset` whose chunks span its rows, without limit on its first axis.
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._record: tuple[int, ...] = tuple(dataset.shape[1:])
        self._buffer = np.empty((dataset.chunks[0], *self._record), dataset.dtype)
        self._begin = 0  # row that the chunk begins with
        self._filled = 0  # rows of it that have come
        self._flushed = 0  # rows of it in the dataset
        native = dataset.id.get_type().equal(h5py().h5t.py_create(dataset.dtype, logical=True))
        self._direct = bool(native) and not dataset.id.get_create_plist().get_nfilters()

    def append(self, values: NDArray[Any]) -> None:
        """Take rows; chunks that are full are written."""
        at, chunk = 0, len(self._buffer)
        while at < len(values):
            count = min(chunk - self._filled, len(values) - at)
            rows = values[at : at + count]
            if count == chunk:
                self._write(rows)
            else:
                self._buffer[self._filled : self._filled + count] = rows
                self._filled += count
                if self._filled == chunk:
                    self._write(self._buffer)
            at += count

    def _write(self, rows: NDArray[Any]) -> None:
        """Write a whole chunk."""
        end = self._begin + len(rows)
        self._dataset.id.set_extent((end, *self._record))
        if self._direct:
            data = np.ascontiguousarray(rows, self._buffer.dtype).reshape(-1).view(np.uint8)
            self._dataset.id.write_direct_chunk((self._begin, *(0,) * len(self._record)), data)
        else:
            self._dataset[self._begin : end] = rows
        self._begin, self._filled, self._flushed = end, 0, 0

    def flush(self) -> None:
        """Put everything taken into the dataset."""
        if self._filled == self._flushed:
            return
        end = self._begin + self._filled
        self._dataset.id.set_extent((end, *self._record))
        self._dataset[self._begin + self._flushed : end] = self._buffer[self._flushed : self._filled]
        self._flushed = self._filled
