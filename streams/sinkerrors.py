"""Exceptions of sinks behind a thread: counted and logged, so that the thread goes on."""

from __future__ import annotations

import logging

from sapwood.errors import SapwoodError

__all__ = ["SinkErrors"]


class SinkErrors:
    """Keeps the last exception and logs the first of each kind.

    Parameters
    ----------
    logger
        Where the first of each kind is logged, at level error.

    Attributes
    ----------
    count
        Exceptions so far.
    last
        The newest one, None while there is none.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self.count = 0
        self.last: Exception | None = None
        self._logger = logger
        self._known: set[tuple[type, ...]] = set()

    def note(self, error: Exception, what: str = "A sink failed") -> None:
        """Count `error`; log it, as `what`, when none of its kind came before."""
        self.count += 1
        self.last = error
        problems = error.problems if isinstance(error, SapwoodError) else []
        kind = (type(error), *(type(problem) for problem in problems))
        if kind not in self._known:
            self._known.add(kind)
            self._logger.error("%s (logged once for %s): %s", what, kind[0].__name__, error)

    def clear(self) -> None:
        """Forget everything, so that the next of each kind is logged again."""
        self.count = 0
        self.last = None
        self._known.clear()
