"""Property lists of ORCA headers, parsed without trust in what they hold."""

from __future__ import annotations

import base64
import datetime
import plistlib
from typing import Any

from sapwood.errors import FormatError

__all__ = ["as_json", "parse_plist"]

_DEEPEST = 100


def parse_plist(xml: bytes, *, file: str | None = None, offset: int = 0) -> dict[str, Any]:
    """Return the dictionary of an XML property list.

    Entities, references to other files, and trees deeper than 100 levels are refused.

    Raises
    ------
    FormatError
        When it is none, naming `file` and the `offset` of its first byte.
    """
    try:
        tree = plistlib.loads(xml.rstrip(b"\0"), fmt=plistlib.FMT_XML)
    except Exception as error:  # the parser raises whatever its helpers raise
        raise FormatError(
            "The header is no property list", file=file, offset=offset, seen=str(error)[:200]
        ) from error
    if not isinstance(tree, dict):
        raise FormatError("The header is no dictionary", file=file, offset=offset, seen=type(tree).__name__)
    if _depth(tree) > _DEEPEST:
        raise FormatError("The header is nested too deeply", file=file, offset=offset, expected=_DEEPEST)
    return tree


def _depth(tree: Any) -> int:
    depth, level = 0, [tree]
    while level:
        depth += 1
        inner: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                inner.extend(node.values())
            elif isinstance(node, list):
                inner.extend(node)
        level = inner
    return depth


def as_json(value: Any) -> Any:
    """Return what JSON can say of a date or of data; for ``json.dumps(..., default=as_json)``."""
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value)
