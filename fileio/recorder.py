"""The recorder: state, files, group commit and counters of a recording, for any byte format."""

from __future__ import annotations

import logging
import os
import time

from sapwood.errors import StreamError
from sapwood.fileio.filelayer import FileLayer
from sapwood.fileio.recording.base import RecorderBase
from sapwood.fileio.recording.bounded import BoundedCall
from sapwood.fileio.recording.committer import Commit, Committer, SyncFailure
from sapwood.fileio.recording.parts import Part, PartChain, cut_back, write_all
from sapwood.fileio.recording.readings import CLOSED, FAULT, RECORDING
from sapwood.fileio.recording.records import Encoder, Records, SingleRecord, Source
from sapwood.fileio.recording.stage import Stage
from sapwood.fileio.recording.watermark import Tally, Watermark
from sapwood.streams import Frame, FrameBatch

__all__ = ["CLOSED", "FAULT", "RECORDING", "Recorder"]

_CHUNK = 1 << 20  # bytes given to the system in one call, about
_THROUGH = 1 << 17  # batches from this size on are written at once, not staged
_MAX_FULL_PARTS = 8  # finished files that may wait for the sync thread
_NEVER = -1


class Recorder(RecorderBase):
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
        self._chain: PartChain | None = None
        self._part: Part | None = None
        self._full: list[Part] = []
        self._committer: Committer | None = None
        self._ender: BoundedCall | None = None  # writes what is staged when closing
        self._stage = Stage()
        self._append = self._stage.items.append
        super().__init__(files, logger or logging.getLogger(__name__), period_s, sync_bytes, close_timeout_s)
        self._acquire, self._release = self._lock.lock.acquire, self._lock.lock.release

    def _reset(self) -> None:
        super()._reset()
        self._fast_end = _NEVER  # accepted bytes up to which a frame may just be staged
        self._staged_from = 0  # accepted bytes when the stage was last empty
        self._sync_from = self._sync_bytes  # bytes written from which a sync is asked for

    def _sync_count(self) -> int:
        committer = self._committer
        return 0 if committer is None else committer.syncs

    # Opening and closing

    def _begin(self, base: str) -> None:
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
            self._rearrange()
            self._lock.note(logging.INFO, "Opened data file %s", part.path)

    def _over(self) -> bool:
        return self._committer is None or (self._state == CLOSED and self._ender is None)

    def _synced_within(self, timeout_s: float) -> bool:
        return self._committer is None or self._committer.join(timeout_s)

    def _gave_up(self) -> None:
        self._rearrange()  # the lock may be held by what hangs

    def _discard_late(self) -> None:
        if self._committer is not None:
            self._discard = True  # the call that closes goes by it
            self._committer.stop(sync=False)

    def _end_within(self, timeout_s: float) -> bool:
        """Have a thread end the recording, which may hang with the disk; tell whether it did in time."""
        if self._ender is None:
            self._ender = BoundedCall(self._lock, self._end, self._thread_name("closing"))
        if not self._ender.ended_within(timeout_s):
            return False
        self._ender = None
        return True

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
                self._refuse(count - first, records.span(first, count))
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
            self._note_oversize(records.span(first, first + 1), self.path)
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
        self._rearrange()
        return first

    def _flush(self) -> None:
        """Write the stage; on failure the recorder is in Fault."""
        if self._stage.items:
            size = self._tally.accepted_bytes - self._staged_from
            self._write(self._stage, 0, self._stage.count, size, False)
            self._stage.clear()
        self._staged_from = self._tally.accepted_bytes
        self._rearrange()
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
        fault = self._note_fault(what, path, error, extra)
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
        self._note_next_part(following.path, part.path, part.size)

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

    def _rearrange(self) -> None:
        """Work out how far frames may be staged without a closer look."""
        if self._state != RECORDING or self._targets:
            self._fast_end = _NEVER
            return
        room = self._buffer_size
        if self._max_size:
            staged = self._tally.accepted_bytes - self._staged_from
            room = min(room, self._max_size - self.current_size + staged)
        self._fast_end = self._staged_from + room

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
