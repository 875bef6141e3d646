"""A configuration checked against the tree, before anything of it is applied."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sapwood.errors import SapwoodError, nearest
from sapwood.tree.groups import GroupFilter
from sapwood.tree.match import parse_index

__all__ = ["Plan", "Step"]


@dataclass(frozen=True, slots=True)
class Step:
    """One value to set; `index` is negative for the whole value."""

    variable: Any
    value: Any
    index: int


@dataclass
class Plan:
    """The steps that a configuration asks for, and what is wrong with it.

    Parameters
    ----------
    log
        Where skipped entries are told.
    modes
        Access modes of the variables that may be set.
    groups
        Tested at every level; what does not pass is left out silently.
    """

    log: logging.Logger
    modes: Sequence[str]
    groups: GroupFilter
    steps: list[Step] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    skipped: int = 0

    def entry(self, device: Any, key: Any, data: Any) -> None:
        """Take up one entry of `device`."""
        nodes, keys = device.nodeMatch(str(key))
        if not nodes:
            self.unknown(device, str(key))
        for node in nodes:
            self.node(node, keys, data)

    def unknown(self, device: Any, key: str) -> None:
        """Tell about an entry that names nothing."""
        near = nearest(key, device._nodes)
        hint = f". Did you mean: {', '.join(near)}?" if near else ""
        self.log.error("Entry %s not found in %s%s", key, device._path, hint)
        self.skipped += 1

    def node(self, node: Any, keys: list[str] | None, data: Any) -> None:
        """Take up the data for `node`, or for the elements `keys` of it."""
        if not self.groups(node._groups) or node.isCommand:
            return
        if node.isDevice:
            if not isinstance(data, Mapping):
                self._problem(node._path, f"is a device: a mapping is expected, not {data!r}")
                return
            for key, value in data.items():
                self.entry(node, key, value)
        elif node._mode not in self.modes:
            self.log.warning(
                "Skipping set for Entry %s with mode %s. Enabled Modes=%s.",
                node._name,
                node._mode,
                self.modes,
            )
            self.skipped += 1
        elif keys is not None:
            self._elements(node, keys, data)
        elif isinstance(data, Mapping) and node.nativeType is np.ndarray:
            for index, value in data.items():
                self._step(node, value, index)
        else:
            self._step(node, data, -1)

    def _problem(self, path: str, text: str) -> None:
        self.problems.append(f"{path}: {text}")

    def _elements(self, variable: Any, keys: list[str], data: Any) -> None:
        """Set elements of an array, list or dict: one value each, or one for all."""
        path = f"{variable._path}[{']['.join(keys)}]"
        index = parse_index(keys[0]) if len(keys) == 1 else None
        if index is None:
            self._problem(path, "is not an index or slice")
            return
        try:
            length = variable.numValues if hasattr(variable, "numValues") else len(variable.value())
        except TypeError:
            length = 0
        if not length:
            self._problem(path, "has no elements: the variable is not an array")
        elif isinstance(index, int):
            self._step(variable, data, index + length if -length <= index < 0 else index, path)
        else:
            self._slice(variable, path, list(range(length)[index]), data)

    def _slice(self, variable: Any, path: str, indexes: list[int], data: Any) -> None:
        if isinstance(data, str) and data.strip().startswith("["):
            data = [item.strip() for item in data.strip()[1:-1].split(",")]
        values = list(data) if isinstance(data, (list, tuple)) else [data] * len(indexes)
        if len(values) != len(indexes):
            self._problem(path, f"has {len(indexes)} elements, but {len(values)} values are given")
            return
        for index, value in zip(indexes, values, strict=True):
            self._step(variable, value, index)

    def _step(self, variable: Any, data: Any, index: Any, path: str | None = None) -> None:
        """Check one value and note it."""
        path = path or (variable._path if index == -1 else f"{variable._path}[{index}]")
        if data is None:
            self._problem(path, "has no value")
            return
        try:
            number = int(index)
            if number < -1 or (number < 0 and index != -1):
                raise IndexError(f"Index {index} is out of range")
            value = variable.parseDisp(data, number)
            variable._check(value, number)
        except (SapwoodError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            self._problem(path, str(error))
        else:
            self.steps.append(Step(variable, value, number))
