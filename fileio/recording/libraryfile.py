"""A file that a library writes, as a frame file: what it counts, and when it is synced."""

from __future__ import annotations

from typing import Protocol

from sapwood.fileio.filelayer import FileLayer
from sapwood.fileio.hdf5faults import refusal_told
from sapwood.fileio.recording.syncpoint import SyncPoint
from sapwood.streams import FrameBatch

__all__ = ["FrameWriter", "LibraryFile"]


class FrameWriter(Protocol):
    """What writes frames through a library that keeps some of them in memory."""

    def write(self, batch: FrameBatch) -> None:
        """Take frames."""
        ...

    def flush(self) -> None:
        """Give everything to the system."""
        ...

    def close(self) -> None:
        """Complete the file."""
        ...

    def forsake(self) -> None:
        """Do nothing with the file any more, not even by itself, and keep it from being closed."""
        ...


class LibraryFile:
    """A frame file over a `FrameWriter`. The system has frames for sure when a flush succeeded.

    After a failure more frames may be in the file than `frames` says, never fewer.

    Parameters
    ----------
    path
        The file, which the writer has made.
    overhead
        Bytes that a frame takes beside its payload, about.
    """

    room = None

    def __init__(self, writer: FrameWriter, path: str, files: FileLayer, overhead: int) -> None:
        self._writer = writer
        self._path = path
        self._overhead = overhead
        self._point = SyncPoint(path, files)
        self._taken = self.frames = 0
        self.nbytes = 0
        self._sound = True

    def write(self, batch: FrameBatch) -> None:
        """Take frames; sizes are reckoned, the file grows in steps."""
        self._sound = False
        with refusal_told(self._path):
            self._writer.write(batch)
        self._sound = True
        self._taken += len(batch)
        self.nbytes += batch.nbytes + self._overhead * len(batch)

    def flush(self) -> None:
        """Give everything to the system."""
        self._sound = False
        with refusal_told(self._path):
            self._writer.flush()
        self._sound = True
        self.frames = self._taken

    def sync(self) -> None:
        """Do so, and return when the disk holds it."""
        self.flush()
        self._point.sync()

    def close(self) -> None:
        """Complete the file and bring it to the disk."""
        self._sound = False
        with refusal_told(self._path):
            self._writer.flush()
            self._writer.close()
        self._sound = True
        self.frames = self._taken
        try:
            self._point.sync()
        finally:
            self._release()

    def abort(self) -> None:
        """Close the file with everything that it was given.

        After a failure it is left open until the program ends: HDF5 crashes, then or when its
        objects are collected, where it closes a file that it could not write.
        """
        try:
            if self._sound:
                self._sound = False
                self._writer.flush()
                self._writer.close()
                self.frames = self._taken
                self._sound = True
        finally:
            if not self._sound:
                self._writer.forsake()
            self._release()

    def _release(self) -> None:
        self.nbytes = self._point.size
        self._point.close()
