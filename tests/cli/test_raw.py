"""``sapwood raw`` on small streams."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood.fileio import StreamWriter, lh5
from sapwood.streams import Frame, Master

DECODER = """
from sapwood.fileio.raw import DataDecoder

class {}Decoder(DataDecoder):
    decoded_values = {{"size": {{"dtype": "int64"}}}}

    def decode_batch(self, packets, packet_ids, buffers):
        self.deliver(None, {{"size": packets.size}}, buffers)
"""


def compass(path: Path, events: int = 3) -> Path:
    event = struct.pack("<HHQHIBI4H", 0, 1, 5, 7, 0, 1, 4, 1, 2, 3, 4)
    path.write_bytes(b"\xe9\xca" + event * events)
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder; what is imported from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    return tmp_path


def test_a_file(sapwood: Callable[..., Any], here: Path) -> None:
    compass(here / "run.BIN")
    ran = sapwood("raw", "build", "run.BIN")
    assert ran.code == 0
    assert f"{here / 'run.BIN'} -> {here / 'run.lh5'}: 4 rows" in ran.out
    assert not ran.err
    assert lh5.read("CompassEvent", "run.lh5")["energy"].nda.tolist() == [7] * 3
    assert "exists" in sapwood("raw", "build", "run.BIN").error
    assert sapwood("raw", "build", "run.BIN").code == 1
    assert sapwood("raw", "build", "run.BIN", "--overwrite").code == 0
    assert not (here / "sapwood-raw.jsonl").exists()


def test_what_goes_where(sapwood: Callable[..., Any], here: Path) -> None:
    compass(here / "run.BIN")
    spec = {"CompassEventDecoder": {"ch{key}": {"key_list": [1], "out_stream": "{who}/{orig_basename}.lh5"}}}
    (here / "spec.json").write_text(json.dumps(spec))
    words = json.dumps({"who": "me"})
    options = ["--buffer-size", 2, "--max-rows", 2, "--type", "Compass", "--json"]
    ran = sapwood("raw", "build", "run.BIN", "--out-spec", "spec.json", "--kwargs", words, *options)
    assert ran.code == 0
    (found,) = ran.json
    assert (found["status"], found["attempts"]) == ("done", 1)
    assert found["summary"]["rows"] == {f"{here / 'me/run.lh5'}:/ch1": 2}
    assert len(lh5.read("ch1", "me/run.lh5")) == 2


def test_a_file_and_group_as_output(sapwood: Callable[..., Any], here: Path) -> None:
    compass(here / "run.BIN")
    assert sapwood("raw", "build", "run.BIN", "-o", "out.lh5:/a").code == 0
    assert len(lh5.read("a/CompassEvent", "out.lh5")) == 3


def test_processes_and_what_is_done_before(sapwood: Callable[..., Any], here: Path) -> None:
    names = [compass(here / f"run{number}.BIN", number + 1).name for number in range(3)]
    ran = sapwood("raw", "build", *names, "--jobs", 2)
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 3
    (here / "run1.lh5").unlink()
    ran = sapwood("raw", "build", *names, "--jobs", 2, "--json")
    assert {Path(one["in_stream"]).name: one["status"] for one in ran.json} == {
        "run0.BIN": "skipped", "run1.BIN": "done", "run2.BIN": "skipped",
    }  # fmt: skip
    assert len(lh5.read("CompassEvent", "run1.lh5")) == 2
    ran = sapwood("raw", "build", *names, "--manifest", "sapwood-raw.jsonl")
    assert "done before" in ran.out
    ran = sapwood("raw", "build", *names, "--manifest", "sapwood-raw.jsonl", "--overwrite", "--json")
    assert {one["status"] for one in ran.json} == {"done"}


def test_exit_codes(sapwood: Callable[..., Any], here: Path) -> None:
    cut = compass(here / "cut.BIN")
    cut.write_bytes(cut.read_bytes()[:-1])
    (here / "bad.BIN").write_bytes(b"nothing of this kind at all")
    compass(here / "good.BIN")
    ran = sapwood("raw", "build", "cut.BIN", "good.BIN")
    assert ran.code == 3
    assert "is cut after" in ran.err
    assert ran.err.endswith("sapwood: Of 2 inputs 1 damaged\n")
    assert sapwood("raw", "build", "bad.BIN").code == 4
    assert sapwood("raw", "build", "none.BIN").code == 4
    ran = sapwood("raw", "build", "good.BIN", "bad.BIN")
    assert ran.code == 1  # good.lh5 is there
    assert "exists" in ran.err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--kwargs", "{"], "no JSON"),
        (["--kwargs", "[1]"], "no JSON object"),
        (["--buffer-size", "0"], "range"),
        (["--jobs", "0"], "range"),
        (["--jobs", "2", "--scheduler", "tcp://127.0.0.1:9"], "give one of them"),
        (["--decoder", "nothing"], "names no decoder"),
        (["--decoder", "a:B", "--decoder", "c:D"], "one decoder"),
        (["--decoder", "a:B", "--type", "ORCA"], "no --type"),
        (["--out-spec", "wrong.json"], "no JSON"),
        (["--type", "orca"], "Did you mean: ORCA"),
        (["--type", "MGDO"], "not yet implemented"),
    ],
)
def test_wrong_usage(sapwood: Callable[..., Any], here: Path, options: list[str], text: str) -> None:
    compass(here / "run.BIN")
    (here / "wrong.json").write_text("{")
    ran = sapwood("raw", "build", "run.BIN", *options)
    assert ran.code == 2
    assert text in ran.err
    assert not list(here.glob("*.lh5"))


def test_two_inputs_for_one_output(sapwood: Callable[..., Any], here: Path) -> None:
    names = [compass(here / f"run{number}.BIN").name for number in range(2)]
    ran = sapwood("raw", "build", *names, "-o", "one.lh5")
    assert ran.code == 1
    assert "would be written" in ran.error


@pytest.fixture
def recording(here: Path) -> Path:
    source, writer = Master(), StreamWriter()
    source >> writer.getChannel(1)
    writer.open(here / "run.dat")
    for size in (3, 5):
        source._sendFrame(Frame(bytes(size)))
    writer.close()
    return here / "run.dat"


def test_a_recording_by_a_decoder_of_the_command_line(
    sapwood: Callable[..., Any], here: Path, recording: Path
) -> None:
    (here / "lab_a.py").write_text(DECODER.format("Size"))
    assert sapwood("raw", "build", "run.dat", "--decoder", "1=lab_a:SizeDecoder").code == 0
    assert lh5.read("Size", "run.lh5")["size"].nda.tolist() == [3, 5]


def test_a_recording_by_a_decoder_of_the_specification(
    sapwood: Callable[..., Any], here: Path, recording: Path
) -> None:
    (here / "lab_b.py").write_text(DECODER.format("Length"))
    spec = {"1=lab_b:LengthDecoder": {"raw": {"key_list": ["*"], "out_stream": "out.lh5:/x"}}}
    (here / "spec.json").write_text(json.dumps(spec))
    assert sapwood("raw", "build", "run.dat", "-o", "spec.json").code == 0
    assert lh5.read("x/raw", "out.lh5")["size"].nda.tolist() == [3, 5]


def test_a_recording_decodes_nothing_by_itself(
    sapwood: Callable[..., Any], here: Path, recording: Path
) -> None:
    ran = sapwood("raw", "build", "run.dat")
    assert ran.code == 4
    assert "type" in ran.error


def test_skim(sapwood: Callable[..., Any], golden_daq: Path, here: Path) -> None:
    source = golden_daq / "L200-comm-20220519-phy-geds.orca"
    ran = sapwood("raw", "skim", source, 5, "--out-file", "short.orca")
    assert ran.code == 0
    assert "Wrote short.orca" in ran.out
    assert 0 < (here / "short.orca").stat().st_size < source.stat().st_size
    assert sapwood("raw", "skim", source, 5, "-o", "short.orca").code == 1
    assert sapwood("raw", "skim", source, 5, "-o", "short.orca", "--overwrite").code == 0
    assert sapwood("raw", "build", "short.orca").code == 0
    (here / "bad").write_bytes(np.arange(100).tobytes())
    assert sapwood("raw", "skim", "bad", 5).code == 4


def test_a_bar_on_a_terminal(here: Path) -> None:
    compass(here / "run.BIN", 1000)
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "sapwood", "raw", "build", "run.BIN"]
    with subprocess.Popen(command, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm"}) as done:
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while data := os.read(master, 4096):
                shown += data
    os.close(master)
    assert done.returncode == 0
    text = shown.decode()
    assert "Decoding" in text
    assert "100%" in text
    assert "B/s" in text
    assert "1,001 rows" in text


def test_a_live_stream_is_no_path(sapwood: Callable[..., Any], here: Path) -> None:
    ran = sapwood("raw", "build", "tcp://connect/1/127.0.0.1", "--out-spec", "live.lh5")
    assert ran.code == 4
    assert "Failed to open tcp://connect/1/127.0.0.1" in ran.err


def test_each_failure_of_many_is_told(sapwood: Callable[..., Any], here: Path) -> None:
    compass(here / "good.BIN")
    (here / "bad.BIN").write_bytes(b"nothing of this kind at all")
    ran = sapwood("raw", "build", "bad.BIN", "good.BIN", "none.BIN")
    assert ran.code == 4
    assert "no CoMPASS file" in ran.err
    assert "none.BIN not found" in ran.err
    assert ran.err.endswith("sapwood: Of 3 inputs 2 unreadable\n")
