"""Columns of text: bytes as text, text as bytes that follow each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["decoded", "joined"]


def decoded(values: NDArray[Any]) -> NDArray[Any]:
    """Return bytes as text, of UTF-8; bytes that are none are shown in hex. Other values stay."""
    return np.char.decode(values, "utf-8", "backslashreplace") if values.dtype.kind == "S" else values


def joined(values: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return texts as UTF-8 one after the other, and how many bytes each has; shape (m,) and (n,)."""
    raw = np.char.encode(values, "utf-8") if values.dtype.kind == "U" else np.ascontiguousarray(values)
    sizes = np.char.str_len(raw).astype(np.int64)
    rows = raw.reshape(-1, 1).view(np.uint8).reshape(len(raw), -1)
    return rows[np.arange(rows.shape[1]) < sizes[:, None]], sizes
