"""PyMoDAQ files while frames are recorded: a frame is a point of growing data, over its time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sapwood.errors import FormatError
from sapwood.fileio.filelayer import FileLayer
from sapwood.fileio.pymodaq.data_enlargeable import DataEnlargeableSaver
from sapwood.fileio.pymodaq.data_objects import DataRaw, dim_of_shape
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel
from sapwood.fileio.recording.libraryfile import LibraryFile
from sapwood.streams import FrameBatch

__all__ = ["PymodaqFrames"]

_NS = 1e-9


class PymodaqFrames:
    """Makes PyMoDAQ files with the data of one detector: each frame is a value, a curve or an image.

    The array grows by a row each frame; so does its axis ``timestamp``, the time of the frame in
    seconds since 1970.

    Parameters
    ----------
    dtype
        Of the values in a frame.
    shape
        Of a frame: ``()`` a value, ``(n,)`` a curve, ``(m, n)`` an image. None: a curve as long as the
        first frame of each recording.
    name, units
        Of the data.
    metadata
        Attributes of the raw group. May be changed between recordings.
    configuration
        A text kept beside the data, none when empty. May be changed between recordings.

    Raises
    ------
    FormatError
        (A `ValueError`) for a type that holds no numbers, or a shape of more dimensions.
    """

    endings = (".h5",)
    overhead = 8
    keeps_channels = False

    def __init__(
        self,
        dtype: DTypeLike = np.uint8,
        shape: tuple[int, ...] | None = None,
        *,
        name: str = "Frames",
        units: str = "",
        metadata: Mapping[str, Any] | None = None,
        configuration: str = "",
    ) -> None:
        self.dtype = np.dtype(dtype)
        if self.dtype.kind not in "biufc":
            raise FormatError("Frames hold numbers", expected="a type of numbers", seen=self.dtype)
        if shape is not None and (len(shape) > 2 or any(length < 1 for length in shape)):
            raise FormatError("Frames are values, curves or images", expected="0 to 2 lengths", seen=shape)
        self.shape = shape
        self.name = name
        self.units = units
        self.metadata = dict(metadata or {})
        self.configuration = configuration
        self._nbytes = 0

    def begin(self) -> None:
        """Begin a recording: the first frame may decide the length."""
        self._nbytes = 0 if self.shape is None else math.prod(self.shape) * self.dtype.itemsize

    def unfit(self, size: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Return which frames are of another size than the first, or than the shape says."""
        if not self._nbytes:
            whole = size[size % self.dtype.itemsize == 0]
            self._nbytes = int(whole[0]) if len(whole) else 0
        bad = size != self._nbytes
        return bad if bad.any() else None

    @property
    def record(self) -> tuple[int, ...]:
        """Shape of a frame in this recording."""
        if self.shape is None:
            return (max(self._nbytes // self.dtype.itemsize, 1),)
        return self.shape or (1,)

    def create(self, path: str, files: FileLayer) -> LibraryFile:
        """Begin a file."""
        return LibraryFile(_Points(path, self), path, files, self.overhead)


class _Points:
    """The growing data of one file; its arrays are made when the first frames come."""

    def __init__(self, path: str, format: PymodaqFrames) -> None:
        self._format = format
        self._saver = H5SaverLowLevel("detector")
        self._saver.begin_file(Path(path), metadata=format.metadata)
        detector = self._saver.add_det_group(self._saver.raw_group, title=format.name)
        if format.configuration:
            self._saver.add_string_array(detector, "Configuration").append(format.configuration)
        self._detector = detector
        self._group = ""
        self._data = DataEnlargeableSaver(self._saver, ("timestamp",), ("s",))

    def write(self, batch: FrameBatch) -> None:
        format = self._format
        if not self._group:
            data = self._saver.add_data_group(self._detector, dim_of_shape(format.record))
            self._group = self._saver.add_ch_group(data, title=format.name).path
        rows = batch.rows()
        values = np.ascontiguousarray(rows).view(format.dtype).reshape(len(batch), *format.record)
        points = DataRaw(format.name, data=[values], units=format.units, nav_indexes=(0,))
        self._data.add_data(self._group, points, [batch.time * _NS])

    def flush(self) -> None:
        self._saver.flush()

    def close(self) -> None:
        self._saver.close_file()

    def forsake(self) -> None:
        """End the timed flush."""
        self._saver.shared.forsake()
