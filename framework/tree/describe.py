"""A node in types of JSON: what a client needs to draw it."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["describe", "plain"]


def plain(value: Any) -> Any:
    """Return `value` in types of JSON: NumPy scalars as numbers, what has no form there as text."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value - value != 0:  # nan and the infinities
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def _kind(node: Any) -> str:
    if node.isDevice:
        return "root" if node._owner is None and hasattr(node, "getNode") else "device"
    return "command" if node.isCommand else "variable"


def _bases(node: Any) -> list[str]:
    """Return the names of the framework's classes that `node` is made from, nearest first."""
    classes = type(node).__mro__
    return [base.__name__ for base in classes if base.__module__.startswith("sapwood.tree")]


def describe(node: Any) -> dict[str, Any]:
    """Return kind, name, path, groups and, for variables and commands, all about the value."""
    facts: dict[str, Any] = {
        "kind": _kind(node),
        "name": node._name,
        "path": node._path,
        "class": type(node).__name__,
        "bases": _bases(node),
        "description": node._description,
        "groups": list(node._groups),
        "hidden": node.hidden,
        "guiGroup": node._guiGroup,
        "expand": node._expand,
    }
    if node.isDevice:
        facts["nodes"] = list(node._nodes)
        return facts
    enum = node._enum
    facts.update(
        mode=node.mode,
        typeStr=node.typeStr,
        enum=None if enum is None else [[plain(value), text] for value, text in enum.items()],
        units=node.units,
        minimum=plain(node.minimum),
        maximum=plain(node.maximum),
        disp=node.disp,
        precision=node.precision,
        pollInterval=node.pollInterval,
        isArray=node.isArray,
        ndType=node.ndTypeStr,
        hasAlarm=node.hasAlarm,
        fileName=bool(node.getExtraAttribute("fileName")),
    )
    if node.isCommand:
        facts.update(takesArg=node.arg, retTypeStr=node.retTypeStr)
    else:
        limits = ("lowWarning", "lowAlarm", "highWarning", "highAlarm")
        facts.update((name, plain(getattr(node, name))) for name in limits)
    return facts
