"""Rows of one dataset, a range or a list of them: whole chunks are unpacked in threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.lh5.chunks import Layout, layout_of, refuse_bombs
from sapwood.fileio.lh5.deflate import decompress
from sapwood.fileio.lh5.errors import LH5DecodeError
from sapwood.fileio.workers import WORKERS, submit

__all__ = ["Selection", "read_rows"]

_FEW_BYTES = 1 << 16  # less than this is read by HDF5 itself
_PIECE_BYTES = 16 << 20  # unpacked at once to pick rows of a list from
_FAULTS = (OSError, RuntimeError, ValueError, TypeError, KeyError, OverflowError)

Selection = slice | NDArray[np.int64]
"""Rows: a range with both ends, step 1; or their numbers, ascending."""


def read_rows(dataset: Any, rows: Selection) -> NDArray[Any]:
    """Return the selected rows of `dataset`.

    Raises
    ------
    LH5DecodeError
        When they cannot be read.
    """
    try:
        if isinstance(rows, slice):
            return _range(dataset, rows.start, rows.stop)
        return _listed(dataset, rows)
    except LH5DecodeError as error:
        raise LH5DecodeError(
            f"{dataset.name} cannot be read: {error.text}",
            file=dataset.file.filename,
            expected=error.expected,
            seen=error.seen,
        ) from error
    except _FAULTS as error:
        raise LH5DecodeError(
            f"{dataset.name} cannot be read", file=dataset.file.filename, seen=str(error)
        ) from error


def _listed(dataset: Any, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return rows by their numbers: read in pieces, those without any left out."""
    refuse_bombs(dataset, len(rows))
    out = np.empty((len(rows), *dataset.shape[1:]), dataset.dtype)
    size = dataset.chunks[0] if dataset.chunks else 1
    row_bytes = max(1, out.nbytes // max(1, len(rows)))
    step = max(1, _PIECE_BYTES // (row_bytes * size)) * size
    done = 0
    while done < len(rows):
        first = int(rows[done])
        end = int(np.searchsorted(rows, (first // size) * size + step))
        wanted = rows[done:end]
        piece = _range(dataset, first, int(wanted[-1]) + 1)
        out[done:end] = piece[wanted - first]
        done = end
    return out


def _range(dataset: Any, start: int, stop: int) -> NDArray[Any]:
    count = max(0, stop - start)
    refuse_bombs(dataset, count)
    layout = layout_of(dataset)
    shape = (count, *dataset.shape[1:])
    nbytes = int(np.prod(shape)) * dataset.dtype.itemsize
    if layout is None or nbytes < _FEW_BYTES or not _all_chunks_there(dataset, layout, shape):
        found: NDArray[Any] = np.asarray(dataset[start:stop])
        return found
    out = np.empty(shape, dataset.dtype)
    waiting: deque[Future[None]] = deque()
    try:
        for corner in _corners(layout, start, stop, shape[1:]):
            mask, stored = dataset.id.read_direct_chunk(corner)
            waiting.append(submit(_unpack, stored, mask, layout, corner, out, start))
            if len(waiting) > 8 * WORKERS:
                waiting.popleft().result()
    finally:
        for future in waiting:  # they write into memory that must not go away
            future.exception()
    for future in waiting:
        future.result()
    return out


def _all_chunks_there(dataset: Any, layout: Layout, shape: tuple[int, ...]) -> bool:
    """Tell whether no chunk was left out (HDF5 fills such with the fill value)."""
    in_file = [-(-size // step) for size, step in zip(dataset.shape, layout.shape, strict=True)]
    return bool(dataset.id.get_num_chunks() == int(np.prod(in_file, dtype=np.int64)) and all(shape))


def _corners(layout: Layout, start: int, stop: int, inner: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    size = layout.shape[0]
    for row in range(start // size * size, stop, size):
        for rest in layout.tiles(inner):
            yield (row, *rest)


def _unpack(
    stored: bytes, mask: int, layout: Layout, corner: tuple[int, ...], out: NDArray[Any], start: int
) -> None:
    """Put the rows of one chunk where they belong in `out`, whose first row is row `start`."""
    first, last = max(corner[0], start), min(corner[0] + layout.shape[0], start + len(out))
    place: tuple[slice, ...] = (slice(first - start, last - start),)
    place += tuple(slice(a, a + n) for a, n in zip(corner[1:], layout.shape[1:], strict=True))
    target = out[place]
    whole = target.shape == layout.shape and mask == 0
    chunk = target if whole else np.empty(layout.shape, out.dtype)
    _apply(stored, mask, layout, chunk)
    if not whole:
        skip = first - corner[0]
        target[...] = chunk[(slice(skip, skip + len(target)), *(slice(n) for n in target.shape[1:]))]


def _apply(stored: bytes, mask: int, layout: Layout, chunk: NDArray[Any]) -> None:
    """Undo the filters of a chunk; bits of `mask` name those that were left out."""
    deflate_bit = 2 if layout.shuffle else 1
    if mask & deflate_bit:
        if len(stored) != chunk.nbytes or (layout.shuffle and not mask & 1):
            raise LH5DecodeError("A chunk is stored in an unusual way", seen=f"filter mask {mask}")
        chunk.reshape(-1).view(np.uint8)[:] = np.frombuffer(stored, np.uint8)
        return
    decompress(stored, chunk, layout.shuffle and not mask & 1)
