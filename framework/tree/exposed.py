"""Mark members of a node for use by remote clients."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

__all__ = ["expose", "isExposed"]

T = TypeVar("T")


def expose(item: T) -> T:
    """Mark a method or property as part of what remote clients may use; usable as a decorator."""
    target: Any = item.fget if isinstance(item, property) else item
    target._rogueExposed = True
    return item


def isExposed(cls: type, name: str) -> bool:
    """Tell if member `name` of `cls`, or the one it overrides, was marked with `expose`."""
    for base in cls.__mro__:
        item = inspect.getattr_static(base, name, None)
        item = item.fget if isinstance(item, property) else item
        if getattr(item, "_rogueExposed", False):
            return True
    return False
