"""What a scan goes through: its axes, and its points in order. No tree, no file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import DeviceError

__all__ = ["GRID", "LIST", "ScanAxis", "ScanPlan", "axes_from_text", "axes_to_text"]

GRID, LIST = "Grid", "List"
MAX_POINTS = 100_000_000


@dataclass(frozen=True)
class ScanAxis:
    """A variable and the values it takes.

    Parameters
    ----------
    path
        Of the variable.
    values
        Numbers, or texts that the variable parses.

    Raises
    ------
    DeviceError
        There is no value, or not every one is a number or every one a text.
    """

    path: str
    values: tuple[Any, ...]

    @classmethod
    def of(cls, path: Any, values: Any) -> ScanAxis:
        """Return the axis of a variable, given as such or by path.

        Parameters
        ----------
        values
            1-D; or a mapping with ``start``, ``stop`` and ``steps`` (number of points, both ends
            included).
        """
        name = str(getattr(path, "path", path))
        if isinstance(values, Mapping):
            values = cls._span(name, values)
        given = np.asarray(values).ravel()
        if not given.size or given.dtype.kind not in "biufU":
            raise DeviceError("An axis of a scan needs numbers or texts", path=name, seen=repr(values)[:80])
        if given.dtype.kind == "f" and not np.isfinite(given).all():
            raise DeviceError("The values of an axis should be finite", path=name)
        return cls(name, tuple(given.tolist()))

    @staticmethod
    def _span(name: str, span: Mapping[str, Any]) -> NDArray[Any]:
        try:
            steps = int(span["steps"])
            if not 0 < steps <= MAX_POINTS or set(span) != {"start", "stop", "steps"}:
                raise ValueError(steps)
            return np.linspace(float(span["start"]), float(span["stop"]), steps)
        except (KeyError, TypeError, ValueError) as error:
            raise DeviceError(
                "A span of an axis needs start, stop and steps", path=name, seen=dict(span)
            ) from error

    @cached_property
    def numbers(self) -> NDArray[Any]:
        """The values; for texts their positions."""
        if isinstance(self.values[0], str):
            return np.arange(len(self.values), dtype=np.float64)
        return np.asarray(self.values, dtype=np.float64)


class ScanPlan:
    """The points of a scan.

    Parameters
    ----------
    axes
        The first one changes slowest.
    mode
        ``Grid``: all combinations; ``List``: the values at the same position of each axis, which are
        equally many.
    snake
        A grid turns round at the end of each line instead of going back.

    Raises
    ------
    DeviceError
        There is no axis, the lengths differ in a list, a variable occurs twice, or there are too many
        points.
    """

    def __init__(self, axes: Iterable[ScanAxis], mode: str = GRID, snake: bool = False) -> None:
        self.axes = list(axes)
        self.mode = mode
        self.snake = snake
        sizes = [len(axis.values) for axis in self.axes]
        if not sizes:
            raise DeviceError("A scan needs an axis", hint="Set Axes")
        if len({axis.path for axis in self.axes}) != len(sizes):
            raise DeviceError(
                "A variable can be on one axis of a scan only", seen=[a.path for a in self.axes]
            )
        if mode == LIST and len(set(sizes)) > 1:
            raise DeviceError("The axes of a list need equally many values", seen=sizes)
        self.shape: tuple[int, ...] = tuple(sizes) if mode == GRID else (sizes[0],)
        self.points = int(np.prod(self.shape, dtype=object))
        if self.points > MAX_POINTS:
            raise DeviceError("The scan has too many points", expected=MAX_POINTS, seen=self.points)

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """Yield the indexes of each point in order."""
        for indexes in np.ndindex(*self.shape):
            yield self._turned(indexes) if self.snake else indexes

    def _turned(self, indexes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the indexes with each line reversed when those before it add up to an odd number."""
        turned: list[int] = []
        for index, size in zip(indexes, self.shape, strict=True):
            turned.append(size - 1 - index if sum(turned) % 2 else index)
        return tuple(turned)

    def values(self, indexes: Sequence[int]) -> list[Any]:
        """Return the value of each axis at a point."""
        places = indexes if self.mode == GRID else [indexes[0]] * len(self.axes)
        return [axis.values[place] for axis, place in zip(self.axes, places, strict=True)]

    def numbers(self, indexes: Sequence[int]) -> list[float]:
        """Return the number of each axis at a point; for texts their position."""
        places = indexes if self.mode == GRID else [indexes[0]] * len(self.axes)
        return [float(axis.numbers[place]) for axis, place in zip(self.axes, places, strict=True)]


def axes_from_text(text: str) -> list[ScanAxis]:
    """Return the axes that a JSON text describes.

    ``{"Top.Stage.X": [0, 1, 2], "Top.Stage.Y": {"start": 0, "stop": 1, "steps": 11}}``

    Raises
    ------
    DeviceError
        It is something else.
    """
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        raise DeviceError("The axes of a scan are no JSON", seen=text[:80]) from error
    if not isinstance(found, dict):
        raise DeviceError("The axes of a scan are a mapping", expected='{"path": [values]}', seen=text[:80])
    return [ScanAxis.of(path, values) for path, values in found.items()]


def axes_to_text(axes: Iterable[ScanAxis]) -> str:
    """Return the JSON text that `axes_from_text` reads."""
    return json.dumps({axis.path: list(axis.values) for axis in axes})
