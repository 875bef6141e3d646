"""Warnings that may come by the thousand, logged now and then."""

from __future__ import annotations

import logging
import time

__all__ = ["RareLog"]


class RareLog:
    """Logs a warning at most once in `seconds`; those between are left out.

    Parameters
    ----------
    logger
        Where to.
    seconds
        Least time between two lines.
    """

    def __init__(self, logger: logging.Logger, seconds: float = 1.0) -> None:
        self._logger = logger
        self._seconds = seconds
        self._next = float("-inf")

    def warning(self, text: str, *values: object) -> None:
        """Log `text`, with `values` put in by ``%``, unless the last line is too fresh."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._seconds
            self._logger.warning(text, *values)
