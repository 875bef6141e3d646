"""Register tables: the nodes of a device as data, in YAML.

::

    # Name: what it is. The keys are the keywords of the node.
    Scratch: {offset: 0x4, bits: 16, description: Free for tests}
    Status:  {offset: 0x8, bits: 2, mode: RO, enum: {0: Idle, 1: Busy}}
    Level:   {offset: 0xC, bits: 16, base: "Fixed(16, 8)", units: V}
    Mask:    {offset: 0x100, number: 8, stride: 4, bits: 12}
    Reset:   {kind: command, offset: 0x20, function: touchOne}
    Gain:    {kind: local, value: 1.0, units: dB}

Nothing in a table is executed: functions are chosen by name from those of `BaseCommand`, models by
the names of their classes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

from sapwood import memory
from sapwood.errors import ConfigError, SapwoodError, nearest
from sapwood.memory import Model
from sapwood.tree import keywordtypes, sources
from sapwood.tree.command import BaseCommand
from sapwood.tree.declare import Declaration, Local, Register, RegisterArray, RegisterCommand
from sapwood.tree.hints import expected, matches
from sapwood.tree.node import Node
from sapwood.tree.yamllines import Entry, Level, lines_of

__all__ = ["RegisterTable", "load_registers"]

_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
_MODEL = re.compile(r"(\w+)(?:\((\d+(?:, ?\d+)*)\))?", re.ASCII)
_FUNCTIONS = (
    "nothing", "postedTouch", "postedTouchOne", "postedTouchZero", "read", "setAndVerifyArg", "setArg",
    "toggle", "touch", "touchOne", "touchZero",
)  # fmt: skip
_PLACE = {"offset": int | Sequence[int], "bits": int | Sequence[int]}
_ARRAY = {"number": int, "stride": int}
_KEYS: dict[str, dict[str, Any]] = {
    "register": {**_PLACE, **_ARRAY, **get_type_hints(keywordtypes.RegisterKeywords)},
    "command": {**_PLACE, **get_type_hints(keywordtypes.RegisterCommandKeywords)},
    "local": {"value": Any, **get_type_hints(keywordtypes.LocalKeywords)},
}
for _callback in ("localGet", "localSet"):
    del _KEYS["local"][_callback]
_NEEDED = {"register": ("offset",), "command": ("offset",), "local": ("value",)}


class RegisterTable(Mapping[str, Declaration[Any]]):
    """What a register table declares, by name and in its order."""

    def __init__(self, declared: Mapping[str, Declaration[Any]]) -> None:
        self._declared = dict(declared)

    def __getitem__(self, name: str) -> Declaration[Any]:
        return self._declared[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._declared)

    def __len__(self) -> int:
        return len(self._declared)

    def addTo(self, device: Node) -> None:
        """Add new nodes for all entries to `device`."""
        for name, declaration in self._declared.items():
            device.add(declaration.nodes(name, device))


def load_registers(source: str | Path) -> RegisterTable:
    """Return the register table in a YAML file, or in a str with line breaks the table itself.

    Raises
    ------
    ConfigError
        The text is no register table; ``problems`` lists every fault with file, line and key.
    """
    if isinstance(source, str) and "\n" in source:
        return _parse(source, None)
    return _parse(sources.read_text(str(source)), str(source))


def _parse(text: str, file: str | None) -> RegisterTable:
    shown = file or "The text"
    level = lines_of(text, file, depth=2)
    if not isinstance(level, Level):
        raise ConfigError(f"{shown} is no register table", expected="name: {offset: ...}", seen=_kind(level))
    problems: list[str] = []
    declared: dict[str, Declaration[Any]] = {}
    for entry in level:
        reader = _EntryReader(entry, f"{file or 'text'}:", problems)
        made = reader.read()
        if made is not None and entry.key in declared:
            reader.fault("is there twice")
        elif made is not None:
            declared[entry.key] = made
    if problems:
        raise ConfigError(f"{shown} is no register table", problems=problems)
    return RegisterTable(declared)


class _EntryReader:
    """Checks one entry of a table and makes its declaration.

    Parameters
    ----------
    entry
        Name, line and keys.
    place
        What stands before the line number in messages.
    problems
        Gets the faults found.
    """

    def __init__(self, entry: Entry, place: str, problems: list[str]) -> None:
        self._entry = entry
        self._place = place
        self._problems = problems

    def fault(self, text: str, key: Entry | None = None) -> None:
        """Note what is wrong with the entry, or with one of its keys."""
        line = self._entry.line if key is None else key.line
        name = f"{self._entry.key}" if key is None else f"{self._entry.key}.{key.key}"
        self._problems.append(f"{self._place}{line}: {name} {text}")

    def read(self) -> Declaration[Any] | None:
        """Return the declaration; None when something is wrong with it."""
        name, level = self._entry.key, self._entry.value
        before = len(self._problems)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            self.fault("is no name of a node")
            return None
        if not isinstance(level, Level):
            self.fault(f"must be a mapping like {{offset: 0x4}}, not {_kind(level)}")
            return None
        given = {str(key.key): key for key in level}
        kind = given.pop("kind", Entry("kind", 0, "register"))
        if kind.value not in tuple(_KEYS):
            self.fault(f"must be {', '.join(_KEYS)}, not {_kind(kind.value)}", kind)
            return None
        keywords = {name: self._value(key, _KEYS[kind.value]) for name, key in given.items()}
        self._complete(kind.value, keywords)
        return None if len(self._problems) > before else self._make(kind.value, keywords)

    def _value(self, key: Entry, known: Mapping[str, Any]) -> Any:
        """Return the value of `key` as the node takes it."""
        if str(key.key) not in known:
            self.fault(f"is no known key{_meant(key.key, known)}", key)
        elif key.key in _CONVERT:
            try:
                return _CONVERT[key.key](key.value)
            except (SapwoodError, OverflowError, TypeError, ValueError) as error:
                self.fault(str(error), key)
        elif not matches(key.value, known[key.key]):
            self.fault(f"must be {expected(known[key.key])}, not {_kind(key.value)}", key)
        return key.value

    def _complete(self, kind: str, keywords: Mapping[str, Any]) -> None:
        for key in _NEEDED[kind]:
            if keywords.get(key) is None:
                self.fault(f"lacks the key {key}")
        lacking = [key for key in _ARRAY if key not in keywords]
        if len(lacking) == 1:
            self.fault(f"lacks the key {lacking[0]}: an array has number and stride")

    def _make(self, kind: str, keywords: dict[str, Any]) -> Declaration[Any] | None:
        """Return the declaration; a node of it is built once, so that it can fail here."""
        make: Callable[..., Declaration[Any]] = {
            "register": RegisterArray if "number" in keywords else Register,
            "command": RegisterCommand,
            "local": Local,
        }[kind]
        try:
            made = make(**keywords)
            made.nodes(self._entry.key)
        except (SapwoodError, OverflowError, TypeError, ValueError) as error:
            self.fault(f"cannot be built: {error}")
            return None
        return made


def _model(text: Any) -> Any:
    """Return the model that ``UInt`` or ``Fixed(16, 8)`` names: a class, or an instance."""
    found = _MODEL.fullmatch(text) if isinstance(text, str) else None
    model = _MODELS.get(found[1]) if found else None
    if model is None or found is None:
        near = nearest(str(text), _MODELS, 1)
        raise ValueError(
            f"must name a model, not {_kind(text)}{f', did you mean {near[0]}?' if near else ''}"
        )
    return model if found[2] is None else model(*(int(number) for number in found[2].split(",")))


def _function(text: Any) -> Any:
    """Return the function of `BaseCommand` called `text`."""
    if text not in _FUNCTIONS:
        raise ValueError(f"must be one of {', '.join(_FUNCTIONS)}, not {_kind(text)}")
    return getattr(BaseCommand, text)


def _meant(given: Any, known: Iterable[str]) -> str:
    near = nearest(str(given), known, 1)
    return f", did you mean {near[0]}?" if near else ""


def _kind(value: Any) -> str:
    """Return `value` as a message shows it; lists and mappings, which may be huge, by what they are."""
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else "nothing" if value is None else repr(value)


_MODELS: dict[str, Any] = {
    name: value
    for name, value in vars(memory).items()
    if isinstance(value, type) and issubclass(value, Model) and value is not Model
}
_CONVERT: dict[str, Callable[[Any], Any]] = {"base": _model, "function": _function}
