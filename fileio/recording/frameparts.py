"""The files of one recording of frame files: made, filled, rolled over, synced, closed.

All of it runs in the recorder's writer thread, without a lock.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError
from sapwood.fileio.filelayer import FileLayer, retried
from sapwood.fileio.recording.framefile import FrameFile, FrameFormat
from sapwood.fileio.recording.inbox import Load
from sapwood.fileio.recording.parts import Part, PartChain

__all__ = ["RecordedParts", "Written"]

_AT_ONCE = 8 << 20  # payload bytes that a file is given in one call, about
_MOST_AT_ONCE = 1 << 16  # frames of these

Written = Callable[[int, int, bool], None]


class RecordedParts:
    """The present file of a recording, and the way to the next.

    Parameters
    ----------
    format
        Makes the files.
    base, split, overwrite
        As for `PartChain`.
    on_written
        Told of frames that the system has got: ``(frames, payload bytes, whether they are data)``.
    on_part
        Told of rolling over: ``(path, former path, former size)``.
    on_oversize
        Told of a frame that exceeds the limit: ``(bytes, path)``.

    Attributes
    ----------
    path
        The present file, or the one that could not be made.
    before
        Bytes of the files before it.
    syncs
        How often a file was synced.
    """

    def __init__(
        self,
        format: FrameFormat,
        files: FileLayer,
        base: str,
        *,
        split: bool,
        overwrite: bool,
        on_written: Written,
        on_part: Callable[[str, str, int], None],
        on_oversize: Callable[[int, str], None],
    ) -> None:
        self._format = format
        self._files = files
        self._overwrite = overwrite
        self._on_written, self._on_part, self._on_oversize = on_written, on_part, on_oversize
        self._chain = PartChain(files, base, split=split, overwrite=overwrite)
        self._file: FrameFile | None = None
        self._given: deque[tuple[NDArray[np.int64], bool]] = deque()  # sizes of frames not written yet
        self._done = 0  # frames of the present file that were told of
        self._closed_bytes = 0
        self.path = self._chain.path
        self.before = 0
        self.syncs = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the present file, or of the last one."""
        file = self._file
        return self._closed_bytes if file is None else file.nbytes

    @property
    def file(self) -> FrameFile:
        """The present file."""
        if self._file is None:
            raise FileError("No file is open", file=self.path)
        return self._file

    def begin(self) -> None:
        """Make the first file.

        Raises
        ------
        RecordingExists, FileError
            When it exists and may not be replaced, or cannot be made.
        """
        self._format.begin()
        self._file = self._create(self._chain.first())

    def _create(self, part: Part) -> FrameFile:
        self.path = part.path
        self._files.close(part.fd)
        try:
            file = self._format.create(part.path, self._files)
        except BaseException as error:
            if not self._overwrite:
                with contextlib.suppress(OSError):  # the error that matters is the first one
                    self._files.remove(part.path)
            if isinstance(error, OSError) and not isinstance(error, FileError):
                text = f"Failed to open data file: {part.path}"
                raise FileError(text, file=part.path, seen=error) from error
            raise
        retried(self._files.sync_dir, self._chain.folder)
        return file

    def write(self, load: Load, limit: int) -> None:
        """Write a load, into as many files as the size `limit` (bytes, 0 = none) asks for."""
        batch = load.batch
        first = 0
        while first < len(batch):
            count = self._fit(batch.size[first : first + _MOST_AT_ONCE], limit)
            for piece in batch[first : first + count].split(_AT_ONCE):
                self._given.append((piece.size, load.config))
                self.file.write(piece)
                self.note()
            first += count

    def _fit(self, size: NDArray[np.int64], limit: int) -> int:
        """Return how many of the next frames the present file takes; maybe a new one."""
        if self.file.room == 0:
            self._roll()
        room = self.file.room
        size = size[:room]
        if not limit:
            return len(size)
        ends = np.cumsum(size + self._format.overhead)
        count = int(np.searchsorted(ends, limit - self.file.nbytes, side="right"))
        if not count and (self._done or self._given):
            self._roll()
            count = int(np.searchsorted(ends, limit - self.file.nbytes, side="right"))
        if not count:
            self._on_oversize(int(size[0]), self.path)
        return max(count, 1)

    def _roll(self) -> None:
        former = self.path
        self.close()
        self._file = self._create(self._chain.next())
        self.before += self._closed_bytes
        self._done = 0
        self._on_part(self.path, former, self._closed_bytes)

    def note(self) -> None:
        """Tell of frames that the system has got since the last time."""
        fresh = self.file.frames - self._done
        self._done += max(fresh, 0)
        while fresh > 0 and self._given:
            sizes, config = self._given.popleft()
            if len(sizes) > fresh:
                self._given.appendleft((sizes[fresh:], config))
                sizes = sizes[:fresh]
            fresh -= len(sizes)
            self._on_written(len(sizes), int(sizes.sum()), not config)

    @property
    def waiting(self) -> int:
        """Batches that the system has not got whole yet."""
        return len(self._given)

    def flush(self) -> None:
        """Give everything to the system."""
        self.file.flush()
        self.note()

    def sync(self) -> None:
        """Bring everything to the disk."""
        self.file.sync()
        self.syncs += 1
        self.note()

    def close(self) -> None:
        """Complete the present file and bring it to the disk."""
        self._leave(self.file.close)
        self.syncs += 1

    def abort(self) -> None:
        """Give the present file back as it is; does nothing without one."""
        if self._file is not None:
            with contextlib.suppress(Exception):  # what is lost is counted already, or aborted
                self._leave(self._file.abort)

    def _leave(self, end: Callable[[], None]) -> None:
        file = self.file
        try:
            end()
        except BaseException:
            with contextlib.suppress(Exception):  # the error that matters is the first one
                file.abort()
            raise
        finally:
            self.note()
            self._closed_bytes, self._file = file.nbytes, None
