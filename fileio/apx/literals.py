"""Values written as Python source, read without running any of it."""

from __future__ import annotations

import ast
from typing import Any

from sapwood.errors import FormatError

__all__ = ["literal", "namespace"]

_LONGEST = 1 << 20  # characters


def _parse(text: str) -> ast.expr:
    if len(text) > _LONGEST:
        raise FormatError("A line of metadata is too long", expected=f"{_LONGEST} characters", seen=len(text))
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise FormatError("Metadata cannot be read", seen=_shown(text)) from error


def _shown(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= 80 else f"{text[:80]}...")


def _value(node: ast.expr, text: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise FormatError("Metadata holds something else than plain values", seen=_shown(text)) from error


def literal(text: str) -> Any:
    """Return the number, text, list, mapping ... that `text` writes.

    Raises
    ------
    FormatError
        When it is anything else, such as a call or a name.
    """
    return _value(_parse(text), text)


def namespace(text: str) -> dict[str, Any]:
    """Return the keywords of ``Namespace(name=value, ...)``, as Python prints command line options.

    Raises
    ------
    FormatError
        When it is anything else.
    """
    node = _parse(text)
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Namespace"):
        raise FormatError("Metadata cannot be read", expected="Namespace(...)", seen=_shown(text))
    if node.args or any(one.arg is None for one in node.keywords):
        raise FormatError("Metadata cannot be read", expected="name=value", seen=_shown(text))
    return {str(one.arg): _value(one.value, text) for one in node.keywords}
