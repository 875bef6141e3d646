"""Parse names with indexes, such as ``base[0][1:3]``, without evaluating them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["array_key", "parse_index", "pick", "resolve", "split_key", "split_path"]

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])+)")
_INT = re.compile(r"\s*[-+]?\d+\s*")


def split_key(key: str) -> tuple[str, list[str]]:
    """Split ``'a[0][1:2]'`` into ``('a', ['0', '1:2'])``; a key without indexes has an empty list."""
    found = _KEY.fullmatch(key)
    if found is None:
        return key, []
    return found[1], found[2][1:-1].split("][")


def array_key(name: str) -> tuple[str, list[int]] | None:
    """Return base and indexes of a node name like ``'a[0][1]'``; None when it is not an array element."""
    if name[-1:] != "]":
        return None
    base, keys = split_key(name)
    if not keys or not all(key.isdecimal() for key in keys):
        return None
    return base, [int(key) for key in keys]


def parse_index(text: str) -> int | slice | None:
    """Parse ``'3'``, ``'-1'``, ``'*'``, ``'1:4:2'``; None when `text` is none of these."""
    if text.strip() == "*":
        return slice(None)
    parts = text.split(":")
    if len(parts) > 3 or not all(_INT.fullmatch(part) or not part.strip() for part in parts):
        return None
    numbers = [int(part) if part.strip() else None for part in parts]
    if len(numbers) == 1:
        return numbers[0]
    if len(numbers) == 3 and numbers[2] == 0:
        return None
    return slice(*numbers)


def pick(present: Iterable[int], text: str) -> list[int]:
    """Return those of the indexes `present` that `text` selects.

    A slice runs over all numbers up to the highest index, holes are dropped; ``*`` and ``:`` keep
    the given order.
    """
    have = list(present)
    index = parse_index(text)
    if index is None or not have:
        return []
    if index == slice(None):
        return have
    length = max(have) + 1
    chosen = range(length)[index] if isinstance(index, slice) else [index + length if index < 0 else index]
    members = set(have)
    return [number for number in chosen if number in members]


def resolve(container: Mapping[int, Any], keys: list[str]) -> list[tuple[Any, list[str]]]:
    """Walk nested mappings by `keys`; returns the leaves met with the keys left over at each."""
    leaves: list[tuple[Any, list[str]]] = []
    for index in pick(container, keys[0]):
        item, rest = container[index], keys[1:]
        if not isinstance(item, dict):
            leaves.append((item, rest))
        elif rest:
            leaves.extend(resolve(item, rest))
    return leaves


def split_path(path: str) -> list[str]:
    """Split a dotted path into its elements."""
    return path.split(".")
