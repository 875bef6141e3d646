"""The wheel holds exactly the modules of the mapped folders."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = {"framework": "sapwood", "streams": "sapwood/streams", "fileio": "sapwood/fileio",
           "devices": "sapwood/devices"}  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel built from a copy of the repository."""
    source = tmp_path_factory.mktemp("source")
    for name in FOLDERS:
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next((source / "dist").glob("*.whl")))


def test_wheel_holds_the_modules_of_every_folder(wheel: zipfile.ZipFile) -> None:
    expected = {
        f"{target}/{path.relative_to(REPOSITORY / folder).as_posix()}"
        for folder, target in FOLDERS.items()
        for path in (REPOSITORY / folder).rglob("*.py")
    }
    packed = {name for name in wheel.namelist() if name.startswith("sapwood/")}
    assert packed == expected | {"sapwood/py.typed"}


def test_wheel_declares_the_command_and_the_formats(wheel: zipfile.ZipFile) -> None:
    name = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    text = wheel.read(name).decode()
    assert "sapwood = sapwood.cli.main:main" in text
    assert "[sapwood.formats]" in text
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
