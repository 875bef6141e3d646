"""Container files made from the description of the format, sharing no code with the package."""

from __future__ import annotations

import bz2
import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest


def digest(objects: Iterable[bytes]) -> str:
    total = hashlib.sha256()
    for data in objects:
        total.update(struct.pack("<I", len(data)) + data)
    return total.hexdigest()


def rnd(seed: str, number: int, size: int) -> bytes:
    made = b""
    for part in range(-(-size // 32)):
        made += hashlib.sha256(f"{seed}:{number}:{part}".encode()).digest()
    return made[:size]


def pat(number: int, size: int) -> bytes:
    cycle = bytes((number + j) % 251 for j in range(251))
    return (cycle * (size // 251 + 1))[:size]


SIZES = [b"", b"\0", b"\xff", rnd("sz", 0, 200_000), b"", rnd("sz", 1, 1000), b""]


def plain_p0(objects: Sequence[bytes], header: int = 0) -> bytes:
    made = struct.pack("<Q4I", header, 0, 0, 0, 0)
    for data in objects:
        made += struct.pack("<2I", len(data), zlib.crc32(data)) + data
    return made


def plain_p1(
    bunches: Sequence[Sequence[bytes]],
    *,
    compressed: bool = False,
    created: int = 1_700_000_000,
    extension: bytes = b"",
) -> bytes:
    made = struct.pack("<4s4sIQ2H", b"SOF", b"", 1, created, int(compressed), len(extension)) + extension
    before = 0
    for number, bunch in enumerate(bunches):
        begin = len(made)
        data = b"".join(bunch)
        made += bz2.compress(data) if compressed else data
        made += b"".join(struct.pack("<I", zlib.crc32(item)) for item in bunch)
        made += b"".join(struct.pack("<I", len(item)) for item in bunch)
        place = len(made)
        made += struct.pack("<3Q2IH", place - before, place - begin, place, 0, len(bunch), number)
        before = place
    return made


@pytest.fixture
def p0() -> Callable[..., bytes]:
    """Make the bytes of a file of protocol 0."""
    return plain_p0


@pytest.fixture
def p1() -> Callable[..., bytes]:
    """Make the bytes of a file of protocol 1 from its bunches."""
    return plain_p1


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    """Put bytes into a file."""

    def put(data: bytes, name: str = "file.sof") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return put


@pytest.fixture(scope="session")
def manifest(golden_icf: Path) -> dict[str, Any]:
    """What the golden files hold: file name -> expected, peer_reader, wanted."""
    files: dict[str, Any] = json.loads((golden_icf / "MANIFEST.json").read_text())["files"]
    return files


@pytest.fixture
def digest_of() -> Callable[[Iterable[bytes]], str]:
    return digest


@pytest.fixture
def inputs() -> dict[str, list[bytes]]:
    """The objects that golden files were made from, by file name without its protocol."""
    return {
        "one": [b"hello"],
        "sizes": SIZES,
        "sizes_smallbunch": SIZES,
        "many": [pat(i, i % 97) for i in range(300)],
        "bunches": [pat(i, (i * 7) % 120) for i in range(300)],
        "default_bunch": [pat(i, 10_000) for i in range(250)],
        "meta": [b"one", b"two", b"three"],
        "empty": [],
        "empty_ext": [],
    }
