"""ORCA files cut short."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from sapwood.errors import FileError, RecordingExists
from sapwood.fileio.raw.orca import skim_orca_file


@pytest.fixture
def parts(made: Any) -> list[bytes]:
    """A header and 6 packets."""
    head = made.header(made.tree([made.RUN, made.OTHER]))
    return [head, *(made.packet(made.OTHER, range(3 + number)) for number in range(6))]


@pytest.mark.parametrize(
    ("count", "kept"), [(0, [0, 1, 6]), (2, [0, 1, 2, 3, 6]), (5, range(7)), (99, range(7))]
)
def test_first_packets_and_the_last(tmp_path: Path, parts: list[bytes], count: int, kept: Any) -> None:
    path = tmp_path / "a.orca"
    path.write_bytes(b"".join(parts))
    name = skim_orca_file(path, count)
    assert name == f"{path}_first{count}"
    assert Path(name).read_bytes() == b"".join(parts[index] for index in kept)


def test_packed_files_and_names_of_ones_own(tmp_path: Path, parts: list[bytes]) -> None:
    path, out = tmp_path / "a.orca.gz", tmp_path / "b.orca"
    path.write_bytes(gzip.compress(b"".join(parts)))
    skim_orca_file(path, 0, out)
    assert out.read_bytes() == parts[0] + parts[1] + parts[6]
    with pytest.raises(RecordingExists):
        skim_orca_file(path, 1, out)
    skim_orca_file(path, 1, out, overwrite=True)
    assert len(out.read_bytes()) > len(parts[0] + parts[1] + parts[6])


def test_nothing_is_left_of_what_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.orca"
    path.write_bytes(b"something else")
    with pytest.raises(RuntimeError, match="does not begin with an ORCA header"):
        skim_orca_file(path, 3)
    with pytest.raises(FileError, match="negative"):
        skim_orca_file(path, -1)
    assert [one.name for one in tmp_path.iterdir()] == ["a.orca"]
