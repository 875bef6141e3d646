"""The process of one conversion: ``python -m sapwood.fileio.raw.worker`` gets a job, tells how it goes.

Its input is one line of JSON, then stays open: when it ends, the process that wants the conversion is
gone, and so is this one. Its output is lines of JSON: ``{"read": bytes, "of": bytes}`` now and then,
``{"outcome": {...}}`` at the end.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
import time
from typing import Any, TextIO

from sapwood.fileio.raw.jobs import run_job

__all__ = ["main"]

_EVERY_S = 0.1


def main() -> None:
    """Do the conversion that the first line of the input describes."""
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with, args=(sys.stdin,), daemon=True).start()
    output, sys.stdout = sys.stdout, sys.stderr  # what decoders print is no message
    due = 0.0

    def progress(in_stream: str, read: int, of: int) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + _EVERY_S
            _tell(output, {"read": read, "of": of})

    outcome = run_job(order["job"], progress, order["since"])
    _tell(output, {"outcome": dataclasses.asdict(outcome)})


def _end_with(parent: TextIO) -> None:
    parent.read()
    os._exit(1)


def _tell(output: TextIO, message: dict[str, Any]) -> None:
    output.write(json.dumps(message) + "\n")
    output.flush()


if __name__ == "__main__":
    main()
