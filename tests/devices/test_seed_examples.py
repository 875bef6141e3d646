"""The Python examples of the StreamWriter page, with only their import lines changed."""

from __future__ import annotations

import struct

import pytest

from sapwood.devices import PrbsTx
from sapwood.streams import Frame, Master


def test_direct_utility_example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    streamA, streamB = Master(), Master()

    import sapwood.fileio as ruf

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
    # ... stream traffic is captured while file is open ...
    streamA._sendFrame(Frame(b"a", channel=9))
    streamB._sendFrame(Frame(b"b", channel=9))
    streamB._sendFrame(Frame(b"c", error=1))
    fwrite.close()

    expected = struct.pack("<IHBB", 5, 0, 0, 9) + b"a" + struct.pack("<IHBB", 5, 0, 0, 1) + b"b"
    assert (tmp_path / "myFile.dat.1").read_bytes() == expected


@pytest.mark.parametrize("started", [False, True])
def test_tree_managed_example(tmp_path, monkeypatch, started):
    monkeypatch.chdir(tmp_path)

    import sapwood as pr
    import sapwood.devices as pis
    import sapwood.devices as puf
    import sapwood.devices as pup

    class MyRoot(pr.Root):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            # Tree-managed writer with a reserved metadata channel.
            status_stream = pis.Variable(root=self)
            self.add(puf.StreamWriter(name="Writer", configStream={255: status_stream}))
            # Real stream source feeding capture channel 0.
            self.add(pup.PrbsTx(name="PrbsTx"))
            self.PrbsTx >> self.Writer.getChannel(0)

    root = MyRoot()
    if started:
        root.start()
    # File control can be performed through Device variables/commands.
    root.Writer.DataFile.set("myFile.dat")
    root.Writer.Open()
    # ...
    root.PrbsTx.genFrame(3)
    root.Writer.Close()
    root.stop()

    data, place, channels = (tmp_path / "myFile.dat").read_bytes(), 0, []
    while place < len(data):
        size, _, _, channel = struct.unpack_from("<IHBB", data, place)
        channels.append(channel)
        place += 4 + size
    assert channels[0] == channels[-1] == 255
    assert channels.count(0) == 3
    assert isinstance(root.PrbsTx, PrbsTx)
