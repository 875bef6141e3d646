"""The recorder: state, files, group commit and counters of a recording, for any byte format."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque

from sapwood.errors import RecorderFault, StreamError
from sapwood.fileio.bounded import BoundedCall
from sapwood.fileio.committer import Commit, Committer, SyncFailure
from sapwood.fileio.filelayer import FileLayer
from sapwood.fileio.notedlock import NotedLock
from sapwood.fileio.parts import Part, PartChain, cut_back, write_all
from sapwood.fileio.readings import CLOSED, FAULT, RECORDING, Readings
from sapwood.fileio.records import Encoder, Records, SingleRecord, Source
from sapwood.fileio.stage import Stage
from sapwood.fileio.watermark import RateMeter, Tally, Watermark
from sapwood.streams import Frame, FrameBatch, Gap

__all__ = ["CLOSED", "FAULT", "RECORDING", "Recorder"]

_CHUNK = 1 << 20  # bytes given to the system in one call, about
_THROUGH = 1 << 17  # batches from this size on are written at once, not staged
_MAX_FULL_PARTS = 8  # finished files that may wait for the sync thread
_MAX_GAPS = 1024  # notes of gaps kept
_ABORT_S = 1.0  # longest time that abort waits for the disk
_NEVER = -1


class Recorder(Readings):
    """Writes the records of one byte format to the files of a recording.

    States are ``Closed``, ``Recording`` and ``Fault``. A frame is *accepted* when it is in
    memory, *written* when the system has it, *durable* when it was synced: every `period_s`
    seconds or `sync_bytes` bytes, by one thread that lives while the recorder is open.

    Parameters
    ----------
    sink
        The byte format.
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
    """

    def __init__(
        self,
        sink: Encoder,
        files: FileLayer | None = None,
        *,
        logger: logging.Logger | None = None,
        period_s: float = 1.0,
        sync_bytes: int = 64 << 20,
        close_timeout_s: float = 60.0,
    ) -> None:
        self._record = sink.record
        self._records = sink.records
        self._files = FileLayer() if files is None else files
        self._period_s = period_s
        self._sync_bytes = sync_bytes
        self._close_timeout_s = close_timeout_s
        self._control = threading.Lock()  # one of open, close, abort at a time; taken before _lock
        self._logger = logger or logging.getLogger(__name__)
        self._lock = NotedLock(self._logger)
        self._acquire, self._release = self._lock.lock.acquire, self._lock.lock.release
        self._changed = threading.Condition(self._lock.lock)
        self._targets: list[tuple[Source | None, int]] = []  # counts somebody waits for
        self._sources: list[Source] = []
        self._buffer_size = 0
        self._max_size = 0
        self.overwrite = False
        self._state = CLOSED
        self._fault = None
        self._untold: RecorderFault | None = None  # a fault that nobody was told of yet
        self._chain: PartChain | None = None
        self._part: Part | None = None
        self._path = None
        self._full: list[Part] = []
        self._committer = None
        self._ender: BoundedCall | None = None  # writes what is staged when closing
        self._discard = False  # it drops what is staged instead
        self._stage = Stage()
        self._append = self._stage.items.append
        self._rate = RateMeter()
        self._reset()

    def _reset(self) -> None:
        self._tally = Tally()
        self._fast_end = _NEVER  # accepted bytes up to which a frame may just be staged
        self._staged_from = 0  # accepted bytes when the stage was last empty
        self._part_from = 0
        self._sync_from = self._sync_bytes  # bytes written from which a sync is asked for
        self.gaps: deque[tuple[int, Gap]] = deque(maxlen=_MAX_GAPS)
        self._rate.clear()
        for source in self._sources:
            source.count = 0

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
            self._set_fast_end()
            self._tell()

    @property
    def max_size(self) -> int:
        """Size limit of a file, bytes; 0 = none. A new limit counts from the next frame on."""
        return self._max_size

    @max_size.setter
    def max_size(self, size: int) -> None:
        with self._lock:
            self._max_size = size
            self._set_fast_end()

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
        base = os.fspath(path)
        with self._control:
            resumed = self._state == FAULT
            problem = self._shut(self._close_timeout_s, sync=True)
            if problem is not None and not (resumed and self._state == CLOSED):
                raise problem
            chain = PartChain(self._files, base, split=self._max_size > 0, overwrite=self.overwrite)
            part = chain.first()
            with self._lock:
                self._reset()
                self._chain, self._part, self._path = chain, part, part.path
                self._state = RECORDING
                self._committer = Committer(
                    self._files,
                    chain.folder,
                    self._collect,
                    self._sync_failed,
                    self._period_s,
                    f"Recorder {os.path.basename(base)}",
                )
                self._set_fast_end()
                self._lock.note(logging.INFO, "Opened data file %s", part.path)

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
        committer, wait_s = self._committer, min(_ABORT_S, self._close_timeout_s)
        if self._control.acquire(timeout=wait_s):
            try:
                problem = None if self._state == CLOSED else self._shut(wait_s, sync=False)
            finally:
                self._control.release()
            if problem is not None:
                self._logger.warning("Aborted: %s", problem)
        elif committer is not None:
            self._discard = True  # the call that closes goes by it
            committer.stop(sync=False)

    def _shut(self, timeout_s: float, *, sync: bool) -> RecorderFault | None:
        """Go to Closed, or give up in time; return the fault that nobody was told of, if any."""
        began = time.monotonic()
        path, committer = self._path, self._committer
        if committer is None or (self._state == CLOSED and self._ender is None):
            return None
        if self._state != CLOSED:
            self._discard = not sync
        if not self._end_within(timeout_s):
            fault = self._overdue("The disk did not take the data in time", timeout_s)
            self._fault, self._fast_end = fault, _NEVER
            self._state = CLOSED if self._discard else FAULT
            return fault
        self._state = CLOSED
        if not committer.join(max(began + timeout_s - time.monotonic(), 0.0)):
            return self._overdue("The disk did not sync in time", timeout_s)
        with self._lock:
            untold, self._untold = self._untold, None
            self._lock.note(logging.INFO, "Closed data file %s: %s", path, self._tally.summary())
        return untold

    def _overdue(self, what: str, waited_s: float) -> RecorderFault:
        return RecorderFault(what, file=self._path, waited_s=waited_s)

    def _end_within(self, timeout_s: float) -> bool:
        """Have a thread end the recording, which may hang with the disk; tell whether it did in time."""
        if self._ender is None:
            self._ender = BoundedCall(self._lock, self._end, self._thread_name("closing"))
        if not self._ender.ended_within(timeout_s):
            return False
        self._ender = None
        return True

    def _thread_name(self, doing: str) -> str:
        return f"Recorder {os.path.basename(self._path or '')} {doing}"

    def _end(self) -> None:
        """Write or drop what is staged and hand everything to the sync thread to be closed."""
        if self._discard:
            self._lose_stage("aborted")
        else:
            self._flush()
        self._leave(CLOSED if self._state == RECORDING else self._state)
        if self._committer is not None:
            self._committer.stop(sync=not self._discard)

    def _leave(self, state: str) -> None:
        """Stop recording: hand the present file to the sync thread and wake who waits."""
        self._state = state
        self._fast_end = _NEVER
        if self._part is not None:
            self._full.append(self._part)
            self._part = None
        self._changed.notify_all()

    # Frames

    def write_frame(self, frame: Frame, source: Source) -> None:
        """Take one frame; without payload it makes no record and is counted ``empty``.

        Raises
        ------
        RecorderFault
            Once, when the recorder has lost its disk; frames are counted ``fault`` from then on.
        StreamError
            When the frame cannot be encoded; it is counted ``invalid``.
        """
        try:
            head, body = self._record(frame, source.forced)
        except StreamError:
            self.drop("invalid", 1, frame.size, source)
            raise
        size = len(body)
        if not size:
            self.drop("empty", 1, 0, source)
            return
        self._acquire()
        try:
            tally = self._tally
            end = tally.accepted_bytes + len(head) + size
            if end <= self._fast_end and not source.config:
                source.count += 1
                tally.accepted_bytes = end
                tally.accepted_frames += 1
                self._append(head)
                self._append(body)
                return
        finally:
            self._release()
        self._offer(SingleRecord(head, body), source)

    def write_batch(self, batch: FrameBatch, source: Source) -> None:
        """Take the frames of a batch, in order; raises as `write_frame` does."""
        try:
            records = self._records(batch, source.forced)
        except StreamError:
            self.drop("invalid", len(batch), batch.nbytes, source)
            raise
        self._offer(records, source)

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
            self._lock.note(logging.WARNING, "%d frames were lost upstream: %s", gap.frames, gap.reason)

    def flush(self) -> None:
        """Give everything staged to the system.

        Raises
        ------
        RecorderFault
            When it does not take them, and nobody was told yet.
        """
        with self._lock:
            self._flush()
            self._tell()

    def drain(self, deadline: float) -> bool:
        """Flush, as far as the disk lets it until monotonic time `deadline`; tell whether it did."""
        flushing = BoundedCall(self._lock, self._flush, self._thread_name("draining"))
        if not flushing.ended_within(deadline - time.monotonic()):
            return False
        with self._lock:
            self._tell()
        return True

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
            self._set_fast_end()
            try:
                while not self._reached(target) and self._state == RECORDING:
                    left = None if deadline is None else deadline - time.monotonic()
                    if left is not None and left <= 0:
                        break
                    self._changed.wait(left)
                return self._reached(target)
            finally:
                self._targets.remove(target)
                self._set_fast_end()

    # The rest runs with the lock held

    def _offer(self, records: Records, source: Source) -> None:
        """Take records as far as the state allows and count the rest; called without the lock."""
        self._acquire()
        try:
            count = records.count
            source.count += count
            first = 0
            while first < count and self._state == RECORDING:
                last = self._make_room(records, first) if self._max_size else count
                first = self._store(records, first, last, source.config)
            if first < count:
                reason = "closed" if self._state == CLOSED else "fault"
                self._tally.drop(reason, count - first, records.span(first, count))
            if self._targets:
                self._tell_reached()
            if self._untold is not None:
                self._tell()
        finally:
            self._lock.release()

    def _make_room(self, records: Records, first: int) -> int:
        """Roll over when record `first` needs it; return the end of the run that the file takes."""
        fit = records.fit(first, self._max_size - self.current_size)
        if not fit and self.current_size:
            self._roll()
            fit = records.fit(first, self._max_size)
        if not fit and self._state == RECORDING:
            fit = 1
            self._tally.oversize += 1
            text = "A frame of %d bytes exceeds the file size limit of %d: it gets %s to itself"
            self._lock.note(logging.WARNING, text, records.span(first, first + 1), self._max_size, self.path)
        return first + fit

    def _store(self, records: Records, first: int, last: int, config: bool) -> int:
        """Stage or write records `first` to ``last - 1``; return the end of those accepted."""
        nbytes = records.span(first, last)
        if nbytes >= _THROUGH or config or nbytes >= self._buffer_size:
            if self._stage.items:
                self._flush()
            first = self._write_through(records, first, last, nbytes, config)
        elif first < last:
            if self._tally.accepted_bytes - self._staged_from + nbytes > self._buffer_size:
                self._flush()
            if self._state == RECORDING:
                self._stage.add(records, first, last)
                self._tally.accept(last - first, nbytes)
                first = last
        return first

    def _write_through(self, records: Records, first: int, last: int, nbytes: int, config: bool) -> int:
        """Write records `first` to ``last - 1``, `nbytes` in all; return the end of those accepted."""
        while first < last and self._state == RECORDING:
            stop, size = last, nbytes
            if size > _CHUNK:
                stop = min(first + max(records.fit(first, _CHUNK), 1), last)
                size = records.span(first, stop)
            self._tally.accept(stop - first, size)
            self._write(records, first, stop, size, config)
            nbytes -= size
            first = stop
        self._staged_from = self._tally.accepted_bytes
        self._set_fast_end()
        return first

    def _flush(self) -> None:
        """Write the stage; on failure the recorder is in Fault."""
        if self._stage.items:
            size = self._tally.accepted_bytes - self._staged_from
            self._write(self._stage, 0, self._stage.count, size, False)
            self._stage.clear()
        self._staged_from = self._tally.accepted_bytes
        self._set_fast_end()
        self._tell_reached()

    def _write(self, records: Records, first: int, last: int, nbytes: int, config: bool) -> None:
        """Give accepted records, `nbytes` in all, to the system; on failure Fault.

        What a failed write leaves in the file is cut back to whole records.
        """
        part = self._part
        if part is None:
            return
        done, error = write_all(self._files, part.fd, records.pieces(first, last), nbytes)
        if error is not None:
            self._write_failed(records, first, last, done, config, part, error)
            return
        part.size += nbytes
        self._tally.write(last - first, nbytes, data=not config)
        self._rate.add(nbytes)
        if self._tally.written.bytes < self._sync_from:
            return
        committer = self._committer
        if committer is not None and committer.ready:
            self._sync_from = self._tally.written.bytes + self._sync_bytes
            committer.hand(self._commit())

    def _write_failed(
        self, records: Records, first: int, last: int, done: int, config: bool, part: Part, error: OSError
    ) -> None:
        """Count what the system took whole, cut the rest back and go to Fault."""
        good = first + min(records.fit(first, done), last - first)
        nbytes = records.span(first, good)
        lost = last - good, records.span(good, last)
        self._stage.clear()
        part.size += nbytes
        self._tally.write(good - first, nbytes, data=not config)
        self._tally.lose("fault", *lost)
        torn = cut_back(self._files, part, done - nbytes)
        self._fail("Write failed, closing file!", part.path, error, torn)

    def _fail(self, what: str, path: str, error: OSError, extra: str = "") -> None:
        """Go to Fault; the producer whose call this is, or else the next one, will be told."""
        fault = RecorderFault(
            what,
            file=path,
            seen=error,
            hint=f"Frames are dropped and counted until a new file is opened.{extra}",
        )
        fault.errno = error.errno
        self._lock.note(logging.ERROR, "%s", fault)
        if self._state != FAULT:
            self._untold = fault
        if self._state == RECORDING:
            self._fault = fault
            self._lose_stage("fault")
            self._leave(FAULT)
            if self._committer is not None:
                self._committer.stop()

    def _lose_stage(self, reason: str) -> None:
        if self._stage.items:
            count = self._stage.count
            self._tally.lose(reason, count, self._stage.span(0, count))
            self._stage.clear()
        self._staged_from = self._tally.accepted_bytes

    def _tell(self) -> None:
        """Raise the fault that nobody was told of yet."""
        if self._untold is not None:
            untold, self._untold = self._untold, None
            raise untold

    def _roll(self) -> None:
        """Finish the present file and begin the next."""
        self._flush()
        part, chain = self._part, self._chain
        if part is None or chain is None:
            return
        if len(self._full) >= _MAX_FULL_PARTS:
            self._finish_oldest()
        try:
            following = chain.next()
        except OSError as error:
            self._fail(f"Failed to open file {chain.path}", chain.path, error)
            return
        self._full.append(part)
        self._part, self._path = following, following.path
        self._part_from = self.total_size
        text = "Opened data file %s; %s is complete with %d bytes"
        self._lock.note(logging.INFO, text, following.path, part.path, part.size)

    def _finish_oldest(self) -> None:
        """Sync and close a finished file here, when the sync thread does not keep up."""
        for index, part in enumerate(self._full):
            if not part.busy and self._committer is not None:
                del self._full[index]
                error = self._committer.finish(part)
                if error is not None:
                    self._fail("Sync failed, closing file!", part.path, error)
                return

    def _commit(self) -> Commit:
        """Return what was written and not synced; full parts are the sync thread's from now on."""
        full, self._full = self._full, []
        for part in full:
            part.busy = True
        if self._part is not None:
            self._part.busy = True
        return Commit(full, self._part, self._tally.written, self._tally)

    def _set_fast_end(self) -> None:
        """Work out how far frames may be staged without a closer look."""
        if self._state != RECORDING or self._targets:
            self._fast_end = _NEVER
            return
        room = self._buffer_size
        if self._max_size:
            staged = self._tally.accepted_bytes - self._staged_from
            room = min(room, self._max_size - self.current_size + staged)
        self._fast_end = self._staged_from + room

    def _reached(self, target: tuple[Source | None, int]) -> bool:
        source, count = target
        return (self._tally.written.frames if source is None else source.count) >= count

    def _tell_reached(self) -> None:
        """Wake who waits for a count that is reached, or would be by writing what is staged."""
        if not self._targets:
            return
        if self._stage.items and any(
            s is None and n <= self._tally.accepted_frames for s, n in self._targets
        ):
            self._flush()
        if any(map(self._reached, self._targets)):
            self._changed.notify_all()

    # Called by the sync thread

    def _collect(self, committer: Committer) -> Commit:
        """Flush, and return everything to be synced."""
        with self._lock:
            if committer is not self._committer:
                return Commit([], None, Watermark(), Tally())
            self._flush()
            return self._commit()

    def _sync_failed(self, committer: Committer, failure: SyncFailure) -> None:
        with self._lock:
            if committer is self._committer:
                self._fail("Sync failed, closing file!", *failure)
