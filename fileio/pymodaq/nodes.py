"""Wrappers of the nodes of a PyMoDAQ file (signatures; bodies follow)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CARRAY", "EARRAY", "GROUP", "VLARRAY", "Group", "Node", "StringARRAY"]


class Node:
    """A node: `name`, `path` ('/RawData/...'), `title`, `attrs`, `parent_node`, `node` (h5py), `backend`."""

    node: Any
    backend: Any
    attrs: Any
    name: str
    path: str
    title: str
    parent_node: GROUP | None

    def set_attr(self, key: str, value: Any) -> None:
        """Set one attribute."""

    def get_attr(self, key: str) -> Any:
        """Return one attribute; KeyError if absent."""


class GROUP(Node):
    """A group."""

    def children(self) -> dict[str, Node]:
        """Return name -> wrapper."""
        raise NotImplementedError

    def children_name(self) -> list[str]:
        """Return the sorted names."""
        raise NotImplementedError

    def get_child(self, name: str) -> Node:
        """Return one child; KeyError if absent."""
        raise NotImplementedError

    def remove_children(self) -> None:
        """Remove all."""


Group = GROUP


class CARRAY(Node):
    """An array of fixed shape; `shape` and `dtype` are the real ones."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self) -> Any:
        """Return everything."""

    def __getitem__(self, key: Any) -> Any: ...
    def __setitem__(self, key: Any, value: Any) -> None: ...


class EARRAY(CARRAY):
    """An array that grows along its first axis; appends are buffered, `flush()` of the saver writes them."""

    def append(self, data: NDArray[Any], expand: bool = True) -> None:
        """Append one record or several."""


class VLARRAY(EARRAY):
    """Rows of their own length."""


class StringARRAY(VLARRAY):
    """Rows of text."""
