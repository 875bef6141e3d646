"""Logs and streams saved byte by byte."""

from __future__ import annotations

from pathlib import Path

import pytest

import sapwood.fileio as fileio
from sapwood.errors import FormatError

LINES = ["Digital: {'nu1': 0}\n", "0\tb'bcbcff'\n", "1\tb'bcff'\n"]


def test_a_log_keeps_its_whole_lines(tmp_path: Path) -> None:
    path, out = tmp_path / "a.log", tmp_path / "b.log"
    path.write_text("".join([*LINES[:2], "nonsense\n", "7\tb'zz'\n", LINES[2], "8\tb'bcf"]))
    report = fileio.find("apx-log").recover(path, out)
    assert (report.status, report.good) == ("loss", 2)
    assert out.read_text() == "".join(LINES)
    assert fileio.find("apx-log").verify(out).status == "clean"


def test_a_stream_keeps_its_frames_of_hits(tmp_path: Path) -> None:
    path, out = tmp_path / "a.bin", tmp_path / "b.bin"
    hits = b"".join(b"\x0d\x01\x20" + bytes([number] * 11) for number in range(5))
    path.write_bytes(hits[:28] + b"\x05abcde" + hits[28:] + b"\x0d\x01")
    format = fileio.find("astep")
    report = format.recover(path, out)
    assert (report.status, report.good, out.read_bytes()) == ("loss", 5, hits)
    path.write_bytes(b"\x00\x00")
    assert format.recover(path, tmp_path / "c.bin").status == "unreadable"
    assert not (tmp_path / "c.bin").exists()
    with pytest.raises(FormatError, match="Convert it"):
        format.recover(tmp_path / "x.log", tmp_path / "c.bin")
