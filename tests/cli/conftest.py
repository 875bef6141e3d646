"""Fixtures of the tests of the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sapwood.cli.main import cli

REPOSITORY = Path(__file__).resolve().parents[2]
WAIT_S = 30.0


class Ran:
    """What a command left behind."""

    def __init__(self, result: Result) -> None:
        self.code = result.exit_code
        self.out = result.stdout
        self.err = result.stderr
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line on stderr."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


@pytest.fixture
def sapwood() -> Callable[..., Ran]:
    """Runs the command line in this process: ``sapwood("file", "info", path)``."""
    return lambda *arguments: Ran(CliRunner().invoke(cli, [str(one) for one in arguments]))


class Process:
    """The command line in a process of its own; its output is collected line by line."""

    def __init__(self, *arguments: object, cwd: Path) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "sapwood", *(str(one) for one in arguments)],
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._news = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(pipe, lines), daemon=True)
            for pipe, lines in ((self._child.stdout, self.lines), (self._child.stderr, self.errors))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe: Any, lines: list[str]) -> None:
        for line in pipe:
            with self._news:
                lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait_for(self, text: str, *, errors: bool = False) -> str:
        """Return the first line with `text` in it."""
        lines = self.errors if errors else self.lines

        def found() -> str | None:
            return next((line for line in lines if text in line), None)

        with self._news:
            self._news.wait_for(lambda: found() is not None or self._child.poll() is not None, WAIT_S)
            line = found()
        assert line is not None, (text, self.lines, self.errors)
        return line

    @property
    def pid(self) -> int:
        return self._child.pid

    def send(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        code = self._child.wait(WAIT_S)
        for reader in self._readers:
            reader.join(WAIT_S)
        return code

    def kill(self) -> None:
        if self._child.poll() is None:
            self._child.kill()
        self.end()
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts the command line as a process: ``start("run", target)``; none outlives its test."""
    started: list[Process] = []

    def begin(*arguments: object, cwd: Path = tmp_path) -> Process:
        started.append(Process(*arguments, cwd=cwd))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
