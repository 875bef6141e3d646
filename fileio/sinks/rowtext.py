"""Columns as text, many rows at a time: what ``str`` says of each value, between separators.

Each column becomes fixed-width text, padded with zero bytes; the columns are laid side by side
and the padding is taken out of all rows at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["rows_text"]

_TABLES = ((10, 1), (1000, 3), (1 << 18, 6))  # numbers below the first are looked up, as so many digits
_BLOCK = 1 << 14  # rows laid out together: their text stays in the cache
_DECIMALS = 1000  # floats that are whole multiples of 1 / this are put together from two numbers

Text = NDArray[np.bytes_]


def rows_text(columns: Sequence[NDArray[Any]], separator: bytes) -> bytes:
    """Return the rows of `columns`, each ended by a line feed.

    Parameters
    ----------
    columns
        Arrays of integers, floats or ASCII text, shape (n,). Floats of any size are told with all
        the digits that they have as f8, as astropy does.
    separator
        One byte, between the values of a row.
    """
    count = len(columns[0]) if columns else 0
    parts = []
    for begin in range(0, count, _BLOCK):
        texts = [_text(column[begin : begin + _BLOCK]) for column in columns]
        parts.append(_lay_out(texts, separator))
    return b"".join(parts)


def _lay_out(texts: Sequence[tuple[Text, ...]], separator: bytes) -> bytes:
    """Return the rows; the texts of one column follow each other without a separator."""
    count = len(texts[0][0])
    width = sum(piece.itemsize for pieces in texts for piece in pieces) + len(texts)
    rows = np.empty((count, width), np.uint8)
    at = 0
    for pieces in texts:
        for piece in pieces:
            rows[:, at : at + piece.itemsize] = piece.view(np.uint8).reshape(count, -1)
            at += piece.itemsize
        rows[:, at] = separator[0]
        at += 1
    rows[:, -1] = 10
    flat = rows.reshape(-1)
    text: bytes = flat[flat != 0].tobytes()
    return text


def _text(values: NDArray[Any]) -> tuple[Text, ...]:
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
        return (np.array([str(value) for value in bits.view(np.float64)], np.bytes_)[inverse],)
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
