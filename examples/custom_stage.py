"""A stream stage of your own: subtract the baseline of waveform frames on their way to a file.

Run it::

    python examples/custom_stage.py corrected.dat
"""

import sys

import numpy as np

from sapwood.fileio import StreamWriter
from sapwood.streams import FrameBatch, Master, Slave

SAMPLES = 512


class BaselineSubtract(Slave, Master):
    """Subtracts from each frame of int16 samples the mean of its first `window` samples.

    Overriding `_acceptBatch` makes batches the native way; single frames come as batches of one.
    """

    def __init__(self, window=32):
        Slave.__init__(self)
        Master.__init__(self)
        self._window = window

    def _acceptBatch(self, batch):
        rows = batch.rows()
        if rows is None:  # frames of several sizes: one by one
            for index in range(len(batch)):
                self._acceptBatch(batch[index : index + 1])
            return
        samples = np.ascontiguousarray(rows).view("<i2")
        baseline = samples[:, : self._window].mean(axis=1).round().astype(np.int16)
        corrected = samples - baseline[:, None]  # a new array: what was received is never changed
        self._sendBatch(
            FrameBatch.from_rows(
                corrected.view(np.uint8),
                channel=batch.channel,
                flags=batch.flags,
                error=batch.error,
                time=batch.time,
            )
        )


class PulseSource(Master):
    """Sends batches of frames that hold noise on a random baseline and one pulse each."""

    def __init__(self, seed=1):
        super().__init__()
        self._random = np.random.default_rng(seed)

    def send(self, count):
        """Send `count` frames."""
        samples = self._random.normal(0, 5, (count, SAMPLES)) + self._random.integers(200, 400, (count, 1))
        samples[:, SAMPLES // 2 :] += 1500 * np.exp(-np.arange(SAMPLES // 2) / 40)
        self._sendBatch(FrameBatch.from_rows(samples.astype("<i2").view(np.uint8), channel=3))


def main(path):
    source, stage, writer = PulseSource(), BaselineSubtract(), StreamWriter()
    source >> stage >> writer.getChannel(0)
    writer.open(path)
    for _ in range(10):
        source.send(1000)
    writer.close()
    print(f"{path}: {writer.getFrameCount()} frames, {writer.getTotalSize()} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
