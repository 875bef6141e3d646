"""Take three runs at a remote root, each with another frame size.

Start the server first, in another terminal:

    sapwood run examples/operator_root.py:AcquisitionRoot --data-dir /data

    python examples/remote_runs.py [HOST [PORT]]
"""

import sys
import time

from sapwood import RemoteClient

SIZES = (1000, 4000, 16000)  # bytes a frame, one run each


def take_run(top, number, size, seconds):
    """Record one run; return its file name, frames and bytes."""
    name = f"run{number:03d}_{size}.dat"  # relative: in the data folder of the server
    top.Board.Ch[0].Size.set(size)
    top.Writer.DataFile.set(name)
    top.Writer.Open()
    top.Board.Run.set(True)
    time.sleep(seconds)
    top.Board.Run.set(False)
    top.Writer.Close()
    return name, top.Writer.DataFrameCount.get(), top.Writer.TotalSize.get()


def main(host="localhost", port=9500, seconds=0.5):
    with RemoteClient(host, int(port)) as client:
        # Nodes read like the tree they stand for; an unknown name or a bad value raises here
        # what it raised there.
        top = client.Top
        for number, size in enumerate(SIZES, start=1):
            name, frames, nbytes = take_run(top, number, size, seconds)
            print(f"{name}: {frames} frames, {nbytes} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:3])
