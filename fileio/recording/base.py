"""What all recorders share: their states, how they open, close and fail, and what waits for them."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque

from sapwood.errors import RecorderFault
from sapwood.fileio.filelayer import FileLayer
from sapwood.fileio.recording.notedlock import NotedLock
from sapwood.fileio.recording.readings import CLOSED, FAULT, RECORDING, Readings
from sapwood.fileio.recording.records import Source
from sapwood.fileio.recording.watermark import RateMeter, Tally
from sapwood.streams import Frame, FrameBatch, Gap

__all__ = ["RecorderBase"]

_MAX_GAPS = 1024  # notes of gaps kept
_ABORT_S = 1.0  # longest time that abort waits for the disk


class RecorderBase(Readings):
    """State, counters, opening and closing of a recorder; subclasses bring frames to files.

    States are ``Closed``, ``Recording`` and ``Fault``. A frame is *accepted* when it is in
    memory, *written* when the system has it, *durable* when it was synced.

    Parameters
    ----------
    files
        The disk; None for the real one.
    logger
        Told of opening, closing, rollover and faults.
    period_s
        Longest time, seconds, that an accepted frame stays in memory and a written one not synced.
    sync_bytes
        Sync earlier when so many bytes are not synced.
    close_timeout_s
        Longest time, seconds, that closing waits for the disk.

    Attributes
    ----------
    overwrite
        Opening replaces existing files of that name.
    gaps
        The latest notes of losses upstream, each with the count of frames accepted before.
    """

    def __init__(
        self,
        files: FileLayer | None,
        logger: logging.Logger,
        period_s: float,
        sync_bytes: int,
        close_timeout_s: float,
    ) -> None:
        self._files = FileLayer() if files is None else files
        self._period_s = period_s
        self._sync_bytes = sync_bytes
        self._close_timeout_s = close_timeout_s
        self._control = threading.Lock()  # one of open, close, abort at a time; taken before _lock
        self._logger = logger
        self._lock = NotedLock(logger)
        self._changed = threading.Condition(self._lock.lock)
        self._targets: list[tuple[Source | None, int]] = []  # counts somebody waits for
        self._sources: list[Source] = []
        self._buffer_size = 0
        self._max_size = 0
        self.overwrite = False
        self._state = CLOSED
        self._fault = None
        self._untold: RecorderFault | None = None  # a fault that nobody was told of yet
        self._path = None
        self._discard = False  # what is in memory is dropped when closing
        self._rate = RateMeter()
        self._reset()

    def _reset(self) -> None:
        """Begin to count anew."""
        self._tally = Tally()
        self._part_from = 0
        self.gaps: deque[tuple[int, Gap]] = deque(maxlen=_MAX_GAPS)
        self._rate.clear()
        for source in self._sources:
            source.count = 0

    # What subclasses do

    def _begin(self, base: str) -> None:
        """Make the first file and be recording."""
        raise NotImplementedError

    def _over(self) -> bool:
        """Nothing of a recording is left to be ended."""
        raise NotImplementedError

    def _end_within(self, timeout_s: float) -> bool:
        """Write what is in memory, or drop it; tell whether that ended in time."""
        raise NotImplementedError

    def _synced_within(self, timeout_s: float) -> bool:
        """Tell whether the files are synced and closed in time."""
        raise NotImplementedError

    def _discard_late(self) -> None:
        """Have a call that is closing, and hangs, drop what is in memory."""
        raise NotImplementedError

    def _gave_up(self) -> None:
        """Go by the state after a disk that did not answer in time."""
        raise NotImplementedError

    def _flush(self) -> None:
        """Begin to give everything in memory to the system; with the lock held."""
        raise NotImplementedError

    def _tell_reached(self) -> None:
        """Wake who waits for a count that is reached; with the lock held."""
        raise NotImplementedError

    def _rearrange(self) -> None:
        """Go by changed settings, states and waiters; with the lock held."""

    def write_frame(self, frame: Frame, source: Source) -> None:
        """Take one frame."""
        raise NotImplementedError

    def write_batch(self, batch: FrameBatch, source: Source) -> None:
        """Take the frames of a batch, in order."""
        raise NotImplementedError

    def flush(self) -> None:
        """Give everything in memory to the system."""
        raise NotImplementedError

    def drain(self, deadline: float) -> bool:
        """Flush, as far as the disk lets it until monotonic time `deadline`; tell whether it did."""
        raise NotImplementedError

    # Settings

    def attach(self, source: Source) -> None:
        """Have the count of `source` reset at each open."""
        with self._lock:
            self._sources.append(source)

    @property
    def buffer_size(self) -> int:
        """Bytes staged in memory before they are written; 0 writes each frame or batch at once."""
        return self._buffer_size

    @buffer_size.setter
    def buffer_size(self, size: int) -> None:
        with self._lock:
            self._flush()
            self._buffer_size = size
            self._rearrange()
            self._tell()

    @property
    def max_size(self) -> int:
        """Size limit of a file, bytes; 0 = none. A new limit counts from the next frame on."""
        return self._max_size

    @max_size.setter
    def max_size(self, size: int) -> None:
        with self._lock:
            self._max_size = size
            self._rearrange()

    # Opening and closing

    def open(self, path: str | os.PathLike[str]) -> None:
        """Begin a recording; one that is being written is closed first.

        Raises
        ------
        RecordingExists
            When the file exists and `overwrite` is off. The recorder is closed then.
        FileError
            When the file cannot be made. The recorder is closed then.
        RecorderFault
            When the former recording could not be closed properly. The recorder is closed then, or
            in Fault when its disk hangs.
        """
        with self._control:
            resumed = self._state == FAULT
            problem = self._shut(self._close_timeout_s, sync=True)
            if problem is not None and not (resumed and self._state == CLOSED):
                raise problem
            self._begin(os.fspath(path))

    def close(self) -> None:
        """Write what is staged, sync it and close; does nothing when closed.

        When the disk takes longer than `close_timeout_s`, the recorder gives up: it is in Fault
        when a write hangs, closed when the sync does. What hangs goes on behind the scenes, and
        the file is closed when it ends.

        Raises
        ------
        RecorderFault
            When something accepted could not be brought to the disk, and nobody was told yet.
        """
        if not self._control.acquire(timeout=self._close_timeout_s):
            raise self._overdue("Another call that opens or closes did not end", self._close_timeout_s)
        try:
            problem = None if self._state == CLOSED else self._shut(self._close_timeout_s, sync=True)
        finally:
            self._control.release()
        if problem is not None:
            raise problem

    def abort(self) -> None:
        """Close without writing what is staged; those frames are counted ``aborted``.

        Returns within seconds also while the disk, or another call that closes, hangs.
        """
        wait_s = min(_ABORT_S, self._close_timeout_s)
        if self._control.acquire(timeout=wait_s):
            try:
                problem = None if self._state == CLOSED else self._shut(wait_s, sync=False)
            finally:
                self._control.release()
            if problem is not None:
                self._logger.warning("Aborted: %s", problem)
        else:
            self._discard_late()

    def _shut(self, timeout_s: float, *, sync: bool) -> RecorderFault | None:
        """Go to Closed, or give up in time; return the fault that nobody was told of, if any."""
        began = time.monotonic()
        path = self._path
        if self._over():
            return None
        if self._state != CLOSED:
            self._discard = not sync
        if not self._end_within(timeout_s):
            fault = self._overdue("The disk did not take the data in time", timeout_s)
            self._fault = fault
            self._state = CLOSED if self._discard else FAULT
            self._gave_up()
            return fault
        self._state = CLOSED
        if not self._synced_within(max(began + timeout_s - time.monotonic(), 0.0)):
            return self._overdue("The disk did not sync in time", timeout_s)
        with self._lock:
            untold, self._untold = self._untold, None
            self._changed.notify_all()
            self._lock.note(logging.INFO, "Closed data file %s: %s", path, self._tally.summary())
        return untold

    def _overdue(self, what: str, waited_s: float) -> RecorderFault:
        return RecorderFault(what, file=self._path, waited_s=waited_s)

    def _thread_name(self, doing: str = "") -> str:
        return f"Recorder {os.path.basename(self._path or '')} {doing}".rstrip()

    # Frames

    def drop(self, reason: str, frames: int, nbytes: int, source: Source) -> None:
        """Count frames that `source` was offered and that are not recorded."""
        with self._lock:
            source.count += frames
            self._tally.drop(reason, frames, nbytes)
            self._tell_reached()

    def note_gap(self, gap: Gap) -> None:
        """Note frames lost upstream; `gaps` keeps the latest with the count of frames before each."""
        with self._lock:
            self._tally.gaps += 1
            self._tally.gap_frames += gap.frames
            self.gaps.append((self._tally.accepted_frames, gap))
            count = gap.frames or "An unknown number of"
            self._lock.note(logging.WARNING, "%s frames were lost upstream: %s", count, gap.reason)

    def wait(self, count: int, timeout_s: float | None, source: Source | None = None) -> bool:
        """Wait until `count` frames are written, or were offered to `source`.

        Returns
        -------
        bool
            Whether the count is reached; False at the time-out, and at once when the recorder
            does not record.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        target = (source, count)
        with self._lock:
            self._flush()
            self._targets.append(target)
            self._rearrange()
            try:
                while not self._reached(target) and self._state == RECORDING:
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0:
                        break
                    self._changed.wait(left)
                return self._reached(target)
            finally:
                self._targets.remove(target)
                self._rearrange()

    # The rest runs with the lock held

    def _reached(self, target: tuple[Source | None, int]) -> bool:
        source, count = target
        return (self._tally.written.frames if source is None else source.count) >= count

    def _refuse(self, frames: int, nbytes: int) -> None:
        """Count frames that come while nothing is recorded."""
        self._tally.drop("fault" if self._state == FAULT else "closed", frames, nbytes)

    def _note_fault(self, what: str, path: str, error: BaseException, extra: str = "") -> RecorderFault:
        """Keep a failure; the producer whose call this is, or else the next one, will be told."""
        fault = RecorderFault(
            what,
            file=path,
            seen=error,
            hint=f"Frames are dropped and counted until a new file is opened.{extra}",
        )
        fault.errno = getattr(error, "errno", None)
        self._lock.note(logging.ERROR, "%s", fault)
        if self._state != FAULT:
            self._untold = fault
        return fault

    def _note_oversize(self, nbytes: int, path: str | None) -> None:
        """Note a frame that gets a file to itself."""
        self._tally.oversize += 1
        text = "A frame of %d bytes exceeds the file size limit of %d: it gets %s to itself"
        self._lock.note(logging.WARNING, text, nbytes, self._max_size, path)

    def _note_next_part(self, path: str, former: str, size: int) -> None:
        text = "Opened data file %s; %s is complete with %d bytes"
        self._lock.note(logging.INFO, text, path, former, size)

    def _tell(self) -> None:
        """Raise the fault that nobody was told of yet."""
        if self._untold is not None:
            untold, self._untold = self._untold, None
            raise untold
