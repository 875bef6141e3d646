"""The values of all registers as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sapwood.tree.remotevar import RemoteVariable

__all__ = ["dump_text"]

_WIDEST = 64


def dump_text(root: Any, modes: Sequence[str]) -> str:
    """Return lines ``path = value [value ...]`` for the RemoteVariables below `root`."""
    chosen = root.find(typ=RemoteVariable)
    lines = [f"{one.path} = {_text(one)}" for one in chosen if one.mode in modes and not one.isCommand]
    return "".join(f"{line}\n" for line in lines)


def _text(variable: RemoteVariable) -> str:
    """Return integers as decimals, wider ones as the bytes in memory, other types as UNDEFINED."""
    value, kind = variable.value(), variable.base.pytype
    if kind not in (int, bool, float):
        return "UNDEFINED"
    if isinstance(value, np.ndarray):
        return " ".join(str(int(item) if kind is bool else item) for item in value.tolist())
    if kind is float:
        return repr(float(value))
    if variable.base.bitSize > _WIDEST:
        return f"0x{bytes(variable.base.toBytes(value)).hex()}"
    return str(int(value))
