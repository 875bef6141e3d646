"""Which format a file has."""

from __future__ import annotations

import struct
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import sapwood.fileio as fileio
from sapwood.errors import FileError, FormatError
from sapwood.fileio import registry
from sapwood.fileio.formats import MAGIC, NO, PLAUSIBLE, Format

RECORD = struct.pack("<IHBB", 7, 0, 0, 1) + b"abc"


class Marked(Format):
    """A format of somebody else: files that begin with a mark."""

    def __init__(self, name: str, mark: bytes, answer: int) -> None:
        self.name = name
        self._mark = mark
        self._answer = answer

    def detect(self, head: bytes, path: str) -> int:
        return self._answer if head.startswith(self._mark) else NO

    def open(self, path: Any, **options: Any) -> Any:
        return self.name, path


ABC = Marked("abc", b"\x07\0\0\0", MAGIC)  # what RECORD begins with, too


@pytest.fixture(autouse=True)
def clean_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_loaded", {})
    monkeypatch.setattr(registry, "_broken", {})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "run.dat"
    path.write_bytes(RECORD * 3)
    return path


def test_rogue_files_chain_from_byte_0(tmp_path: Path) -> None:
    cases = {
        "whole.bin": (RECORD * 3, True),
        "one.bin": (RECORD, True),
        "torn.bin": (RECORD * 2 + RECORD[:-1], True),
        "zero-filled.bin": (RECORD * 2 + bytes(100), True),
        "only-torn.dat": (RECORD[:-1], False),
        "derailed.dat": (RECORD * 2 + b"\x03\0\0\0" * 10, False),
        "text.dat": (b"the beam was off on Monday", False),
        "empty.dat": (b"", True),
        "empty.dat.1": (b"", True),
        "empty.txt": (b"", False),
        "large.bin": ((struct.pack("<IHBB", 100_004, 0, 0, 1) + bytes(100_000)) * 3, True),
    }
    for name, (content, expected) in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        if expected:
            assert fileio.detect(path).name == "rogue", name
        else:
            with pytest.raises(FormatError, match="is not known") as caught:
                fileio.detect(path)
            assert "one of rogue, rogue-raw" in str(caught.value)
            assert caught.value.file == str(path)


def test_an_empty_recording_is_one(tmp_path: Path) -> None:
    (tmp_path / "empty.dat").write_bytes(b"")
    reader = fileio.open(tmp_path / "empty.dat")
    assert len(reader.read()) == 0
    assert list(reader.batches()) == []
    assert reader.info()["frames"] == reader.info()["torn_bytes"] == 0


def test_magic_wins_and_rogue_is_asked_last(data: Path) -> None:
    registry.register(Marked("guess", b"\x07", PLAUSIBLE))
    assert fileio.open(data) == ("guess", data)
    registry.register(ABC)
    assert fileio.open(data) == ("abc", data)
    assert fileio.open(data, "rogue").info()["frames"] == 3


def test_several_that_fit_are_named(data: Path) -> None:
    registry.register(Marked("one", b"\x07", PLAUSIBLE))
    registry.register(Marked("two", b"\x07", PLAUSIBLE))
    with pytest.raises(FormatError, match="may be of several formats: one, two"):
        fileio.open(data)


def test_formats_of_installed_packages(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = {
        "abc": EntryPoint("abc", "abc_home:ABC", registry.GROUP),
        "broken": EntryPoint("broken", "no_such_module_anywhere:X", registry.GROUP),
    }
    module = type(sys)("abc_home")
    module.ABC = ABC
    monkeypatch.setitem(sys.modules, "abc_home", module)
    monkeypatch.setattr(registry, "_entry_points", lambda: points)
    assert fileio.open(data) == ("abc", data)
    assert fileio.open(data, "ABC") == ("abc", data)
    with pytest.raises(FormatError, match=r"There is no format 'broken'.*\n.*no_such_module_anywhere"):
        fileio.find("broken")


def test_built_in_formats_need_no_entry_points(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_entry_points", dict)
    assert set(registry.formats()) == set(registry._BUILT_IN)
    assert all(format.name == name for name, format in registry.formats().items())
    assert fileio.open(data).info()["format"] == "rogue"


def test_names_of_formats() -> None:
    assert fileio.find("raw") is fileio.find("rogue-raw")
    assert fileio.find("Rogue").name == "rogue"
    with pytest.raises(FormatError, match=r"There is no format 'rouge'.*Did you mean: rogue"):
        fileio.find("rouge")


def test_missing_files(tmp_path: Path) -> None:
    for name in ("nowhere.dat", "nowhere.dat.1"):
        for format in (None, "rogue", "raw"):
            with pytest.raises(FileError, match=f"Failed to open data file: .*{name}"):
                fileio.open(tmp_path / name, format)


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"holds 0 files that may be recordings.*seen none"):
        fileio.open(tmp_path)
    (tmp_path / "a.dat").write_bytes(RECORD)
    assert fileio.open(tmp_path).info()["frames"] == 1
    (tmp_path / "b.dat.1").write_bytes(RECORD)
    (tmp_path / "b.dat.2").write_bytes(RECORD)
    with pytest.raises(FormatError, match=r"holds 2 files.*a\.dat, b\.dat\.1"):
        fileio.open(tmp_path)


def test_what_a_format_cannot_do(tmp_path: Path) -> None:
    for call in (
        lambda: fileio.find("npz").open("x.npz"),
        lambda: fileio.find("csv").verify("x.csv"),
        lambda: fileio.find("npz").recover("x.npz", "y.npz"),
        lambda: fileio.create(tmp_path / "x.bin", "rogue-raw"),
    ):
        with pytest.raises(FormatError, match=r"Files of format .* cannot"):
            call()
    with pytest.raises(FormatError, match=r"by the ending of x\.xyz.*\.csv or .*\.dat or .*\.npz or "):
        fileio.create(tmp_path / "x.xyz")


def test_the_package_exports_what_it_says() -> None:
    for name in fileio.__all__:
        assert getattr(fileio, name) is not None
    assert set(fileio.__all__) <= set(dir(fileio))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        fileio.nonsense  # noqa: B018


def test_detection_in_a_fresh_process(data: Path) -> None:
    code = f"import sapwood.fileio as f; print(f.open({str(data)!r}).info()['frames'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "3\n"
