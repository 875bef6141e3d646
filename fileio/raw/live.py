"""LH5 files while frames are recorded: the decoders of raw streams make rows of them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.filelayer import FileLayer
from sapwood.fileio.raw.decoder import DataDecoder
from sapwood.fileio.raw.library import RawBufferLibrary, default_library
from sapwood.fileio.raw.packetstreamer import PacketStreamer
from sapwood.fileio.raw.recording import FrameStream
from sapwood.fileio.raw.streamer import PacketBlock
from sapwood.fileio.raw.streams import split_out_stream
from sapwood.fileio.recording.libraryfile import LibraryFile
from sapwood.streams import FrameBatch

__all__ = ["Lh5Frames", "MakesDecoder"]

MakesDecoder = Callable[[], DataDecoder]
_BUFFER_ROWS = 8192


class Lh5Frames:
    """Makes LH5 files of frames, for `sapwood.fileio.batchrecorder.BatchRecorder`.

    Parameters
    ----------
    decoders
        Channel -> what makes the decoder of its frames, such as a class; None stands for all
        channels that are not named, but for 255, that of configuration records.
    out_spec
        Which tables there are, as for `sapwood.fileio.raw.RawBufferLibrary`; of an ``out_stream``
        only the group counts. By default a table for each group of keys of each decoder.
    buffer_size
        Rows of a buffer.

    Attributes
    ----------
    losses
        What of the last file did not become rows, a sentence for each kind.
    """

    endings = (".lh5",)
    overhead = 0
    keeps_channels = False

    def __init__(
        self,
        decoders: Mapping[int | None, MakesDecoder],
        out_spec: Mapping[str, Any] | None = None,
        buffer_size: int = _BUFFER_ROWS,
    ) -> None:
        self._makers = dict(decoders)
        self._spec = out_spec
        self._rows = buffer_size
        self.losses: list[str] = []

    def begin(self) -> None:
        """Begin a recording: nothing is known of the frames of an earlier one."""
        self.losses = []

    def unfit(self, size: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Return None: what cannot be decoded becomes garbage, which is counted."""
        return None

    def create(self, path: str, files: FileLayer) -> LibraryFile:
        """Begin a file, with decoders of its own."""
        stream = _Live(path, {channel: make() for channel, make in self._makers.items()})
        library = None if self._spec is None else RawBufferLibrary(self._spec)
        return LibraryFile(
            _Tables(path, stream, library, self._rows, self.losses), path, files, self.overhead
        )


class _NoBytes:
    """In the place of the bytes of a stream."""

    def __init__(self, name: str) -> None:
        self.name, self.offset = name, 0
        self.problems: list[str] = []

    def peek(self, nbytes: int, least: int | None = None) -> NDArray[np.uint8]:
        return np.empty(0, np.uint8)

    def advance(self, nbytes: int) -> None:
        self.offset += nbytes

    def close(self) -> None:
        """Close nothing."""


class _Live(FrameStream):
    """Frames that are handed in."""

    def __init__(self, path: str, decoders: Mapping[int | None, DataDecoder]) -> None:
        super().__init__(_NoBytes(path), decoders)
        self.decoders = list(decoders.values())
        self._waiting: FrameBatch | None = None

    @property
    def waiting(self) -> int:
        """Frames handed in and not yet taken."""
        return 0 if self._waiting is None else len(self._waiting)

    def hand_in(self, batch: FrameBatch) -> None:
        """Let `next_block` return these frames."""
        self._waiting = batch

    def begin(self) -> None:
        """Begin: there is no header."""

    def next_block(self, nbytes: int, packets: int) -> PacketBlock | None:
        batch = self._waiting
        if batch is None:
            return None
        self._waiting = batch[packets:] if len(batch) > packets else None
        return self.block_of(batch[:packets])


class _Tables:
    """The tables of a file."""

    def __init__(
        self, path: str, stream: _Live, library: RawBufferLibrary | None, rows: int, losses: list[str]
    ) -> None:
        from sapwood.fileio.lh5 import LH5Store

        self._stream, self._losses = stream, losses
        if library is None:
            library = default_library(stream.decoders)
        for buffers in library.values():
            for buffer in buffers:
                buffer.out_stream = f"{path}:{split_out_stream(buffer.out_stream)[1]}"
        self._streamer = PacketStreamer(lambda source: stream)
        self._store = LH5Store(keep_open=True)
        self._store.gimme_file(path, "w")
        self._streamer.open_stream(stream.source, library, rows)

    def write(self, batch: FrameBatch) -> None:
        """Decode frames, append their rows."""
        from sapwood.fileio.raw.writing import write_to_lh5_and_clear

        self._stream.hand_in(batch)
        while self._stream.waiting:
            chunk = self._streamer.read_chunk(rp_max=self._stream.waiting - 1)
            write_to_lh5_and_clear(chunk, self._store)

    def flush(self) -> None:
        """Make the file whole."""
        self._store.flush()

    def close(self) -> None:
        """Complete the file."""
        self._losses[:] = self._streamer.summary().losses()
        self._store.close()

    def forsake(self) -> None:
        """Do nothing with the file any more."""
        self._store.forsake()
