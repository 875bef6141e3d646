"""DataWithAxes and its kinds: arrays of one shape with labels, units, axes and errors."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.pymodaq.axes import Axis, axes_of_index
from sapwood.fileio.pymodaq.data_errors import AxisError, DataShapeError, DataTypeError
from sapwood.fileio.pymodaq.enums import DataDim, DataDistribution, DataSource, enum_checker

if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "DataCalculated",
    "DataFromPlugins",
    "DataRaw",
    "DataWithAxes",
    "as_arrays",
    "check_types",
    "dim_of_shape",
]


def dim_of_shape(shape: Sequence[int]) -> Any:
    """Return the `DataDim` of arrays of this shape: (1,) is 0-D, then by the number of dimensions."""
    if tuple(shape) in ((), (1,)):
        return DataDim.Data0D
    return {1: DataDim.Data1D, 2: DataDim.Data2D}.get(len(shape), DataDim.DataND)


def as_arrays(data: Any, what: str = "data") -> list[NDArray[Any]]:
    """Return `data` as a list of arrays of at least one dimension, all of one shape.

    Raises
    ------
    DataTypeError
        There is no array in it, or one that holds objects.
    DataShapeError
        The shapes differ.
    """
    if isinstance(data, np.ndarray) or (np.isscalar(data) and not isinstance(data, (str, bytes))):
        data = [data]
    if data is None or isinstance(data, (str, bytes)) or not isinstance(data, Iterable):
        raise DataTypeError(f"The {what} should be a list of arrays", seen=type(data).__name__)
    arrays = [np.atleast_1d(np.asarray(item)) for item in data]
    if not arrays:
        raise DataTypeError(f"The {what} should hold an array at least", seen="an empty list")
    for array in arrays:
        if array.dtype.kind not in "biufcSU":
            raise DataTypeError(f"The {what} should be numbers", seen=array.dtype)
        if array.shape != arrays[0].shape:
            raise DataShapeError(
                f"Arrays of the {what} differ in shape", expected=arrays[0].shape, seen=array.shape
            )
    return arrays


def check_types(arrays: Iterable[NDArray[Any]], dtypes: Iterable[Any], name: str) -> None:
    """Check that values can be stored in arrays of these types.

    Raises
    ------
    DataTypeError
        They would lose more than precision: parts behind the point, or the imaginary part.
    """
    for array, dtype in zip(arrays, dtypes, strict=False):
        if array.dtype != dtype and not np.can_cast(array.dtype, dtype, "same_kind"):
            raise DataTypeError(
                f"Values of type {array.dtype} do not fit the first ones", path=name, expected=dtype
            )


class DataWithAxes:
    """One or more arrays of one shape, and what they mean.

    Parameters
    ----------
    name
        What was measured.
    source
        ``raw`` or ``calculated``.
    dim
        Accepted for the sake of existing code; the dimensionality follows from shape and nav_indexes.
    distribution
        ``uniform`` (each axis spans a dimension) or ``spread`` (all navigation axes span the first one).
    data
        Arrays of one shape (numbers become arrays of shape (1,)).
    labels
        One for each array; missing ones are ``CH00``, ``CH01`` ...
    origin
        Module that took the data.
    units
        Text; it is not checked.
    axes
        Axes of any dimension; dimensions without are counted from 0.
    nav_indexes
        Dimensions that were scanned.
    errors
        One array for each array of `data`, of the same shape.
    timestamp
        Seconds since the epoch; now by default.
    extra
        Kept as attributes, and saved.

    Raises
    ------
    DataTypeError, DataShapeError, AxisError
        The arrays, errors or axes do not fit together.
    """

    def __init__(
        self,
        name: str,
        source: Any = DataSource.raw,
        dim: Any = None,
        distribution: Any = DataDistribution.uniform,
        data: Any = None,
        labels: Sequence[str] | None = None,
        origin: str = "",
        units: str = "",
        axes: Iterable[Any] = (),
        nav_indexes: Iterable[int] = (),
        errors: Any = None,
        timestamp: float | None = None,
        **extra: Any,
    ) -> None:
        if dim is not None:
            enum_checker(DataDim, dim)
        self.name = str(name)
        self.source = enum_checker(DataSource, source)
        self.distribution = enum_checker(DataDistribution, distribution)
        self.data = as_arrays(data)
        self.labels = self._complete(labels)
        self.origin = str(origin)
        self.units = str(units)
        self.timestamp = time.time() if timestamp is None else float(timestamp)
        self.nav_indexes = tuple(int(index) for index in nav_indexes)
        self._check_nav()
        self.axes = [Axis.from_object(axis) for axis in axes]
        self._check_axes()
        self.errors = self._fit_errors(errors)
        self.extra_attributes: list[str] = []
        for key, value in extra.items():
            self.add_extra_attribute(key, value)

    def _complete(self, labels: Sequence[str] | None) -> list[str]:
        given = [str(label) for label in labels or ()][: len(self.data)]
        return given + [f"CH{number:02d}" for number in range(len(given), len(self.data))]

    def _check_nav(self) -> None:
        if any(not 0 <= index < len(self.shape) for index in self.nav_indexes):
            raise DataShapeError(
                "A navigation index is no dimension of the data",
                path=self.name,
                expected=f"below {len(self.shape)}",
                seen=self.nav_indexes,
            )

    def _check_axes(self) -> None:
        for axis in self.axes:
            if axis.index >= len(self.shape) or axis.size != self.shape[axis.index]:
                raise AxisError(
                    f"Axis {axis.label!r} does not fit the data",
                    path=self.name,
                    expected=f"a dimension of {self.shape}",
                    seen=f"index {axis.index}, size {axis.size}",
                )

    def _fit_errors(self, errors: Any) -> list[NDArray[Any]] | None:
        if errors is None:
            return None
        arrays = as_arrays(errors, "errors")
        if len(arrays) != len(self.data) or arrays[0].shape != self.shape:
            raise DataShapeError(
                "There should be one array of errors for each of the data, of the same shape",
                path=self.name,
                expected=f"{len(self.data)} of {self.shape}",
                seen=f"{len(arrays)} of {arrays[0].shape}",
            )
        return arrays

    def add_extra_attribute(self, key: str, value: Any) -> None:
        """Keep `value` as the attribute `key`, which is saved with the data."""
        if key not in self.extra_attributes:
            if hasattr(self, key):
                raise DataTypeError(f"The attribute {key!r} of data has a meaning already", path=self.name)
            self.extra_attributes.append(key)
        setattr(self, key, value)

    # ---- what it is

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of each array."""
        return self.data[0].shape

    @property
    def size(self) -> int:
        """Values in each array."""
        return self.data[0].size

    @property
    def length(self) -> int:
        """Number of arrays."""
        return len(self.data)

    @property
    def dim(self) -> Any:
        """The `DataDim`: by shape, ``DataND`` with navigation indexes."""
        return DataDim.DataND if self.nav_indexes else dim_of_shape(self.shape)

    @property
    def sig_indexes(self) -> tuple[int, ...]:
        """Dimensions that were not scanned; none for 0-D data."""
        if dim_of_shape(self.shape) == DataDim.Data0D:
            return ()
        return tuple(index for index in range(len(self.shape)) if index not in self.nav_indexes)

    def get_full_name(self) -> str:
        """Return ``origin/name``."""
        return f"{self.origin}/{self.name}"

    # ---- axes

    def get_axis_from_index(self, index: int, create: bool = False) -> list[Axis]:
        """Return the axes of dimension `index`, by rank; with `create` at least one, that counts from 0."""
        found = axes_of_index(self.axes, index)
        if not found and create:
            return [Axis(index=index, size=self.shape[index])]
        return found

    def get_nav_axes(self) -> list[Axis]:
        """Return the axes of scanned dimensions."""
        return [axis for index in self.nav_indexes for axis in self.get_axis_from_index(index)]

    def get_sig_axes(self) -> list[Axis]:
        """Return the axes of dimensions that were not scanned."""
        return [axis for index in self.sig_indexes for axis in self.get_axis_from_index(index)]

    def create_missing_axes(self) -> None:
        """Add an axis that counts from 0 to each dimension without one; spread navigation has its own."""
        spread = self.distribution == DataDistribution.spread
        for index in range(len(self.shape)):
            own = index in self.sig_indexes or (index in self.nav_indexes and not spread)
            if own and not axes_of_index(self.axes, index):
                self.axes.append(Axis(index=index, size=self.shape[index]))

    # ---- arrays

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return iter(self.data)

    def __getitem__(self, index: int) -> NDArray[Any]:
        return self.data[index]

    def get_error(self, index: int) -> NDArray[Any]:
        """Return the errors of array `index`; zeros when there are none."""
        return np.zeros(self.shape) if self.errors is None else self.errors[index]

    def errors_as_dwa(self) -> DataWithAxes:
        """Return the errors as data of their own, with ``_errors`` behind the name.

        Raises
        ------
        DataTypeError
            There are none.
        """
        if self.errors is None:
            raise DataTypeError("These data have no errors", path=self.name)
        other = self.deepcopy_with_new_data(self.errors)
        other.name, other.errors = f"{self.name}_errors", None
        other.source = DataSource.calculated
        return other

    def deepcopy(self) -> Self:
        """Return a copy that shares nothing."""
        return copy.deepcopy(self)

    def deepcopy_with_new_data(self, data: Any) -> Self:
        """Return the same with other arrays of the same shape; errors go."""
        arrays = as_arrays(data)
        if arrays[0].shape != self.shape:
            raise DataShapeError("New data differ in shape", expected=self.shape, seen=arrays[0].shape)
        other = copy.copy(self)
        other.data, other.errors = arrays, None
        other.axes = [axis.copy() for axis in self.axes]
        other.labels = other._complete(self.labels)
        other.extra_attributes = list(self.extra_attributes)
        return other

    def __sub__(self, other: DataWithAxes) -> Self:
        """Subtract array by array; the errors of both add in squares."""
        if len(other) != len(self) or other.shape != self.shape:
            raise DataShapeError(
                "Data to be subtracted differ",
                path=self.name,
                expected=f"{len(self)} of {self.shape}",
                seen=f"{len(other)} of {other.shape}",
            )
        result = self.deepcopy_with_new_data([a - b for a, b in zip(self.data, other.data, strict=True)])
        if self.errors is not None or other.errors is not None:
            result.errors = [np.hypot(self.get_error(i), other.get_error(i)) for i in range(len(self))]
        return result

    def __repr__(self) -> str:
        kind = type(self).__name__
        return f"<{kind}: {self.name} <u: {self.units}> <len:{self.length}> {self.shape}>"


class DataRaw(DataWithAxes):
    """Data as they were measured."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **{**kwargs, "source": DataSource.raw})


class DataCalculated(DataWithAxes):
    """Data that were computed from others."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **{**kwargs, "source": DataSource.calculated})


class DataFromPlugins(DataRaw):
    """Data of an instrument; ``plot`` and ``save`` say what is to be done with them.

    Parameters
    ----------
    plot, save
        Kept as the extra attributes ``do_plot`` and ``do_save``.
    """

    def __init__(self, name: str, *, plot: bool = True, save: bool = True, **kwargs: Any) -> None:
        super().__init__(name, **{"do_plot": plot, "do_save": save, **kwargs})
