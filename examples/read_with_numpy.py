"""Read a recording as NumPy columns: statistics of every channel, waveforms as one array.

Run it::

    sapwood demo
    python examples/read_with_numpy.py sapwood-demo/data_*.dat
"""

import sys

import numpy as np

import sapwood.fileio


def channel_table(frames):
    """Yield channel, frames, bytes and frames/s for each channel."""
    for channel in np.unique(frames.channel):
        own = frames.channel == channel
        yield int(channel), int(own.sum()), int(frames.size[own].sum())


def waveforms(frames, channel):
    """Return the int16 samples of one channel: shape (frames, samples)."""
    rows = frames[frames.channel == channel].compact().rows()
    if rows is None:
        raise SystemExit(f"the frames of channel {channel} differ in size")
    return rows.view("<i2")


def main(path, channel=2):
    with sapwood.fileio.open(path) as reader:
        # All frames as columns: channel, flags, error, time, start, size, and one payload array,
        # which is the file itself, mapped. Nothing is copied yet, whatever the size of the file.
        frames = reader.read()
        config = reader.info()["config"]

    print(
        f"{path}: {len(frames)} frames, {frames.nbytes} bytes, {np.count_nonzero(frames.error)} with errors"
    )
    for number, count, nbytes in channel_table(frames):
        print(f"  channel {number:3d}: {count} frames, {nbytes} bytes")
    if config:
        print(f"  recorded by {', '.join(config)}")

    samples = waveforms(frames, channel)
    pulses = samples.max(axis=1) - np.median(samples, axis=1)
    print(f"  pulses of channel {channel}: mean {pulses.mean():.1f}, sigma {pulses.std():.1f} ADC counts")

    # A file larger than memory: the same in pieces of about 16 MiB.
    with sapwood.fileio.open(path) as reader:
        total = sum(int(batch.size.sum()) for batch in reader.batches())
    print(f"  {total} bytes in batches")


if __name__ == "__main__":
    main(sys.argv[1])
