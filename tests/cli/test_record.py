"""``sapwood record``."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sapwood.fileio import open as open_recording

TARGETS = Path(__file__).parent / "targets" / "small.py"
RUN = ["--set", "Top.Board.Run=True"]
KEYS = ["file", "frames", "bytes", "seconds", "dropped", "state"]


def _data_frames(path: Path) -> int:
    with open_recording(path) as reader:
        info = reader.info()
    assert info["torn_bytes"] == 0
    return int(info["frames"] - info["channels"]["255"]["frames"])


def test_record_frames(sapwood: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "run.dat"
    ran = sapwood("record", f"{TARGETS}:Small", "--out", out, *RUN, "--frames", 50, "--json")
    assert ran.code == 0
    assert list(ran.json) == KEYS
    assert ran.json["state"] == "Closed"
    assert ran.json["frames"] == _data_frames(out) >= 50
    assert ran.json["bytes"] == out.stat().st_size
    assert ran.json["dropped"] == 0


def test_sources_start_after_the_file_is_open_and_stop_before_it_closes(
    sapwood: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "run.dat"
    ran = sapwood("record", f"{TARGETS}:Small", "--out", out, "--frames", 50, "--json")
    assert ran.code == 0
    with open_recording(out) as reader:
        frames, config = reader.read(), reader.info()["config"]["Top"]
    assert config["Board"]["Run"] is False
    for channel in (0, 1):  # both patterns begin with a 32-bit number that counts the frames
        mine = frames[frames.channel == channel]
        numbers = [int(mine.frame_bytes(k)[:4].view("<u4")[0]) for k in range(len(mine))]
        pitch = 1 if channel == 0 else int(mine.size[0]) // 4
        assert numbers == [k * pitch for k in range(len(mine))]


def test_a_run_control_of_the_tree_owns_the_run(
    sapwood: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        out = tmp_path / f"run{number}.dat"
        ran = sapwood("record", f"{TARGETS}:Controlled", "--out", out, "--frames", 20, "--json")
        assert (ran.code, ran.json["state"]) == (0, "Closed")
        assert ran.json["frames"] == _data_frames(out) >= 20
        assert (tmp_path / "run_number").read_text().split()[0] == str(number)


def test_record_seconds_with_configuration_and_settings(sapwood: Callable[..., Any], tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text("Top:\n  Level: 7\n  Temp: 1.0\n  Board:\n    Ch[*]:\n      Size: 400\n")
    out = tmp_path / "run.dat"
    ran = sapwood(
        *("record", f"{TARGETS}:Small", "--out", out, *RUN, "--seconds", 0.2, "--config", config),
        *("--set", "Top.Temp=2.5", "--set", "Top.Board.Ch[1].Pattern=Waveform"),
    )
    assert ran.code == 0
    assert "State    Closed" in ran.out
    with open_recording(out) as reader:
        config_read, frames = reader.info()["config"]["Top"], reader.read()
    assert config_read["Level"] == 7
    assert config_read["Temp"] == 2.5
    assert config_read["Board"]["Ch[1]"]["Pattern"] == "Waveform"
    assert set(frames.size[frames.channel != 255].tolist()) == {400}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "Top.Board.Rum=True"], "There is no node Top.Board.Rum. Did you mean: Top.Board.Run"),
        (["--set", "Top.Board.Run=Maybe"], "Invalid value Maybe"),
        (["--set", "Top.Temp=200"], "Value range error"),
        (["--set", "Top.Serial=x"], "Top.Serial is read-only"),
        (["--set", "Top.Double=1"], "Top.Double cannot be set"),
        (["--writer", "Top.Board"], "Top.Board is no recorder"),
        (["--writer", "Top.Wirter"], "Did you mean: Top.Writer"),
    ],
)
def test_refusals_are_one_line_and_leave_no_file(
    sapwood: Callable[..., Any], tmp_path: Path, arguments: list[str], said: str
) -> None:
    out = tmp_path / "run.dat"
    ran = sapwood("record", f"{TARGETS}:Small", "--out", out, "--frames", 1, *arguments)
    assert ran.code == 1
    assert said in ran.error
    assert not out.exists()


def test_an_existing_file_is_kept(start: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "run.dat"
    out.write_text("precious")
    process = start("record", f"{TARGETS}:Small", "--out", "run.dat", "--frames", 1)
    assert process.end() == 1
    assert len(process.errors) == 1
    assert "run.dat" in process.errors[0]
    assert "exists" in process.errors[0]
    assert out.read_text() == "precious"


def test_several_recorders_need_a_name(sapwood: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "run.dat"
    command = ["record", f"{TARGETS}:TwoWriters", "--out", out, *RUN, "--frames", 5]
    ran = sapwood(*command)
    assert ran.code == 1
    assert "seen Top.Writer, Top.Second" in ran.error
    assert sapwood(*command, "--writer", "Top.Second").code == 0
    assert out.exists()
    assert "seen none" in sapwood("record", f"{TARGETS}:NoWriter", "--out", out).error


@pytest.mark.parametrize("arguments", [["--set", "Top.Temp"], ["--frames", "0"], ["--config", "absent.yml"]])
def test_wrong_usage(sapwood: Callable[..., Any], tmp_path: Path, arguments: list[str]) -> None:
    assert sapwood("record", f"{TARGETS}:Small", "--out", tmp_path / "run.dat", *arguments).code == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_early_but_properly(
    start: Callable[..., Any], tmp_path: Path, number: signal.Signals
) -> None:
    process = start("record", f"{TARGETS}:Small", "--out", "run.dat", *RUN)
    process.wait_for("recording")
    process.send(number)
    assert process.end() == 0
    assert process.errors == []
    frames = next(line.split()[1] for line in process.lines if line.startswith("Frames"))
    assert int(frames.replace(",", "")) == _data_frames(tmp_path / "run.dat")


def test_a_disk_that_is_full_at_the_end_is_a_failure_too(start: Callable[..., Any], tmp_path: Path) -> None:
    buffered = ["--set", "Top.Writer.BufferSize=50000000", "--set", "Top.Board.Ch[0].Size=2000"]
    process = start(
        *("record", f"{TARGETS}:small_disk", "--out", "run.dat", *RUN, *buffered),
        *("--set", "Top.Board.Ch[0].Rate=4000", "--frames", "200", "--json"),
    )
    assert process.end() == 1
    summary = json.loads("\n".join(process.lines))
    assert summary["state"].startswith("Fault: ")
    assert "File too large" in process.errors[-1]
    assert _data_frames(tmp_path / "run.dat") < 200


def test_a_full_disk_is_a_failure_with_its_reason(start: Callable[..., Any], tmp_path: Path) -> None:
    process = start("record", f"{TARGETS}:small_disk", "--out", "run.dat", *RUN, "--seconds", "20", "--json")
    assert process.end() == 1
    summary = json.loads("\n".join(process.lines))
    assert summary["state"].startswith("Fault: ")
    assert summary["dropped"] > 0
    assert "File too large" in process.errors[-1]
    assert process.errors[-1].startswith("sapwood: The recorder failed")
    assert summary["frames"] == _data_frames(tmp_path / "run.dat") > 0
