"""A configuration checked against the tree, before anything of it is applied."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from sapwood.errors import SapwoodError, nearest
from sapwood.tree.groups import GroupFilter
from sapwood.tree.match import parse_index

__all__ = ["Difference", "Plan", "Step"]


class Difference(NamedTuple):
    """A value that a configuration would change: where, from what, to what."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Step:
    """One value to set; `index` is negative for the whole value."""

    variable: Any
    value: Any
    index: int

    @property
    def path(self) -> str:
        """Path of the variable, with the index of its element."""
        path = str(self.variable._path)
        return path if self.index < 0 else f"{path}[{self.index}]"


@dataclass
class Plan:
    """The steps that a configuration asks for, and what is wrong with it.

    No code of the user is called while it is made.

    Parameters
    ----------
    log
        Where skipped entries are told.
    modes
        Access modes of the variables that may be set.
    groups
        Tested at every level; what does not pass is left out silently.
    strict
        Entries that would be skipped are problems.
    """

    log: logging.Logger
    modes: Sequence[str]
    groups: GroupFilter
    strict: bool = False
    steps: list[Step] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

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
        self._skip(logging.ERROR, f"Entry {key} not found in {device._path}{hint}")

    def _skip(self, level: int, text: str) -> None:
        """Tell about an entry that is left out; a strict plan does not."""
        if self.strict:
            self.problems.append(text)
        else:
            self.skipped.append(text)
            self.log.log(level, "%s", text)

    def node(self, node: Any, keys: list[str] | None, data: Any) -> None:
        """Take up the data for `node`, or for the elements `keys` of it."""
        if not self.groups(node._groups):
            return
        if node.isDevice:
            if not isinstance(data, Mapping):
                self._problem(node._path, f"is a device: a mapping is expected, not {data!r}")
                return
            for key, value in data.items():
                self.entry(node, key, value)
        elif node.isCommand:
            near = nearest(node._name, node._parent.variables if node._parent is not None else ())
            hint = f". Did you mean: {', '.join(near)}?" if near else ""
            self._skip(logging.WARNING, f"Skipping Entry {node._name}: {node._path} is a command{hint}")
        elif node._mode not in self.modes:
            modes = ", ".join(self.modes)
            self._skip(
                logging.WARNING,
                f"Skipping set for Entry {node._name} with mode {node._mode}. Enabled Modes={modes}. "
                f"Path: {node._path}",
            )
        elif keys is not None:
            self._elements(node, keys, data)
        elif isinstance(data, Mapping) and node._nativeType is np.ndarray:
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
        length = variable._length()
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

    def differences(self) -> list[Difference]:
        """Return what would change, the last of several values for one place; no hardware is accessed."""
        found: dict[str, Difference | None] = {}
        for step in self.steps:
            old = step.variable.value(index=step.index)
            same = step.variable._holds(step.value, step.index)
            found[step.path] = None if same else Difference(step.path, old, step.value)
        return [one for one in found.values() if one is not None]
