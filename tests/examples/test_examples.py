"""Every example runs, and does what it says."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sapwood.devices import FrontEndFirmware
from sapwood.devices.board.messages import Code, Severity
from sapwood.devices.board.wire import FrontEndWire
from sapwood.fileio import open as open_recording
from sapwood.remote import RemoteServer

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
WAIT_S = 60


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _run(name: str, *arguments: str, cwd: Path) -> str:
    """Run an example as a script; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_these_are_all_examples() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {
        "custom_device",
        "custom_stage",
        "dma_source",
        "operator_root",
        "read_with_numpy",
        "remote_runs",
        "recorders_root",
        "scan_root",
        "rogue_board",
        "wire_root",
    }


def test_operator_root_records_and_read_with_numpy_reads(tmp_path: Path) -> None:
    assert _run("operator_root", "run1.dat", cwd=tmp_path).startswith("run1.dat: ")
    with open_recording(tmp_path / "run1.dat") as reader:
        info = reader.info()
    assert set(info["channels"]) == {"0", "1", "2", "255"}
    assert info["config"]["Top"]["Board"]["Ch[0]"]["Rate"] == 2000
    text = _run("read_with_numpy", "run1.dat", cwd=tmp_path)
    assert f"run1.dat: {info['frames']} frames, {info['payload_bytes']} bytes, 0 with errors" in text
    assert "recorded by Top" in text
    pulses = float(text.partition("mean ")[2].partition(",")[0])
    assert 1900 < pulses < 2100


def test_operator_root_feeds_its_display(tmp_path: Path) -> None:
    example = _load("operator_root")
    with example.AcquisitionRoot() as root:
        root.dataDir = tmp_path
        root.Writer.DataFile.set("run.dat")
        root.TakeRun(0.3)
        shown = root.display.frame
        assert root.Writer.DataFrameCount.get() > 0
    assert shown is not None
    assert shown.channel == 2
    assert shown.payload.view("<i2").max() > 1000


def test_remote_runs_opens_and_closes_three_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = _load("operator_root").AcquisitionRoot()
    root.dataDir = tmp_path
    server = RemoteServer(root, port=0)
    root.addInterface(server)
    with root:
        _load("remote_runs").main("localhost", server.port, seconds=0.2)
        assert not root.Writer.IsOpen.get()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for number, size in enumerate((1000, 4000, 16000), start=1):
        name = f"run{number:03d}_{size}.dat"
        assert lines[number - 1].startswith(f"{name}: ")
        with open_recording(tmp_path / name) as reader:
            frames = reader.read()
        own = frames[frames.channel == 0]
        assert len(own) > 0
        assert set(own.size.tolist()) == {size}


def test_custom_device(tmp_path: Path) -> None:
    text = _run("custom_device", cwd=tmp_path)
    for said in ("Voltage is now 2.250 V", "Dac: 2250", "Range: High", "OutputOn: True", "refused: "):
        assert said in text
    assert "Value range error" in text


def test_custom_stage_subtracts_the_baseline(tmp_path: Path) -> None:
    assert _run("custom_stage", "out.dat", cwd=tmp_path).startswith("out.dat: 10000 frames")
    with open_recording(tmp_path / "out.dat") as reader:
        frames = reader.read()
    samples = np.ascontiguousarray(frames.rows()).view("<i2")
    assert samples.shape == (10000, 512)
    assert np.all(np.abs(samples[:, :32].mean(axis=1)) <= 0.5)
    assert 1400 < samples.max() < 1600
    assert set(frames.channel.tolist()) == {3}


def test_custom_stage_takes_frames_of_several_sizes() -> None:
    from sapwood.streams import Frame, FrameBatch, Master, Slave

    class Keep(Slave):
        def __init__(self) -> None:
            super().__init__()
            self.sizes: list[int] = []

        def _acceptFrame(self, frame: Frame) -> None:
            self.sizes.append(frame.size)

    source, stage, keep = Master(), _load("custom_stage").BaselineSubtract(window=4), Keep()
    source >> stage >> keep
    sizes = [16, 16, 64, 16]
    source._sendBatch(FrameBatch.gather([Frame(bytes(size)) for size in sizes]))
    source._sendFrame(Frame(bytes(128)))
    assert keep.sizes == [*sizes, 128]


@pytest.mark.parametrize("name", ["AcquisitionRoot"])
def test_operator_root_is_a_target_of_run(tmp_path: Path, name: str) -> None:
    target = f"{EXAMPLES / 'operator_root.py'}:{name}"
    done = subprocess.run(
        [sys.executable, "-m", "sapwood", "run", target, "--port", "0", "--for", "0.1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
    )
    assert done.stdout.startswith("Serving Top at 127.0.0.1:")
    assert done.stderr == ""


@pytest.fixture
def board(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FrontEndWire]:
    """A board on the network that the examples find; with super-frames when the test asks for them."""
    wire = FrontEndWire(FrontEndFirmware(3), batch=getattr(request, "param", 0))
    wire._start()
    monkeypatch.setenv("BOARD", f"127.0.0.1:{wire.port}")
    yield wire
    wire._stop()


@pytest.mark.parametrize("board", [0, 2], indirect=True)
def test_wire_root_records_a_board_on_the_network(board: FrontEndWire, tmp_path: Path) -> None:
    text = _run("wire_root", "run1.dat", cwd=tmp_path)
    assert text.startswith("run1.dat: ")
    assert "The board dropped 0 frames and sent 0 alarms" in text
    with open_recording(tmp_path / "run1.dat") as reader:
        info = reader.info()
        frames = reader.read()
    assert set(info["channels"]) == {"1", "2", "3", "255"}
    assert info["config"]["Top"]["Board"]["Ch[0]"]["Rate"] == 2000
    sent = [channel.frames for channel in board.firmware.channels]
    assert sent[0] > 100
    assert [np.count_nonzero(frames.channel == number) for number in (1, 2, 3)] == sent


def test_wire_root_hears_of_alarms(board: FrontEndWire) -> None:
    example, heard = _load("wire_root"), threading.Event()
    with example.WireRoot() as root:
        root.Board.Messages.addListener(lambda message: heard.set() if message.text == "too fast" else None)
        board.firmware.post(Severity.Info, Code.Status, "all is well")
        board.firmware.post(Severity.Alarm, Code.Dropping, "too fast", 5, 1)
        assert heard.wait(WAIT_S)
    assert [message.text for message in root.alarms] == ["too fast"]


@pytest.mark.parametrize("board", [0, 1], indirect=True)
def test_rogue_board_drives_the_board_in_words_of_rogue(board: FrontEndWire, tmp_path: Path) -> None:
    text = _run("rogue_board", "run1.dat", cwd=tmp_path)
    assert "Version 0x01000000, scratch pad 0x5a5a0001" in text
    sent = [channel.frames for channel in board.firmware.channels]
    assert f"{sum(sent)} frames were sent, 0 alarms" in text
    with open_recording(tmp_path / "run1.dat") as reader:
        frames = reader.read()
    assert [np.count_nonzero(frames.channel == number) for number in (1, 2, 3)] == sent


def test_wire_root_is_a_target_of_run(board: FrontEndWire, tmp_path: Path) -> None:
    target = f"{EXAMPLES / 'wire_root.py'}:WireRoot"
    done = subprocess.run(
        [sys.executable, "-m", "sapwood", "run", target, "--port", "0", "--for", "0.1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
    )
    assert done.stdout.startswith("Serving Top at 127.0.0.1:")
    assert done.stderr == ""
