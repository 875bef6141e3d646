"""Axis: the values along one dimension of data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sapwood.fileio.pymodaq.data_errors import AxisError

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Axis", "axes_of_index"]


class Axis:
    """Values along one dimension of data, with label and units.

    An axis whose steps are all close to their mean is linear: it has an `offset` (its first value)
    and a `scaling` (the mean step, 1 for a single point). For others both are None. The values are
    kept as they were given in either case.

    Parameters
    ----------
    label, units
        Texts for people; units are not checked.
    data
        Values, 1-D. Without them the axis is ``offset + scaling * arange(size)``.
    index
        Dimension of the data that the axis spans.
    scaling, offset, size
        Step, first value and number of points of a linear axis without `data`.
    spread_order
        Rank among the axes of the same `index`, for data with distribution ``spread``.

    Raises
    ------
    AxisError
        The values are not 1-D, or `index` or `size` is negative.
    """

    def __init__(
        self,
        label: str = "",
        units: str = "",
        data: ArrayLike | None = None,
        index: int = 0,
        scaling: float | None = None,
        offset: float | None = None,
        size: int | None = None,
        spread_order: int = 0,
    ) -> None:
        self.label = str(label)
        self.units = str(units)
        self.index = int(index)
        self.spread_order = int(spread_order)
        if self.index < 0:
            raise AxisError("The index of an axis cannot be negative", seen=index)
        if data is None:
            self._set_linear(0 if size is None else int(size), scaling, offset)
        else:
            self.data = data

    def _set_linear(self, size: int, scaling: float | None, offset: float | None) -> None:
        if size < 0:
            raise AxisError("The size of an axis cannot be negative", seen=size)
        self.scaling = 1.0 if scaling is None else float(scaling)
        self.offset = 0.0 if offset is None else float(offset)
        self._data: NDArray[Any] = self.offset + self.scaling * np.arange(size, dtype=np.float64)

    @property
    def data(self) -> NDArray[Any]:
        """The values, 1-D."""
        return self._data

    @data.setter
    def data(self, values: ArrayLike) -> None:
        array = np.asarray(values)
        if array.ndim != 1:
            raise AxisError("An axis is 1-D", path=self.label or None, expected="(n,)", seen=array.shape)
        self._data = array
        self.offset, self.scaling = self.get_scale_offset_from_data(array)

    @staticmethod
    def is_axis_linear(data: ArrayLike) -> bool:
        """Tell whether all steps of `data` are close to their mean."""
        array = np.asarray(data)
        if array.dtype.kind not in "iuf" or array.size == 0:
            return False
        steps = np.diff(array.astype(np.float64, copy=False))
        return bool(np.allclose(steps, steps.mean())) if steps.size else True

    @classmethod
    def get_scale_offset_from_data(cls, data: ArrayLike) -> tuple[Any, Any]:
        """Return offset and scaling of `data`, (None, None) when it is not linear."""
        array = np.asarray(data)
        if not cls.is_axis_linear(array):
            return None, None
        if array.size == 1:
            return float(array[0]), 1.0
        return float(array[0]), (float(array[-1]) - float(array[0])) / (array.size - 1)

    @property
    def size(self) -> int:
        """Number of points."""
        return len(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def get_data(self) -> NDArray[Any]:
        """Return the values, 1-D."""
        return self._data

    def get_data_at(self, indexes: Any) -> NDArray[Any]:
        """Return the values at `indexes`: a number, a slice or an array."""
        return np.atleast_1d(self._data[indexes])

    def min(self) -> float:
        """Return the smallest value."""
        return float(self._data.min())

    def max(self) -> float:
        """Return the largest value."""
        return float(self._data.max())

    def find_index(self, threshold: float) -> int:
        """Return the position of the value closest to `threshold`."""
        return int(np.argmin(np.abs(self._data - threshold)))

    def copy(self, **changes: Any) -> Self:
        """Return an axis with the same values; `changes` are new ``label``, ``units``, ``index`` ..."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        for name, value in changes.items():
            setattr(other, name, value)
        return other

    @classmethod
    def from_object(cls, axis: Any, **changes: Any) -> Axis:
        """Return `axis`, an `Axis` or another package's object with the same attributes, as an `Axis`.

        An `Axis` is handed back itself when nothing is to be changed; the caller's object is never
        altered.

        Raises
        ------
        AxisError
            It has no values.
        """
        if isinstance(axis, Axis):
            return axis.copy(**changes) if changes else axis
        getter = getattr(axis, "get_data", None)
        values = getter() if callable(getter) else getattr(axis, "data", None)
        if values is None:
            raise AxisError(
                "This is no axis", expected="label, units, index and data", seen=type(axis).__name__
            )
        facts: dict[str, Any] = {
            name: getattr(axis, name) for name in ("index", "spread_order") if hasattr(axis, name)
        }
        for name in ("label", "units"):
            facts[name] = str(getattr(axis, name, ""))
        return cls(data=values, **{**facts, **changes})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Axis):
            return NotImplemented
        facts = ("label", "units", "index", "spread_order")
        return all(getattr(self, name) == getattr(other, name) for name in facts) and bool(
            self.size == other.size and np.allclose(self._data, other._data)
        )

    __hash__ = None  # type: ignore[assignment]  # its values can change

    def __repr__(self) -> str:
        return f"<Axis: {self.label} <u: {self.units}> <s: {self.size}> <i: {self.index}>>"


def axes_of_index(axes: Sequence[Axis], index: int) -> list[Axis]:
    """Return the axes that span dimension `index`, by rank."""
    return sorted((axis for axis in axes if axis.index == index), key=lambda axis: axis.spread_order)
