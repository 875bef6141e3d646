"""Numbers as text, a column at a time: what ``str`` says of each value."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Text", "value_text"]

_TABLES = ((10, 1), (1000, 3), (1 << 18, 6))  # numbers below the first are looked up, as so many digits
_DECIMALS = 1000  # floats that are whole multiples of 1 / this are put together from two numbers

Text = NDArray[np.bytes_]


def value_text(values: NDArray[Any]) -> tuple[Text, ...]:
    """Return what ``str`` says of each value, as pieces of fixed width that follow each other."""
    kind = values.dtype.kind
    if kind == "u" or (kind == "i" and values.min(initial=0) >= 0):
        looked_up = _looked_up(values)
        if looked_up is not None:
            return (looked_up,)
    if kind == "f":
        values = np.ascontiguousarray(values, np.float64)
        decimal = _decimal(values)
        if decimal is not None:
            return decimal
        bits, inverse = np.unique(values.view(np.int64), return_inverse=True)  # 0.0 is not -0.0
        return (np.array(list(map(str, bits.view(np.float64).tolist())), np.bytes_)[inverse],)
    return (_told_once(values),)


@cache
def _table(top: int, width: int) -> Any:
    return np.arange(top).astype(f"S{width}")


@cache
def _fractions() -> Any:
    """Return what stands behind the digits of a float, for each number of thousandths."""
    return np.array([str(value / _DECIMALS)[1:] for value in range(_DECIMALS)], "S4")


def _looked_up(values: NDArray[Any]) -> Text | None:
    """Return the text of small numbers, none of them negative; None when there are others."""
    most = int(values.max(initial=0))
    for top, width in _TABLES:
        if most < top:
            found: Text = np.take(_table(top, width), values)
            return found
    return None


def _decimal(values: NDArray[Any]) -> tuple[Text, Text] | None:
    """Return the text of floats of up to three decimals; None when there are others."""
    if not ((values >= 0) & (values < _TABLES[-1][0]) & ~np.signbit(values)).all():
        return None
    parts = np.rint(values * _DECIMALS)
    if not (parts / _DECIMALS == values).all():
        return None
    whole, rest = np.divmod(parts.astype(np.uint32), np.uint32(_DECIMALS))
    digits = _looked_up(whole)
    return None if digits is None else (digits, np.take(_fractions(), rest))


def _told_once(values: NDArray[Any]) -> Text:
    """Return the text of values that often stay the same from row to row."""
    new = np.empty(len(values), np.bool_)
    new[:1] = True
    np.not_equal(values[1:], values[:-1], out=new[1:])
    told = values[new].astype(np.bytes_)
    return np.repeat(told, np.diff(np.append(np.flatnonzero(new), len(values))))
