"""Modules of the package import by the package's name only, and declare what they export."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import sapwood

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("framework", "streams", "fileio", "devices")
PACKAGES = ("sapwood", "sapwood.streams", "sapwood.fileio", "sapwood.devices", "sapwood.tree",
            "sapwood.memory", "sapwood.remote")  # fmt: skip


def test_no_module_imports_a_folder_by_its_bare_name() -> None:
    wrong = []
    suspect = re.compile(rf"^\s*(from|import)\b.*\b({'|'.join(FOLDERS)})\b", re.MULTILINE)
    for folder in (*FOLDERS, "examples", "tests", "benchmarks"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            text = path.read_text()
            if not suspect.search(text):  # to parse them all takes seconds
                continue
            for node in ast.walk(ast.parse(text)):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                    names = [node.module]
                wrong += [f"{path.name}: {name}" for name in names if name.split(".")[0] in FOLDERS]
    assert wrong == []


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_of_a_package_resolves(name: str) -> None:
    package = importlib.import_module(name)
    assert len(set(package.__all__)) == len(package.__all__)
    missing = [public for public in package.__all__ if not hasattr(package, public)]
    assert missing == []


def test_every_module_imports() -> None:
    for package in ("sapwood", "sapwood.streams", "sapwood.fileio", "sapwood.devices"):
        module = importlib.import_module(package)
        for found in pkgutil.walk_packages(module.__path__, package + "."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    assert sapwood.__version__


def test_modules_stay_below_the_ceiling() -> None:
    long = [
        f"{path.relative_to(REPOSITORY)} ({lines})"
        for folder in FOLDERS
        for path in (REPOSITORY / folder).rglob("*.py")
        if (lines := path.read_text().count("\n")) > 600
    ]
    assert long == []
