"""The Python examples of Rogue's page on writing frames to a file, with other imports only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sapwood as pr
import sapwood.devices as pis
import sapwood.devices as puf
import sapwood.devices as pup
import sapwood.fileio as ruf
from sapwood.streams import Frame, Master


def test_direct_utility_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    streamA, streamB = Master(), Master()

    # Assume streamA and streamB are existing stream masters.
    fwrite = ruf.StreamWriter()

    # Buffer size controls staged write size before flushing to the OS.
    fwrite.setBufferSize(10000)

    # Split output file at 100 MB boundaries: myFile.dat.1, .2, ...
    fwrite.setMaxSize(100000000)

    # Drop incoming frames with non-zero frame error.
    fwrite.setDropErrors(True)

    # Map each source to a writer channel.
    streamA >> fwrite.getChannel(0)
    streamB >> fwrite.getChannel(1)

    fwrite.open("myFile.dat")
    streamA._sendFrame(Frame(b"from A", channel=7))
    streamB._sendFrame(Frame(b"from B", channel=7))
    streamB._sendFrame(Frame(b"broken", error=1))
    # ... stream traffic is captured while file is open ...
    fwrite.close()

    with ruf.open("myFile.dat.1") as reader:
        frames = reader.read()
    assert frames.channel.tolist() == [7, 1]
    assert [bytes(frame.payload) for frame in frames.frames()] == [b"from A", b"from B"]


class MyRoot(pr.Root):
    """The root of the page."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)

        # Tree-managed writer with a reserved metadata channel.
        status_stream = pis.Variable(root=self)
        self.add(puf.StreamWriter(name="Writer", configStream={255: status_stream}))

        # Real stream source feeding capture channel 0.
        self.add(pup.PrbsTx(name="PrbsTx"))
        self.PrbsTx >> self.Writer.getChannel(0)


@pytest.mark.parametrize("started", [False, True])
def test_tree_managed_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: bool) -> None:
    monkeypatch.chdir(tmp_path)
    root = MyRoot()
    if started:
        root.start()

    # File control can be performed through Device variables/commands.
    root.Writer.DataFile.set("myFile.dat")
    root.Writer.Open()
    if started:
        root.PrbsTx.genFrame(10)
    # ...
    root.Writer.Close()
    root.stop()

    with ruf.open("myFile.dat") as reader:
        info, frames = reader.info(), reader.read()
    assert info["config"]["MyRoot"]["Writer"]["DataFile"] == "myFile.dat"
    assert info["channels"]["255"]["frames"] >= 2
    if started:
        assert np.count_nonzero(frames.channel == 0) == 10
