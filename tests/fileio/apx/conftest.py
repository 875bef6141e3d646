"""What the tests of AstroPix files share: the golden files, and readouts made of random parts."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sapwood.fileio.apx import AstroPix4Readout, FileHeader, apx_open


@pytest.fixture(scope="session")
def manifest(golden_apx: Path) -> dict[str, Any]:
    """File name -> what it holds."""
    files: dict[str, Any] = json.loads((golden_apx / "MANIFEST.json").read_text())["files"]
    return files


def record(data: bytes, readout_id: int = 0, timestamp: int = 0, size: int | None = None) -> bytes:
    """Make a record as the description of the format says, with no code of ours."""
    length = len(data) if size is None else size
    return b"\xfe\xdc\xba" + struct.pack("<IQI", readout_id, timestamp, length) + data


def preamble(text: str = '{"readout_uid": 4000}') -> bytes:
    return b"%APXDF" + struct.pack("<I", len(text.encode())) + text.encode()


HIT = bytes.fromhex("e05042030620d701")
OTHER = bytes.fromhex("e05041130620d701")


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of these readouts' data, through the public writer."""

    def make(data: Sequence[bytes], name: str = "made.apx", **content: Any) -> Path:
        path = tmp_path / name
        with apx_open(path, "wb", FileHeader(AstroPix4Readout, content)) as file:
            for index, one in enumerate(data):
                AstroPix4Readout(one, index, 1000 + index).write(file)
        return path

    return make
