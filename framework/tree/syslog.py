"""The log of a tree: a handler that keeps the newest records as JSON text."""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any

from sapwood.tree.logs import FAMILY

__all__ = ["NAMES", "SystemLog"]

NAMES = ("SystemLog", "SystemLogLast")
"""The variables that show the log; their own records are left out."""

_LOGGERS = (FAMILY, "sapwood")
_OPTIONAL = ("rogueCpp", "rogueTid", "roguePid", "rogueLogger", "rogueTimestamp", "rogueComponent")


class SystemLog(logging.Handler):
    """Keeps the newest records; costs the same for each however many are kept.

    Parameters
    ----------
    limit
        Records to keep.
    changed
        Called after each record, in the thread that logged.
    """

    def __init__(self, limit: int, changed: Callable[[], None]) -> None:
        super().__init__()
        self._entries: deque[str] = deque(maxlen=limit)
        self._changed = changed
        self._guard = threading.Lock()

    def attach(self) -> None:
        """Start to receive records."""
        for name in _LOGGERS:
            logging.getLogger(name).addHandler(self)

    def detach(self) -> None:
        """Receive no more."""
        for name in _LOGGERS:
            logging.getLogger(name).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep `record`; one about the log's own variables is left out."""
        if getattr(record, "fromSystemLog", False) or record.name.rpartition(".")[2] in NAMES:
            return
        try:
            text = json.dumps(_entry(record), default=str)
        except (TypeError, ValueError):  # arguments that do not fit the text
            self.handleError(record)
            return
        with self._guard:
            self._entries.append(text)
        self._changed()

    def clear(self) -> None:
        """Forget all records."""
        with self._guard:
            self._entries.clear()
        self._changed()

    def text(self) -> str:
        """Return the records as a JSON list, newest last."""
        with self._guard:
            return f"[{', '.join(self._entries)}]"

    def last(self) -> str:
        """Return the newest record as a JSON object, ``''`` when there is none."""
        with self._guard:
            return self._entries[-1] if self._entries else ""


def _entry(record: logging.LogRecord) -> dict[str, Any]:
    kind, error, trace = record.exc_info or (None, None, None)
    entry: dict[str, Any] = {
        "created": record.created,
        "name": record.name,
        "message": record.getMessage(),
        "exception": None if kind is None else kind.__name__,
        "traceBack": None if error is None else traceback.format_exception(kind, error, trace),
        "levelName": record.levelname,
        "levelNumber": record.levelno,
    }
    entry.update((name, getattr(record, name)) for name in _OPTIONAL if hasattr(record, name))
    return entry
