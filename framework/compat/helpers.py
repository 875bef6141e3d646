"""PyRogue's helpers of scripts."""
# ruff: noqa: N802  # the names are PyRogue's

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any

from sapwood.errors import SapwoodError
from sapwood.tree.logs import FAMILY

__all__ = ["addLibraryPath", "genBaseList", "logException", "logInit", "waitCntrlC"]


def addLibraryPath(path: str | Iterable[str]) -> None:
    """Put folders or zip files first in the search path of imports.

    Parameters
    ----------
    path
        One or several; what is relative counts from the folder of the script that runs.

    Raises
    ------
    SapwoodError
        One of them cannot be read.
    """
    base = Path(sys.argv[0] or os.curdir).parent if sys.argv else Path()
    for one in [path] if isinstance(path, str) else path:
        place = (base / one).resolve()
        if not os.access(place, os.R_OK):
            raise SapwoodError(f"Library path {one} does not exist or is not readable", seen=str(place))
        if str(place) not in sys.path:
            sys.path.insert(0, str(place))


def waitCntrlC() -> None:
    """Say how to stop the program, and return when that happens: at Ctrl-C or SIGTERM.

    It is to be called from the main thread.
    """
    signals: SimpleQueue[int] = SimpleQueue()  # may be put to while the same thread waits for it

    def stopped(number: int, frame: FrameType | None) -> None:
        signals.put(number)

    before = {number: signal.signal(number, stopped) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        print(f"Running. Hit cntrl-c or send SIGTERM to {os.getpid()} to exit.", flush=True)  # noqa: T201
        signals.get()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def genBaseList(cls: type) -> list[str]:
    """Return `cls` and all its base classes but object as texts, depth first."""
    above = [text for base in cls.__bases__ if base is not object for text in genBaseList(base)]
    return [str(cls), *above]


def logInit(cls: Any = None, name: str | None = None, path: str | None = None) -> logging.Logger:
    """Have log records shown on standard output and return the logger of an object.

    Parameters
    ----------
    cls
        The object; its class is part of the name.
    name, path
        Last part of the name; the path wins.
    """
    logging.basicConfig(format="%(levelname)s:%(name)s:%(message)s", stream=sys.stdout)
    parts = [FAMILY]
    if cls is not None:
        family = getattr(cls, "_logFamily", None)
        parts += [family] if family else []
        parts.append(type(cls).__name__)
    if path or name:
        parts.append(str(path or name))
    return logging.getLogger(".".join(parts))


def logException(log: logging.Logger, error: BaseException) -> None:
    """Log `error`, with its traceback unless it is a failed register access."""
    if isinstance(error, OSError):
        log.error("%s", error)
    else:
        log.error("%s", error, exc_info=error)
