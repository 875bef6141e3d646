"""Rogue's ``Logging`` over the loggers of Python."""
# ruff: noqa: N802  # the names are Rogue's

from __future__ import annotations

import logging

__all__ = ["Logging"]


def _name(name: str) -> str:
    """Return the logger of Sapwood for one of Rogue's native code (``pyrogue.stream.Fifo``)."""
    first, _, rest = name.partition(".")
    return f"sapwood.{rest}" if first in ("pyrogue", "sapwood") and rest else f"sapwood.{name}"


class Logging:
    """A logger of what Rogue has in native code; here those are the loggers below ``sapwood``.

    Parameters
    ----------
    name
        Name of the logger, with or without ``pyrogue.``.
    """

    Critical = logging.CRITICAL
    Error = logging.ERROR
    Warning = logging.WARNING
    Info = logging.INFO
    Debug = logging.DEBUG

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(_name(name))

    @staticmethod
    def setLevel(level: int) -> None:
        """Set the level of all these loggers."""
        logging.getLogger("sapwood").setLevel(level)

    @staticmethod
    def setFilter(name: str, level: int) -> None:
        """Set the level of the logger `name` and those below it."""
        logging.getLogger(_name(name)).setLevel(level)

    def name(self) -> str:
        """Return the name of the logger."""
        return self._logger.name

    def log(self, level: int, text: str) -> None:
        """Log `text` at `level`."""
        self._logger.log(level, "%s", text)

    def critical(self, text: str) -> None:
        """Log `text`."""
        self.log(self.Critical, text)

    def error(self, text: str) -> None:
        """Log `text`."""
        self.log(self.Error, text)

    def warning(self, text: str) -> None:
        """Log `text`."""
        self.log(self.Warning, text)

    def info(self, text: str) -> None:
        """Log `text`."""
        self.log(self.Info, text)

    def debug(self, text: str) -> None:
        """Log `text`."""
        self.log(self.Debug, text)
