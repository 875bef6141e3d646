"""Columns as text, many rows at a time: what ``str`` says of each value, between separators.

Each column becomes fixed-width text, padded with zero bytes; the columns are laid side by side
and the padding is taken out of all rows at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.sinks.valuetext import Text, value_text

__all__ = ["row_blocks", "rows_text"]

_BLOCK = 1 << 14  # rows laid out together: their text stays in the cache


def row_blocks(columns: Sequence[NDArray[Any]], separator: bytes) -> Iterator[bytes]:
    """Yield the rows of `columns` as text, some thousands at a time, each ended by a line feed.

    Parameters
    ----------
    columns
        Arrays of integers, floats or ASCII text, shape (n,). Floats of any size are told with all
        the digits that they have as f8, as astropy does.
    separator
        One byte, between the values of a row.
    """
    count = len(columns[0]) if columns else 0
    for begin in range(0, count, _BLOCK):
        texts = [value_text(column[begin : begin + _BLOCK]) for column in columns]
        yield _lay_out(texts, separator)


def rows_text(columns: Sequence[NDArray[Any]], separator: bytes) -> bytes:
    """Return what `row_blocks` yields as one text."""
    return b"".join(row_blocks(columns, separator))


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
