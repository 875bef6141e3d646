"""A single value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sapwood.fileio.lh5 import datatype
from sapwood.fileio.lh5.errors import LH5EncodeError
from sapwood.fileio.lh5.lgdo import LGDO

__all__ = ["Scalar"]


class Scalar(LGDO):
    """A number, bool or text.

    Parameters
    ----------
    value
        It.
    attrs
        See `LGDO`.
    """

    def __init__(self, value: Any, attrs: Mapping[str, Any] | None = None) -> None:
        if isinstance(value, bytes):
            value = value.decode()
        if not np.isscalar(value):
            raise LH5EncodeError("A scalar needs one value", seen=type(value).__name__)
        self.value: Any = value
        self._set_attrs(attrs)

    def form_datatype(self) -> str:
        """Return the text of the attribute ``datatype``."""
        return datatype.form(datatype.SCALAR, datatype.element_of(np.asarray(self.value).dtype))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scalar):
            return NotImplemented
        return bool(self.value == other.value) and self.attrs == other.attrs

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Scalar({self.value!r}, attrs={self.attrs!r})"
