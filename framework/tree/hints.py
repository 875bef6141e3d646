"""Values checked against type hints: the few forms that keywords of nodes have."""

from __future__ import annotations

import collections.abc
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

__all__ = ["expected", "matches"]

_TEXTS = {bool: "true or false", int: "an integer", float: "a number", str: "a text", NoneType: "null"}


def matches(value: Any, hint: Any) -> bool:
    """Tell if `value`, plain data, is of the type `hint`; true and false are no numbers."""
    if hint is Any:
        return value is not None
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(matches(value, arg) for arg in args)
    if origin is Literal:
        return value in args
    if origin is collections.abc.Sequence:
        return isinstance(value, list) and all(matches(item, args[0]) for item in value)
    if origin is collections.abc.Mapping:
        return isinstance(value, dict) and all(matches(item, args[1]) for item in value.values())
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint


def expected(hint: Any) -> str:
    """Return `hint` in words."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(expected(arg) for arg in args)
    if origin is Literal:
        return " or ".join(map(str, args))
    if origin is collections.abc.Sequence:
        return f"a list of {_plural(args[0])}"
    if origin is collections.abc.Mapping:
        return f"a mapping to {_plural(args[1])} (yes, no, on and off need quotes)"
    return _TEXTS.get(hint, "a value")


def _plural(hint: Any) -> str:
    return {int: "integers", str: "texts"}.get(hint, "values")
