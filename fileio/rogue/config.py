"""Configuration and status records: YAML text in the records of one channel, merged in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from sapwood.errors import FormatError

__all__ = ["MAX_CONFIG_BYTES", "Configuration", "parse_record"]

MAX_CONFIG_BYTES = 16 << 20  # larger records are no configuration
_MAX_DEPTH = 64
_TAG = "tag:yaml.org,2002:"


def parse_record(payload: bytes) -> dict[str, Any]:
    """Return the mapping that the YAML text `payload` holds: text keys, plain values.

    Nothing is ever constructed but dict, list, str, int, float, bool and None. A number that
    cannot be read as one (Rogue writes ``!!float '429,984.655'``) loses its commas or stays
    text, and so do dates and values of unknown tags.

    Raises
    ------
    FormatError
        When it is too large or too deep, not UTF-8, not YAML or not a mapping.
    """
    if len(payload) > MAX_CONFIG_BYTES:
        raise FormatError(
            "Configuration record is too large",
            expected=f"{MAX_CONFIG_BYTES} bytes at most",
            seen=f"{len(payload)} bytes",
        )
    import yaml

    try:
        value = _build(yaml.parse(payload.decode("utf-8"), Loader=_loader()))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise FormatError(f"Configuration record is not YAML: {reason}") from error
    if not isinstance(value, dict):
        raise FormatError(
            "Configuration record is not a mapping", expected="a mapping", seen=type(value).__name__
        )
    if any(key.count(".") >= _MAX_DEPTH for key in value):
        raise FormatError("Configuration record nests too deep", expected=f"{_MAX_DEPTH} levels")
    return value


def _build(events: Iterator[Any]) -> Any:
    """Return the value of the first document of a stream of YAML events.

    A stack of its own, not recursion: text that nests a million levels deep is refused, it does
    not exhaust the interpreter.
    """
    import yaml

    root: list[Any] = []
    stack: list[Any] = [root]  # the open collections
    keys: list[Any] = [None]  # for each open mapping the key that waits for its value, else _NO_KEY
    for event in events:
        if isinstance(event, yaml.ScalarEvent):
            _add(stack, keys, _scalar(event))
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            opened: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            _add(stack, keys, opened)
            stack.append(opened)
            keys.append(_NO_KEY)
            if len(stack) > _MAX_DEPTH:
                raise FormatError("Configuration record nests too deep", expected=f"{_MAX_DEPTH} levels")
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            stack.pop()
            keys.pop()
        elif isinstance(event, yaml.AliasEvent):
            raise FormatError("Configuration record refers to itself", seen=f"alias {event.anchor}")
        elif isinstance(event, yaml.DocumentEndEvent):
            break
    return root[0] if root else None


_NO_KEY = object()


def _add(stack: list[Any], keys: list[Any], value: Any) -> None:
    """Put `value` into the innermost open collection: as item, as key, or as value of the last key."""
    here = stack[-1]
    if isinstance(here, list):
        here.append(value)
    elif keys[-1] is _NO_KEY:
        if isinstance(value, (dict, list)):
            raise FormatError("Configuration record has a collection as key")
        keys[-1] = str(value)
    else:
        here[keys[-1]] = value
        keys[-1] = _NO_KEY


@cache
def _loader() -> Any:
    """Return the YAML parser, in C where libyaml is there; only its events are used."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def _resolver() -> tuple[Any, dict[str, Any]]:
    """Return what tells the type of a plain scalar, and a reader for each such type."""
    import yaml

    loader = yaml.SafeLoader("")
    readers = {
        f"{_TAG}{kind}": getattr(loader, f"construct_yaml_{kind}")
        for kind in ("null", "bool", "int", "float")
    }
    return loader, readers


def _scalar(event: Any) -> Any:
    import yaml

    loader, readers = _resolver()
    tag, text = event.tag, event.value
    if tag is None or tag == "!":
        tag = loader.resolve(yaml.ScalarNode, text, event.implicit)
    read = readers.get(tag)
    if read is None:
        return text
    for attempt in (text, text.replace(",", "")):
        try:
            return read(yaml.ScalarNode(tag, attempt))
        except (ValueError, LookupError, OverflowError):  # not what its tag says
            continue
    return text


class Configuration:
    """The configuration as it stands after the records merged so far.

    A key with dots sets one leaf of the nested mappings. A key without dots replaces or adds
    the keys of the mapping one level below it; when either is no mapping the value is replaced.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def merge(self, record: Mapping[str, Any]) -> None:
        """Take over one parsed record."""
        for key, value in record.items():
            if "." in key:
                self._set_leaf(key.split("."), value)
                continue
            old = self.values.get(key)
            if isinstance(old, dict) and isinstance(value, Mapping):
                old.update(value)
            else:
                self.values[key] = value

    def _set_leaf(self, names: list[str], value: Any) -> None:
        here = self.values
        for name in names[:-1]:
            below = here.get(name)
            if not isinstance(below, dict):
                below = here[name] = {}
            here = below
        here[names[-1]] = value
