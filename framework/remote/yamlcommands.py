"""The root's commands that carry a configuration as text, within what clients may see and do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sapwood.remote.access import confined
from sapwood.remote.directory import HIDDEN
from sapwood.tree.groups import GroupFilter
from sapwood.tree.plan import Plan
from sapwood.tree.yamlio import yamlToData

__all__ = ["yaml_command"]

_CONFIG = ("RW", "WO")
_STATE = ("RW", "RO", "WO")
_quiet = logging.getLogger("sapwood.remote.yaml")  # what is skipped is told when the text is applied
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


def yaml_command(node: Any) -> Callable[[Any], Any] | None:
    """Return what to call for ``SetYamlConfig``, ``GetYamlConfig`` or ``GetYamlState`` of the root.

    Their own functions would show and set variables in the group ``NoServe``, and set file names
    that leave the data folder. None for all other commands.
    """
    if node.parent is not node.root:
        return None
    root = node.root
    functions: dict[str, Callable[[Any], Any]] = {
        "SetYamlConfig": lambda text: _set_config(root, text),
        "GetYamlConfig": lambda read: _get(root, read, _CONFIG, "NoConfig"),
        "GetYamlState": lambda read: _get(root, read, _STATE, "NoState"),
    }
    return functions.get(node.name)


def _get(root: Any, read: Any, modes: tuple[str, ...], left_out: str) -> str:
    first = read is None or read in (True, "True", "true", "1")
    return str(root.getYaml(readFirst=first, modes=modes, excGroups=[left_out, HIDDEN]))


def _set_config(root: Any, text: Any) -> bool:
    groups = ["NoConfig", HIDDEN]
    plan = Plan(_quiet, _CONFIG, GroupFilter(None, groups))
    data = yamlToData(text or "")
    for key, value in data.items() if isinstance(data, Mapping) else ():
        nodes, keys = root._targets(str(key))
        for node in nodes:
            plan.node(node, keys, value)
    for step in plan.steps:
        if step.variable.getExtraAttribute("fileName"):
            confined(step.value, Path(root.dataDir or "."), step.variable.path)
    return bool(root.setYaml(text or "", writeEach=False, modes=_CONFIG, excGroups=groups))
