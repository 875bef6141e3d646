"""Text logs: converted as the peer does, but nothing evaluated and nothing lost."""

from __future__ import annotations

import hashlib
import os

import pytest

from sapwood import fileio
from sapwood.errors import FormatError
from sapwood.fileio import AstroPixLogFile, apx_open, log_to_apx
from sapwood.fileio.apx import AstroPix3Readout

LOGS = ("peer_decode_test.log", "peer_legacy_first40.log", "legacy_nibble_b.log")


@pytest.mark.parametrize("name", LOGS)
def test_conversion(golden_apx, manifest, tmp_path, name) -> None:
    facts = manifest[name]
    out = log_to_apx(golden_apx / name, output_file_path=tmp_path / "x.apx")
    if name != "legacy_nibble_b.log":  # the peer loses two of its readouts
        assert out.read_bytes() == (golden_apx / f"{name}.apx").read_bytes()
    with apx_open(out) as file:
        readouts = list(file)
        assert file.header.content == facts["log_to_apx"]["header"]
    assert len(readouts) == facts["text_lines_with_data"]
    digests = [hashlib.sha256(one.data()).hexdigest()[:16] for one in readouts]
    assert digests == facts["data_sha256_per_line_ideal"]
    assert {one.timestamp for one in readouts} == {0}


def test_the_log_as_a_recording(golden_apx) -> None:
    for name in LOGS:
        assert fileio.detect(golden_apx / name).name == "apx-log"
    with fileio.open(golden_apx / LOGS[2]) as reader:
        info = reader.info()
        assert (info["format"], info["file"], info["readouts"]) == ("apx-log", LOGS[2], 4)
        assert next(reader.chunks("hits"))["row"].values.tolist() == [1, 1, 1, 1]
    assert fileio.find("apx-log").verify(golden_apx / LOGS[2]).good == 4


def test_reading_by_lines(golden_apx, tmp_path) -> None:
    with AstroPixLogFile(golden_apx / LOGS[2]) as log:
        assert log.header["Voltagecard"] == {"a": 1, "b": 1.5}
        assert log.header.options() == {"name": "x", "threshold": 40.0, "inject": [1, 9], "maxruns": None}
        assert list(log)[1] == (1, "bce05042030620d701bc0b")
    path = tmp_path / "x.log"
    path.write_bytes(b"K: {'a': (1, -2.5)}\r\n\r\n5\tb\"bc0b\"\r\n\r\n6\tBC0B\n7\tb'b'\n")
    with AstroPixLogFile(str(path)) as log:
        assert log.header == {"K": {"a": (1, -2.5)}}
        with pytest.raises(KeyError):
            log.header.options()
        assert list(log) == [(5, "bc0b"), (6, "BC0B"), (7, "b")]
    out = log_to_apx(str(path), AstroPix3Readout)
    assert out == str(tmp_path / "x.apx")
    with apx_open(out) as file:
        assert [one.readout_id for one in file] == [5, 6]
        assert file.header.readout_uid() == 3000
    with pytest.raises(RuntimeError):
        AstroPixLogFile(tmp_path / "x.txt")
    with pytest.raises(FileNotFoundError):
        AstroPixLogFile(tmp_path / "missing.log").__enter__()


@pytest.mark.parametrize(
    "line",
    [
        "K: {'a': __import__('os').mkdir('made')}",
        "Namespace(a=__import__('os').mkdir('made'))",
        "__import__('os').mkdir('made')",
        "Namespace(**{'a': 1})",
        "Namespace(1)",
        "other(a=1)",
        "K: {" + "[" * 5000,
        "K: {'a': 1",
        "(" * 100_000,
        "K: {'a': " + "-" * 100_000 + "1}",
        "K: {1: 2 ** 99999999}",
        "a" * (1 << 21),
    ],
)
def test_nothing_is_evaluated(tmp_path, monkeypatch, line) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.log"
    path.write_text(f"{line}\n0\tb'bc'\n")
    with pytest.raises(FormatError, match=r"x\.log, line 1"):
        AstroPixLogFile(path).__enter__()
    with pytest.raises(ValueError, match="line 1"):
        log_to_apx(path)
    assert os.listdir(tmp_path) == ["x.log"]


def test_lines_that_are_no_readout(tmp_path) -> None:
    path = tmp_path / "x.log"
    path.write_text("K: {}\n0\tb'bc'\nnonsense\n1\tb'xy'\n99999999999\tb'bc'\n3\tb'bcbc'\n")
    with pytest.raises(FormatError, match="line 3"):
        log_to_apx(path)
    assert os.listdir(tmp_path) == ["x.log"]
    with fileio.open(path, "apx-log") as reader:
        assert reader.info()["readouts"] == 2
        assert [text.split(":")[0][-6:] for text in reader.problems()] == ["line 3", "line 4", "line 5"]
    report = fileio.find("apx-log").verify(path)
    assert (report.status, report.good, report.lost) == ("loss", 2, 3)
    path.write_bytes(b"K: {}\n0\tb'\xff'\n")
    with pytest.raises(FormatError, match="utf-8"):
        log_to_apx(path)


def test_other_text_is_no_log(tmp_path) -> None:
    for text in ("", "hello\n0\tb'bc'\n", "0\tbc\n", "K: {}\n", "{}\n"):
        path = tmp_path / "x.log"
        path.write_text(text)
        assert fileio.find("apx-log").detect(path.read_bytes(), str(path)) == 0
