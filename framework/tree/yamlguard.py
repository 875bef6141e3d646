"""Bounds on YAML text, looked at before the loader recurses into it."""

from __future__ import annotations

import re

import yaml

from sapwood.errors import ConfigError

__all__ = ["check_shape"]

MAX_DEPTH = 64
"""Levels of nesting a text may have."""

MAX_NODES = 5_000_000
"""Nodes a text may stand for, aliases written out."""

_SHALLOW = 40  # such a prefix, or so many brackets in all, cannot nest deeper than is allowed
_DEEP_LINE = re.compile(rf"^[ ?-]{{{_SHALLOW},}}", re.MULTILINE)
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check_shape(text: str, file: str | None) -> None:
    """Refuse text that nests so deep, or repeats itself by aliases so often, that loading it fails.

    Most texts are passed by a look at their brackets and indentation; others are parsed to events,
    which takes no recursion.

    Raises
    ------
    ConfigError
        Naming the line, for too many levels or nodes and for an alias inside what it stands for.
    yaml.YAMLError
        For text that is not YAML.
    """
    simple = "&" not in text and "!" not in text and text.count("[") + text.count("{") < _SHALLOW
    if simple and _DEEP_LINE.search(text) is None:
        return
    sizes: dict[str, int] = {}  # nodes below each anchor
    levels: list[tuple[str | None, int]] = []  # anchor, and nodes so far, of each collection that is open
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            levels.append((event.anchor, 1))
            if event.anchor:
                sizes.pop(event.anchor, None)
            if len(levels) > MAX_DEPTH:
                raise _refused(event, file, "nests too deep", f"at most {MAX_DEPTH} levels")
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, size = levels.pop()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes and any(anchor == event.anchor for anchor, _ in levels):
                raise _refused(event, file, "holds an alias of itself", "a finite text")
            anchor, size = None, sizes.get(event.anchor or "", 1)
        elif isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor, 1
        else:
            continue
        if anchor:
            sizes[anchor] = size
        if levels:
            levels[-1] = levels[-1][0], levels[-1][1] + size
            if levels[-1][1] > MAX_NODES:
                raise _refused(event, file, "repeats itself too often", f"at most {MAX_NODES} nodes")


def _refused(event: yaml.Event, file: str | None, what: str, expected: str) -> ConfigError:
    place = "" if event.start_mark is None else f", in line {event.start_mark.line + 1}"
    return ConfigError(f"{file or 'The text'} {what}{place}", expected=expected)
