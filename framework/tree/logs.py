"""Names and levels of the loggers of the tree."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["FAMILY", "family_name", "logName", "setLogLevel"]

FAMILY = "pyrogue"


def family_name(cls: type) -> str:
    """Return the logger name of a class: ``pyrogue.<Family>.<Class>`` for nodes, else ``pyrogue.<Class>``."""
    family = getattr(cls, "_logFamily", None)
    return f"{FAMILY}.{family}.{cls.__name__}" if family else f"{FAMILY}.{cls.__name__}"


def logName(target: Any) -> str:
    """Return the logger name of a name, logger, class or node.

    A name gets the prefix ``pyrogue.`` unless it has it or belongs to ``sapwood``.
    """
    if isinstance(target, str):
        known = target.split(".", 1)[0] in (FAMILY, "sapwood")
        return target if known else f"{FAMILY}.{target}"
    if isinstance(target, logging.Logger):
        return target.name
    if isinstance(target, type):
        return family_name(target)
    return str(target.logName())


def setLogLevel(target: Any, level: int | str) -> None:
    """Set the level of a logger given by name, logger, class or node.

    Raises
    ------
    ValueError
        When `level` is not a number or the name of a level.
    """
    if isinstance(level, str):
        number = logging.getLevelNamesMapping().get(level.upper())
        if number is None:
            raise ValueError(f"Unknown log level {level!r}")
        level = number
    logging.getLogger(logName(target)).setLevel(level)
