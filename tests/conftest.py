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
    folder = SHARED / "golden" / "rogue"
    if not folder.is_dir():
        pytest.skip("the golden files (../shared/golden/rogue) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def rogue_manifest(golden_rogue: Path) -> dict[str, Any]:
    """What the files of `golden_rogue` hold: file name -> kind, params, expect."""
    text = (golden_rogue / "MANIFEST.json").read_text()
    files: dict[str, Any] = json.loads(text)["files"]
    return files
