"""Fast writing of one record at a time into an array of fixed shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError
from sapwood.fileio.hdf5 import h5py
from sapwood.fileio.hdf5faults import refusal

__all__ = ["PointWriter"]


class PointWriter:
    """Writes records into an HDF5 array of shape ``scan_shape + record``.

    What a write of HDF5 needs is made once, so that a record costs little more than its bytes.

    Parameters
    ----------
    node
        The array.
    scan_dims
        Number of leading dimensions that indexes select.
    """

    def __init__(self, node: Any, scan_dims: int) -> None:
        self.node = node
        self._h5 = node.node
        self._id = self._h5.id
        self._shared = node.backend.shared
        self.shape: tuple[int, ...] = tuple(self._h5.shape)
        self.record = self.shape[scan_dims:]
        self.dtype: np.dtype[Any] = self._h5.dtype
        self._count = (1,) * scan_dims + self.record
        self._tail = (0,) * len(self.record)
        h5 = h5py()
        self._space = self._id.get_space()
        self._memory = h5.h5s.create_simple(self._count)
        self._type = h5.h5t.py_create(self.dtype, logical=True)

    def fits(self, array: NDArray[Any]) -> bool:
        """Tell whether `array` is a record of this array."""
        return array.shape == self.record or (self.record == () and array.shape == (1,))

    def write(self, indexes: Sequence[int], array: NDArray[Any]) -> None:
        """Write one record.

        Raises
        ------
        FileError
            The disk refuses.
        """
        self._space.select_hyperslab((*indexes, *self._tail), self._count)
        self._shared.keep(self.node.path, self._h5)
        try:
            self._id.write(self._memory, self._space, np.ascontiguousarray(array, self.dtype), self._type)
        except OSError as error:
            cause = refusal(error) or error
            raise FileError(
                "Failed to write a point of a scan",
                file=self._h5.file.filename,
                seen=cause.strerror or str(cause),
            ) from cause
