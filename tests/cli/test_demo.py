"""``sapwood demo``."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sapwood.devices import FrontEndFirmware
from sapwood.devices.board.allowance import Allowance
from sapwood.devices.board.wire import FrontEndWire
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


# Over the network


def test_demo_over_the_wire_as_json(start: Callable[..., Any], tmp_path: Path) -> None:
    process = start("demo", "--wire", "--seconds", "0.6", "--json")
    assert process.end() == 0
    assert process.errors == []
    summary = json.loads("\n".join(process.lines))
    assert list(summary) == KEYS
    assert summary["errors"] == summary["dropped"] == 0
    with open_recording(summary["file"]) as reader:
        info = reader.info()
    assert set(info["channels"]) == {"1", "2", "3", "255"}
    assert summary["frames"] == info["frames"] - info["channels"]["255"]["frames"] > 200
    assert info["config"]["Demo"]["Board"]["Ch[1]"]["Pattern"] == "Counter"


@pytest.mark.parametrize("options", [[], ["--batch", "v1", "--loss", "0.002"]])
def test_demo_uses_a_board_that_serves_already_again_and_again(
    start: Callable[..., Any], options: list[str]
) -> None:
    board = start("board", "--port", 0, *options)
    address = board.wait_for("Front-end board").split(" at ")[1].split()[0]
    for _ in range(2):
        process = start("demo", "--wire", address, "--seconds", "0.3")
        assert process.end() == 0, process.errors
        assert process.lines[0] == f"Board at {address}, over UDP, RSSI and packetizer"
        assert "Everything that was sent is in the file, and right." in process.lines
    board.send(signal.SIGTERM)
    assert board.end() == 0


def _child(process: Any) -> int:
    """Return the process id of the demo's board."""
    (line,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(line)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_stopped_demo_checks_what_it_has_and_leaves_no_board(start: Callable[..., Any]) -> None:
    process = start("demo", "--wire", "--seconds", "60")
    process.wait_for("recording")
    child = _child(process)
    process.send(signal.SIGINT)
    assert process.end() == 0
    assert "Everything that was sent is in the file, and right." in process.lines
    assert not _is_alive(child)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_killed_demo_leaves_no_board(start: Callable[..., Any]) -> None:
    process = start("demo", "--wire", "--seconds", "60")
    process.wait_for("recording")
    child = _child(process)
    process.send(signal.SIGKILL)
    process.end()
    end = time.monotonic() + 30
    while _is_alive(child):
        assert time.monotonic() < end, "the board lives on"
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_demo_tells_of_a_board_that_died(start: Callable[..., Any]) -> None:
    process = start("demo", "--wire", "--seconds", "60")
    process.wait_for("recording")
    os.kill(_child(process), signal.SIGKILL)
    assert process.end() == 1
    assert any(line.startswith("sapwood: The link with the board at") for line in process.errors)


def test_demo_counts_what_the_board_drops(
    sapwood: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = FrontEndWire(FrontEndFirmware(3))
    wire._start()
    try:
        take = Allowance.admit

        def short(self: Allowance, batch: FrameBatch) -> FrameBatch:
            if len(batch) > 1 and batch.channel[0] == 2 and not wire.dropped:
                self.lose(1)
                batch = batch[1:]
            return take(self, batch)

        monkeypatch.setattr(Allowance, "admit", short)
        ran = sapwood(
            "demo", "--wire", f"127.0.0.1:{wire.port}", "--seconds", "0.5", "--out", tmp_path, "--json"
        )
    finally:
        wire._stop()
    assert ran.code == 1
    assert (ran.json["dropped"], ran.json["errors"]) == (1, 0)


def test_demo_needs_three_channels(sapwood: Callable[..., Any], tmp_path: Path) -> None:
    wire = FrontEndWire(FrontEndFirmware(2))
    wire._start()
    try:
        ran = sapwood("demo", "--wire", f"127.0.0.1:{wire.port}", "--out", tmp_path)
    finally:
        wire._stop()
    assert ran.code == 1
    assert "has 2 channels, the demo needs 3" in ran.err


def test_an_address_without_a_board(sapwood: Callable[..., Any], tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        ran = sapwood("demo", "--wire", address, "--wait", "0.2", "--out", tmp_path)
        assert ran.code == 1
        assert f"No RSSI link with {address}" in ran.err
        assert "Is the board on" in ran.err
    ran = sapwood("demo", "--wire", address, "--wait", "60", "--out", tmp_path)
    assert ran.code == 1
    assert "Connection refused" in ran.err
    assert "Nobody listens at this port" in ran.err


@pytest.mark.parametrize("address", ["nowhere", ":5", "host:", "host:0", "host:x"])
def test_wrong_addresses(sapwood: Callable[..., Any], address: str) -> None:
    assert sapwood("demo", "--wire", address).code == 2
