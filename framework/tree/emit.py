"""The values of a tree as YAML text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sapwood.tree import display
from sapwood.tree.groups import GroupFilter
from sapwood.tree.yamlio import key_text, value_text

if TYPE_CHECKING:
    from sapwood.tree.node import Node

__all__ = ["node_text", "variable_text"]


def variable_text(variable: Any) -> str:
    """Return the value of `variable` as a YAML scalar that loads as exactly this value."""
    value = variable._saved()
    disp, enum = variable._disp, variable._enum
    return value_text(value, display.to_text(value, disp, enum), disp, enum)


def node_text(node: Node, modes: Sequence[str], groups: GroupFilter, *, recurse: bool = True) -> str:
    """Return ``name: value`` of a variable, or of all variables below a device, as YAML text."""
    if not node.isDevice:
        return f"{key_text(node._name)}: {variable_text(node)}\n"
    lines: list[str] = []
    _device(lines, node, "  ", frozenset(modes), groups, recurse)
    head = key_text(node._name)
    return "\n".join([f"{head}:", *lines, ""]) if lines else f"{head}: {{}}\n"


def _device(
    lines: list[str], device: Any, pad: str, modes: frozenset[str], groups: GroupFilter, recurse: bool
) -> None:
    for name, node in device._nodes.items():
        if node.isVariable and node._mode in modes and groups(node._groups):
            lines.append(f"{pad}{key_text(name)}: {variable_text(node)}")
    if not recurse:
        return
    for name, child in device._devices.items():
        if groups(child._groups):
            start = len(lines)
            lines.append(f"{pad}{key_text(name)}:")
            _device(lines, child, pad + "  ", modes, groups, recurse)
            if len(lines) == start + 1:
                lines.pop()
