"""Streams and files under Rogue's names."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyrogue as pr
import pyrogue.interfaces.stream
import pyrogue.utilities.fileio
import pyrogue.utilities.prbs
import pytest
import rogue
import rogue.interfaces.memory as rim
import rogue.interfaces.stream as ris
import rogue.utilities
import rogue.utilities.fileio

import sapwood.fileio
from sapwood.errors import RecordingExists


class Source(ris.Master):
    """Sends what it is told to, as programs for Rogue do."""

    def __init__(self) -> None:
        ris.Master.__init__(self)

    def send(self, data: bytes, channel: int = 0) -> None:
        frame = self._reqFrame(len(data), True)
        frame.write(bytearray(data))
        frame.setChannel(channel)
        self._sendFrame(frame)


class Sink(ris.Slave):
    """Keeps the payloads; `wait` returns when as many have come as are wanted."""

    def __init__(self) -> None:
        ris.Slave.__init__(self)
        self.payloads: list[bytes] = []
        self._news = threading.Condition()

    def _acceptFrame(self, frame: Any) -> None:
        with frame.lock():
            data = bytearray(frame.getPayload())
            frame.read(data, 0)
        with self._news:
            self.payloads.append(bytes(data))
            self._news.notify_all()

    def wait(self, count: int) -> bool:
        with self._news:
            return self._news.wait_for(lambda: len(self.payloads) >= count, timeout=10)


def test_frames_pass_the_stages() -> None:
    source, fifo, sink = Source(), ris.Fifo(0, 3, False), Sink()
    assert (source >> ris.Filter(True, 1) >> ris.RateDrop(False, 0) >> fifo >> sink) is sink
    for number in range(4):
        source.send(bytes([number] * 5), channel=number % 2)
    assert sink.wait(2)
    fifo._stop()
    assert sink.payloads == [bytes([1] * 3), bytes([3] * 3)]


def test_frame_methods() -> None:
    frame = Source()._reqFrame(8, False)
    assert (frame.getSize(), frame.getPayload(), frame.getAvailable()) == (8, 0, 8)
    frame.putNumpy(np.arange(4, dtype=np.uint16))
    frame.setFirstUser(2)
    frame.setLastUser(1)
    assert frame.getFlags() == 0x102
    assert frame.getNumpy(2, 4).view(np.uint16).tolist() == [1, 2]
    assert frame.getBa(6) == bytearray([3, 0])
    with pytest.raises(rogue.GeneralError, match="Attempt to write 1 bytes"):
        frame.write(b"x", 8)


def test_prbs_checks_what_prbs_sends() -> None:
    sender, receiver = rogue.utilities.Prbs(), rogue.utilities.Prbs()
    pr.streamConnect(sender, receiver)
    for _ in range(5):
        sender.genFrame(1024)
    assert (receiver.getRxCount(), receiver.getRxErrors(), receiver.getRxBytes()) == (5, 0, 5120)


# ---- files


def record(writer: Any, name: Path, frames: list[bytes]) -> None:
    source = Source()
    source >> writer.getChannel(2)
    writer.open(str(name))
    for data in frames:
        source.send(data)
    writer.close()


def payloads(*files: Path) -> list[bytes]:
    reader = pyrogue.utilities.fileio.FileReader([str(file) for file in files])
    return [data.tobytes() for header, data in reader.records() if header.channel == 2]


def test_shorter_recording_leaves_nothing_of_the_longer_one(tmp_path: Path) -> None:
    file = tmp_path / "run.dat"
    record(rogue.utilities.fileio.StreamWriter(), file, [b"long" * 100] * 10)
    record(rogue.utilities.fileio.StreamWriter(), file, [b"short"])
    assert file.stat().st_size == 8 + 5
    assert payloads(file) == [b"short"]


def test_parts_of_a_longer_recording_are_gone(tmp_path: Path) -> None:
    def split() -> Any:
        writer = rogue.utilities.fileio.StreamWriter()
        writer.setMaxSize(64)
        return writer

    record(split(), tmp_path / "run.dat", [bytes([i] * 50) for i in range(4)])
    record(split(), tmp_path / "run.dat", [b"a" * 50, b"b" * 50])
    parts = sorted(file for file in tmp_path.iterdir() if file.suffix != ".idx")
    assert [file.name for file in parts] == ["run.dat.1", "run.dat.2"]
    assert payloads(*parts) == [b"a" * 50, b"b" * 50]


def test_writer_of_sapwood_itself_still_refuses(tmp_path: Path) -> None:
    record(sapwood.fileio.StreamWriter(), tmp_path / "run.dat", [b"x"])
    with pytest.raises(RecordingExists):
        sapwood.fileio.StreamWriter().open(tmp_path / "run.dat")


class Recording(pr.Root):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(name="Top", pollEn=False)
        self.source = Source()
        self.config = pyrogue.interfaces.stream.Variable(root=self)
        self.add(pr.LocalVariable(name="Run", value=1))
        self.add(pyrogue.utilities.fileio.StreamWriter(configStream={1: self.config}, **kwargs))
        self.add(pyrogue.utilities.fileio.StreamReader())
        self.source >> self.StreamWriter.getChannel(2)

    def record(self, file: Path, frames: list[bytes]) -> None:
        self.StreamWriter.DataFile.set(str(file))
        self.StreamWriter.Open()
        for data in frames:
            self.source.send(data)
        assert self.StreamWriter._waitFrameChannelCount(2, len(frames), 5)
        self.StreamWriter.Close()


@pytest.fixture
def top() -> Iterator[Recording]:
    with Recording() as root:
        yield root


def test_recorder_device_replaces_a_file(top: Recording, tmp_path: Path) -> None:
    file = tmp_path / "run.dat"
    assert top.StreamWriter.Overwrite.value() is True
    top.record(file, [b"long" * 1000] * 3)
    top.Run.set(2)
    top.record(file, [b"short"])
    assert payloads(file) == [b"short"]
    reader = pyrogue.utilities.fileio.FileReader(str(file), configChan=1)
    assert [header.size for header, _ in reader.records()] == [5]
    assert reader.configValue("Top.Run") == 2


def test_overwriting_is_a_default_that_can_be_changed(tmp_path: Path) -> None:
    with Recording(defaults={"Overwrite": False}) as top:
        top.record(tmp_path / "run.dat", [b"one"])
        with pytest.raises(rogue.GeneralError, match=r"run\.dat"):
            top.record(tmp_path / "run.dat", [b"two"])
    assert payloads(tmp_path / "run.dat") == [b"one"]


def test_given_writer_is_used(tmp_path: Path) -> None:
    writer = rogue.utilities.fileio.StreamWriter()
    with Recording(writer=writer, name="StreamWriter", bufferSize=100) as top:
        top.StreamWriter.DataFile.set(str(tmp_path / "run.dat"))
        top.StreamWriter.Open()
        assert writer.isOpen()
    assert not writer.isOpen()


def test_reader_device_plays_back(top: Recording, tmp_path: Path) -> None:
    top.record(tmp_path / "run.dat", [b"one", b"two"])
    only, sink = ris.Filter(False, 2), Sink()
    top.StreamReader >> only >> sink
    top.StreamReader.DataFile.set(str(tmp_path / "run.dat"))
    top.StreamReader.Open()
    assert sink.wait(2)
    top.StreamReader.Close()
    assert sink.payloads == [b"one", b"two"]


def test_prbs_devices() -> None:
    root = pr.Root(name="Top", pollEn=False)
    root.add(pyrogue.utilities.prbs.PrbsTx(width=64))
    root.add(pyrogue.utilities.prbs.PrbsRx(width=64))
    root.add(pyrogue.interfaces.stream.Fifo(name="Queue", description="between", maxDepth=0))
    root.add(pyrogue.interfaces.stream.Fifo("Other", "by position", 7, 20, True))
    assert (root.Other.description, root.Other.MaxDepth.value()) == ("by position", 7)
    pr.streamConnect(root.PrbsTx, root.Queue)
    root.Queue >> root.PrbsRx
    with root:
        root.PrbsTx.txSize.set(256)
        root.PrbsTx.genFrame(4)
    assert root.PrbsRx.rxCount.get() == 4
    assert root.PrbsRx.rxErrors.get() == 0


class Image(pr.DataReceiver):
    """Shows frames as pictures of two columns."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(typeStr="UInt16[np]", **kwargs)

    def process(self, frame: Any) -> None:
        pixels = frame.getNumpy(0, frame.getPayload()).view(np.uint16)
        self.Data.set(pixels.reshape(-1, 2), write=True)
        self.Updated.set(True)


def test_receiver_of_ones_own() -> None:
    source = Source()
    root = pr.Root(name="Top", pollEn=False)
    root.add(Image(name="Image"))
    source >> root.Image
    with root:
        source.send(np.arange(6, dtype=np.uint16).tobytes())
        assert root.Image.Data.value().tolist() == [[0, 1], [2, 3], [4, 5]]
        assert (root.Image.FrameCount.get(), root.Image.ByteCount.get()) == (1, 12)
        root.CountReset()
        assert root.Image.FrameCount.get() == 0


def test_run_control_calls_its_command() -> None:
    called = threading.Event()
    root = pr.Root(name="Top", pollEn=False)
    root.add(pr.RunControl(name="Run", rates={1: "1 Hz", 1000: "1 kHz"}, cmd=called.set))
    with root:
        root.Run.runRate.setDisp("1 kHz")
        root.Run.runState.setDisp("Running")
        assert called.wait(10)
        root.Run.runState.setDisp("Stopped")
        assert root.Run.runCount.get() >= 1


def test_registers_cross_the_bridge() -> None:
    memory = rim.Emulate(4, 0x1000)
    server = rim.TcpServer("127.0.0.1", 0)
    memory << server
    server._start()
    try:
        client = rim.TcpClient("127.0.0.1", server.port)
        root = pr.Root(name="Top", pollEn=False)
        root.addInterface(client)
        root.add(pr.Device(name="D", memBase=client))
        root.D.add(pr.RemoteVariable(name="R", offset=0x10))
        with root:
            root.D.R.set(77)
            assert root.D.R.get() == 77
    finally:
        server._stop()
