"""Histograms: binning of each axis, and weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sapwood.fileio.lh5.array import Array
from sapwood.fileio.lh5.errors import LH5EncodeError
from sapwood.fileio.lh5.scalar import Scalar
from sapwood.fileio.lh5.struct import Struct

__all__ = ["Axis", "Histogram"]


class Axis(NamedTuple):
    """The bins of one axis.

    Parameters
    ----------
    edges
        Of the bins, f8, shape (n + 1,).
    closedleft
        A value on an edge belongs to the bin right of it.
    """

    edges: NDArray[np.float64]
    closedleft: bool


class Histogram(Struct):
    """Weights of bins along one or more axes.

    Parameters
    ----------
    weights
        Shape (n0, n1, ...).
    binning
        Of each axis the edges, or (first, last, step) for equal bins.
    isdensity
        Weights are divided by the size of the bins.
    attrs
        See `LGDO`.
    closedleft
        A value on an edge belongs to the bin right of it.

    Raises
    ------
    LH5EncodeError
        When weights and bins do not fit each other.
    """

    def __init__(
        self,
        weights: ArrayLike,
        binning: Iterable[Any],
        isdensity: bool = False,
        attrs: Mapping[str, Any] | None = None,
        *,
        closedleft: bool = True,
    ) -> None:
        axes = binning if isinstance(binning, Struct) else _axes(binning, closedleft)
        members = {
            "binning": axes,
            "weights": weights if isinstance(weights, Array) else Array(weights),
            "isdensity": Scalar(bool(isdensity)),
        }
        super().__init__(members, attrs)
        bins = tuple(len(axis.edges) - 1 for axis in self.binning)
        if bins != self.weights.shape:
            raise LH5EncodeError("The weights do not fit the bins", expected=bins, seen=self.weights.shape)

    @property
    def binning(self) -> tuple[Axis, ...]:
        """The bins of every axis."""
        axes = self["binning"]
        return tuple(_axis(axes[f"axis_{i}"]) for i in range(len(axes)))

    @property
    def weights(self) -> Array:
        """Of the bins."""
        found: Array = self["weights"]
        return found

    @property
    def isdensity(self) -> bool:
        """Weights are divided by the size of the bins."""
        return bool(self["isdensity"].value)


def _axes(binning: Iterable[Any], closedleft: bool) -> Struct:
    axes = Struct()
    for i, bins in enumerate(binning):
        axes[f"axis_{i}"] = Struct({"binedges": _edges(bins), "closedleft": Scalar(closedleft)})
    return axes


def _edges(bins: Any) -> Struct | Array:
    if isinstance(bins, tuple):
        names = ("first", "last", "step")
        return Struct({name: Scalar(value) for name, value in zip(names, bins, strict=True)})
    return bins if isinstance(bins, Array) else Array(bins)


def _axis(axis: Any) -> Axis:
    edges, closedleft = axis["binedges"], bool(axis["closedleft"].value)
    if isinstance(edges, Array):
        return Axis(edges.nda.astype(np.float64), closedleft)
    first, last, step = (float(edges[name].value) for name in ("first", "last", "step"))
    bins = round((last - first) / step) if step > 0 else -1
    if not 0 <= bins < 1 << 28:
        raise LH5EncodeError("The bins of an axis make no sense", seen=f"{first} to {last} by {step}")
    return Axis(first + step * np.arange(bins + 1, dtype=np.float64), closedleft)
