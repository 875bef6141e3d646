"""The tree-managed StreamReader."""

from __future__ import annotations

import threading

import pytest

from sapwood.devices import StreamReader, StreamWriter
from sapwood.errors import FileError
from sapwood.streams import Frame, FrameBatch, Master, Slave
from sapwood.tree import Root


class Top(Root):
    def __init__(self) -> None:
        super().__init__(name="Top", pollEn=False)
        self.add(StreamWriter(name="Writer", maxFileSize=4000))
        self.add(StreamReader(name="Reader"))
        self.source = Master()
        self.source >> self.Writer.getChannel(3)


@pytest.fixture
def chain(tmp_path) -> str:
    """First of several parts that hold 100 frames."""
    with Top() as top:
        top.Writer.DataFile.set(str(tmp_path / "run.dat"))
        top.Writer.Open()
        for number in range(100):
            top.source._sendFrame(Frame(number.to_bytes(4, "little") * 25, flags=number))
    return str(tmp_path / "run.dat.1")


def test_plays_a_chain_of_files(chain, sink):
    with Top() as top:
        top.Reader >> sink
        top.Reader.DataFile.set(chain)
        top.Reader.Open()
        top.Reader.closeWait()
        assert top.Reader.isOpen.get() is False
        assert top.Reader.FrameCount.get() == 100
        assert top.Reader.Progress.get() == 1.0
    batch = sink.all()
    assert batch.flags.tolist() == list(range(100))
    assert set(batch.channel) == {3}


def test_missing_file_reaches_the_caller(tmp_path):
    with Top() as top:
        top.Reader.DataFile.set(str(tmp_path / "none.dat"))
        with pytest.raises(FileError, match=r"none\.dat"):
            top.Reader.Open()
        assert top.Reader.isOpen.get() is False
        top.Reader.closeWait()


class Slow(Slave):
    """Holds the first frames back until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.opened, self.frames = threading.Event(), threading.Event(), 0

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self.entered.set()
        self.opened.wait(20)
        self.frames += len(batch)


def test_close_wait_waits_for_all_data(chain):
    slow = Slow()
    with Top() as top:
        top.Reader >> slow
        top.Reader.DataFile.set(chain)
        top.Reader.Open()
        assert slow.entered.wait(20)
        threading.Timer(0.05, slow.opened.set).start()
        top.Reader.closeWait()
        assert slow.frames == 100


def test_close_while_data_flow_returns(chain):
    slow = Slow()
    with Top() as top:
        top.Reader >> slow
        top.Reader.DataFile.set(chain)
        top.Reader.Open()
        assert slow.entered.wait(20)
        assert top.Reader.isOpen.get() is True
        threading.Timer(0.05, slow.opened.set).start()
        top.Reader.Close()
        assert top.Reader.isOpen.get() is False
