"""Check a value for a register without staging it."""

from __future__ import annotations

from typing import Any

import numpy as np

from sapwood.errors import VariableError

__all__ = ["check"]


def check(field: Any, value: Any, index: int = -1) -> None:
    """Raise what staging `value` (or the elements from `index`) in `field` would raise.

    Raises
    ------
    VariableError
        The value is of the wrong type, out of range, or does not fit the array.
    """
    spec = field.spec
    low, high = spec.limits()
    try:
        if not spec.numValues:
            value = spec.model.normalize(value)
            if low is not None and high is not None and (value < low or value > high):
                raise field.out_of_range(value, low, high)
            spec.model.encode(value)
            return
        values = value if isinstance(value, (list, tuple, np.ndarray)) else [value]
        if max(index, 0) + len(values) > spec.numValues:
            raise VariableError(
                f"Index {index} is out of range for {spec.name}"
                if len(values) == 1
                else f"Overflow error for passed list with length {len(values)} at index {max(index, 0)}. "
                f"Variable length = {spec.numValues} for {spec.name}"
            )
        array = spec.model.normalizeArray(values)
        for extreme in (np.fmin.reduce(array), np.fmax.reduce(array)) if len(array) else ():
            if low is not None and high is not None and not low <= extreme <= high and extreme == extreme:
                raise field.out_of_range(extreme, low, high)
    except VariableError:
        raise
    except (TypeError, ValueError, OverflowError) as problem:
        raise field.unfit(value, problem) from problem
