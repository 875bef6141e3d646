"""One board, recorded in five formats at once.

Serve it, then take runs from another terminal::

    sapwood run examples/recorders_root.py:RecordersRoot
    sapwood exec Top.Run.StartRun
    sapwood watch Top.Hdf5.FrameCount
    sapwood exec Top.Run.StopRun
    sapwood file info run000001_Hdf5.h5

Run as a script it takes one run of half a second, and reads the files back::

    python examples/recorders_root.py
"""

import os
import sys
import time

import sapwood
from sapwood.devices import (
    ApxWriter,
    FrontEndBoard,
    Hdf5Writer,
    IcfWriter,
    PymodaqWriter,
    RunControl,
    StreamVariable,
    StreamWriter,
)
from sapwood.fileio import open as open_recording
from sapwood.streams import Fifo

CHANNELS = 3


class RecordersRoot(sapwood.Root):
    """Board -> a queue for each recorder -> files of five formats; runs are started and stopped."""

    def __init__(self):
        super().__init__(name="Top", description="A board recorded in five formats")
        self.add(FrontEndBoard(name="Board", channels=CHANNELS))

        # Formats that keep the channels of frames can keep the settings of the tree on one of them;
        # AstroPix files have them in their header, PyMoDAQ files beside their data.
        settings = StreamVariable(root=self)
        self.add(StreamWriter(name="Rogue", hidden=False, configStream={255: settings}))
        self.add(Hdf5Writer(name="Hdf5", hidden=False, configStream={255: settings}))
        self.add(IcfWriter(name="Icf", hidden=False, compressor="zlib"))
        self.add(ApxWriter(name="Apx", hidden=False))
        self.add(PymodaqWriter(name="Pymodaq", hidden=False, dtype="<i2", dataName="Pulses"))

        # A queue before each: what one of them does holds up neither the board nor the others.
        self.queues = []
        for recorder, channels in (
            (self.Rogue, range(CHANNELS)),
            (self.Hdf5, range(CHANNELS)),
            (self.Icf, range(CHANNELS)),
            (self.Apx, [0]),
            (self.Pymodaq, [2]),  # frames of one size: a curve each
        ):
            queue = Fifo(policy="block")
            for number in channels:
                self.Board.application(number) >> queue
            queue >> recorder
            self.queues.append(queue)

        self.add(RunControl(name="Run", recorders="all", sources=[self.Board]))
        self.recorders = [self.Rogue, self.Hdf5, self.Icf, self.Apx, self.Pymodaq]


def main(folder=".", seconds=0.5):
    with RecordersRoot() as root:
        root.dataDir = folder
        for channel in root.Board.Ch.values():
            channel.Rate.set(500)
        root.Run.StartRun()
        time.sleep(seconds)
        root.Run.StopRun()
        paths = [root.dataPath(recorder.DataFile.value()) for recorder in root.recorders]
        counts = [recorder.FrameCount.get() for recorder in root.recorders]
    for path, count in zip(paths, counts, strict=True):
        with open_recording(path) as reader:
            tables = {table.name: table.rows for table in reader.tables() if table.rows}
        print(f"{os.path.basename(path)}: {count} frames recorded, tables {tables}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
