"""Extra keywords of variables: kept as they are, with a warning for the likely misspelled."""

from __future__ import annotations

import difflib
import functools
import inspect

__all__ = ["suspect"]

_EXTRA = frozenset({"fileName"})
"""Extra keywords that are in use by the framework itself."""


@functools.cache
def _known(cls: type) -> tuple[str, ...]:
    """Return all keywords that the constructors of `cls` and its bases take."""
    names: set[str] = set()
    for base in cls.__mro__:
        init = base.__dict__.get("__init__")
        if inspect.isfunction(init):
            kinds = inspect.signature(init).parameters.values()
            names.update(p.name for p in kinds if p.kind is p.KEYWORD_ONLY)
    return tuple(sorted(names))


def suspect(cls: type, keyword: str) -> str | None:
    """Return the keyword of `cls` that `keyword` looks like a misspelling of, or None."""
    return None if keyword in _EXTRA else _alike(_known(cls), keyword)


@functools.cache
def _alike(known: tuple[str, ...], keyword: str) -> str | None:
    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(keyword.casefold(), folded, n=1, cutoff=0.75)
    return folded[close[0]] if close else None
