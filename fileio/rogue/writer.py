"""StreamWriter: records frames to Rogue data files."""

from __future__ import annotations

import logging

from sapwood.fileio.filelayer import FileLayer
from sapwood.fileio.recorder import Recorder
from sapwood.fileio.recording.channelwriter import ChannelWriter, StreamWriterChannel
from sapwood.fileio.rogue.encode import RogueEncoder

__all__ = ["StreamWriter", "StreamWriterChannel"]

_LOGGER = logging.getLogger("sapwood.fileio.StreamWriter")


class StreamWriter(ChannelWriter):
    """Records the frames of its channels to a Rogue data file.

    Frames are *accepted* (in memory), *written* (given to the operating system: at the latest
    after a second, or when `bufferSize` bytes have come) and *durable* (synced: each second or
    64 MiB). An existing file is not overwritten unless that is asked for.

    Parameters
    ----------
    bufferSize
        Bytes staged in memory before they are written; 0 writes each frame or batch at once.
    maxSize
        Size limit of a file, bytes; 0 = none. With a limit the files are ``name.1``, ``name.2``, ...
    dropErrors
        Do not record frames whose error is not 0.
    raw
        Write payloads only, without headers.
    overwrite
        Replace existing files of the name opened.
    files
        The disk; None for the real one.

    Examples
    --------
    >>> writer = StreamWriter(bufferSize=1 << 20)
    >>> source >> writer.getChannel(1)  # doctest: +SKIP
    >>> writer.open("run.dat")  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        bufferSize: int = 0,
        maxSize: int = 0,
        dropErrors: bool = False,
        raw: bool = False,
        overwrite: bool = False,
        files: FileLayer | None = None,
    ) -> None:
        self._encoder = RogueEncoder(raw=raw)
        recorder = Recorder(self._encoder, files, logger=_LOGGER)
        super().__init__(
            recorder, bufferSize=bufferSize, maxSize=maxSize, dropErrors=dropErrors, overwrite=overwrite
        )

    def setRaw(self, raw: bool) -> None:
        """Write payloads only (True), or framed records; in force from the next frame on."""
        self._encoder.raw = bool(raw)

    def getRaw(self) -> bool:
        """Return whether payloads only are written."""
        return self._encoder.raw
