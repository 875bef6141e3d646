"""The tree-managed replay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sapwood.devices import ReplaySource, StreamWriter
from sapwood.errors import FileError
from sapwood.streams import Frame, Master
from sapwood.tree import Root


class Top(Root):
    def __init__(self) -> None:
        super().__init__(name="Top", pollEn=False)
        self.add(StreamWriter(name="Writer"))
        self.add(ReplaySource(name="Replay", pace="fast", loops=2))
        self.source = Master()
        self.source >> self.Writer.getChannel(3)


@pytest.fixture
def recording(tmp_path: Path) -> str:
    with Top() as top:
        top.Writer.DataFile.set(str(tmp_path / "run.dat"))
        top.Writer.Open()
        for number in range(100):
            top.source._sendFrame(Frame(bytes(50), flags=number))
    return str(tmp_path / "run.dat")


def test_plays_and_shows_how_far_it_is(recording: str, sink: Any) -> None:
    with Top() as top:
        replay = top.Replay
        replay >> sink
        replay.DataFile.set(recording)
        replay.Open()
        replay.closeWait()
        assert (replay.isOpen.get(), replay.FrameCount.get(), replay.Round.get()) == (False, 200, 2)
        assert replay.Progress.get() == 1.0
        replay.Pace.setDisp("rate")
        replay.Rate.set(50.0)
        replay.Loops.set(0)
        replay.Open()
        sink.await_frames(203)
        replay.Pause.set(True)
        assert replay.Pause.get() is True
        assert replay.isOpen.get() is True
        replay.Pause.set(False)
        replay.Close()
        assert replay.isOpen.get() is False
        replay.Open()
    assert not replay._replay.isOpen()  # the root stopped it
    assert sink.all().flags[:100].tolist() == list(range(100))


def test_what_cannot_be_played_reaches_the_caller(recording: str) -> None:
    with Top() as top:
        top.Replay.DataFile.set(recording)
        top.Replay.Pace.setDisp("recorded")
        with pytest.raises(FileError, match="no times"):
            top.Replay.Open()
        assert top.Replay.isOpen.get() is False
