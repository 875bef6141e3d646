"""From the variables of a device to blocks of registers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sapwood.memory import build_blocks
from sapwood.memory.transaction import DEFAULT_TIMEOUT_S

__all__ = ["build"]


def build(device: Any, variables: Sequence[Any], custom: Sequence[Any]) -> list[Any]:
    """Return the blocks for the RemoteVariables of `device`, by address, and place each variable.

    Every completed transaction of a block publishes those of its variables that want it.
    """
    if not variables and not custom:
        return []
    publish = device._root._updates.publish_block
    blocks = build_blocks([variable._spec() for variable in variables], device, device._path, custom)
    timeout = device._root._timeout
    for block in blocks:
        for field in block.fields:
            field.spec.owner._place(field)
        told = dict.fromkeys([field.spec.owner for field in block.fields if field.spec.updateNotify])
        if told:
            block.told = told
            block.onUpdate = publish
        if timeout != DEFAULT_TIMEOUT_S:
            block.set_timeout(timeout)
    return list(blocks)
