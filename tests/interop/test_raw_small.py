"""CoMPASS and llamaDAQ streams through legend-daq2lh5 and through Sapwood give the same columns."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood.fileio import lh5
from sapwood.fileio.raw import build_raw

if find_spec("daq2lh5") is None:
    pytest.skip("legend-daq2lh5 is not installed", allow_module_level=True)

PEER = """
import sys
from daq2lh5.build_raw import build_raw
for source, kind, target in zip(sys.argv[1::3], sys.argv[2::3], sys.argv[3::3]):
    build_raw(source, kind, target)
"""
# What Sapwood puts right, see docs/formats/lh5.md.
CORRECTED = {"timestamp_ps", "energy_calibrated", *(f"cumsum_{index}" for index in range(1, 9))}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Name of a stream -> the file that Sapwood makes of it, and that of the other package."""
    folder = tmp_path_factory.mktemp("streams")
    sources = {"compass": compass(folder / "short.BIN", 13), "plain": compass(folder / "plain.BIN", 9)}
    sources["llama"] = llama(folder / "20240102-030405.bin")
    command = [sys.executable, "-W", "ignore", "-c", PEER]
    for source in sources.values():
        build_raw(source)
        kind = "LlamaDaq" if source.suffix == ".bin" else "Compass"
        command += [str(source), kind, str(source.with_suffix(".peer.lh5"))]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "TZ": "UTC"})
    return {
        name: (source.with_suffix(".lh5"), source.with_suffix(".peer.lh5"))
        for name, source in sources.items()
    }


def columns(path: Path, table: str) -> dict[str, Any]:
    return {name: column.nda for name, column in lh5.read(table, str(path)).flatten().items()}


def compare(ours: Mapping[str, Any], theirs: Mapping[str, Any], corrected: set[str]) -> None:
    assert set(ours) - corrected == set(theirs) - corrected
    for name in set(ours) - corrected:
        assert ours[name].dtype == theirs[name].dtype, name
        assert np.array_equal(ours[name], theirs[name]), name


def compass(source: Path, bits: int) -> Path:
    rng = np.random.default_rng(bits)
    parts = [bytes([0xE0 | bits, 0xCA])]
    for row in range(50):
        parts.append(struct.pack("<HHQ", row % 2, row % 5, 10**12 * row + 1))
        parts.append(struct.pack("<HH", row, row + 7) if bits & 4 else struct.pack("<H", row))
        parts.append(struct.pack("<IBI", row << 9, 1, 16))
        parts.append(rng.integers(0, 1 << 14, 16).astype("<u2").tobytes())
    source.write_bytes(b"".join(parts))
    return source


def llama(source: Path) -> Path:
    channel = struct.pack("<4I2d", 0, 5, 3, 8191, 125.0, 1.0)
    channel += struct.pack("<14I", 3, 10, 30, 4, 2, 20, 6, 0, 13 + 13, 13, 2, 9, 11, 11)
    rng = np.random.default_rng(1)
    parts = [struct.pack("<I4HI", 0x4972414C, 1, 0, 2, 88, 1), channel]
    for row in range(40):
        words = [3 | 5 << 4, 1000 * row, 7 | row << 16, 0xAB << 24 | row, *range(7)]
        words += [0xA << 28 | row % 2 << 26 | 10, 0xE << 28 | row << 16 | 3]
        parts.append(np.array(words, "<u4").tobytes())
        parts.append(rng.integers(0, 1 << 14, 26).astype("<u2").tobytes())
    source.write_bytes(b"".join(parts))
    return source


@pytest.mark.parametrize("name", ["compass", "plain"])
def test_compass(made: dict[str, tuple[Path, Path]], name: str) -> None:
    ours, theirs = (columns(path, "CompassEvent") for path in made[name])
    compare(ours, theirs, CORRECTED | {"waveform__dt"})


def test_llama(made: dict[str, tuple[Path, Path]]) -> None:
    ours, theirs = (columns(path, "LLAMAEvent") for path in made["llama"])
    compare(ours, theirs, CORRECTED)
    assert (ours["cumsum_1"] == np.arange(40)).all()
    assert (theirs["cumsum_1"] == ours["cumsum_2"]).all()
