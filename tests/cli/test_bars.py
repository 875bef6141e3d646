"""Bars of conversions: with rate and time left on a terminal, nothing but the result elsewhere."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood import fileio
from sapwood.streams import FrameBatch, Master


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Forty frames of 1 MiB: several chunks."""
    source, writer = Master(), fileio.StreamWriter()
    source >> writer.getChannel(0)
    writer.open(tmp_path / "run.dat")
    payload = np.zeros(40 << 20, np.uint8)
    source._sendBatch(FrameBatch(payload, np.arange(40) << 20, np.full(40, 1 << 20)))
    writer.close()
    return tmp_path / "run.dat"


def on_a_terminal(*arguments: str, cwd: Path) -> str:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "sapwood", *arguments]
    shown = b""
    with subprocess.Popen(
        command, cwd=cwd, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    ) as process:
        os.close(slave)
        with contextlib.suppress(OSError):  # the end of a terminal
            while data := os.read(master, 4096):
                shown += data
    os.close(master)
    assert process.returncode == 0, shown
    return shown.decode()


def test_on_a_terminal(recording: Path) -> None:
    shown = on_a_terminal("file", "convert", "run.dat", "run.npz", cwd=recording.parent)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    assert lines[0].startswith("Converting")
    assert any(re.search(r"100% [\d,]+ rows/s \d\d:\d\d$", line.strip()) for line in lines)
    assert lines[-1].strip() == "Wrote run.npz: 40 rows, 41.9 MB"


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_elsewhere(sapwood: Callable[..., Any], recording: Path, options: tuple[str, ...]) -> None:
    ran = sapwood("file", "convert", recording, recording.with_suffix(".npz"), *options)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.replace("\n", "").isprintable()
    assert "Converting" not in ran.out
