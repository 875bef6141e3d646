"""The group: help, version, failures."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sapwood as package

COMMANDS = ["demo", "run", "board", "record", "tree", "get", "set", "exec", "watch", "shell", "file", "apx"]


def test_help_names_every_command_and_the_exit_codes(sapwood: Callable[..., Any]) -> None:
    ran = sapwood("--help")
    assert ran.code == 0
    listed = [
        line.split()[0] for line in ran.out.partition("Commands:")[2].splitlines() if line.startswith("  ")
    ]
    assert listed[: len(COMMANDS)] == COMMANDS
    assert "3 damaged" in ran.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(sapwood: Callable[..., Any], command: str) -> None:
    assert sapwood(command, "--help").out.startswith("Usage:")


def test_version(sapwood: Callable[..., Any]) -> None:
    assert package.__version__ in sapwood("--version").out


def test_help_imports_nothing_heavy() -> None:
    code = "import json, sys, sapwood.cli.main; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert not loaded & {"numpy", "rich", "zmq", "yaml", "sapwood.tree", "sapwood.fileio", "sapwood.streams"}


def test_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sapwood", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"sapwood, version {package.__version__}"


@pytest.mark.parametrize(
    "arguments", [["nothing"], ["get"], ["run"], ["record", "x.py:Y"], ["file", "info"], ["file", "nothing"]]
)
def test_wrong_usage_is_2(sapwood: Callable[..., Any], arguments: list[str]) -> None:
    assert sapwood(*arguments).code == 2


def test_a_reader_that_goes_away_is_no_failure(golden_rogue: Path) -> None:
    path = golden_rogue / "prbs_w32_buffered.dat"
    with subprocess.Popen(
        [sys.executable, "-m", "sapwood", "file", "dump", str(path), "--bytes", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr is not None
        assert child.stderr.read() == b""
        assert child.wait(30) == 0
