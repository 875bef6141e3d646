"""Call a user's function with just the parameters it names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from types import FunctionType, MethodType
from typing import Any

__all__ = ["adapt", "functionWrapper", "parameters"]

_NO_ALIASES: Mapping[str, str] = {}


def parameters(function: Callable[..., Any]) -> tuple[list[str], int]:
    """Return the names of the parameters of `function` and how many of them can be positional.

    ``self`` and ``*args``, ``**kwargs`` are left out; a callable that cannot be inspected has none.
    """
    inner, skip = function, 0
    if isinstance(function, MethodType):
        inner, skip = function.__func__, 1
    if isinstance(inner, FunctionType):
        code = inner.__code__
        names = list(code.co_varnames[skip : code.co_argcount + code.co_kwonlyargcount])
        positional = code.co_argcount - skip
    else:
        try:
            found = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            return [], 0
        places = [p for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        names = [p.name for p in places] + [p.name for p in found if p.kind is p.KEYWORD_ONLY]
        positional = len(places)
    if "self" in names:
        positional -= names.index("self") < positional
        names.remove("self")
    return names, positional


def adapt(
    function: Callable[..., Any], known: Sequence[str], aliases: Mapping[str, str] = _NO_ALIASES
) -> Callable[..., Any]:
    """Return a callable that takes the arguments `known` by position and hands on the named ones.

    Parameters
    ----------
    function
        The user's function. Parameters it names beyond `known` must have defaults.
    known
        Names of the arguments that can be offered, in the order they will be passed.
    aliases
        Further names a function may use for one of `known`.
    """
    names, positional = parameters(function)
    wanted = [(name, aliases.get(name, name)) for name in names]
    wanted = [(name, what) for name, what in wanted if what in known]
    places = [known.index(what) for _, what in wanted]
    if [name for name, _ in wanted] != names[: len(wanted)] or len(wanted) > positional:
        by_name = [(name, place) for (name, _), place in zip(wanted, places, strict=True)]
        return lambda *args: function(**{name: args[place] for name, place in by_name})
    if places == list(range(len(known))):
        return function
    if not places:
        return lambda *args: function()
    if len(places) == 1:
        place = places[0]
        return lambda *args: function(args[place])
    pick = itemgetter(*places)
    return lambda *args: function(*pick(args))


def functionWrapper(function: Callable[..., Any] | None, callArgs: Sequence[str]) -> Callable[..., Any]:
    """Return a callable that takes the keywords `callArgs` and hands on those `function` names."""
    if function is None:
        return lambda **kwargs: None
    chosen = [name for name in parameters(function)[0] if name in callArgs]
    call = function
    return lambda **kwargs: call(**{name: kwargs.get(name) for name in chosen})
