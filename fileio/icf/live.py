"""Container files while frames are recorded: a frame is an object."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.filelayer import FileLayer
from sapwood.fileio.icf.layout import CHUNK, MAX_OBJECT, TRAILER
from sapwood.fileio.icf.typed import type_header
from sapwood.fileio.icf.writer import BUNCH_BYTES, RawObjectWriterBase
from sapwood.fileio.recording.framefile import larger
from sapwood.streams import FrameBatch

__all__ = ["IcfFile", "IcfFrames"]

_SPARE = 2  # bunches kept for what is flushed last


class IcfFrames:
    """Makes container files whose objects are the payloads of frames.

    Parameters
    ----------
    protocol
        0: each object behind its length and checksum; 1: bunches, which can be compressed.
    compressor
        Of protocol 1: None, ``bz2``, ``zlib`` or ``zstd``.
    bunchsize
        Of protocol 1: bytes of a bunch, about; a bunch ends with each flush, too.
    type_code
        What the objects are: `LOG`, `TIMESTAMP`, `TRIGGER` or `FRAME` of `sapwood.fileio.icf.typed`;
        payloads must be such objects encoded. None for objects of no known type.
    """

    endings = (".sof", ".icf")
    overhead = CHUNK.size
    keeps_channels = False

    def __init__(
        self,
        protocol: int = 1,
        compressor: str | None = None,
        bunchsize: int = BUNCH_BYTES,
        type_code: int | None = None,
    ) -> None:
        self._protocol = protocol
        self._compressor = compressor
        self._options: dict[str, Any] = {} if type_code is None else type_header(type_code, protocol)
        if protocol:
            self._options["bunchsize"] = bunchsize

    def begin(self) -> None:
        """Begin a recording: nothing was learnt from the last one."""

    def unfit(self, size: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Return which frames are too large for an object."""
        return larger(size, MAX_OBJECT)

    def create(self, path: str, files: FileLayer) -> IcfFile:
        """Begin a file."""
        return IcfFile(
            RawObjectWriterBase(path, self._protocol, self._compressor, files=files, **self._options)
        )


class IcfFile:
    """A container file being recorded; the system has its objects bunch by bunch.

    `nbytes` counts what is not written yet uncompressed.
    """

    def __init__(self, writer: RawObjectWriterBase) -> None:
        self._writer = writer
        self._open = True

    @property
    def frames(self) -> int:
        """Objects in the file."""
        return self._writer.stored[0]

    @property
    def nbytes(self) -> int:
        """Bytes of the file, with those on their way and the end of the present bunch."""
        writer = self._writer
        stored, nbytes = writer.stored
        waiting = writer.data_counter - stored
        if not self._open:
            return nbytes
        return writer.filesize + CHUNK.size * waiting + (TRAILER.size if writer.version else 0)

    @property
    def room(self) -> int | None:
        """Objects that the file takes: each may begin a bunch, and each flush ends one."""
        left = self._writer.bunches_left
        return None if left is None else max(left - _SPARE, 0)

    def write(self, batch: FrameBatch) -> None:
        """Take frames."""
        self._writer.write_frames(batch)

    def flush(self) -> None:
        """End the present bunch, and write everything."""
        self._writer.flush()

    def sync(self) -> None:
        """Do so, and return when the disk holds it."""
        self._writer.sync()

    def close(self) -> None:
        """Write the rest, sync and close."""
        self._writer.sync()
        self._open = False
        self._writer.close()

    def abort(self) -> None:
        """Close without what was not written yet."""
        self._open = False
        self._writer.abort()
