"""Datasets of HDF5 columns: their types, and how they are cut into chunks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.hdf5 import h5py

__all__ = ["encoded", "filters_of", "new_dataset"]


def filters_of(compression: str) -> dict[str, Any]:
    """Return the options of ``create_dataset`` for ``none``, ``gzip`` or ``lzf``, both after a shuffle."""
    return {} if compression == "none" else {"compression": compression, "shuffle": True}


def new_dataset(
    group: Any,
    name: str,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    chunk_bytes: int = 0,
    **filters: Any,
) -> Any:
    """Return a new dataset, in one piece or, where chunks have a size, in chunks and extensible."""
    stored = _stored_type(dtype)
    if not chunk_bytes:
        return group.create_dataset(name, shape, stored)
    rows = max(chunk_bytes // max(stored.itemsize * math.prod(shape[1:]), 1), 1)
    return group.create_dataset(
        name, shape, stored, chunks=(rows, *shape[1:]), maxshape=(None, *shape[1:]), **filters
    )


def _stored_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type that values of `dtype` are stored as; text is UTF-8 of fixed length."""
    if dtype.kind not in "SU":
        return dtype
    found: np.dtype[Any] = h5py().string_dtype("utf-8", max(dtype.itemsize, 1))
    return found


def encoded(values: NDArray[Any]) -> NDArray[Any]:
    """Return values as they are stored."""
    if values.dtype.kind not in "SU":
        return values
    text = np.char.encode(values, "utf-8") if values.dtype.kind == "U" else values
    stored = np.empty(text.shape, _stored_type(text.dtype))
    stored[...] = text
    return stored
