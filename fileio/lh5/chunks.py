"""Chunks of an HDF5 dataset: how large, where, and whether they can be packed outside of HDF5."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from sapwood.fileio.lh5.errors import LH5DecodeError

__all__ = ["Layout", "chunk_shape", "layout_of", "refuse_bombs"]

_CHUNK_BYTES = 1 << 17  # of a new dataset, at most, unless a row is longer
_TOGETHER = 168  # rows of a chunk, about, where rows are long: their samples of about the same time pack best
_HELD_BYTES = 4 << 20  # of all samples of such rows, at most: so many wait in memory until they fill chunks
_LEAST_BYTES = 1 << 13  # so that tables that begin with few rows do not end with tiny chunks
_DEFLATE, _SHUFFLE = 1, 2  # numbers of HDF5's filters
_LEAST_TILE = 256  # samples
_FREE_BYTES = 64 << 20
_RATIO = 4096  # unpacked bytes for one stored, at most


@dataclass(frozen=True, slots=True)
class Layout:
    """How a dataset of chunks is stored.

    Parameters
    ----------
    shape
        Of a chunk.
    shuffle, level
        Its filters: shuffle or not, then gzip of this level.
    """

    shape: tuple[int, ...]
    shuffle: bool
    level: int

    def tiles(self, inner: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """Yield where chunks of a row of shape `inner` begin, in its axes."""
        spans = (range(0, size, step) for size, step in zip(inner, self.shape[1:], strict=True))
        return product(*spans)


def chunk_shape(rows: int, inner: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return a chunk shape for a dataset that begins with `rows` rows of shape `inner`.

    Long rows, such as traces, are cut: a chunk holds a part of some dozens of them.
    """
    row_bytes = max(1, itemsize * math.prod(inner))
    least, most = max(1, _LEAST_BYTES // row_bytes), max(1, _CHUNK_BYTES // row_bytes)
    cut = list(inner)
    for axis, size in enumerate(cut):  # one row is larger than a chunk should be
        rest = itemsize * math.prod(cut[axis + 1 :])
        if size * rest <= 8 * _CHUNK_BYTES:
            break
        cut[axis] = max(1, _CHUNK_BYTES // max(1, rest))
    if len(inner) == 1 and rows > most:
        held, short = _HELD_BYTES // (most * row_bytes), inner[0] // _LEAST_TILE
        tiles = max(1, min(-(-_TOGETHER // most), -(-rows // most), held, short))
        return (min(rows, most * tiles), -(-cut[0] // tiles))
    return (min(max(rows, least), most), *(max(1, size) for size in cut))


def layout_of(dataset: Any) -> Layout | None:
    """Return how `dataset` is stored if its chunks are shuffled and gzipped; None if anything else."""
    if dataset.chunks is None or dataset.dtype.kind not in "biufc" or not dataset.dtype.isnative:
        return None
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(i) for i in range(settings.get_nfilters())]
    codes = [found[0] for found in filters]
    if codes not in ([_DEFLATE], [_SHUFFLE, _DEFLATE]):
        return None
    return Layout(dataset.chunks, len(codes) == 2, int(filters[-1][2][0]))


def refuse_bombs(dataset: Any, rows: int) -> None:
    """Make sure that `rows` rows of `dataset` may be there before memory is taken for them.

    Raises
    ------
    LH5DecodeError
        When they are far more than what is stored can hold.
    """
    wanted = rows * dataset.dtype.itemsize * math.prod(dataset.shape[1:])
    stored = min(dataset.id.get_storage_size(), dataset.file.id.get_filesize())
    if wanted > max(_FREE_BYTES, stored * _RATIO):
        raise LH5DecodeError(
            f"{dataset.name} says that it holds more than it can",
            file=dataset.file.filename,
            expected=f"about {stored} stored bytes",
            seen=f"{wanted} bytes",
        )
    if dataset.chunks is not None and dataset.dtype.itemsize * np.prod(dataset.chunks, dtype=float) > 1 << 32:
        raise LH5DecodeError(f"The chunks of {dataset.name} are too large", seen=dataset.chunks)
