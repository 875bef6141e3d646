"""AstroPix files while frames are recorded: a frame holds the bytes of a readout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.apx.columns import strip_padding
from sapwood.fileio.apx.header import FileHeader
from sapwood.fileio.apx.readout import HEAD, AbstractAstroPixReadout, AstroPix4Readout
from sapwood.fileio.apx.writer import ApxWriter
from sapwood.fileio.filelayer import FileLayer
from sapwood.fileio.recording.framefile import larger
from sapwood.streams import FrameBatch

__all__ = ["ApxFile", "ApxFrames"]

_MAX_DATA = 0xFFFF_FFFF


class ApxFrames:
    """Makes AstroPix files; the readouts of a recording are counted from 0 through all its files.

    The time of a frame is the timestamp of its readout.

    Parameters
    ----------
    readout_class
        Of the boards.
    content
        Of the header: what JSON can hold. May be changed between recordings.
    """

    endings = (".apx",)
    overhead = HEAD.size
    keeps_channels = False

    def __init__(
        self,
        readout_class: type[AbstractAstroPixReadout] = AstroPix4Readout,
        content: Mapping[str, Any] | None = None,
    ) -> None:
        self.readout_class = readout_class
        self.content = dict(content or {})
        self._next_id = 0

    def begin(self) -> None:
        """Count readouts from 0."""
        self._next_id = 0

    def unfit(self, size: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Return which frames are too large for a readout."""
        return larger(size, _MAX_DATA)

    def create(self, path: str, files: FileLayer) -> ApxFile:
        """Begin a file."""
        return ApxFile(ApxWriter(path, FileHeader(self.readout_class, self.content), files), self)

    def take_ids(self, count: int) -> NDArray[np.uint32]:
        """Return the ids of the next readouts, u4, shape (count,); they wrap around."""
        first, self._next_id = self._next_id, self._next_id + count
        return (np.arange(first, first + count) & 0xFFFF_FFFF).astype(np.uint32)


class ApxFile:
    """An AstroPix file being recorded."""

    room = None

    def __init__(self, writer: ApxWriter, format: ApxFrames) -> None:
        self._writer = writer
        self._format = format
        self._ends: list[NDArray[np.int64]] = []  # of readouts whose bytes the system may not have
        self._taken = writer.nbytes  # bytes of the file with all of them
        self._frames = 0

    @property
    def frames(self) -> int:
        """Readouts that lie wholly in the file."""
        while self._ends:
            ends = self._ends[0]
            count = int(np.searchsorted(ends, self._writer.nbytes, side="right"))
            self._frames += count
            if count < len(ends):
                self._ends[0] = ends[count:]
                break
            del self._ends[0]
        return self._frames

    @property
    def nbytes(self) -> int:
        """Bytes of the file, with those on their way."""
        return self._writer.nbytes if self._writer.closed else self._taken

    def write(self, batch: FrameBatch) -> None:
        """Take frames."""
        size = strip_padding(batch.payload, batch.start, np.ascontiguousarray(batch.size))
        ends = np.cumsum(size + HEAD.size) + self._taken
        self._writer.write_batch(batch.replace(size=size), self._format.take_ids(len(batch)))
        self._ends.append(ends)
        self._taken = int(ends[-1])

    def flush(self) -> None:
        """Give everything to the system."""
        self._writer.flush()

    def sync(self) -> None:
        """Return when everything lies on the disk."""
        self._writer.sync()

    def close(self) -> None:
        """Write the rest, sync and close."""
        self._writer.sync()
        self._writer.close()

    def abort(self) -> None:
        """Close without what is in memory."""
        self._writer.abort()
