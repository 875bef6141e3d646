"""Values as text and back: what `genDisp` and `parseDisp` do."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from sapwood.errors import nearest

__all__ = ["INVALID", "literal", "number", "parse_array", "parse_enum", "parse_text", "to_text"]

INVALID = "INVALID: "
"""What stands before a value that has no text in the enum."""


def literal(text: str) -> Any:
    """Return the Python literal in `text` (``0x10``, ``1_0``, ``[1, 2]``, ``'a'``, ``None``...).

    Raises
    ------
    ValueError
        When it is not one.
    """
    try:
        return ast.literal_eval(text.strip())
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"not a literal: {error.args[0] if error.args else text!r}") from None


def number(text: str) -> Any:
    """Return the number or other literal in `text`; the usual cases are quick."""
    try:
        return int(text, 0)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return literal(text)


def parse_text(text: str, kind: type | None) -> Any:
    """Return the value of class `kind` in `text`; the class is checked only where text is ambiguous.

    Raises
    ------
    ValueError
        When `text` does not hold one.
    """
    if kind is str:
        return text
    if kind is float:
        value = number(text)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError("not a number")
        return float(value)
    value = number(text) if kind is int else literal(text)
    if kind is int and not isinstance(value, int):
        raise ValueError("not an integer")
    return value


def parse_enum(text: str, values: dict[str, Any]) -> Any:
    """Return the value whose text is `text`; ``INVALID: 7`` gives 7 back.

    Raises
    ------
    ValueError
        When no value has this text.
    """
    if text in values:
        return values[text]
    if text.startswith(INVALID):
        return literal(text[len(INVALID) :])
    near = nearest(text, values)
    hint = f"did you mean {' or '.join(near)}" if near else f"it is none of {', '.join(values)}"
    raise ValueError(f"unknown text, {hint}")


def parse_array(text: str, dtype: Any) -> np.ndarray[Any, Any]:
    """Return the array in the list `text`.

    Raises
    ------
    ValueError
        When it is not a list of numbers of this type.
    """
    body = text.strip()
    if not (body.startswith("[") and body.endswith("]")):
        raise ValueError("not a list like [1, 2]")
    try:
        items = literal(body)
    except ValueError:
        items = [number(item) for item in body[1:-1].split(",")]  # nan and inf are no literals
    try:
        return np.array(items, dtype)
    except OverflowError as error:
        raise ValueError(str(error)) from None


def to_text(value: Any, disp: str, enum: dict[Any, str] | None) -> str:
    """Return `value` as text by the format `disp`; ``''`` shows nothing, ``'enum'`` looks it up."""
    if disp == "":
        return ""
    if isinstance(value, np.ndarray):
        items = value.tolist() if value.dtype.kind in "iufb" else value
        if disp == "enum":
            return f"[{', '.join(to_text(item, disp, enum) for item in items)}]"
        return f"[{', '.join(map(disp.format, items))}]"
    if disp == "enum":
        try:
            return (enum or {})[value]
        except (KeyError, TypeError):
            return f"{INVALID}{value}"
    if value is None:
        return "None"
    try:
        return disp.format(value)
    except (TypeError, ValueError):  # a format of numbers that a link has taken over for its text
        return str(value)
