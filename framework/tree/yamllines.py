"""YAML mappings with the lines that their entries stand at, for messages that name them."""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml

from sapwood.errors import ConfigError
from sapwood.tree.yamlguard import check_shape
from sapwood.tree.yamlio import _Loader

__all__ = ["Entry", "Level", "lines_of"]


class Entry(NamedTuple):
    """One entry of a mapping: `line` counts from 1; `value` is plain data or a `Level`."""

    key: Any
    line: int
    value: Any


class Level(list[Entry]):
    """The entries of a mapping, in order; a key may come twice, the last counts."""


def lines_of(text: str, file: str | None, depth: int) -> Any:
    """Return the data in YAML text, its mappings down to `depth` as `Level`; anchors and merges work.

    Raises
    ------
    ConfigError
        For text that is not YAML, and for unknown tags.
    """
    loader = _Loader(text)
    loader.file = file
    try:
        check_shape(text, file)
        node = loader.get_single_node()
        return None if node is None else _level(loader, node, depth)
    except ConfigError:
        raise
    except (yaml.YAMLError, AttributeError, LookupError, ValueError) as error:  # others: by explicit tags
        raise ConfigError(f"{file or 'The text'} is not valid YAML: {error}") from error
    finally:
        loader.dispose()


def _level(loader: Any, node: Any, depth: int) -> Any:
    if not depth or not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node, deep=True)
    loader.flatten_mapping(node)
    return Level(
        Entry(
            loader.construct_object(key, deep=True), key.start_mark.line + 1, _level(loader, value, depth - 1)
        )
        for key, value in node.value
    )
