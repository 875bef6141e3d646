"""A table of an HDF5 file that rows are appended to, its chunks compressed in threads."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.hdf5 import h5py
from sapwood.fileio.slowsignal.chunkfilter import ChunkFilter
from sapwood.fileio.slowsignal.layout import TableLayout, put_table_attributes
from sapwood.fileio.workers import WORKERS, submit

__all__ = ["TableWriter"]

_DEPTH = 2 * WORKERS  # chunks in work, at most


class TableWriter:
    """Appends rows to a new table.

    Full chunks are compressed while the next ones fill; `flush` writes the last, partial one too.

    Parameters
    ----------
    group
        Where the table is made.
    layout, filters
        What it consists of.
    """

    def __init__(self, group: Any, layout: TableLayout, filters: ChunkFilter) -> None:
        self._filters = filters
        self._chunk = np.zeros(layout.chunk_rows, layout.dtype)
        self._fill = 0
        self._first = 0  # row of the chunk being filled
        self._waiting: deque[tuple[int, NDArray[Any], Future[bytes]]] = deque()
        self._free: list[NDArray[Any]] = []  # chunks that were encoded, to be filled again
        self.node = _create(group, layout, filters)
        put_table_attributes(self.node, layout)

    @property
    def rows(self) -> int:
        """Rows appended."""
        return self._first + self._fill

    @property
    def next_row(self) -> Any:
        """The row to be filled in before `append`; its values are those of an earlier row."""
        return self._chunk[self._fill]

    def append(self) -> None:
        """Take the row filled in."""
        self._fill += 1
        if self._fill == len(self._chunk):
            self._hand_over()

    def extend(self, rows: NDArray[Any]) -> None:
        """Append rows of the table's type."""
        done = 0
        while done < len(rows):
            count = min(len(self._chunk) - self._fill, len(rows) - done)
            self._chunk[self._fill : self._fill + count] = rows[done : done + count]
            self._fill += count
            done += count
            if self._fill == len(self._chunk):
                self._hand_over()

    def _hand_over(self) -> None:
        chunk = self._chunk
        self._waiting.append((self._first, chunk, submit(self._filters.encode, chunk)))
        self._first += len(chunk)
        self._chunk, self._fill = self._free.pop() if self._free else np.zeros_like(chunk), 0
        while len(self._waiting) > _DEPTH or (self._waiting and self._waiting[0][2].done()):
            self._store()

    def _store(self) -> None:
        first, chunk, encoded = self._waiting.popleft()
        self._put(first, encoded.result(), first + len(chunk))
        self._free.append(chunk)

    def _put(self, first: int, stored: bytes, rows: int) -> None:
        if rows > self.node.shape[0]:
            self.node.resize(rows, axis=0)
        self.node.id.write_direct_chunk((first,), stored)

    def flush(self) -> None:
        """Write everything appended, and the number of rows."""
        partial = self._encoded_part()
        while self._waiting:
            self._store()
        if partial is not None:
            self._put(self._first, partial.result(), self.rows)
        if self.node.attrs["NROWS"] != self.rows:
            self.node.attrs.modify("NROWS", np.int64(self.rows))

    def _encoded_part(self) -> Future[bytes] | None:
        """Begin to encode the rows of a partial chunk; None when there are none, or no new ones."""
        if not self._fill or self.node.shape[0] == self.rows:
            return None
        whole = self._chunk.copy()
        whole[self._fill :] = np.zeros((), whole.dtype)
        return submit(self._filters.encode, whole)


def _create(group: Any, layout: TableLayout, filters: ChunkFilter) -> Any:
    h5 = h5py()
    plist = h5.h5p.create(h5.h5p.DATASET_CREATE)
    plist.set_chunk((layout.chunk_rows,))
    filters.apply_to(plist, layout.dtype.itemsize)
    space = h5.h5s.create_simple((0,), (h5.h5s.UNLIMITED,))
    kind = h5.h5t.py_create(layout.dtype)
    made = h5.h5d.create(group.id, layout.name.encode(), kind, space, plist)
    return h5.Dataset(made)
