"""Fixtures shared by the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture(scope="session")
def golden_rogue() -> Path:
    """Folder of files made by the peer, with its MANIFEST.json."""
    return _golden("rogue")


@pytest.fixture(scope="session")
def rogue_manifest(golden_rogue: Path) -> dict[str, Any]:
    """What the files of `golden_rogue` hold: file name -> kind, params, expect."""
    text = (golden_rogue / "MANIFEST.json").read_text()
    files: dict[str, Any] = json.loads(text)["files"]
    return files


def _golden(family: str) -> Path:
    folder = SHARED / "golden" / family
    if not folder.is_dir():
        pytest.skip(f"the golden files (../shared/golden/{family}) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def golden_icf() -> Path:
    """Folder of SSDAQ's files, with its MANIFEST.json."""
    return _golden("icf")


@pytest.fixture(scope="session")
def golden_apx() -> Path:
    """Folder of AstroPix files, with its MANIFEST.json."""
    return _golden("apx")


@pytest.fixture(scope="session")
def golden_pymodaq() -> Path:
    """Folder of PyMoDAQ files, with its MANIFEST.json."""
    return _golden("pymodaq")


@pytest.fixture(scope="session")
def golden_daq() -> Path:
    """Folder of digitiser streams, with its MANIFEST.json."""
    return _golden("daq")
