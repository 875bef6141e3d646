"""``sapwood board``."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from sapwood.devices import FrontEndBoard, UdpRssiPack
from sapwood.memory import SrpV3
from sapwood.streams import streamConnectBiDir
from sapwood.tree import Root


def _port(process: Any) -> int:
    return int(process.wait_for("Front-end board").partition("127.0.0.1:")[2].split()[0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_tree_drives_the_board_until_a_signal(start: Callable[..., Any], number: signal.Signals) -> None:
    process = start("board", "--port", 0, "--channels", 2)
    root = Root(name="Top", pollEn=False, timeout=20.0)
    root.add(UdpRssiPack(name="Net", port=_port(process), packVer=2))
    registers = SrpV3()
    streamConnectBiDir(registers, root.Net.application(0))
    root.add(FrontEndBoard(name="Board", memBase=registers, channels=2))
    with root:
        assert root.Board.Channels.get() == 2
        root.Board.ScratchPad.set(77)
        assert root.Board.ScratchPad.get() == 77
        process.send(number)
        assert process.end() == 0
    assert process.lines[0].startswith("Front-end board with 2 channels at 127.0.0.1:")
    assert process.lines[1:] == ["Stopped the board, 0 frames dropped."]
    assert all(line.startswith("Client 127.0.0.1:") for line in process.errors)


def test_the_board_tells_who_comes_and_goes(start: Callable[..., Any]) -> None:
    process = start("board", "--port", 0, "--channels", 2)
    root = Root(name="Top", pollEn=False, timeout=20.0)
    root.add(UdpRssiPack(name="Net", port=_port(process), packVer=2))
    with root:
        came = process.wait_for("connected", errors=True)
    gone = process.wait_for("is gone", errors=True)
    assert came.startswith("Client 127.0.0.1:")
    assert process.errors == [came, gone]
    assert gone == came.replace("connected", "is gone")


def test_board_stops_by_itself(sapwood: Callable[..., Any]) -> None:
    ran = sapwood("board", "--port", 0, "--for", 0)
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 2


def test_a_taken_port_is_a_failure(start: Callable[..., Any], sapwood: Callable[..., Any]) -> None:
    process = start("board", "--port", 0)
    ran = sapwood("board", "--port", _port(process))
    assert ran.code == 1
    assert "Failed to bind to local port" in ran.err


def test_wrong_use(sapwood: Callable[..., Any]) -> None:
    assert sapwood("board", "--channels", 0).code == 2
    assert sapwood("board", "--port", 65536).code == 2
