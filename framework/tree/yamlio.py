"""YAML text to data and back, safely: nothing in a file can build objects or run code."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, TypeVar

import numpy as np
import yaml

from sapwood.errors import ConfigError
from sapwood.tree import sources
from sapwood.tree.value import VariableValue
from sapwood.tree.yamlguard import check_shape

__all__ = [
    "dataToYaml",
    "dictUpdate",
    "float_text",
    "keyValueUpdate",
    "quoted",
    "yamlToData",
    "yamlUpdate",
]

D = TypeVar("D", bound=dict[str, Any])

_PLAIN = re.compile(r"[A-Za-z_][\w./-]*(?: [\w./-]+)*", re.ASCII)
_KEY = re.compile(r"[A-Za-z_][\w\[\].]*", re.ASCII)
_RESERVED = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])
_PRINTABLE = re.compile(r"[ -~\u00a0-\ud7ff\ue000-\ufefe\uff00-\ufffd]*")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # C or Python
    """Safe loader with ``!include``; dates stay text."""

    file: str | None = None
    above: tuple[str, ...] = ()


_Loader.yaml_implicit_resolvers = {
    first: [entry for entry in entries if entry[0] != "tag:yaml.org,2002:timestamp"]
    for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _include(loader: _Loader, node: Any) -> Any:
    name = loader.construct_scalar(node)
    if loader.file is None:
        raise ConfigError(f"!include {name} is refused: this text is not from a file")
    path = str(PurePath(loader.file).parent / name)
    if path in loader.above or path == loader.file:
        raise ConfigError(f"!include {name} in {loader.file} includes itself")
    return _load(sources.read_text(path), path, (*loader.above, loader.file))


_Loader.add_constructor("!include", _include)


def _load(text: str, file: str | None, above: tuple[str, ...] = ()) -> Any:
    loader = _Loader(text)
    loader.file, loader.above = file, above
    try:
        check_shape(text, file)
        return loader.get_single_data()
    except (ConfigError, OSError):  # of an included file
        raise
    except (yaml.YAMLError, AttributeError, LookupError, ValueError) as error:  # others: by explicit tags
        raise ConfigError(f"{file or 'The text'} is not valid YAML: {error}") from error
    finally:
        loader.dispose()


def yamlToData(stream: Any = "", fName: str | None = None) -> Any:
    """Return the data in YAML text, or in the file `fName` (also ``x.zip/member.yml``).

    In a file ``!include other.yml`` stands for the data of another file, relative to it.

    Raises
    ------
    ConfigError
        For text that is not YAML, unknown tags, and includes in bare text.
    """
    if fName is not None:
        return _load(sources.read_text(fName), fName)
    return _load(stream.read() if hasattr(stream, "read") else stream, None)


# ---- writing


def quoted(text: str) -> str:
    """Return a YAML scalar that loads as the str `text`; plain where that is safe."""
    if _PLAIN.fullmatch(text) and text.casefold() not in _RESERVED:
        return text
    if _PRINTABLE.fullmatch(text):
        return "'" + text.replace("'", "''") + "'"
    return _dumped(text)


def _dumped(text: str) -> str:
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(text, Dumper=dumper, default_style='"', width=1 << 30)).rstrip("\n")


@functools.lru_cache(4096)
def key_text(key: str) -> str:
    """Return `key` as a key of a YAML mapping."""
    return key if _KEY.fullmatch(key) and key.casefold() not in _RESERVED else quoted(key)


def float_text(value: float) -> str:
    """Return a YAML float that loads as exactly `value`."""
    if value != value:
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    text = repr(value)
    if "e" in text:  # YAML wants a point and a sign
        mantissa, exponent = text.split("e")
        mantissa = mantissa if "." in mantissa else f"{mantissa}.0"
        text = f"{mantissa}e{exponent if exponent[0] in '+-' else '+' + exponent}"
    return text


def scalar_text(value: Any) -> str:
    """Return `value` as a YAML scalar; what is no YAML scalar becomes quoted text."""
    if isinstance(value, (bool, np.bool_)):
        return "True" if value else "False"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, np.floating)):
        return float_text(float(value))
    if value is None:
        return "null"
    return quoted(str(value))


def dataToYaml(data: Any) -> str:
    """Return nested dicts, lists, scalars, arrays and VariableValues as YAML text."""
    lines: list[str] = []
    _write(lines, data, 0)
    return "\n".join(lines) + "\n"


def _inline(data: Any) -> str | None:
    """Return what fits behind a key, None for what takes lines of its own."""
    if isinstance(data, Mapping):
        return None if data else "{}"
    if isinstance(data, (list, tuple)):
        return None if len(data) else "[]"
    if isinstance(data, VariableValue):
        return value_text(data.value, data.valueDisp, data.disp, data.enum)
    if isinstance(data, np.ndarray):
        return quoted(str(data.tolist()))
    return scalar_text(data)


def _write(lines: list[str], data: Any, depth: int) -> None:
    pad = "  " * depth
    text = _inline(data)
    if text is not None:
        lines.append(pad + text)
        return
    entries = data.items() if isinstance(data, Mapping) else [(None, item) for item in data]
    for key, item in entries:
        head = "-" if key is None else f"{key_text(key) if isinstance(key, str) else scalar_text(key)}:"
        text = _inline(item)
        if text is not None:
            lines.append(f"{pad}{head} {text}")
        else:
            lines.append(pad + head)
            _write(lines, item, depth + 1)


def value_text(value: Any, text: str, disp: str, enum: Mapping[Any, str] | None) -> str:
    """Return the YAML scalar for a variable's `value` whose display text is `text`.

    Loading it gives exactly the value back: floats are plain YAML floats, an integer is its
    display text where that is a number, an enum is its text, lists are quoted text.
    """
    if disp == "":
        return "''"
    if isinstance(value, np.ndarray):
        return quoted(_array_text(value, text))
    if isinstance(value, (bool, np.bool_)) and text in ("True", "False"):
        return text
    if enum is not None and text in enum.values():
        return quoted(text)
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return text if _is_int(text, int(value)) else str(int(value))
    if isinstance(value, (bool, float, np.bool_, np.floating)):
        return scalar_text(value)
    return quoted(value if isinstance(value, str) else text)


def _is_int(text: str, value: int) -> bool:
    try:
        return int(text, 0) == value and "o" not in text and "O" not in text and text.isascii()
    except ValueError:
        return False


def _array_text(value: np.ndarray[Any, Any], text: str) -> str:
    """Return the text of an array: its display where that is exact, else the bare numbers."""
    items = value.tolist()
    if value.dtype.kind in "iu" and value.ndim == 1 and len(items):
        shown = text[1:-1].split(", ")
        if len(shown) == len(items) and all(map(_is_int, (shown[0], shown[-1]), (items[0], items[-1]))):
            return text
    return str(items)


# ---- merging


def dictUpdate(old: dict[str, Any], new: Mapping[str, Any]) -> None:
    """Merge `new` into `old`, level by level."""
    for key, value in new.items():
        if isinstance(value, Mapping) and isinstance(old.get(key), dict):
            dictUpdate(old[key], value)
        else:
            old[key] = value


def yamlUpdate(old: dict[str, Any], new: str) -> None:
    """Merge YAML text into `old`, level by level."""
    dictUpdate(old, yamlToData(new))


def keyValueUpdate(old: dict[str, Any], key: str, value: Any) -> None:
    """Set the entry at the dotted path `key`; missing levels are made."""
    level = old
    *above, last = key.split(".")
    for name in above:
        level = level.setdefault(name, {})
    level[last] = value
