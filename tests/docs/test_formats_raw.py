"""What docs/formats/raw.md shows runs; its options are those of the command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sapwood.cli.raw import build
from sapwood.fileio.raw.library import RawBufferLibrary
from sapwood.fileio.raw.settings import load_dict

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats" / "raw.md"
TEXT = PAGE.read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def ran(tmp_path: Path) -> tuple[Path, str]:
    """The folder where the examples ran, and what they printed."""
    (tmp_path / "page.py").write_text("\n\n".join(blocks("python")))
    done = subprocess.run(
        [sys.executable, "page.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr
    return tmp_path, done.stdout


def test_the_examples_run(ran: tuple[Path, str]) -> None:
    assert ran[1] == "".join(blocks("text"))


def test_the_specification_works(ran: tuple[Path, str]) -> None:
    folder = ran[0]
    (folder / "channels.yaml").write_text(blocks("yaml")[0])
    command = [sys.executable, "-m", "sapwood", "raw", "build", "run.BIN", "--out-spec", "channels.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    from sapwood.fileio import lh5

    assert lh5.ls(str(folder / "run_raw.lh5"), "*/raw") == ["ch000/raw", "ch001/raw"]
    assert lh5.ls(str(folder / "run_raw.lh5"), "info/*") == ["info/CompassHeader"]
    assert list(RawBufferLibrary(load_dict(folder / "channels.yaml"), {"orig_basename": "run"}))


def test_the_table_of_options_is_that_of_the_command() -> None:
    shown = set(re.findall(r"^\| .*", TEXT, re.MULTILINE))
    told = {name for line in shown for name in re.findall(r"`(--[a-z-]+)", line.split("|")[1])}
    assert told >= {option for one in build.params for option in one.opts if option.startswith("--")}
