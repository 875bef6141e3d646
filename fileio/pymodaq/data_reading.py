"""Arrays as they lie in a file, made into arrays and axes that fit each other."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FormatError, SapwoodError
from sapwood.fileio.pymodaq.axes import Axis
from sapwood.fileio.pymodaq.data_errors import DataShapeError
from sapwood.fileio.pymodaq.enums import DataType

__all__ = [
    "damage_told",
    "fit_axes",
    "kept_dimensions",
    "nav_indexes_of",
    "read_alike",
    "read_array",
    "squeeze",
    "subtract",
]

FREE_BYTES = 1 << 30  # an array up to this size is read whatever the size of the file
LARGEST_RATIO = 2000  # of values to file: no filter makes them smaller

_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, OverflowError)


@contextlib.contextmanager
def damage_told(file: object) -> Iterator[None]:
    """Raise what the library says of a damaged file, or what its attributes lead to, as `FormatError`."""
    try:
        yield
    except SapwoodError:
        raise
    except _DAMAGE as error:
        raise FormatError(
            "The data cannot be loaded, the file is damaged",
            file=file,
            seen=f"{type(error).__name__}: {error}",
        ) from error


def read_array(node: Any) -> NDArray[Any]:
    """Read all of an array.

    Raises
    ------
    FormatError
        It claims to be larger than its file can hold.
    """
    nbytes = math.prod(node.shape) * node.dtype.itemsize
    held = os.path.getsize(node.file_name)
    if nbytes > FREE_BYTES and nbytes > LARGEST_RATIO * held:
        raise FormatError(
            f"{node.path} is larger than its file can hold",
            file=node.file_name,
            expected=f"{nbytes} bytes",
            seen=f"{held} bytes of file",
        )
    values: NDArray[Any] = node.read()
    return values


def nav_indexes_of(facts: Mapping[str, Any], kind: DataType, ndim: int) -> tuple[int, ...]:
    """Return the scanned dimensions that the attributes name; the first of growing arrays without them."""
    given = facts.get("nav_indexes")
    if not isinstance(given, (tuple, list, np.ndarray)):
        given = (0,) if kind is DataType.data_enlargeable else ()
    return tuple(int(index) for index in given if 0 <= int(index) < ndim)


def read_alike(nodes: Sequence[Any], kind: DataType) -> list[NDArray[Any]]:
    """Read arrays of one shape; growing ones are cut to the rows that all have.

    Raises
    ------
    DataShapeError
        The shapes differ.
    """
    arrays = [np.atleast_1d(read_array(node)) for node in nodes]
    if kind is DataType.data_enlargeable:
        rows = min(len(array) for array in arrays)
        arrays = [array[:rows] for array in arrays]
    for node, array in zip(nodes, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise DataShapeError(
                "Arrays of one group differ in shape",
                path=node.path,
                expected=arrays[0].shape,
                seen=array.shape,
            )
    return arrays


def kept_dimensions(shape: Sequence[int], nav_indexes: Sequence[int]) -> list[int]:
    """Return the dimensions that stay: all but those of size 1 that were not scanned; one at least."""
    kept = [index for index, size in enumerate(shape) if size != 1 or index in nav_indexes]
    return kept or [0]


def squeeze(array: NDArray[Any], kept: Sequence[int]) -> NDArray[Any]:
    """Return a view with the dimensions `kept` only."""
    return array.reshape([array.shape[index] for index in kept])


def fit_axes(axes: Iterable[Axis], kept: Sequence[int], shape: Sequence[int]) -> list[Axis]:
    """Return the axes of the dimensions `kept`, each with the size of its dimension.

    Longer axes are cut, shorter ones filled with not-a-number, empty ones left out. Of several with
    one index and rank the first of the right size is taken.
    """
    best: dict[tuple[int, int], Axis] = {}
    for axis in axes:
        if axis.index not in kept or axis.size == 0:
            continue
        place = axis.index, axis.spread_order
        size = shape[axis.index]
        if place not in best or (best[place].size != size and axis.size == size):
            best[place] = axis
    ordered = [best[place] for place in sorted(best)]
    return [_resize(axis, shape[axis.index]).copy(index=kept.index(axis.index)) for axis in ordered]


def _resize(axis: Axis, size: int) -> Axis:
    if axis.size > size:
        return axis.copy(data=axis.data[:size])
    if axis.size < size:
        missing = np.full(size - axis.size, np.nan)
        return axis.copy(data=np.concatenate([axis.data.astype(np.float64), missing]))
    return axis


def subtract(array: NDArray[Any], background: NDArray[Any], path: str) -> NDArray[Any]:
    """Return `array` less `background`, which is repeated over scanned dimensions; no integer wraps.

    Raises
    ------
    DataShapeError
        The shapes do not fit.
    """
    try:
        whole = np.broadcast_to(background, array.shape)
    except ValueError:
        raise DataShapeError(
            "The background does not fit the data", path=path, expected=array.shape, seen=background.shape
        ) from None
    dtype = np.result_type(array.dtype, whole.dtype)
    if array.dtype.kind in "ub":
        wider = np.result_type(array.dtype, np.int8) if array.dtype.kind == "u" else np.dtype(np.int8)
        dtype = np.result_type(wider, whole.dtype)
    result: NDArray[Any] = np.subtract(array, whole, dtype=dtype)
    return result
