"""A process for conversions, seen from the one that wants them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from typing import IO, Any

from sapwood.fileio.raw.jobs import FAILED, BytesRead, Outcome
from sapwood.fileio.raw.worker import PATIENCE_S

__all__ = ["WorkerProcess"]

_COMMAND = [sys.executable, "-m", "sapwood.fileio.raw.worker"]
_STDERR_BYTES = 2000  # of a process that died, looked at for the message


class WorkerProcess:
    """Begins a process when there is something to do, and again when it died.

    One thread calls `convert`, any thread `stop`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._errors: IO[bytes] | None = None
        self._stopped = False

    def convert(self, job: Mapping[str, Any], progress: BytesRead | None, attempts: int) -> Outcome:
        """Have a conversion done, by another process when one dies over it; `attempts` times at most."""
        begun, error, attempt = time.time(), "It was stopped", 0
        while attempt < attempts:
            process = self._ready()
            if process is None:
                break
            attempt += 1
            outcome = self._ask(process, job, begun if attempt > 1 else None, progress)
            if outcome is not None:
                outcome.attempts = attempt
                return outcome
            error = f"Its process ended with code {process.wait()}{self._last_words()}"
        return Outcome(job["in_stream"], FAILED, error=error, attempts=attempt)

    def stop(self) -> None:
        """Ask the process to end, whatever it is at; no other one begins."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.terminate()

    def kill(self) -> None:
        """End the process when it does not end by itself within some seconds, after `stop`."""
        with self._lock:
            process = self._process
        if process is not None:
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()

    def close(self) -> None:
        """Let go of the process, after `stop` and when `convert` has returned."""
        with self._lock:
            self._release()

    def _release(self) -> None:
        process, errors = self._process, self._errors
        self._process = self._errors = None
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
            process.wait()
        if errors is not None:
            errors.close()

    def _ready(self) -> subprocess.Popen[str] | None:
        """Return a living process; None once stopped."""
        with self._lock:
            if self._stopped:
                return None
            if self._process is None or self._process.poll() is not None:
                self._release()
                self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by _release
                self._process = subprocess.Popen(
                    _COMMAND,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    text=True,
                )
            return self._process

    @staticmethod
    def _ask(
        process: subprocess.Popen[str],
        job: Mapping[str, Any],
        since: float | None,
        progress: BytesRead | None,
    ) -> Outcome | None:
        """Return the outcome of a job; None when the process died over it."""
        if process.stdin is None or process.stdout is None:
            return None
        with contextlib.suppress(BrokenPipeError):  # it died before: its output has ended
            process.stdin.write(json.dumps({"job": job, "since": since}) + "\n")
            process.stdin.flush()
        for line in process.stdout:
            message = _message(line)
            if "outcome" in message:
                return Outcome(**message["outcome"])
            if progress is not None and "read" in message:
                progress(job["in_stream"], message["read"], message["of"])
        return None

    def _last_words(self) -> str:
        """Return the last line that the process wrote to its errors."""
        with self._lock:
            if self._errors is None:
                return ""
            self._errors.seek(0, 2)
            self._errors.seek(max(0, self._errors.tell() - _STDERR_BYTES))
            text = self._errors.read().decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return f": {lines[-1]}" if lines else ""


def _message(line: str) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:  # cut by the end of the process
        return {}
    return message if isinstance(message, dict) else {}
