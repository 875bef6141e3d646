"""Playing a recording of any format that holds frames: at its own pace, another, or none."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError
from sapwood.fileio.formats import PathLike, Reader
from sapwood.fileio.registry import open as open_recording
from sapwood.streams import FrameBatch, Gap, Master, StageCounters, drain

__all__ = ["Pace", "Replay"]

_LOG = logging.getLogger("sapwood.fileio.Replay")

_CHUNK_BYTES = 1 << 20  # of file that are looked at together, about
_CLOSE_S = 2.0  # how long close waits for a sink that does not return
_TICK_S = 0.001  # frames due within this time go together
_LEAST, _MOST = 16, 1 << 20  # frames sent together without a pace
_FAST_S, _SLOW_S = 0.02, 0.1  # a send outside of these bounds changes the number of frames of the next

Pace = Literal["recorded", "rate", "fast"]


class Replay(Master):
    """Sends the frames of a recording, in order, from a thread of its own.

    Frames keep channel, flags, error and time. Whatever a slave raises is counted and logged, and sending
    goes on. When slaves are slower than the pace, frames come late, none is dropped. What is damaged in
    the recording is left out; a `Gap` (reason ``damaged``) follows the frames of each round when there is
    any.

    Parameters
    ----------
    pace
        ``recorded``: by the time column, `speed` times as fast; frames without a time go with those
        before. ``rate``: `rate` frames a second. ``fast``: without a pause.
    speed
        Factor of the pace ``recorded``, over 0.
    rate
        Frames a second of the pace ``rate``, over 0.
    loops
        How often the recording is played; 0 = until it is stopped.

    Attributes
    ----------
    counters
        Frames and bytes sent since `open`, and errors of slaves.
    round
        Rounds begun since `open`.
    lastError
        Text of the latest error of a slave or of the file, empty when there was none.
    """

    def __init__(
        self, pace: Pace = "recorded", *, speed: float = 1.0, rate: float = 1000.0, loops: int = 1
    ) -> None:
        super().__init__()
        self.counters = StageCounters()
        self.lastError = ""
        self.round = 0
        self._pace: Pace = "fast"
        self._speed = self._rate = 1.0
        self._loops = 1
        self.setPace(pace, speed=speed, rate=rate, loops=loops)
        self._stopped, self._running = threading.Event(), threading.Event()
        self._running.set()
        self._thread: threading.Thread | None = None
        self._done = self._total = 0

    def setPace(
        self,
        pace: Pace | None = None,
        *,
        speed: float | None = None,
        rate: float | None = None,
        loops: int | None = None,
    ) -> None:
        """Change what is given; it counts from the next `open` on.

        Raises
        ------
        FileError
            For a pace that does not exist, or a number that makes no sense.
        """
        if pace not in (None, "recorded", "rate", "fast"):
            raise FileError("There is no such pace", expected="recorded, rate or fast", seen=pace)
        for name, value in (("speed", speed), ("rate", rate)):
            if value is not None and not 0 < value < float("inf"):
                raise FileError(f"Invalid {name} of a replay", expected="over 0", seen=value)
        if loops is not None and loops < 0:
            raise FileError("Invalid number of rounds", expected="0 or more", seen=loops)
        self._pace = self._pace if pace is None else pace
        self._speed = self._speed if speed is None else speed
        self._rate = self._rate if rate is None else rate
        self._loops = self._loops if loops is None else loops

    def open(self, path: PathLike, format: str | None = None) -> None:
        """Start to send the frames of `path`; what is still being played is closed first.

        Raises
        ------
        FileError
            When there is no such file, it holds no frames, or none has a time and the pace is that of
            the recording.
        """
        self.close()
        reader = open_recording(path, format)
        try:
            self._total = _frames_of(reader, path)
            if self._pace == "recorded" and self._total and not _has_times(reader):
                raise FileError(
                    "The recording has no times to play it by", file=path,
                    hint="Choose a speed, such as pace='rate', or pace='fast'.",
                )  # fmt: skip
        except BaseException:
            reader.close()
            raise
        self.counters = StageCounters()
        self.lastError, self.round, self._done = "", 0, 0
        self._stopped, self._running = threading.Event(), threading.Event()
        self._running.set()
        name = f"sapwood-replay-{os.path.basename(os.fspath(path))}"
        self._thread = threading.Thread(target=self._run, args=(reader,), name=name, daemon=True)
        self._thread.start()

    def pause(self) -> None:
        """Send nothing after the frames that are on their way, until `resume`; time stands still."""
        self._running.clear()

    def resume(self) -> None:
        """Go on after a `pause`."""
        self._running.set()

    def isPaused(self) -> bool:
        """Return True between `pause` and `resume`."""
        return not self._running.is_set()

    def isOpen(self) -> bool:
        """Return True until the end of the data, or `close`."""
        return self._thread is not None and self._thread.is_alive()

    def getFrameCount(self) -> int:
        """Return the frames sent since `open`."""
        return self.counters.frames

    def getProgress(self) -> float:
        """Return the part of this round that is sent, 0 to 1."""
        if self._thread is None:
            return 0.0
        return min(self._done / self._total, 1.0) if self._total else 1.0

    def close(self) -> None:
        """Stop, after the frames that are on their way, and wait for the thread (2 s at most)."""
        self._stopped.set()
        self._running.set()
        self._join(_CLOSE_S)

    def closeWait(self) -> None:
        """Wait until everything is sent, then close; returns at once when nothing was opened."""
        self._join(None)
        self.close()

    def _join(self, timeout_s: float | None) -> None:
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)
            if thread.is_alive():
                _LOG.error("A slave holds %s up; it stops when the slave returns", thread.name)

    def abort(self) -> None:
        """Do what `close` does: nothing is held that could be dropped."""
        self.close()

    def _stop(self) -> None:
        """Stop sending."""
        self.close()

    def _quiesce(self, deadline: float) -> None:
        """Stop sending."""
        self.close()

    def _drain(self, deadline: float) -> bool:
        """Wait for the queues behind to run empty; nothing is held here."""
        return drain(self, deadline)

    # Thread

    def _run(self, reader: Reader) -> None:
        stopped, clock = self._stopped, _Clock(self._stopped, self._running)
        pacers: dict[Pace, type[_Pacer]] = {"fast": _Fast, "rate": _Steady, "recorded": _Recorded}
        pacer = pacers[self._pace](self, clock)
        loops = self._loops
        try:
            while not stopped.is_set() and (not loops or self.round < loops):
                self.round += 1
                self._done = 0
                pacer.begin()
                for batch in reader.batches(nbytes=_CHUNK_BYTES):
                    pacer.play(batch)
                    if stopped.is_set():
                        break
                if not self._done:
                    break  # an empty recording would be played for ever at once
                if not stopped.is_set():
                    self._tell_damage(reader)
        except FileError as error:
            self._failed(error)
        finally:
            reader.close()

    def _tell_damage(self, reader: Reader) -> None:
        problems = reader.problems()
        if problems:
            _LOG.warning("%s", problems[0])
            self._sendGap(Gap(None, len(problems), 0, "damaged", time.time_ns()))

    def _deliver(self, batch: FrameBatch) -> None:
        try:
            self._sendBatch(batch)
        except Exception as error:  # noqa: BLE001  # slaves are user code; the others still get their frames
            self._failed(error)
        self.counters.accept(len(batch), batch.nbytes)
        self._done += len(batch)

    def _failed(self, error: Exception) -> None:
        self.counters.errors += 1
        if self.counters.errors == 1:
            _LOG.error("While sending a recording: %s", error)
        self.lastError = str(error) or type(error).__name__


class _Clock:
    """Seconds that do not pass while the replay is paused."""

    def __init__(self, stopped: threading.Event, running: threading.Event) -> None:
        self.stopped, self.running = stopped, running
        self._origin = time.monotonic()

    def now(self) -> float:
        """Return the seconds played; waits while paused."""
        if not self.running.is_set():
            held = time.monotonic()
            self.running.wait()
            self._origin += time.monotonic() - held
        return time.monotonic() - self._origin

    def wait_until(self, due: float) -> None:
        """Wait until `due` seconds are played, or the replay is stopped."""
        while not self.stopped.is_set() and (left := due - self.now()) > 0:
            self.stopped.wait(min(left, 0.1))


class _Pacer:
    """Sends batches when they are due."""

    def __init__(self, replay: Replay, clock: _Clock) -> None:
        self._replay, self._clock = replay, clock

    def begin(self) -> None:
        """Begin a round."""

    def play(self, batch: FrameBatch) -> None:
        """Send a batch."""
        raise NotImplementedError


class _Fast(_Pacer):
    """Sends without a pause, so many frames together that a stop is heeded soon."""

    def __init__(self, replay: Replay, clock: _Clock) -> None:
        super().__init__(replay, clock)
        self._grain = _LEAST

    def play(self, batch: FrameBatch) -> None:
        """Send a batch."""
        first = 0
        while first < len(batch):
            begun = self._clock.now()
            if self._clock.stopped.is_set():
                return
            part = batch[first : first + self._grain]
            first += len(part)
            self._replay._deliver(part)
            elapsed = self._clock.now() - begun
            if elapsed < _FAST_S:
                self._grain = min(self._grain * 2, _MOST)
            elif elapsed > _SLOW_S:
                self._grain = max(self._grain // 4, 1)


class _Timed(_Pacer):
    """Sends each frame at its time; those due within a millisecond together."""

    def __init__(self, replay: Replay, clock: _Clock) -> None:
        super().__init__(replay, clock)
        self._end = clock.now()  # when the frame sent last was due

    def begin(self) -> None:
        """Begin a round behind the one before."""
        self._base = self._end

    def _due(self, batch: FrameBatch) -> NDArray[np.float64]:
        """Return when each frame is due, seconds of the clock, never falling."""
        raise NotImplementedError

    def play(self, batch: FrameBatch) -> None:
        """Send a batch."""
        due = self._due(batch)
        first = 0
        while first < len(batch):
            self._clock.wait_until(float(due[first]))
            now = self._clock.now()
            if self._clock.stopped.is_set():
                return
            last = max(int(np.searchsorted(due, now + _TICK_S, side="right")), first + 1)
            self._replay._deliver(batch[first : min(last, first + _MOST)])
            first = min(last, first + _MOST)
        if len(due):
            self._end = float(due[-1])


class _Steady(_Timed):
    """So many frames a second."""

    def __init__(self, replay: Replay, clock: _Clock) -> None:
        super().__init__(replay, clock)
        self._period, self._count = 1.0 / replay._rate, 0

    def _due(self, batch: FrameBatch) -> NDArray[np.float64]:
        due = np.arange(self._count, self._count + len(batch), dtype=np.float64) * self._period
        self._count += len(batch)
        return due


class _Recorded(_Timed):
    """The distances of the time column; a round begins at once behind the one before."""

    def __init__(self, replay: Replay, clock: _Clock) -> None:
        super().__init__(replay, clock)
        self._speed = replay._speed
        self._first = 0  # time of the first frame of the round that has one; 0 = none yet

    def begin(self) -> None:
        """Begin a round: its first frame is due at once."""
        super().begin()
        self._first = 0

    def _due(self, batch: FrameBatch) -> NDArray[np.float64]:
        times = batch.time
        known = np.flatnonzero(times)
        if not self._first and len(known):
            self._first = int(times[known[0]])
        due = np.full(len(batch), self._end)
        if len(known):
            due[known] = self._base + (times[known] - self._first) * (1e-9 / self._speed)
        rising: NDArray[np.float64] = np.maximum(np.maximum.accumulate(due), self._end)
        return rising


def _frames_of(reader: Reader, path: PathLike) -> int:
    for table in reader.tables():
        if table.name == "frames":
            return table.rows
    raise FileError("The recording does not hold frames", file=path, hint="Read its tables by chunks().")


def _has_times(reader: Reader) -> bool:
    return any(bool(batch.time.any()) for batch in reader.batches(nbytes=_CHUNK_BYTES))
