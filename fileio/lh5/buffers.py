"""What was read, put into an object that is there already."""

from __future__ import annotations

from typing import Any

from sapwood.fileio.lh5.encoded import ArrayOfEncodedEqualSizedArrays
from sapwood.fileio.lh5.errors import LH5DecodeError, LH5EncodeError
from sapwood.fileio.lh5.lgdo import LGDO
from sapwood.fileio.lh5.scalar import Scalar
from sapwood.fileio.lh5.struct import Struct
from sapwood.fileio.lh5.table import Table

__all__ = ["concatenated", "fill"]


def fill(buffer: Any, start: int, found: Any) -> Any:
    """Have the rows of `found` in `buffer` from row `start` on, none behind them; return `buffer`.

    Raises
    ------
    LH5DecodeError
        When `buffer` is of another kind.
    """
    if not isinstance(buffer, LGDO) or buffer.datatype_name() != found.datatype_name():
        raise LH5DecodeError(
            "The buffer is of another kind than what was read",
            expected=found.form_datatype(),
            seen=buffer.form_datatype() if isinstance(buffer, LGDO) else type(buffer).__name__,
        )
    if isinstance(buffer, Scalar):
        buffer.value = found.value
    elif isinstance(buffer, Struct) and not isinstance(buffer, Table):
        buffer.update(found)
    else:
        _fill_rows(buffer, start, found)
    return buffer


def _fill_rows(buffer: Any, start: int, found: Any) -> None:
    block = found.encoded_data if isinstance(found, ArrayOfEncodedEqualSizedArrays) else found
    try:
        if start > len(buffer):
            buffer.resize(start)
        buffer.resize(buffer.put(start, block))
    except LH5EncodeError as error:
        raise LH5DecodeError(error.text, expected=error.expected, seen=error.seen) from error


def concatenated(parts: list[Any]) -> Any:
    """Return the rows of all `parts`, objects of one kind, in the first; others than rows of the first."""
    first = parts[0]
    if isinstance(first, Struct) and not isinstance(first, Table):
        for name in first:
            concatenated([part[name] for part in parts if name in part])
    elif not isinstance(first, Scalar):
        for part in parts[1:]:
            _fill_rows(first, len(first), part)
    return first
