"""The recorder of formats whose files are made by objects: ICF, AstroPix, HDF5, PyMoDAQ.

`Recorder` appends records of bytes to a descriptor in the producer's thread. Here the producer only
puts frames into a bounded queue, and one thread for each open recorder owns the file: compressing, and
the calls of HDF5 (one at a time in a process, and not to be interrupted), hold up nobody.

AstroPix files and uncompressed ICF are bytes too, and might have become encoders of `Recorder` with a
header at open and a trailer at close. They are recorded here all the same: their writers exist, check
and cut back by themselves and go through `FileLayer`; a bunch of ICF points back at the one before,
so that its bytes depend on where they land, which `Recorder` does not know while it stages; and with
one recorder for all of them compression is a setting, not another recorder.
"""

from __future__ import annotations

import logging
import sys
import threading
import time

import numpy as np

from sapwood.errors import FileError, RecorderFault, SapwoodError, StreamError
from sapwood.fileio.filelayer import FileLayer
from sapwood.fileio.recording.base import RecorderBase
from sapwood.fileio.recording.framefile import FrameFormat
from sapwood.fileio.recording.frameparts import RecordedParts
from sapwood.fileio.recording.inbox import FRAME_COST, Inbox, Load, cost_of, pieces_of
from sapwood.fileio.recording.readings import CLOSED, FAULT, RECORDING
from sapwood.fileio.recording.records import Source
from sapwood.streams import Frame, FrameBatch

__all__ = ["BatchRecorder"]

QUEUE_BYTES = 64 << 20
_LEAST = 64 << 10  # payload bytes that are worth waking the writer thread
_NEVER = sys.maxsize
_MOST_WAITING = 1024  # batches that a format may hold back before it is flushed


class BatchRecorder(RecorderBase):
    """Writes frames to the files of a recording, in a thread of its own.

    A frame is *accepted* when it is in the queue, *written* when the system has it (when `flush` or
    `wait` ask for it, else after `period_s` in the queue and as long in the format at the latest),
    *durable* when it was synced. Bytes of these are bytes of payload; `total_size` and
    `current_size` are those of the files. `buffer_size` bytes are gathered before the thread is
    woken, 64 KiB at least.

    Parameters
    ----------
    format
        Makes the files.
    files, logger, period_s, sync_bytes, close_timeout_s
        As for `Recorder`.
    queue_bytes
        Memory for frames that are not written yet, bytes.
    patience_s
        Longest time, seconds, that a producer waits for room in it. Then frames are dropped and
        counted ``overrun``, without waiting, until there is room again.
    """

    def __init__(
        self,
        format: FrameFormat,
        files: FileLayer | None = None,
        *,
        logger: logging.Logger | None = None,
        period_s: float = 1.0,
        sync_bytes: int = 64 << 20,
        close_timeout_s: float = 60.0,
        queue_bytes: int = QUEUE_BYTES,
        patience_s: float = 5.0,
    ) -> None:
        self.format = format
        self._queue_bytes = queue_bytes
        self._patience_s = patience_s
        self._inbox = Inbox()
        self._parts: RecordedParts | None = None
        self._thread: threading.Thread | None = None
        super().__init__(files, logger or logging.getLogger(__name__), period_s, sync_bytes, close_timeout_s)
        self._acquire, self._release = self._lock.acquire, self._lock.lock.release
        self._work = threading.Condition(self._lock.lock)  # for the writer thread
        self._room = threading.Condition(self._lock.lock)  # for producers

    def _reset(self) -> None:
        super()._reset()
        self._inbox.clear()
        self._wake_at = _NEVER  # payload bytes in the queue that the writer thread is to be woken for
        self._fitting = -1  # size of frames known to fit
        self._in_hand = 0  # memory of what the writer thread took out and has not written yet
        self._stop = self._flushing = self._stalled = self._pressed = False
        self._untold = None
        self._failed_open: BaseException | None = None
        self._opened = threading.Event()

    # Readings

    def _sync_count(self) -> int:
        return 0 if self._parts is None else self._parts.syncs

    @property
    def total_size(self) -> int:
        """Bytes of all files since the recorder was opened, with what is on its way to them."""
        parts = self._parts
        return 0 if parts is None else parts.before + self.current_size

    @property
    def current_size(self) -> int:
        """Bytes of the present file, with what is on its way to it."""
        parts = self._parts
        return 0 if parts is None else parts.nbytes + self._inbox.nbytes

    # Opening and closing

    def _begin(self, base: str) -> None:
        parts = RecordedParts(
            self.format,
            self._files,
            base,
            split=self._max_size > 0,
            overwrite=self.overwrite,
            on_written=self._written,
            on_part=self._rolled,
            on_oversize=self._oversized,
        )
        with self._lock:
            self._reset()
            self._discard = False
            self._path, self._parts = parts.path, parts
        opened, name = self._opened, self._thread_name()
        self._thread = threading.Thread(target=self._run, args=(parts,), name=name, daemon=True)
        self._thread.start()
        if not opened.wait(self._close_timeout_s):
            with self._lock:
                self._stop = self._discard = True
            raise self._overdue("The file did not open in time", self._close_timeout_s)
        if self._failed_open is not None:
            self._thread.join(self._close_timeout_s)
            raise self._failed_open

    def _over(self) -> bool:
        thread = self._thread
        return self._state == CLOSED and (thread is None or not thread.is_alive())

    def _end_within(self, timeout_s: float) -> bool:
        with self._lock:
            self._stop = True
            self._work.notify_all()
            self._room.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(max(timeout_s, 0.0))
        return self._thread is None or not self._thread.is_alive()

    def _synced_within(self, timeout_s: float) -> bool:
        return True  # the thread that writes has synced, too

    def _gave_up(self) -> None:
        with self._lock:
            self._changed.notify_all()

    def _discard_late(self) -> None:
        with self._lock:
            self._discard = self._stop = True
            self._work.notify_all()

    # Frames

    def write_frame(self, frame: Frame, source: Source) -> None:
        """Take one frame; without payload it makes no record and is counted ``empty``.

        Raises
        ------
        RecorderFault
            Once, when the recorder has lost its disk; frames are counted ``fault`` from then on.
        StreamError
            When the format cannot hold the frame; it is counted ``invalid``.
        """
        size = frame.size
        self._acquire()
        try:
            if size == self._fitting and self._is_quick():
                inbox = self._inbox
                if inbox.cost + self._in_hand + size + FRAME_COST <= self._queue_bytes:
                    source.count += 1
                    inbox.add_frame(frame, source.forced, source.config)
                    tally = self._tally
                    tally.accepted_frames += 1
                    tally.accepted_bytes += size
                    if inbox.nbytes >= self._wake_at:
                        self._wake()
                    return
        finally:
            self._release()
        self._offer_frame(frame, size, source)

    def _offer_frame(self, frame: Frame, size: int, source: Source) -> None:
        """Take a frame that needs a closer look."""
        if not size:
            self.drop("empty", 1, 0, source)
            return
        with self._lock:
            if size != self._fitting and self._state == RECORDING:
                unfit = self.format.unfit(np.array([size]))
                if unfit is not None and unfit.any():
                    self._refuse_unfit(1, size, source)
                self._fitting = size
            source.count += 1
            if self._admit(1, size, size + FRAME_COST):
                self._inbox.add_frame(frame, source.forced, source.config)
                self._accepted(1, size)
            self._after_offer()

    def write_batch(self, batch: FrameBatch, source: Source) -> None:
        """Take the frames of a batch, in order; raises as `write_frame` does."""
        with self._lock:
            unfit = self.format.unfit(batch.size) if self._state == RECORDING else None
            bad = batch[:0]
            if unfit is not None and unfit.any():
                bad, batch = batch[unfit], batch[~unfit]
            for piece in pieces_of(batch, self._queue_bytes // 4):
                source.count += len(piece)
                if self._admit(len(piece), piece.nbytes, cost_of(piece)):
                    self._inbox.add_batch(piece, source.forced, source.config)
                    self._accepted(len(piece), piece.nbytes)
            if len(bad):
                self._refuse_unfit(len(bad), bad.nbytes, source)
            self._after_offer()

    def flush(self) -> None:
        """Give everything accepted to the system.

        Raises
        ------
        RecorderFault
            When it does not take them, in `close_timeout_s` seconds or at all, and nobody was told yet.
        """
        if not self.drain(time.monotonic() + self._close_timeout_s):
            raise self._overdue("The disk did not take the data in time", self._close_timeout_s)

    def drain(self, deadline: float) -> bool:
        """Flush, as far as the disk lets it until monotonic time `deadline`; tell whether it did."""
        with self._lock:
            target = self._tally.accepted_frames
            tally = self._tally
            while self._state == RECORDING and tally is self._tally and tally.written.frames < target:
                self._flush()
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
            self._tell()
        return True

    # With the lock held, in producers

    def _is_quick(self) -> bool:
        """Tell whether frames can be taken without a closer look, as long as there is room."""
        return self._state == RECORDING and not (self._stop or self._targets or self._untold)

    def _refuse_unfit(self, frames: int, nbytes: int, source: Source) -> None:
        source.count += frames
        self._tally.drop("invalid", frames, nbytes)
        self._tell_reached()
        raise StreamError(f"The format of {self._path} cannot hold {frames} of these frames")

    def _admit(self, frames: int, nbytes: int, cost: int) -> bool:
        """Wait for room for so much; tell whether it is accepted, else count it."""
        began = time.monotonic()
        while self._state == RECORDING and not self._has_room(cost):
            left = 0.0 if self._stalled else began + self._patience_s - time.monotonic()
            if left <= 0:
                self._overrun(frames, nbytes)
                return False
            self._pressed = True
            self._work.notify()
            self._room.wait(left)
        if self._state != RECORDING or self._stop:
            self._refuse(frames, nbytes)
            return False
        return True

    def _has_room(self, cost: int) -> bool:
        held = self._inbox.cost + self._in_hand
        return not held or held + cost <= self._queue_bytes

    def _overrun(self, frames: int, nbytes: int) -> None:
        if not self._stalled:
            self._stalled = True
            text = "Data file %s: the disk is too slow, frames are dropped"
            self._lock.note(logging.WARNING, text, self._path)
        self._tally.drop("overrun", frames, nbytes)

    def _accepted(self, frames: int, nbytes: int) -> None:
        self._tally.accept(frames, nbytes)
        if self._inbox.nbytes >= self._wake_at:
            self._wake()

    def _wake(self) -> None:
        """Wake the writer thread, once for each time that it sleeps."""
        self._wake_at = _NEVER
        self._work.notify()

    def _due_bytes(self) -> int:
        """Return the payload bytes in the queue that are worth writing."""
        return min(max(self._buffer_size, _LEAST), self._queue_bytes // 4)

    def _after_offer(self) -> None:
        if self._targets:
            self._tell_reached()
        self._tell()

    def _flush(self) -> None:
        if self._state == RECORDING:
            self._flushing = True
            self._work.notify()

    def _tell_reached(self) -> None:
        if not self._targets:
            return
        if any(source is None for source, _ in self._targets):
            self._flush()
        if any(map(self._reached, self._targets)):
            self._changed.notify_all()

    # The writer thread

    def _run(self, parts: RecordedParts) -> None:
        try:
            parts.begin()
        except Exception as error:  # noqa: BLE001  # raised by open, in the thread of its caller
            self._failed_open = error
            self._opened.set()
            return
        with self._lock:
            if not self._stop:
                self._state = RECORDING
                self._lock.note(logging.INFO, "Opened data file %s", parts.path)
        self._opened.set()
        try:
            self._write_all(parts)
        except Exception as error:  # noqa: BLE001  # whatever a format raises ends the recording alone
            self._broke(parts, error)
        finally:
            parts.abort()

    def _write_all(self, parts: RecordedParts) -> None:
        """Write what comes, flush and sync in time, until the recorder closes."""
        due, dirty, unsynced = 0.0, False, 0
        while True:
            loads, flushing, stop = self._await_load(due if dirty else None)
            if self._given_up():
                parts.abort()
                self._lose("aborted")
                return
            if loads and not dirty:
                dirty, due = True, time.monotonic() + self._period_s
            for load in loads:
                if self._given_up():
                    break
                parts.write(load, self._max_size)
                unsynced += load.batch.nbytes
                self._made_room(cost_of(load.batch))
            self._made_room(self._in_hand)  # what joining frames has saved
            if self._given_up():
                continue
            if stop:
                parts.close()
                self._note_durable()
                return
            if dirty and (time.monotonic() >= due or unsynced >= self._sync_bytes):
                parts.sync()
                self._note_durable()
                dirty, unsynced = False, 0
            elif flushing or parts.waiting > _MOST_WAITING:
                parts.flush()
            with self._lock:
                self._changed.notify_all()

    def _await_load(self, due: float | None) -> tuple[list[Load], bool, bool]:
        """Wait for frames, an order, or the monotonic time `due`; return them."""
        late = False
        with self._lock:
            while not (self._is_due() or self._flushing or self._stop):
                left = None if due is None else due - time.monotonic()
                if left is None and self._inbox.cost:
                    left, due = self._period_s, time.monotonic() + self._period_s
                late = left is not None and left <= 0
                if late:
                    break
                self._wake_at = 0 if left is None else self._due_bytes()
                self._work.wait(left)
            self._wake_at = _NEVER
            flushing, self._flushing, self._pressed = self._flushing or late, False, False
            self._in_hand = 0 if self._discard else self._inbox.cost
            loads = [] if self._discard else self._inbox.take()
            return loads, flushing, self._stop

    def _given_up(self) -> bool:
        return self._discard

    def _is_due(self) -> bool:
        """Tell whether enough is in the queue, or producers wait for room that writing would make."""
        inbox = self._inbox
        if inbox.nbytes >= self._due_bytes() or inbox.cost >= self._queue_bytes // 2:
            return True
        return self._pressed and inbox.cost > 0

    def _made_room(self, cost: int) -> None:
        with self._lock:
            self._in_hand -= cost
            self._stalled = False
            self._room.notify_all()

    def _written(self, frames: int, nbytes: int, data: bool) -> None:
        with self._lock:
            self._tally.write(frames, nbytes, data=data)
            self._rate.add(nbytes)
            if any(map(self._reached, self._targets)):
                self._changed.notify_all()

    def _note_durable(self) -> None:
        with self._lock:
            self._tally.durable = self._tally.written
            self._changed.notify_all()

    def _rolled(self, path: str, former: str, size: int) -> None:
        with self._lock:
            self._path = path
            self._note_next_part(path, former, size)

    def _oversized(self, nbytes: int, path: str) -> None:
        with self._lock:
            self._note_oversize(nbytes, path)

    def _broke(self, parts: RecordedParts, error: Exception) -> None:
        """Go to Fault: the file is left as it is, what was not written is lost."""
        parts.abort()
        with self._lock:
            untold = self._untold
            fault = self._note_fault("Write failed, closing file!", parts.path, _cause(error))
            if self._state == RECORDING:
                self._state, self._fault = FAULT, fault
            else:  # closed meanwhile: nobody is to be told any more
                self._untold = untold
        self._lose("aborted" if self._discard else "fault")

    def _lose(self, reason: str) -> None:
        """Count everything accepted and not written as lost, and wake everybody."""
        with self._lock:
            tally = self._tally
            frames = tally.accepted_frames - tally.written.frames
            if frames:
                tally.lose(reason, frames, tally.accepted_bytes - tally.written.bytes)
            self._inbox.clear()
            self._in_hand = 0
            self._room.notify_all()
            self._changed.notify_all()


def _cause(error: Exception) -> BaseException:
    """Return the error of the system behind that of a writer, so that its number is told."""
    if isinstance(error, FileError | RecorderFault) and isinstance(error.__cause__, OSError):
        return error.__cause__
    seen = error.seen if isinstance(error, SapwoodError) else None
    return seen if isinstance(seen, OSError) else error
