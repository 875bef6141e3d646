"""The shorthand in which buffers of a decoder are described, expanded."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

from sapwood.fileio.raw.errors import OutSpecError, OutSpecFieldError

__all__ = ["expand_rblist_dict", "expand_rblist_json_dict", "fill_fields", "has_field"]

_DOLLAR = re.compile(r"\$\{(\w+)\}")
_LATER = ("key", "name")  # may get their values when the stream is open


def has_field(text: str, name: str) -> bool:
    """Tell whether `text` has the field ``{name}`` or ``{name:...}``."""
    return any(field is not None and _root(field) == name for _, field, _, _ in _parts(text))


def fill_fields(text: str, values: Mapping[str, Any], what: str = "") -> str:
    """Return `text` with its fields filled; ``{key}`` and ``{name}`` may stay if they have no value.

    ``${VARIABLE}`` is no field. An integer format such as ``{key:07d}`` takes digits in a text too.

    Raises
    ------
    OutSpecFieldError
        When a field has no value.
    OutSpecError
        When a value does not fit its format.
    """
    filled: list[str] = []
    for literal, field, spec, conversion in _parts(text):
        filled.append(literal)
        if field is None:
            continue
        name = _root(field)
        shown = f"{{{field}{f'!{conversion}' if conversion else ''}{f':{spec}' if spec else ''}}}"
        if name in values:
            filled.append(_formatted(shown, name, values[name], values))
        elif name in _LATER:
            filled.append(shown)
        else:
            raise OutSpecFieldError(
                f"variable {name!r} dereferenced in {what!r} not defined in kw_dict",
                expected=", ".join(sorted(values)) or "no field",
                seen=text,
            )
    return "".join(filled)


def _parts(text: str) -> list[tuple[str, str | None, str | None, str | None]]:
    protected = _DOLLAR.sub(r"${{\1}}", text)
    try:
        parts = list(string.Formatter().parse(protected))
    except ValueError as error:
        raise OutSpecError("The braces of a name cannot be read", expected=str(error), seen=text) from error
    # a literal "{x}" can only come from "${x}", or from doubled braces of the user
    return parts


def _root(field: str) -> str:
    return re.split(r"[.\[]", field, maxsplit=1)[0]


def _formatted(shown: str, name: str, value: Any, values: Mapping[str, Any]) -> str:
    for candidate in (value, _other_kind(value)):
        try:
            return str(shown.format(**{**values, name: candidate}))
        except (ValueError, TypeError):
            continue
        except (LookupError, AttributeError) as error:
            raise OutSpecFieldError("A field has no value", expected=str(error), seen=shown) from error
    raise OutSpecError("A value does not fit its format", expected=shown, seen=repr(value))


def _other_kind(value: Any) -> Any:
    """Return digits as a number, and anything else as text."""
    text = str(value)
    return int(text) if isinstance(value, str) and text.lstrip("-").isdigit() else text


def expand_rblist_dict(
    config: Mapping[str, Mapping[str, Any]], kw_dict: Mapping[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the description of a decoder's buffers with all shorthands expanded.

    Parameters
    ----------
    config
        Name of a buffer -> ``key_list`` and, if wanted, ``out_stream``, ``out_name``,
        ``proc_spec``. It is not changed.
    kw_dict
        Values of words in braces.

    Returns
    -------
    dict
        The same, with lists of keys written out, a buffer per key where the name has ``{key}``,
        ``out_stream`` and ``out_name`` with their words and environment variables filled in. What
        depends on keys that only the stream knows (wildcards) keeps ``{key}``.

    Raises
    ------
    OutSpecError
        When it cannot be understood.
    """
    plain: dict[str, dict[str, Any]] = {}
    keyed: dict[str, dict[str, Any]] = {}
    for name, facts in config.items():
        if not name:
            raise OutSpecError("buffer name can't be empty")
        if not isinstance(facts, Mapping) or "key_list" not in facts:
            raise OutSpecError(f"{name!r} is missing key_list", seen=facts)
        entry = {**facts, "key_list": _expanded_keys(name, facts["key_list"])}
        if has_field(name, "key") and not _is_wild(entry["key_list"]):
            for key in entry["key_list"]:
                keyed[fill_fields(name, {"key": key}, "name")] = {**entry, "key_list": [key]}
        else:
            plain[name] = entry
    merged = {**plain, **keyed}
    return {name: _filled(name, entry, kw_dict or {}) for name, entry in merged.items()}


def expand_rblist_json_dict(
    json_dict: Mapping[str, Mapping[str, Any]], kw_dict: Mapping[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """Return what `expand_rblist_dict` does: its name in former times."""
    return expand_rblist_dict(json_dict, kw_dict)


def _is_wild(keys: Sequence[Any]) -> bool:
    return len(keys) == 1 and isinstance(keys[0], str) and "*" in keys[0]


def _expanded_keys(name: str, keys: Any) -> list[Any]:
    """Return a list of keys with pairs ``[a, b]`` replaced by a, a + 1, ..., b."""
    if isinstance(keys, str | int):
        keys = [keys]
    found: list[Any] = []
    for key in keys:
        if not isinstance(key, list):
            found.append(key)
            continue
        if len(key) != 2 or not all(isinstance(one, int) for one in key) or key[0] > key[1]:
            raise OutSpecError(
                f"The key_list of {name!r} has a list that is no range",
                expected="[first, last]",
                seen=key,
            )
        if key[1] - key[0] > 1 << 24:
            raise OutSpecError(f"The key_list of {name!r} has too long a range", seen=key)
        found.extend(range(key[0], key[1] + 1))
    return found


def _filled(name: str, entry: dict[str, Any], kw_dict: Mapping[str, Any]) -> dict[str, Any]:
    keys = entry["key_list"]
    scope: dict[str, Any] = {}
    if len(keys) == 1 and not (isinstance(keys[0], str) and "*" in keys[0]):
        scope["key"] = keys[0]
    if not has_field(name, "name"):  # that of "*" is the decoder's, known when the stream opens
        scope["name"] = name
    scope.update(kw_dict)
    filled = dict(entry)
    for what in ("out_stream", "out_name"):
        text = entry.get(what)
        if text is not None:
            text = fill_fields(str(text), scope, what)
            filled[what] = os.path.expandvars(text) if what == "out_stream" else text
    filled.setdefault("out_name", name)
    return filled
