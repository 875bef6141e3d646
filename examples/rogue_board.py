"""A script as users of Rogue write it, for the board on the network; it runs on Sapwood.

Only the first import is Sapwood's. It makes ``import pyrogue`` and ``import rogue`` resolve to
Sapwood, so what follows is plain PyRogue: a device class with registers, the stack of stages put
together by hand, a recorder, and a file that is read back::

    sapwood board --port 8192 --channels 3 --batch v1
    python examples/rogue_board.py run1.dat
"""

import os
import sys
import time

import sapwood.compat  # noqa: F401

import pyrogue as pr  # isort: skip
import pyrogue.protocols  # isort: skip
import pyrogue.utilities.fileio  # isort: skip
import rogue.interfaces.stream  # isort: skip
import rogue.protocols.batcher  # isort: skip
import rogue.protocols.srp  # isort: skip

BOARD = os.environ.get("BOARD", "127.0.0.1:8192")


class Channel(pr.Device):
    """One channel of the board."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.add(pr.RemoteVariable(name="Enable", offset=0x00, bitSize=1, base=pr.Bool, mode="RW"))
        self.add(pr.RemoteVariable(name="Rate", offset=0x04, bitSize=32, mode="RW", disp="{}", units="Hz"))
        self.add(pr.RemoteVariable(name="Size", offset=0x08, bitSize=32, mode="RW", disp="{}"))
        self.add(
            pr.RemoteVariable(
                name="Pattern",
                offset=0x0C,
                bitSize=2,
                mode="RW",
                enum={0: "PRBS", 1: "Counter", 2: "Waveform"},
            )
        )
        self.add(pr.RemoteVariable(name="FrameCount", offset=0x20, bitSize=64, mode="RO", pollInterval=1))
        self.add(pr.RemoteVariable(name="DropCount", offset=0x3C, bitSize=32, mode="RO", pollInterval=1))


class Board(pr.Device):
    """The board: version, scratch pad, run control, channels."""

    def __init__(self, channels=3, **kwargs):
        super().__init__(**kwargs)
        self.add(pr.RemoteVariable(name="FpgaVersion", offset=0x00, bitSize=32, mode="RO"))
        self.add(pr.RemoteVariable(name="ScratchPad", offset=0x04, bitSize=32, mode="RW"))
        self.add(pr.RemoteVariable(name="Run", offset=0x10, bitSize=1, base=pr.Bool, mode="RW"))
        self.add(
            pr.RemoteCommand(name="CountReset", offset=0x14, bitSize=32, function=pr.RemoteCommand.touchOne)
        )
        for number in range(channels):
            self.add(Channel(name=f"Ch[{number}]", offset=0x100 * (number + 1)))


class Listener(rogue.interfaces.stream.Slave):
    """Counts the messages of the board."""

    def __init__(self):
        super().__init__()
        self.alarms = 0

    def _acceptFrame(self, frame):
        with frame.lock():
            self.alarms += frame.getBa()[1] == 2


class BoardRoot(pr.Root):
    """The tree of the script."""

    def __init__(self, address=BOARD, **kwargs):
        super().__init__(name="Top", pollEn=False, **kwargs)
        host, _, port = address.rpartition(":")
        self.add(pr.protocols.UdpRssiPack(name="Net", host=host, port=int(port), packVer=2, jumbo=True))

        self.srp = rogue.protocols.srp.SrpV3()
        self.Net.application(0) == self.srp  # noqa: B015
        self.add(Board(name="Board", memBase=self.srp))

        self.add(pr.utilities.fileio.StreamWriter(name="Writer"))
        for number in range(3):
            self.Net.application(number + 1) >> self.Writer.getChannel(number + 1)

        # Super-frames of a board with a batcher: sub-frames keep their TDEST as channel.
        self.unbatcher = rogue.protocols.batcher.SplitterV1()
        self.Net.application(0x80) >> self.unbatcher >> self.Writer.getChannel(0)

        self.listener = Listener()
        pr.streamConnect(self.Net.application(0x81), self.listener)


def main(path, seconds=0.5):
    with BoardRoot() as root:
        root.Board.ScratchPad.set(0x5A5A0001)
        print(f"Version 0x{root.Board.FpgaVersion.get():08x}, scratch pad {root.Board.ScratchPad.getDisp()}")
        root.Board.Ch[1].Rate.set(2000)
        root.Writer.DataFile.set(path)
        root.Writer.Open()
        root.Board.CountReset()
        root.Board.Run.set(True)
        time.sleep(seconds)
        root.Board.Run.set(False)
        channels = [root.Board.Ch[number] for number in range(3)]
        sent = sum(channel.FrameCount.get() - channel.DropCount.get() for channel in channels)
        root.Writer._waitFrameCount(sent)
        root.Writer.Close()

    counts = {}
    with pr.utilities.fileio.FileReader(files=path) as reader:
        for header, _data in reader.records():
            counts[header.channel] = counts.get(header.channel, 0) + 1
    print(f"{path}: {counts}, {sent} frames were sent, {root.listener.alarms} alarms")


if __name__ == "__main__":
    main(*sys.argv[1:2])
