"""A table of an HDF5 file read by whole chunks, decompressed in threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError
from sapwood.fileio.slowsignal.chunkfilter import ChunkFilter
from sapwood.fileio.slowsignal.errors import TornChunk
from sapwood.fileio.slowsignal.layout import TableLayout
from sapwood.fileio.workers import ahead

__all__ = ["TableReader"]

_CACHE_BYTES = 64 << 20  # of rows kept decompressed


class TableReader:
    """Rows of a table.

    Parameters
    ----------
    node
        The dataset. Its columns are taken by name; those that `layout` does not have are left out.
    layout
        What its rows are to be.

    Raises
    ------
    TornChunk
        When its columns are others.
    """

    def __init__(self, node: Any, layout: TableLayout, file: str) -> None:
        self._node, self._layout, self._file = node, layout, file
        missing = [name for name in layout.dtype.names or () if name not in (node.dtype.names or ())]
        wrong = [name for name in layout.dtype.names or () if name not in missing and
                 node.dtype[name].shape != layout.dtype[name].shape]  # fmt: skip
        if missing or wrong or node.ndim != 1:
            raise TornChunk(
                f"Table {node.name} has other columns", file=file, expected=layout.dtype, seen=node.dtype
            )
        self._filters = ChunkFilter.stored(node)
        self._dtype = node.dtype  # made anew each time a node is asked
        self._cache: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()
        self.chunk_rows = node.chunks[0] if node.chunks else max(len(node), 1)
        self._most_cached = max(_CACHE_BYTES // (self.chunk_rows * layout.dtype.itemsize), 1)

    def __len__(self) -> int:
        return int(self._node.shape[0])

    def row(self, index: int) -> Any:
        """Return row `index`, 0 to len - 1."""
        number, place = divmod(index, self.chunk_rows)
        return self._kept(number)()[place]

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Return rows `start` to `stop` in one array."""
        parts = list(self.pieces(start, stop))
        return np.concatenate(parts) if parts else np.zeros(0, self._layout.dtype)

    def pieces(self, start: int, stop: int) -> Iterator[NDArray[Any]]:
        """Yield rows `start` to `stop`, chunk by chunk, decompressing ahead."""
        if stop <= start:
            return
        numbers = range(start // self.chunk_rows, (stop - 1) // self.chunk_rows + 1)
        for number, chunk in zip(numbers, ahead(map(self._job, numbers)), strict=True):
            first = number * self.chunk_rows
            yield chunk[max(start - first, 0) : stop - first]

    def picked(self, numbers: NDArray[np.intp]) -> NDArray[Any]:
        """Return rows `numbers`, shape (n,), each 0 to len - 1, in that order; each chunk is decoded once."""
        chunk, place = np.divmod(numbers, self.chunk_rows)
        order = np.argsort(chunk, kind="stable")
        wanted, begins = np.unique(chunk[order], return_index=True)
        found = np.empty(len(numbers), self._layout.dtype)
        groups = np.split(order, begins[1:])
        for group, rows in zip(groups, ahead(map(self._kept, wanted.tolist())), strict=False):
            found[group] = rows[place[group]]
        return found

    def _kept(self, number: int) -> Callable[[], NDArray[Any]]:
        """Return what gives a chunk: from the cache, or decoded and put there."""
        with self._lock:
            found = self._cache.get(number)
            if found is not None:
                self._cache.move_to_end(number)
                return lambda: found
        return partial(self._keep, number, self._job(number))

    def _keep(self, number: int, decode: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        chunk = decode()
        with self._lock:
            self._cache[number] = chunk
            if len(self._cache) > self._most_cached:
                self._cache.popitem(last=False)
        return chunk

    def _job(self, number: int) -> Callable[[], NDArray[Any]]:
        """Read the stored bytes of a chunk; return what decodes them."""
        first = number * self.chunk_rows
        last = min(first + self.chunk_rows, len(self))
        if self._filters is None:
            rows = self._by_library(first, last)
            return lambda: rows
        try:
            mask, stored = self._node.id.read_direct_chunk((first,))
        except (OSError, RuntimeError, MemoryError) as error:  # memory: for a damaged size
            if self._is_written(first):
                raise self._torn(first, last, str(error) or "its size is damaged") from error
            return partial(np.zeros, last - first, self._layout.dtype)  # the fill value
        return partial(self._decoded, self._filters, stored, mask, first, last)

    def _is_written(self, first: int) -> bool:
        """Tell whether the chunk of row `first` was written, or may have been: its entry is damaged."""
        try:
            return self._node.id.get_chunk_info_by_coord((first,)).byte_offset is not None
        except (OSError, RuntimeError):
            return True

    def _torn(self, first: int, last: int, why: str) -> TornChunk:
        what = f"Rows {first} to {last - 1} of table {self._node.name} are damaged: {why}"
        return TornChunk(what, file=self._file)

    def _decoded(self, filters: ChunkFilter, stored: bytes, mask: int, first: int, last: int) -> NDArray[Any]:
        try:
            rows = filters.decode(stored, mask, self._dtype, self.chunk_rows)
        except TornChunk as error:
            torn = self._torn(first, last, error.args[0])
            torn.expected, torn.seen = error.expected, error.seen
            raise torn from error
        return self._as_layout(rows[: last - first])

    def _by_library(self, first: int, last: int) -> NDArray[Any]:
        try:
            return self._as_layout(self._node[first:last])
        except OSError as error:
            raise FileError(
                f"Rows {first} to {last - 1} of table {self._node.name} cannot be read",
                file=self._file,
                seen=str(error),
                hint="The filters of HDF5 come with: pip install 'sapwood[export]'",
            ) from error

    def _as_layout(self, rows: NDArray[Any]) -> NDArray[Any]:
        if rows.dtype == self._layout.dtype:
            return rows
        made = np.zeros(len(rows), self._layout.dtype)
        for name in self._layout.dtype.names or ():
            made[name] = rows[name]
        return made
