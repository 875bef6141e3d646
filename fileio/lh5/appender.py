"""Rows appended to one dataset: whole chunks are compressed in threads and written as they are."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.lh5.chunks import Layout
from sapwood.fileio.lh5.creating import Stored
from sapwood.fileio.lh5.deflate import compress
from sapwood.fileio.lh5.errors import LH5EncodeError
from sapwood.fileio.workers import WORKERS, submit

__all__ = ["Appender", "ChunkQueue", "cast"]

_WAITING_BYTES = 16 << 20  # of chunks not written yet
_SMALL = 1 << 15  # bytes of a chunk that is packed sooner than a thread takes it


class ChunkQueue:
    """Chunks being compressed, of any datasets; written in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Any, tuple[int, ...], int, Future[bytes]]] = deque()
        self._nbytes = 0  # of those that wait
        self._written = 0

    def put(self, stored: Stored, layout: Layout, at: tuple[int, ...], chunk: NDArray[Any]) -> None:
        """Compress `chunk` and write it at `at`; its memory must not change until `drain`."""
        if chunk.nbytes < _SMALL:
            stored.id.write_direct_chunk(at, compress(chunk, layout.shuffle, layout.level))
            return
        packed = submit(compress, chunk, layout.shuffle, layout.level)
        self._waiting.append((stored.id, at, chunk.nbytes, packed))
        self._nbytes += chunk.nbytes
        while self._nbytes > _WAITING_BYTES and len(self._waiting) > 2 * WORKERS:
            self._write_one()

    @property
    def end(self) -> int:
        """How many chunks came."""
        return self._written + len(self._waiting)

    def drain(self, end: int | None = None) -> None:
        """Write everything, or what came before `end` was as it is given."""
        while self._waiting and (end is None or self._written < end):
            self._write_one()

    def _write_one(self) -> None:
        dataset, at, nbytes, packed = self._waiting[0]
        stored = packed.result()  # an interrupt comes while this waits: the chunk stays in the queue
        self._waiting.popleft()
        self._nbytes -= nbytes
        self._written += 1
        dataset.write_direct_chunk(at, stored)


class Appender:
    """Writes rows at the end of a dataset.

    With gzip (and shuffle), rows that do not fill a chunk are kept in memory until it is full or
    `flush` is called. All else is left to HDF5.

    Parameters
    ----------
    stored
        The dataset.
    queue
        Takes the chunks.
    rows
        That it has.
    """

    def __init__(self, stored: Stored, queue: ChunkQueue, rows: int) -> None:
        self._stored = stored
        self._queue = queue
        self._layout = stored.layout
        self.rows = rows
        self._extent = rows  # rows in the file
        self._start = rows  # the first row in memory
        self._held: NDArray[Any] | None = None  # a chunk of rows
        self._dirty = False
        over = rows % self._layout.shape[0] if self._layout else 0
        if over:
            self._start = rows - over
            self._hold(stored.dataset[self._start :])

    def append(self, values: NDArray[Any]) -> None:
        """Append rows, shape (n, ...).

        Raises
        ------
        LH5EncodeError
            When they are of another shape or type than those there.
        """
        inner = self._stored.inner
        if values.shape[1:] != inner:
            dataset = self._stored.dataset
            raise LH5EncodeError(
                f"Rows for {dataset.name} have another shape",
                file=dataset.file.filename,
                expected=inner,
                seen=values.shape[1:],
            )
        if values.dtype != self._stored.dtype:
            values = cast(values, self._stored.dataset)
        if self._layout is not None:
            self._append_chunks(values, self._layout)
        elif len(values):
            dataset = self._stored.dataset
            dataset.resize(self.rows + len(values), axis=0)
            dataset[self.rows :] = values
            self.rows += len(values)

    def _append_chunks(self, values: NDArray[Any], layout: Layout) -> None:
        size, held = layout.shape[0], self.rows - self._start
        self.rows += len(values)
        whole = self.rows - self.rows % size
        if whole > self._extent:
            self._grow(whole)
        taken = min(len(values), size - held) if held else 0
        if held:
            self._hold(values[:taken], held)
        if self._held is not None and held + taken == size:
            self._send(self._held, self._start, layout)
            self._held, self._start = None, self._start + size
        while self._start < whole:
            self._send(values[taken : taken + size], self._start, layout)
            taken, self._start = taken + size, self._start + size
        if taken < len(values):
            self._hold(values[taken:])
        self._dirty = self.rows > self._start

    def _hold(self, values: NDArray[Any], at: int = 0) -> None:
        """Keep rows in memory, from row `at` of the last chunk on."""
        if self._held is None:
            size = self._layout.shape[0] if self._layout else len(values)
            self._held = np.zeros((size, *self._stored.inner), self._stored.dtype)
        self._held[at : at + len(values)] = values

    def _send(self, rows: NDArray[Any], start: int, layout: Layout) -> None:
        """Write chunks for one chunk of rows, which begins at row `start`."""
        inner = rows.shape[1:]
        if inner == layout.shape[1:]:
            self._queue.put(self._stored, layout, (start, *(0 for _ in inner)), rows)
            return
        for corner in layout.tiles(inner):
            tile = rows[
                (slice(None), *(slice(a, a + n) for a, n in zip(corner, layout.shape[1:], strict=True)))
            ]
            if tile.shape != layout.shape:
                part, tile = tile, np.zeros(layout.shape, rows.dtype)
                tile[tuple(map(slice, part.shape))] = part
            self._queue.put(self._stored, layout, (start, *corner), tile)

    def _grow(self, rows: int) -> None:
        self._stored.grow(rows)
        self._extent = rows

    def flush(self) -> None:
        """Write the last chunk, though it is not full, by way of the queue, which must be drained then."""
        if self._layout is None or not self._dirty or self._held is None:
            return
        self._grow(self.rows)
        used = self.rows - self._start
        self._held[used:] = np.zeros((), self._held.dtype)
        self._send(self._held, self._start, self._layout)
        self._dirty = False


def cast(values: NDArray[Any], dataset: Any) -> NDArray[Any]:
    """Return `values` as `dataset` keeps them.

    Raises
    ------
    LH5EncodeError
        When that would change them.
    """
    if values.dtype == dataset.dtype or dataset.dtype.kind not in "biufc":
        return values
    with np.errstate(invalid="ignore"):
        found = values.astype(dataset.dtype)
    if not np.array_equal(found, values, equal_nan=values.dtype.kind in "fc"):
        raise LH5EncodeError(
            f"Rows for {dataset.name} have another type",
            file=dataset.file.filename,
            expected=dataset.dtype,
            seen=values.dtype,
        )
    return found
