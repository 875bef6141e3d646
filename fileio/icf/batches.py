"""Runs of objects as frames: columns over the mapped file, or over expanded bunches."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.icf.block import Block
from sapwood.fileio.icf.source import Source
from sapwood.streams import FrameBatch

__all__ = ["batches_of"]

_JOINED_BYTES = 1 << 20  # of small bunches that are expanded, in one batch

Columns = tuple[NDArray[np.int64], NDArray[np.int64]]


def batches_of(
    source: Source,
    nbytes: int,
    damaged: Callable[[int, int], Exception] | None,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[FrameBatch]:
    """Yield objects `start` to ``stop - 1`` as frames, about `nbytes` of the file at a time.

    Parameters
    ----------
    damaged
        Makes the error for object and run that are damaged, raised behind the objects before them;
        None leaves damaged objects out.
    """
    index = source.index
    last = index.count if stop is None else min(stop, index.count)
    if start >= last:
        return
    runs = range(index.locate(start), index.locate(last - 1) + 1)
    waiting: list[Columns] = []
    expanded: list[FrameBatch] = []
    size = 0
    done = runs.start  # runs before this one are no longer needed
    failed: Exception | None = None
    for run, block in source.blocks(runs):
        first = index.first[run]
        rows = slice(max(start - first, 0), last - first)
        if isinstance(block, Exception):
            if damaged is None:
                continue
            failed = block
            break
        bad = _first_bad(block, rows)
        if damaged is not None and bad is not None:
            failed = damaged(first + bad, run)
            rows = slice(rows.start, bad)
        columns = _columns(block, rows)
        if source.compressed:
            expanded.append(FrameBatch(block.data, *columns))
            size += len(block.data)
            if size >= min(nbytes, _JOINED_BYTES):
                yield from _split(_joined(expanded), nbytes)
                expanded, size = [], 0
                source.release(done, run)
                done = run + 1
            if failed is not None:
                break
            continue
        base = 0 if block.placed else index.runs[run].begin
        waiting.append((columns[0] + base if base else columns[0], columns[1]))
        size += index.runs[run].end - index.runs[run].begin
        if size >= nbytes:
            yield from _split(_mapped(source, waiting), nbytes)
            waiting, size = [], 0
            source.release(done, run)
            done = run + 1
        if failed is not None:
            break
    if expanded:
        yield from _split(_joined(expanded), nbytes)
    if waiting:
        yield from _split(_mapped(source, waiting), nbytes)
    if failed is not None:
        raise failed


def _first_bad(block: Block, rows: slice) -> int | None:
    """Return the first damaged object among `rows`."""
    bad = block.bad
    there = bad[(bad >= rows.start) & (bad < rows.stop)] if len(bad) else bad
    return int(there[0]) if len(there) else None


def _columns(block: Block, rows: slice) -> Columns:
    """Return starts and sizes of the whole objects among `rows`."""
    bad = block.bad
    if not len(bad):
        return block.starts[rows], block.sizes[rows]
    keep = np.ones(len(block), np.bool_)
    keep[bad] = False
    keep[: rows.start] = False
    keep[rows.stop :] = False
    return block.starts[keep], block.sizes[keep]


def _mapped(source: Source, columns: list[Columns]) -> FrameBatch:
    starts, sizes = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    return FrameBatch(source.map.data, starts, sizes)


def _joined(batches: list[FrameBatch]) -> FrameBatch:
    return batches[0] if len(batches) == 1 else FrameBatch.concat(batches)


def _split(batch: FrameBatch, nbytes: int) -> Iterator[FrameBatch]:
    """Yield `batch`, in pieces where a run is far larger than what was asked for."""
    if batch.nbytes <= 2 * nbytes:
        if len(batch):
            yield batch
        return
    yield from batch.split(nbytes)
