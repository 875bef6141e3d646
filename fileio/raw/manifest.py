"""What of a set of conversions is done: a file of JSON lines that another run goes on from."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from sapwood.errors import FileError
from sapwood.fileio.formats import PathLike

__all__ = ["Manifest"]


class Manifest:
    """Remembers conversions that succeeded.

    One counts as done as long as its input has the same size and time of change, it would be done
    with the same arguments, and its outputs are there with the sizes they had.

    Parameters
    ----------
    path
        Of the file; it is made by the first `add`. Lines that make no sense, such as a last one that
        was cut, are passed over.
    afresh
        Take nothing as done.

    Raises
    ------
    FileError
        When it cannot be read.
    """

    def __init__(self, path: PathLike, *, afresh: bool = False) -> None:
        self.path = os.fspath(path)
        self._done: dict[str, dict[str, Any]] = {}
        self._torn = False
        try:
            with open(self.path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except FileNotFoundError:
            return
        except OSError as error:
            raise FileError(f"Failed to read {self.path}", file=self.path, seen=error.strerror) from error
        self._torn = bool(text) and not text.endswith("\n")
        for line in [] if afresh else text.splitlines():
            self._take(line)

    def _take(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            return
        if isinstance(entry, dict) and isinstance(entry.get("input"), str):
            self._done[entry["input"]] = entry

    def is_done(self, job: dict[str, Any]) -> bool:
        """Tell whether the conversion `job` needs not be done again."""
        entry = self._done.get(job["in_stream"])
        if (
            entry is None
            or entry.get("job") != _digest(job)
            or entry.get("state") != _state(job["in_stream"])
        ):
            return False
        files = entry.get("files")
        return isinstance(files, dict) and all(_size(name) == size for name, size in files.items())

    def made_outputs(self, job: dict[str, Any]) -> bool:
        """Tell whether the outputs of `job` that are there are its own, of whatever state of its input."""
        entry = self._done.get(job["in_stream"])
        files = None if entry is None or entry.get("job") != _digest(job) else entry.get("files")
        return isinstance(files, dict) and all(_size(name) in (None, size) for name, size in files.items())

    def add(self, job: dict[str, Any], state: Any, files: dict[str, int]) -> None:
        """Note that `job` is done: line by line, on the disk when this returns.

        Parameters
        ----------
        job
            As for `is_done`.
        state
            What `input_state` gave before it began.
        files
            Outputs.
        """
        there = {name: _size(name) for name in files}
        made = {name: size for name, size in there.items() if size is not None}
        entry = {"input": job["in_stream"], "job": _digest(job), "state": state, "files": made}
        line = json.dumps(entry, sort_keys=True) + "\n"
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write("\n" + line if self._torn else line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise FileError(f"Failed to write {self.path}", file=self.path, seen=error.strerror) from error
        self._torn = False
        self._done[entry["input"]] = entry

    @staticmethod
    def input_state(path: str) -> Any:
        """Return size and time of change of an input; None for what is no file."""
        return _state(path)


def _state(path: str) -> Any:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _size(path: str) -> int | None:
    try:
        return os.path.getsize(path)
    except OSError:
        return None


def _digest(job: dict[str, Any]) -> str:
    """Return what differs for other arguments; how existing files are treated does not count."""
    arguments = {name: value for name, value in job["arguments"].items() if name != "overwrite"}
    text = json.dumps({**job, "arguments": arguments}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
