"""An acquisition root for a board on the network: registers and data over UDP, RSSI and packetizer.

Serve an emulated board in one terminal, and drive it from others as a real one::

    sapwood board --port 8192 --channels 3 --batch v2
    sapwood run examples/wire_root.py:WireRoot
    sapwood get Top.Net.rssiOpen
    sapwood get Top.Board.Messages.Log
    sapwood set Top.RunControl.runState Running
    sapwood set Top.RunControl.runState Stopped

``BOARD=host:port`` in the environment names another board. Run as a script it makes one recording
of a second::

    python examples/wire_root.py run1.dat

What the board sends on which TDEST is in docs/board.md.
"""

import os
import sys
import time

import sapwood
from sapwood.devices import FrontEndBoard, RunControl, StreamVariable, StreamWriter, UdpRssiPack
from sapwood.memory import SrpV3
from sapwood.streams.protocols import SplitterV2

BOARD = os.environ.get("BOARD", "127.0.0.1:8192")
CHANNELS = 3
REGISTERS, SUPER_FRAMES, MESSAGES = 0, 0x80, 0x81


class WireRoot(sapwood.Root):
    """Network -> registers of the board, and its channels -> recorder; runs are started and stopped."""

    def __init__(self, address=BOARD):
        super().__init__(name="Top", description="Front-end board on the network, with a recorder", timeout=5)
        host, _, port = address.rpartition(":")

        # The network comes first: devices start in this order, and the board is read at its start.
        self.add(UdpRssiPack(name="Net", host=host, port=int(port), packVer=2, jumbo=True))

        # Registers are on TDEST 0, channel n of the board is on TDEST n + 1. A channel that the
        # recorder leaves waiting drops frames here; it does not hold up registers.
        registers = SrpV3()
        registers == self.Net.application(REGISTERS)  # noqa: B015 - joins both directions
        self.addInterface(registers)
        data = [self.Net.application(n + 1, policy="drop_new") for n in range(CHANNELS)]

        # What the board tells by itself is in Board.Messages; a function may listen to it as well.
        told = self.Net.application(MESSAGES, policy="drop_old")
        self.add(
            FrontEndBoard(name="Board", memBase=registers, channels=CHANNELS, streams=data, messages=told)
        )
        self.alarms = []
        self.Board.Messages.addListener(self._on_message)

        settings = StreamVariable(root=self)
        self.add(StreamWriter(name="Writer", hidden=False, bufferSize=1 << 20, configStream={255: settings}))
        for n in range(CHANNELS):
            # The packets do not tell the channel: the recorder's channels are numbered from 1.
            self.Board.application(n) >> self.Writer.getChannel(n + 1)

        # A board with a batcher sends frames of several channels in super-frames. Taken out of
        # them, a frame has its TDEST as its channel, which channel 0 of the recorder keeps.
        self.splitter = SplitterV2()
        self.Net.application(SUPER_FRAMES, policy="drop_new") >> self.splitter
        self.splitter >> self.Writer.getChannel(0)

        # The owner of runs opens the recorder, then sets Board.Run; it stops them in reverse order.
        self.add(RunControl(name="RunControl", recorders=[self.Writer], sources=[self.Board]))

    def _on_message(self, message):
        if message.severity.name == "Alarm":
            self.alarms.append(message)


def main(path, seconds=1.0):
    with WireRoot() as root:
        root.Board.Ch[0].Rate.set(2000)
        root.Writer.DataFile.set(path)
        root.RunControl.AutoName.set(False)
        root.RunControl.startRun()
        time.sleep(seconds)
        root.RunControl.stopRun()
        lost = sum(channel.DropCount.get() for channel in root.Board.Ch.values())
        print(f"{path}: {root.Writer.DataFrameCount.get()} frames, {root.Writer.TotalSize.get()} bytes")
        print(f"The board dropped {lost} frames and sent {len(root.alarms)} alarms")


if __name__ == "__main__":
    main(*sys.argv[1:2])
