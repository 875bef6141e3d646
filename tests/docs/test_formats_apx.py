"""What docs/formats/apx.md shows runs, and so do the examples that AstroPix users know."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sapwood.fileio import FileHeader, apx_load, apx_open, apx_process
from sapwood.fileio.apx import AstroPix4Readout

PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats" / "apx.md"
BOARD = bytes.fromhex("bcbce05042030620d701bce05041130620d701bc")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, as long as the test runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102  # the page's own code
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Header(readout_uid=4000, creator=Santa Claus, run=7)"
    assert lines[1:3] == ["0 1 9 31.05", "0 1 10 43.4"]
    assert lines[7:] == [
        "Santa Claus 6 31.05",
        "37.225",
        "{'hits': 6, 'readouts': 3, 'frames': 3}",
        "3",
        "[40, 41, 44] 2 6",
    ]
    assert {path.name for path in folder.iterdir()} == {
        "run7.apx", "run7.hdf5", "run7.fits", "old.log", "old.apx", "stream.bin", "stream.csv",
        "received.apx",
    }  # fmt: skip


# The examples of the users' own page: the same calls, only the imports are ours.


def data_collection() -> Iterator[AstroPix4Readout]:
    """Stand in for the board: three readouts."""
    for number in itertools.count():
        if number == 3:
            return
        yield AstroPix4Readout(BOARD, number)


def write_example(path: str) -> None:
    source = data_collection()
    header = FileHeader(AstroPix4Readout, content={"creator": "Santa Claus"})
    with apx_open(path, "wb", header) as output_file:
        while True:
            readout = next(source, None)
            if readout is None:
                break
            readout.write(output_file)


def test_create_a_file_and_read_it_back(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "path" / "to").mkdir(parents=True)
    write_example("path/to/file.apx")
    with apx_open("path/to/file.apx") as input_file:
        print(input_file.header)
        for readout in input_file:
            print(readout)
            for hit in readout.decode():
                print(hit)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Header(readout_uid=4000, creator=Santa Claus)"
    assert sum(line.startswith("AstroPix4Readout(20 bytes, readout_id = ") for line in lines) == 3
    assert sum(line.startswith("AstroPix4Hit(chip_id = 0, payload = 7") for line in lines) == 6
    raw = (folder / "path" / "to" / "file.apx").read_bytes()
    assert raw.startswith(b'%APXDF\x2f\0\0\0{"readout_uid": 4000, "creator": "Santa Claus"}\xfe\xdc\xba')


def test_header() -> None:
    header = FileHeader(AstroPix4Readout, content={"creator": "Santa Claus"})
    assert header["creator"] == "Santa Claus"


def test_process_and_load(folder: Path) -> None:
    (folder / "path" / "to").mkdir(parents=True)
    write_example("path/to/file.apx")
    output_file_path = apx_process("path/to/file.apx", "hdf5")
    header, table = apx_load(output_file_path)
    assert output_file_path == "path/to/file.hdf5"
    assert header == FileHeader(AstroPix4Readout, content={"creator": "Santa Claus"})
    assert table["tot_us"].tolist() == [31.05, 43.4] * 3
