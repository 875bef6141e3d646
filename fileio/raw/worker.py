"""A process that converts: ``python -m sapwood.fileio.raw.worker`` gets jobs, tells how they go.

Its input is lines of JSON, a job each. When the input ends it ends too, whatever it is at: the process
that wants the conversions is gone, or has no more. SIGTERM and Ctrl-C end it as well; outputs that are not
complete are removed. Its output is lines of JSON: ``{"read": bytes, "of":
bytes}`` now and then, ``{"outcome": {...}}`` when a job has ended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import signal
import sys
import threading
import time
from typing import Any, TextIO

from sapwood.fileio.raw.jobs import run_job

__all__ = ["PATIENCE_S", "main"]

PATIENCE_S = 3.0  # for what is not complete to be removed
_EVERY_S = 0.1


def main() -> None:
    """Do the conversions that the lines of the input describe."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    orders: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin, orders), daemon=True).start()
    output, sys.stdout = sys.stdout, sys.stderr  # what decoders print is no message
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            order = json.loads(orders.get())
            outcome = run_job(order["job"], _Progress(output), order["since"])
            _tell(output, {"outcome": dataclasses.asdict(outcome)})
    os._exit(0)  # the thread that listens would hold it back


class _Progress:
    """Tells how far a conversion is, not too often."""

    def __init__(self, output: TextIO) -> None:
        self._output, self._due = output, 0.0

    def __call__(self, in_stream: str, read: int, of: int) -> None:
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + _EVERY_S
            _tell(self._output, {"read": read, "of": of})


def _listen(parent: TextIO, orders: queue.SimpleQueue[str]) -> None:
    for line in parent:
        orders.put(line)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE_S)
    os._exit(0)


def _tell(output: TextIO, message: dict[str, Any]) -> None:
    output.write(json.dumps(message) + "\n")
    output.flush()


if __name__ == "__main__":
    main()
