"""Playing a Rogue file: a stream master that sends the frames of a recording."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from sapwood.errors import FileError
from sapwood.fileio.chain import chain_of
from sapwood.fileio.formats import PathLike
from sapwood.fileio.mapped import MappedFile
from sapwood.fileio.rogue.decode import Tear, walk_file
from sapwood.streams import Frame, FrameBatch, Master, StageCounters

__all__ = ["StreamReader"]

_Item = TypeVar("_Item")

_LOG = logging.getLogger("sapwood.fileio.StreamReader")
_CHUNK_BYTES = 1 << 20  # of file that are sent together, at most
_CLOSE_S = 2.0  # how long close waits for a sink that does not return
_MAX_GRAIN = 1 << 20  # frames sent together, at most
_FAST_S, _SLOW_S = 0.02, 0.1  # a send outside of these bounds changes the number of frames of the next


class StreamReader(Master):
    """Sends the frames of a file, in order and without pacing, from a thread of its own.

    Connect the slaves first: sending starts at `open`. Flags, error and channel are those of the
    records; configuration records are frames like all others, records without payload are
    skipped. A record that is cut off by the end of the file is sent as an empty frame with error
    1. What a slave raises is counted in `counters` and logged, and sending goes on.

    Attributes
    ----------
    counters
        Frames and bytes sent since `open`, and errors of slaves.
    lastError
        Text of the latest error of a slave or of the file, empty when there was none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counters = StageCounters()
        self.lastError = ""
        self._playback: _Playback | None = None

    def open(self, path: PathLike) -> None:
        """Start to send the frames of `path`; a file that is still being sent is closed first.

        Parameters
        ----------
        path
            A name that ends in ``.1`` goes on with ``.2``, ``.3``, ... until a number is missing.
            The bare name of such a chain does the same; any other file is sent alone.

        Raises
        ------
        FileError
            When there is no such file, or it cannot be read.
        """
        self.close()
        name = os.fspath(path)
        files = chain_of(path, single=not name.endswith(".1") and os.path.isfile(name))
        for file in files:
            with MappedFile(file):  # a part that cannot be read is told here, not in the thread
                continue
        self.counters = StageCounters()
        self.lastError = ""
        self._playback = _Playback(self, files)
        self._playback.thread.start()

    def close(self) -> None:
        """Stop sending, after the frames that are on their way, and wait for the thread.

        It may be called by a slave, from within the delivery; then it does not wait.
        """
        playback = self._playback
        if playback is not None:
            playback.stop.set()
            playback.join(_CLOSE_S)

    def closeWait(self) -> None:
        """Wait until everything is sent, then close; returns at once when nothing was opened."""
        playback = self._playback
        if playback is not None:
            playback.join(None)
        self.close()

    def isOpen(self) -> bool:
        """Return True until the end of the data, or `close`."""
        return self._playback is not None and not self._playback.ended.is_set()

    def isActive(self) -> bool:
        """Return True while frames are being delivered."""
        return self.isOpen()

    def getFrameCount(self) -> int:
        """Return the frames sent since `open`."""
        return self.counters.frames

    def getProgress(self) -> float:
        """Return the part of the data that is sent, 0 to 1."""
        playback = self._playback
        if playback is None:
            return 0.0
        return playback.done_bytes / playback.total_bytes if playback.total_bytes else 1.0

    def _stop(self) -> None:
        """Stop sending."""
        self.close()


class _Playback:
    """One run through the files: its thread, and how far it is."""

    def __init__(self, reader: StreamReader, files: list[str]) -> None:
        self._reader = reader
        self._counters = reader.counters
        self._files = files
        self._grain = 16  # frames sent together; adapted so that `stop` is heeded soon
        self.total_bytes = sum(map(os.path.getsize, files))
        self.done_bytes = 0
        self.stop = threading.Event()
        self.ended = threading.Event()
        name = f"sapwood-reader-{os.path.basename(files[0])}"
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def join(self, timeout_s: float | None) -> None:
        if self.thread is threading.current_thread():
            return
        self.thread.join(timeout_s)
        if self.thread.is_alive():
            _LOG.error("A slave holds the reader of %s up; it stops when the slave returns", self._files[0])

    def _run(self) -> None:
        try:
            for file in self._files:
                self._play(file)
        except FileError as error:
            self._failed(error)
        finally:
            self.ended.set()

    def _play(self, path: str) -> None:
        with MappedFile(path) as file:
            for chunk in walk_file(file, _CHUNK_BYTES):
                self._send_batch(chunk.batch)
                if self.stop.is_set():
                    return
                self.done_bytes += chunk.end - chunk.begin
                if chunk.tear is not None:
                    self._send_tear(path, chunk.tear)

    def _send_batch(self, batch: FrameBatch) -> None:
        if not batch.size.all():
            batch = batch[np.flatnonzero(batch.size)]
        first = 0
        while first < len(batch) and not self.stop.is_set():
            part = batch[first : first + self._grain]
            first += len(part)
            begun = time.monotonic()
            self._deliver(self._reader._sendBatch, part)
            self._counters.accept(len(part), part.nbytes)
            self._adapt(time.monotonic() - begun)

    def _adapt(self, elapsed_s: float) -> None:
        if elapsed_s < _FAST_S:
            self._grain = min(self._grain * 2, _MAX_GRAIN)
        elif elapsed_s > _SLOW_S:
            self._grain = max(self._grain // 4, 1)

    def _send_tear(self, path: str, tear: Tear) -> None:
        _LOG.warning("%s, offset %d: %s", path, tear.offset, tear.reason)
        self.done_bytes += tear.nbytes
        if tear.header is not None and not self.stop.is_set():
            flags, _, channel = tear.header
            frame = Frame(b"", flags=flags, error=1, channel=channel)
            self._deliver(self._reader._sendFrame, frame)
            self._counters.accept(1, 0)

    def _deliver(self, send: Callable[[_Item], None], item: _Item) -> None:
        try:
            send(item)
        except Exception as error:  # noqa: BLE001  # slaves are user code; the others still get their frames
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._counters.errors += 1
        if self._counters.errors == 1:
            _LOG.error("While sending %s: %s", self._files[0], error)
        self._reader.lastError = str(error) or type(error).__name__
