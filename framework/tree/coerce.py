"""Bring a value to the type of a local variable where nothing is lost."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

__all__ = ["coerce"]


def coerce(value: Any, kind: type, dtype: np.dtype[Any] | None = None) -> Any:
    """Return `value` as a `kind`: integers for floats, NumPy scalars for Python's, lists for arrays.

    Raises
    ------
    TypeError
        When `value` is of another type, or something would be lost.
    """
    if kind is np.ndarray:
        if isinstance(value, (list, tuple)):
            return np.array(value, dtype)
        if isinstance(value, np.ndarray):
            return value
    elif kind is float:
        if isinstance(value, (float, int, np.floating, np.integer)) and not isinstance(value, bool):
            return float(value)
    elif kind is int:
        if isinstance(value, bool):
            return value
        if isinstance(value, (int, np.integer)):
            return operator.index(value)
        if isinstance(value, np.bool_):
            return bool(value)
    elif kind is bool:
        if isinstance(value, np.bool_) or (isinstance(value, (int, np.integer)) and value in (0, 1)):
            return bool(value)
    elif kind is str:
        if isinstance(value, str):
            return str(value)
    elif issubclass(kind, np.generic) and not isinstance(value, str):
        try:
            made = kind(value)
        except (ValueError, OverflowError):
            raise TypeError(f"{value!r} does not fit {kind.__name__}") from None
        if made == value:
            return made
    if isinstance(value, kind):
        return value
    raise TypeError(f"not a {kind.__name__}")
