"""An acquisition root as operators run it: a front-end board, a recorder, a display tap.

Serve it, then drive it from another terminal::

    sapwood run examples/operator_root.py:AcquisitionRoot
    sapwood tree
    sapwood exec Top.Writer.AutoName
    sapwood exec Top.Writer.Open
    sapwood set Top.Board.Run True
    sapwood watch Top.Writer.FrameCount
    sapwood exec Top.Writer.Close

Run as a script it makes one recording of a second by itself::

    python examples/operator_root.py run1.dat
"""

import sys
import time

import sapwood
from sapwood.devices import FrontEndBoard, RateDrop, StreamVariable, StreamWriter
from sapwood.streams import Slave

CHANNELS = 3


class LatestFrame(Slave):
    """A display's end of the stream: keeps the newest frame."""

    def __init__(self):
        super().__init__()
        self.frame = None

    def _acceptFrame(self, frame):
        self.frame = frame


class AcquisitionRoot(sapwood.Root):
    """Board -> recorder, and every 100 ms one frame of channel 2 -> display."""

    def __init__(self):
        super().__init__(name="Top", description="Front-end board with a recorder")

        # Hardware. With a real board: FrontEndBoard(memBase=..., streams=[...]).
        self.add(FrontEndBoard(name="Board", channels=CHANNELS))

        # The recorder. Channel 255 of its files holds the settings of this tree: all of them when
        # a file is opened and closed, and every change in between.
        settings = StreamVariable(root=self)
        self.add(StreamWriter(name="Writer", hidden=False, bufferSize=1 << 20, configStream={255: settings}))

        # Board channel n is file channel n (0 keeps the channel that the frames carry).
        for n in range(CHANNELS):
            self.Board.application(n) >> self.Writer.getChannel(n)

        # A display needs few frames only.
        self.add(RateDrop(name="DisplayRate", period=True, value=0.1))
        self.display = LatestFrame()
        self.Board.application(2) >> self.DisplayRate >> self.display

        # One command for the whole run.
        self.add(
            sapwood.LocalCommand(
                name="TakeRun", description="Record so many seconds", value=1.0, function=self.takeRun
            )
        )

    def takeRun(self, arg):
        """Record for `arg` seconds into the file that Writer.DataFile names."""
        self.Writer.Open()
        self.Board.Run.set(True)
        time.sleep(arg)
        self.Board.Run.set(False)
        self.Writer.Close()


def main(path, seconds=1.0):
    with AcquisitionRoot() as root:
        root.Board.Ch[0].Rate.set(2000)
        root.Writer.DataFile.set(path)
        root.TakeRun(seconds)
        print(f"{path}: {root.Writer.DataFrameCount.get()} frames, {root.Writer.TotalSize.get()} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:2])
