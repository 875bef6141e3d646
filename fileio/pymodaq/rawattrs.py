"""Attributes on h5py objects, written the way PyMoDAQ's files have them, and fast."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from sapwood.fileio import hdf5

__all__ = ["put_fixed", "put_plain", "put_text", "take", "take_at"]

_STEP = 32  # bytes: texts of fixed size grow by so much, so that a new value fits in place


@cache
def _types() -> tuple[Any, Any, Any, Any]:
    """Return dtype, type in memory, type in the file and the scalar space of variable-length texts."""
    h5 = hdf5.h5py()
    dtype = h5.string_dtype()
    return dtype, h5.h5t.py_create(dtype), h5.h5t.py_create(dtype, logical=True), h5.h5s.create(h5.h5s.SCALAR)


def take(node: Any, name: str) -> Any:
    """Return the attribute as h5py reads it; None when there is none or it is of a type unknown to h5py."""
    try:
        return node.attrs[name]
    except (KeyError, OSError, TypeError, ValueError):
        return None


def take_at(handle: Any, path: str, name: str) -> Any:
    """Return an attribute of the object at `path` as `take` does; the object of a text is not opened."""
    h5 = hdf5.h5py()
    try:
        attribute = h5.h5a.open(handle.id, name.encode(), obj_name=path.encode())
        kind = attribute.get_type()
        if isinstance(kind, h5.h5t.TypeStringID) and kind.is_variable_str() and attribute.shape == ():
            dtype, memory, _, _ = _types()
            text = np.empty((), dtype=dtype)
            attribute.read(text, mtype=memory)
            return text[()]
    except (KeyError, OSError, RuntimeError, TypeError, ValueError):
        return None
    return take(handle[path], name)


def put_text(node: Any, name: str, text: str) -> None:
    """Set a text of variable length, UTF-8."""
    h5a = hdf5.h5py().h5a
    dtype, memory, stored, scalar = _types()
    key = name.encode()
    if h5a.exists(node.id, key):
        h5a.delete(node.id, key)
    h5a.create(node.id, key, stored, scalar).write(np.array(text, dtype=dtype), mtype=memory)


def put_fixed(node: Any, name: str, text: str) -> None:
    """Set a text of fixed length, filled with spaces; where its size stays the same, in place."""
    h5 = hdf5.h5py()
    data = text.encode()
    size = -(-len(data) // _STEP) * _STEP
    value = np.array(data.ljust(size), f"S{size}")
    if h5.h5a.exists(node.id, name.encode()):
        old = h5.h5a.open(node.id, name.encode())
        kind = old.get_type()
        if old.dtype.kind == "S" and kind.get_size() == size and old.shape == ():
            old.write(value, mtype=kind)
            return
    node.attrs.create(name, value, dtype=h5.string_dtype("utf-8", size))


def put_plain(node: Any, name: str, value: Any) -> None:
    """Set a plain HDF5 attribute: a text, or whatever h5py has a type for."""
    if isinstance(value, str):
        put_text(node, name, value)
    else:
        node.attrs[name] = value
