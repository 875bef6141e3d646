"""A board and its client in processes of their own: either is killed in mid-run, and the other goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sapwood.devices import FrontEndBoard, StreamWriter, UdpRssiPack
from sapwood.devices.board.wire import MESSAGE_DEST
from sapwood.errors import BusError, BusTimeout, DeviceError
from sapwood.fileio import open as open_recording
from sapwood.memory import SrpV3
from sapwood.streams import streamConnectBiDir
from sapwood.tree import Root

CHANNELS = 2


def _port(process: Any) -> int:
    return int(process.wait_for("Front-end board").partition("127.0.0.1:")[2].split()[0])


def _tree(port: int, **options: Any) -> Root:
    root = Root(name="Top", pollEn=False, timeout=3.0)
    root.add(UdpRssiPack(name="Net", port=port, packVer=2, jumbo=True, **options))
    registers = SrpV3()
    streamConnectBiDir(registers, root.Net.application(0))
    root.addInterface(registers)
    data = [root.Net.application(n + 1, policy="drop_new") for n in range(CHANNELS)]
    messages = root.Net.application(MESSAGE_DEST, policy="drop_old")
    root.add(
        FrontEndBoard(name="Board", memBase=registers, channels=CHANNELS, streams=data, messages=messages)
    )
    root.add(StreamWriter(name="Writer"))
    for number in range(CHANNELS):
        root.Board.application(number) >> root.Writer.getChannel(number + 1)
    return root


def _answers(root: Root) -> bool:
    try:
        return bool(root.Board.Channels.get() == CHANNELS)
    except BusError:
        return False


@pytest.fixture
def until() -> Callable[..., None]:
    import time

    def wait(test: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + 30
        while not test():
            assert time.monotonic() < deadline, what
            time.sleep(0.01)

    return wait


def test_a_board_that_is_killed_in_mid_run_and_one_that_takes_its_place(
    start: Callable[..., Any], tmp_path: Path, until: Callable[..., None], free_ports: Callable[..., int]
) -> None:
    port = free_ports()
    first = start("board", "--port", port, "--channels", CHANNELS)
    assert _port(first) == port
    path = tmp_path / "run.dat"
    with _tree(port) as root:
        writer = root.Writer
        writer.DataFile.set(str(path))
        writer.Open()
        root.Board.Run.set(True)
        until(lambda: writer.FrameCount.get() > 100, "frames")

        first.send(signal.SIGKILL)
        first.end()
        until(lambda: not root.Net.rssiOpen.get(), "the link tells that it broke")
        assert root.Net.rssiDownCount.get() == 1
        with pytest.raises(BusError, match=r"The link to the firmware (broke|is closed)"):
            root.Board.ScratchPad.get()
        assert writer.State.get() == "Recording"

        second = start("board", "--port", port, "--channels", CHANNELS)
        assert _port(second) == port
        until(root.Net.rssiOpen.get, "link again")
        until(lambda: _answers(root), "registers again")
        before = writer.FrameCount.get()
        root.Board.Run.set(True)
        until(lambda: writer.FrameCount.get() > before + 100, "frames again")
        root.Board.Run.set(False)
        until(lambda: "Client" in root.Board.Messages.Log.get(), "messages again")
        writer.Close()
        assert writer.State.get() == "Closed"
    with open_recording(path) as reader:
        frames = reader.read()
        assert not reader.info()["torn_bytes"]
    words = frames[frames.channel == 2].compact().payload.view("<u4")
    jumps = np.flatnonzero(np.diff(words.astype(np.int64)) != 1)
    assert len(jumps) == 1, "one run of words from each board"
    assert not frames.error.any()
    second.send(signal.SIGTERM)
    assert second.end() == 0


CLIENT = """
    import sys
    from sapwood.devices import FrontEndBoard, UdpRssiPack
    from sapwood.memory import SrpV3
    from sapwood.streams import Slave, streamConnectBiDir
    from sapwood.tree import Root

    root = Root(name="Top", pollEn=False, timeout=20.0)
    root.add(UdpRssiPack(name="Net", port=int(sys.argv[1]), packVer=2, jumbo=True))
    registers = SrpV3()
    streamConnectBiDir(registers, root.Net.application(0))
    root.add(FrontEndBoard(name="Board", memBase=registers, channels=2))
    sink = Slave()
    root.Net.application(1) >> sink
    with root:
        root.Board.ScratchPad.set(7)
        root.Board.Ch[0].Rate.set(0)
        root.Board.Run.set(True)
        while sink.getFrameCount() < 100:
            pass
        print("running", flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def client() -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    """Starts a client that takes data as fast as they come, and waits until it does."""
    started: list[subprocess.Popen[str]] = []

    def begin(port: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(CLIENT), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_client_that_is_killed_or_hangs_makes_room_for_another(
    start: Callable[..., Any], client: Callable[[int], subprocess.Popen[str]], number: signal.Signals
) -> None:
    board = start("board", "--port", 0, "--channels", CHANNELS)
    port = _port(board)
    gone = client(port)
    gone.send_signal(number)
    with _tree(port, waitTimeout=30) as root:
        assert root.Board.ScratchPad.get() == 7, "the board lives on with what was set"
        assert root.Board.Run.get() is True
        assert root.Board.Ch[0].DropCount.get() > 0
        root.Board.Run.set(False)
    board.send(signal.SIGTERM)
    assert board.end() == 0


def test_a_second_client_is_refused_and_the_first_is_not_disturbed(
    start: Callable[..., Any], client: Callable[[int], subprocess.Popen[str]]
) -> None:
    board = start("board", "--port", 0, "--channels", CHANNELS)
    port = _port(board)
    first = client(port)
    with pytest.raises(DeviceError, match="No RSSI link"):
        _tree(port, waitTimeout=1).start()
    assert first.poll() is None
    first.communicate("")
    assert first.returncode == 0
    with _tree(port) as root:
        assert root.Board.ScratchPad.get() == 7
    board.send(signal.SIGINT)
    assert board.end() == 0


@pytest.mark.parametrize(
    ("options", "orders", "answers"),
    [
        ((), ["loss 0.25", "fly 5", "quit"], ["ok", "error: No such command"]),
        (("--stuck", "4:1:1", "--loss"), ["status"], ["link: no client", "dropped: 0: 0"]),
    ],
)
def test_control_lines(options: tuple[str, ...], orders: list[str], answers: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sapwood", "board", "--port", "0", "--control", *options],
        input="\n".join([*orders, ""]),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0
    assert done.stderr == ""
    first, *said, last = done.stdout.splitlines()
    assert first.startswith("Front-end board with 4 channels")
    assert last.startswith("Stopped the board")
    for line, answer in zip(said, answers, strict=False):
        assert line.startswith(answer)


def test_faults_and_super_frames_as_options(start: Callable[..., Any], sapwood: Callable[..., Any]) -> None:
    board = start(
        *("board", "--port", 0, "--channels", CHANNELS, "--batch", "v2", "--reorder", "--duplicate", "0.02"),
        *("--delay", "--seed", 3, "--timeout-register", "0x4", "--policy", "block", "--stall", 0),
    )
    with _tree(_port(board)) as root:
        assert root.Board.Batcher.getDisp() == "V2"
        with pytest.raises(BusTimeout):
            root.Board.ScratchPad.get()
        assert root.Board.UpTime.get() < 60
    for wrong in (["--loss", "2"], ["--stuck", "1:2"], ["--timeout-register", "x"], ["--batch", "v3"]):
        assert sapwood("board", *wrong).code == 2
    assert "ADDR:MASK:VALUE" in sapwood("board", "--help").out
