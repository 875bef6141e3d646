"""The values of a tree as nested dicts, with or without all that describes each variable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sapwood.tree.groups import GroupFilter
from sapwood.tree.value import VariableValue

__all__ = ["tree_dict", "writable"]


def tree_dict(node: Any, modes: Sequence[str], groups: GroupFilter, *, properties: bool) -> Any:
    """Return the variables below `node` as nested dicts; None for a device without any.

    Parameters
    ----------
    modes
        Access modes of the variables to include.
    groups
        Tested at every level.
    properties
        Each variable is the dict of its properties; else its `VariableValue`.
    """
    if not node.isDevice:
        return node.properties() if properties else VariableValue(node)
    found = {}
    for name, child in node._nodes.items():
        if child.isCommand or (child.isVariable and child.mode not in modes) or not groups(child._groups):
            continue
        data = tree_dict(child, modes, groups, properties=properties)
        if data is not None:
            found[name] = data
    return found or None


def writable(data: Any) -> Any:
    """Return `data` of `tree_dict` with classes and array types as their names, as YAML has them."""
    if isinstance(data, dict):
        return {key: writable(item) for key, item in data.items()}
    if isinstance(data, type):
        return data.__name__
    return str(data) if isinstance(data, np.dtype) else data
