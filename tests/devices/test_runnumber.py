"""The number of the last run, in its file."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sapwood.devices.runnumber import RunNumber
from sapwood.errors import FormatError
from sapwood.fileio import FileLayer

CALLS = ("open", "writev", "fdatasync", "rename", "sync_dir")


class Disk(FileLayer):
    """Writes down what is done; the call named in `bad` fails."""

    def __init__(self, bad: str = "") -> None:
        self.calls: list[str] = []
        self.bad = bad

    def _do(self, name: str) -> None:
        self.calls.append(name)
        if name == self.bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def open(self, path, *, exclusive):
        self._do("open")
        return super().open(path, exclusive=exclusive)

    def writev(self, fd, buffers):
        self._do("writev")
        return os.write(fd, bytes(buffers[0][:2]))  # fewer than asked for

    def fdatasync(self, fd):
        self._do("fdatasync")

    def rename(self, source, target):
        self._do("rename")
        super().rename(source, target)

    def sync_dir(self, folder):
        self._do("sync_dir")


def test_numbers_count_on(tmp_path: Path):
    path = tmp_path / "run_number"
    assert RunNumber(str(path)).last() == 0
    assert [RunNumber(str(path)).advance() for _ in range(3)] == [1, 2, 3]
    assert RunNumber(str(path)).last() == 3
    assert path.read_bytes() == b"3\n"
    path.write_text(" 4999\n")
    assert RunNumber(str(path)).advance() == 5000
    assert [file.name for file in tmp_path.iterdir()] == ["run_number"]


def test_order_of_writing(tmp_path: Path):
    path, disk = tmp_path / "run_number", Disk()
    path.write_text("122\n")
    assert RunNumber(str(path), disk).advance() == 123
    assert path.read_bytes() == b"123\n"
    assert disk.calls == ["open", "writev", "writev", "fdatasync", "rename", "sync_dir"]


@pytest.mark.parametrize("bad", CALLS)
def test_a_failing_disk(tmp_path: Path, bad: str):
    path = tmp_path / "run_number"
    path.write_text("7\n")
    with pytest.raises(OSError, match="Input/output error"):
        RunNumber(str(path), Disk(bad)).advance()
    assert path.read_text() in ("7\n", "8\n")  # never half a number
    assert RunNumber(str(path)).advance() in (8, 9)


@pytest.mark.parametrize("text", [b"", b"\n", b"-1", b"12a", b"1.5", b"\xff", b"1 2"])
def test_a_file_that_holds_no_number(tmp_path: Path, text: bytes):
    path = tmp_path / "run_number"
    path.write_bytes(text)
    for ask in (RunNumber(str(path)).last, RunNumber(str(path)).advance):
        with pytest.raises(FormatError, match="no run number") as caught:
            ask()
        assert caught.value.file == str(path)
    assert path.read_bytes() == text
