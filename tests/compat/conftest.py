"""Makes ``pyrogue`` and the device library written for it importable."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import sapwood.compat  # noqa: F401  # this is what makes pyrogue importable

LIBRARY = Path(__file__).parent / "library"
if str(LIBRARY) not in sys.path:
    sys.path.insert(0, str(LIBRARY))

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def python(tmp_path: Path) -> Run:
    """A function that runs Python in an empty folder; `path` is searched for modules first."""

    def run(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(path or "")}
        return subprocess.run(
            [sys.executable, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=tmp_path,
            env=environment,
        )

    return run
