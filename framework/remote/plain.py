"""Which variables can be read and set without blocking and without running user code."""

from __future__ import annotations

from typing import Any

from sapwood.memory import Hub
from sapwood.memory.slave import direct_access
from sapwood.tree.local import LocalVariable
from sapwood.tree.remotevar import RemoteVariable

__all__ = ["is_plain"]

_METHODS = ("get", "set", "post", "getDisp", "setDisp", "genDisp", "parseDisp")


def is_plain(node: Any) -> bool:
    """Tell if `node` may be read and set in a thread that serves others.

    True for a LocalVariable without callbacks, and for a RemoteVariable with a model of Sapwood
    whose registers are in a slave that answers at once, such as `Emulate`; in a device that does not
    intercept accesses. A subclass with access methods of its own is user code.
    """
    kind: type[Any]
    if isinstance(node, LocalVariable):
        kind, plain = LocalVariable, node._getter is None and node._setter is None
    elif isinstance(node, RemoteVariable):
        kind, plain = RemoteVariable, _is_own_model(node) and _answers_at_once(node)
    else:
        return False
    return (
        plain and node._direct and all(getattr(type(node), name) is getattr(kind, name) for name in _METHODS)
    )


def _is_own_model(node: RemoteVariable) -> bool:
    return type(node.base).__module__.startswith("sapwood.memory.")


def _answers_at_once(node: RemoteVariable) -> bool:
    """Follow the hubs that only add offsets down to the slave that holds the registers."""
    slave: Any = node.parent
    while isinstance(slave, Hub) and type(slave)._doTransaction is Hub._doTransaction:
        slave = slave._getSlave()
    return direct_access(slave) is not None
