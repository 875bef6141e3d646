"""Carry errors over the wire: facts on one side, the same class on the other."""

from __future__ import annotations

from typing import Any

import sapwood.errors
from sapwood.errors import BusError, FileError, SapwoodError, ServerFailure, UnknownNode

__all__ = ["NO_SESSION", "pack_error", "unpack_error"]

NO_SESSION = "NoSession"  # the wire's own type: say hello first, nothing was executed

_CLASSES: dict[str, type[SapwoodError]] = {
    name: found
    for name in sapwood.errors.__all__
    if isinstance(found := getattr(sapwood.errors, name), type) and issubclass(found, SapwoodError)
}
_FACTS = ("path", "expected", "seen", "waited_s", "hint")
_OWN_FACTS: dict[type[SapwoodError], tuple[str, ...]] = {
    UnknownNode: ("near",),
    BusError: ("address", "id"),
    FileError: ("file", "offset"),
}
_MAX_PROBLEMS = 100
_MAX_LEVELS = 2


def pack_error(error: BaseException, levels: int = _MAX_LEVELS) -> dict[str, Any]:
    """Return the facts of `error` as a JSON-able dictionary.

    ``type`` is the class name, ``text`` the sentence without the facts; absent facts are left out.
    Of several failures at once the first 100 travel, two levels deep.
    """
    if not isinstance(error, SapwoodError):
        name = type(error).__qualname__
        return {"type": ServerFailure.__name__, "text": f"{name}: {error}", "seen": name}
    facts: dict[str, Any] = {"type": _nearest_class(type(error)).__name__, "text": error.text}
    for name in _FACTS + _own_facts(type(error)):
        value = getattr(error, name)
        if value is not None and value != []:
            facts[name] = _plain(value)
    if error.problems and levels:
        facts["problems"] = [
            str(problem) if isinstance(problem, str) else pack_error(problem, levels - 1)
            for problem in error.problems[:_MAX_PROBLEMS]
        ]
    return facts


def unpack_error(facts: Any) -> SapwoodError:
    """Return an error of the class that `facts` name; unknown classes become `ServerFailure`."""
    if not isinstance(facts, dict):
        return ServerFailure("the server failed and did not say how", seen=repr(facts)[:80])
    name = facts.get("type")
    kind = _CLASSES.get(name) if isinstance(name, str) else None
    text = str(facts.get("text", ""))
    if kind is None:
        kind = ServerFailure
        text = f"{name}: {text}"
    known = {key: facts[key] for key in _FACTS + _own_facts(kind) if key in facts}
    problems = facts.get("problems", ())
    if isinstance(problems, list):
        known["problems"] = [
            unpack_error(problem) if isinstance(problem, dict) else str(problem) for problem in problems
        ]
    return kind(text, **known)


def _own_facts(kind: type[SapwoodError]) -> tuple[str, ...]:
    return tuple(name for owner, names in _OWN_FACTS.items() if issubclass(kind, owner) for name in names)


def _nearest_class(kind: type[SapwoodError]) -> type[SapwoodError]:
    """Return the first class of the public error tree among the bases of `kind`."""
    return next(base for base in kind.__mro__ if _CLASSES.get(base.__name__) is base)


def _plain(value: object) -> Any:
    if isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, list):
        return [str(item) for item in value]
    return str(value)
