"""Attributes of tables and columns on their way into files, as JSON can hold them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sapwood.fileio.table import Table

__all__ = ["column_facts", "fact_text", "plain_fact", "table_facts"]

_ABOUT_FILES = ("file", "base")  # attributes that tell where the source of a chunk lies


def plain_fact(value: Any) -> Any:
    """Return an attribute made of what JSON knows; other things, NaN and infinities become text."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Mapping):
        return {str(key): plain_fact(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain_fact(one) for one in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return value if isinstance(value, float) and math.isfinite(value) else str(value)


def fact_text(value: Any) -> str:
    """Return an attribute as text: itself, or JSON."""
    plain = plain_fact(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def table_facts(table: Table) -> dict[str, Any]:
    """Return the attributes of a table that are about more than one chunk, as JSON can hold them."""
    return {
        key: plain_fact(value)
        for key, value in table.attributes.items()
        if key not in _ABOUT_FILES and not (np.ndim(value) and len(value) == len(table))  # one a row
    }


def column_facts(table: Table) -> dict[str, Any]:
    """Return the attributes of the columns that have some, as JSON can hold them."""
    return {name: plain_fact(one.attributes) for name, one in table.columns.items() if one.attributes}
