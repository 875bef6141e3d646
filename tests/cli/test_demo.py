"""``sapwood demo``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sapwood.fileio import open as open_recording
from sapwood.streams import FrameBatch, Master

KEYS = ["file", "frames", "bytes", "seconds", "rate_mb_s", "errors", "dropped"]


def test_demo_as_json(start: Callable[..., Any], tmp_path: Path) -> None:
    process = start("demo", "--seconds", "1", "--json")
    assert process.end() == 0
    summary = json.loads("\n".join(process.lines))
    assert process.errors == []
    assert list(summary) == KEYS
    path = Path(summary["file"])
    assert path.parent == tmp_path / "sapwood-demo"
    with open_recording(path) as reader:
        info = reader.info()
    assert summary["errors"] == summary["dropped"] == 0
    assert summary["frames"] == info["frames"] - info["channels"]["255"]["frames"] > 1000
    assert summary["bytes"] == path.stat().st_size
    assert summary["rate_mb_s"] == pytest.approx(summary["bytes"] / summary["seconds"] / 1e6, rel=0.01)
    assert set(info["channels"]) == {"0", "1", "2", "255"}
    assert info["config"]["Demo"]["Board"]["Ch[1]"]["Pattern"] == "Counter"


def test_demo_for_people_makes_a_new_file_each_time(start: Callable[..., Any], tmp_path: Path) -> None:
    process, again = (start("demo", "--seconds", "0.2", "--out", "here/too") for _ in range(2))
    assert process.end() == 0
    text = "\n".join(process.lines)
    assert "frames" in process.wait_for("recording")
    assert "MB/s" in text
    assert "Everything that was sent is in the file, and right." in text
    assert again.end() == 0
    assert len(list((tmp_path / "here" / "too").glob("data_*.dat"))) == 2


def test_demo_tells_of_wrong_words(
    sapwood: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Master._sendBatch
    damaged = []

    def one_wrong_bit(self: Master, batch: FrameBatch) -> None:
        if not damaged and batch.channel[0] == 0 and len(batch) > 1:
            damaged.append(batch.payload)
            payload = batch.payload.copy()
            payload[batch.start[1] + 100] ^= 1
            batch = FrameBatch(payload, batch.start, batch.size, channel=0, time=batch.time)
        send(self, batch)

    monkeypatch.setattr(Master, "_sendBatch", one_wrong_bit)
    ran = sapwood("demo", "--seconds", "0.3", "--out", tmp_path, "--json")
    assert damaged
    assert ran.code == 1
    assert ran.json["errors"] == 1
    assert "1 errors, 0 frames dropped" in ran.error


def test_demo_tells_of_lost_frames(
    sapwood: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Master._sendBatch
    lost = []

    def lose_one(self: Master, batch: FrameBatch) -> None:
        if not lost and batch.channel[0] == 2 and len(batch) > 1:
            lost.append(batch)
            batch = batch[1:]
        send(self, batch)

    monkeypatch.setattr(Master, "_sendBatch", lose_one)
    ran = sapwood("demo", "--seconds", "0.3", "--out", tmp_path, "--json")
    assert lost
    assert ran.code == 1
    assert ran.json["errors"] == 1


@pytest.mark.parametrize("arguments", [["--seconds", "0"], ["--seconds", "x"], ["--seconds", "-1"]])
def test_wrong_usage(sapwood: Callable[..., Any], arguments: list[str]) -> None:
    assert sapwood("demo", *arguments).code == 2
