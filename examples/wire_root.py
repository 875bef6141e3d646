"""An acquisition root for a board on the network: registers and data over UDP, RSSI and packetizer.

Serve an emulated board in one terminal, and drive it from others as a real one::

    sapwood board --port 8192 --channels 3
    sapwood run examples/wire_root.py:WireRoot
    sapwood get Top.Net.rssiOpen
    sapwood exec Top.Writer.AutoName
    sapwood exec Top.Writer.Open
    sapwood set Top.Board.Run True
    sapwood exec Top.Writer.Close

``BOARD=host:port`` in the environment names another board. Run as a script it makes one recording
of a second::

    python examples/wire_root.py run1.dat
"""

import os
import sys
import time

import sapwood
from sapwood.devices import FrontEndBoard, StreamVariable, StreamWriter, UdpRssiPack
from sapwood.memory import SrpV3

BOARD = os.environ.get("BOARD", "127.0.0.1:8192")
CHANNELS = 3


class WireRoot(sapwood.Root):
    """Network -> registers of the board, and its channels -> recorder."""

    def __init__(self, address=BOARD):
        super().__init__(name="Top", description="Front-end board on the network, with a recorder")
        host, _, port = address.rpartition(":")

        # The network comes first: devices start in this order, and the board is read at its start.
        self.add(UdpRssiPack(name="Net", host=host, port=int(port), packVer=2))

        # Registers are on TDEST 0, channel n of the board is on TDEST n + 1. A channel that the
        # recorder leaves waiting drops frames here; it does not hold up registers.
        registers = SrpV3()
        registers == self.Net.application(0)  # noqa: B015 - joins both directions
        self.addInterface(registers)
        data = [self.Net.application(n + 1, policy="drop_new") for n in range(CHANNELS)]
        self.add(FrontEndBoard(name="Board", memBase=registers, channels=CHANNELS, streams=data))

        settings = StreamVariable(root=self)
        self.add(StreamWriter(name="Writer", hidden=False, bufferSize=1 << 20, configStream={255: settings}))
        for n in range(CHANNELS):
            # The packets do not tell the channel: the recorder's channels are numbered from 1.
            self.Board.application(n) >> self.Writer.getChannel(n + 1)


def main(path, seconds=1.0):
    with WireRoot() as root:
        root.Board.Ch[0].Rate.set(2000)
        root.Writer.DataFile.set(path)
        root.Writer.Open()
        root.Board.Run.set(True)
        time.sleep(seconds)
        root.Board.Run.set(False)
        root.Writer.Close()
        print(f"{path}: {root.Writer.DataFrameCount.get()} frames, {root.Writer.TotalSize.get()} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:2])
