"""Attribute values as the JSON texts of PyMoDAQ, both ways; nothing read is ever evaluated."""

from __future__ import annotations

import json
import math
import os
from enum import Enum
from typing import Any

import numpy as np

from sapwood.fileio.pymodaq.literals import parse_literal

__all__ = ["as_text", "decode", "encode", "is_plain_text"]

_DECODED = frozenset(
    {
        *("int", "float", "str", "bool", "bytes", "list", "tuple", "dict", "complex", "NoneType"),
        *("datetime", "date", "time", "timedelta", "ndarray", "bool_", "str_", "bytes_"),
        *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    }
)


def encode(value: Any) -> str:
    """Return the text stored for `value`.

    NumPy scalars and arrays, enumeration members and paths become plain Python first. None,
    not-a-number and the infinities are written in JSON's own form, which every reader knows.
    """
    plain = _plain(value)
    if plain is None or (isinstance(plain, float) and not math.isfinite(plain)):
        return json.dumps(plain)
    kind = type(plain)
    return json.dumps({"module": kind.__module__, "type": kind.__name__, "data": repr(plain)})


def _plain(value: Any) -> Any:
    if type(value) in (str, int, float, bool, bytes):
        return value
    if isinstance(value, (np.generic, np.ndarray)):
        return _plain(value.tolist()) if not isinstance(value, np.void) else value
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if type(value) in (list, tuple):
        return type(value)([_plain(item) for item in value])
    if type(value) is dict:
        return {_plain(key): _plain(item) for key, item in value.items()}
    return value


def as_text(raw: Any) -> Any:
    """Return an attribute as h5py gives it with texts as `str`; an empty one is ``''``."""
    if isinstance(raw, bytes):
        return raw.decode("utf-8", "replace")
    if isinstance(raw, np.ndarray) and raw.dtype.kind == "S":
        return np.char.decode(raw, "utf-8", "replace")
    if type(raw).__name__ == "Empty":
        return "" if raw.dtype.kind in "SO" else None
    return raw


def decode(raw: Any) -> Any:
    """Return the value of an attribute as h5py gives it.

    A text in the form of PyMoDAQ gives the value it stands for, or the dictionary with its type
    and representation if that is no plain value; other JSON gives its value; all other texts are
    themselves.
    """
    raw = as_text(raw)
    if not isinstance(raw, str):
        return raw
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return str(raw)
    if not (isinstance(value, dict) and "type" in value and "data" in value):
        return value
    if value["type"] not in _DECODED or not isinstance(value["data"], str):
        return value
    try:
        return parse_literal(value["data"])
    except ValueError:
        return value


def is_plain_text(text: str) -> bool:
    """Tell whether `text`, stored as it is, is read back as itself."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return True
    return False
