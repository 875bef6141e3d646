"""What the packages log, on stderr."""

from __future__ import annotations

import copy
import logging
import sys

from sapwood.errors import SapwoodError

__all__ = ["log_to_stderr"]


def _says_it_all(record: logging.LogRecord) -> bool:
    return bool(record.exc_info) and isinstance(record.exc_info[1], SapwoodError)  # type: ignore[index]  # not empty


class BriefFormatter(logging.Formatter):
    """Leaves out the traceback of errors that say all there is to say; those of user code have theirs."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of `record`."""
        if _says_it_all(record):
            record = copy.copy(record)
            record.exc_info = record.exc_text = None
        return super().format(record)


def log_to_stderr(debug: bool, *, serving: bool) -> None:
    """Log warnings; with `debug` everything, with times, names and all tracebacks.

    Only a command that is `serving` others logs the errors it answers them with: elsewhere they
    end the command, which prints them itself.
    """
    handler = logging.StreamHandler(sys.stderr)
    if debug:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    else:
        handler.setFormatter(BriefFormatter("%(asctime)s %(levelname)s: %(message)s", "%H:%M:%S"))
        if not serving:
            handler.addFilter(lambda record: not _says_it_all(record))
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, handlers=[handler])
