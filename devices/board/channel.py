"""One virtual channel of the emulated front end: settings, schedule, frame content."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sapwood.devices.board.waveform import Pulse, PulseWaveform
from sapwood.streams import FrameBatch, Master
from sapwood.streams.prbs import Generator

__all__ = ["LARGEST", "Channel", "Pattern", "Settings"]

BATCH_BYTES = 1 << 20
CATCH_UP_S = 1.0  # seconds of frames made up for after a stall; older ones are skipped


class Pattern(IntEnum):
    """What a channel's frames hold."""

    PRBS = 0
    Counter = 1
    Waveform = 2


LARGEST = {
    "enable": 1,
    "rate": 0xFFFFFFFF,
    "size": 16 << 20,
    "pattern": max(Pattern),
    "amplitude": 0xFFFF,
    "noise": 0x3FFF,
    "period": 1 << 20,
}
SMALLEST = {Pattern.PRBS: 12, Pattern.Counter: 4, Pattern.Waveform: 2}
UNIT = {Pattern.PRBS: 4, Pattern.Counter: 4, Pattern.Waveform: 2}


@dataclass(frozen=True)
class Settings:
    """Registers of a channel.

    `rate` in frames/s (0 = as fast as possible), `size` in bytes, `amplitude` and `noise` in ADC
    counts, `period` in samples (0 = one pulse a frame).
    """

    enable: bool = True
    rate: int = 1000
    size: int = 1024
    pattern: Pattern = Pattern.PRBS
    amplitude: int = Pulse.amplitude
    noise: int = Pulse.noise
    period: int = Pulse.period

    @property
    def pulse(self) -> Pulse:
        """Shape of the waveform pattern."""
        return Pulse(amplitude=self.amplitude, noise=self.noise, period=self.period)

    @property
    def frame_size(self) -> int:
        """Bytes a frame really has: `size` down to whole words of the pattern, and at least its smallest."""
        return max(SMALLEST[self.pattern], self.size - self.size % UNIT[self.pattern])


class Channel:
    """Stream master number `number` with its settings, frame schedule and counters.

    Frame k of a run is due at `start + k / rate`: the schedule does not drift. After a stall at
    most `CATCH_UP_S` worth of frames is made up for; the rest is counted in `skipped`.
    Settings may be changed by any thread at any time; they hold from the next batch on.

    Attributes
    ----------
    dropped
        Frames that were made and did not leave the board.
    made
        Pattern of the batch that `take` has made last.
    """

    def __init__(self, number: int, settings: Settings, seed: int = 0) -> None:
        self.number = number
        self.master = Master()
        self.lock = threading.Lock()
        self.frames = 0
        self.bytes = 0
        self.skipped = 0
        self.errors = 0
        self.dropped = 0
        self.made = settings.pattern
        self.last_error: str | None = None
        self._seed = seed
        self._settings = settings
        self._start: float | None = None
        self._issued = 0
        self._prbs = Generator()
        self._word = 0
        self._waveform: PulseWaveform | None = None

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._settings

    def change(self, name: str, value: int) -> None:
        """Set one setting by name; `enable` and `rate` start the schedule anew.

        Raises
        ------
        ValueError
            When `value` is above what the setting can hold.
        """
        if value > LARGEST[name]:
            raise ValueError(f"{name.capitalize()} {value} is above {LARGEST[name]}")
        typed: object = {"enable": bool, "pattern": Pattern}.get(name, int)(value)
        with self.lock:
            self._settings = replace(self._settings, **{name: typed})  # type: ignore[arg-type]  # typed above
            if name in ("rate", "enable"):
                self._start = None

    def reset_counts(self) -> None:
        """Zero the counters; sequence numbers and counter words go on."""
        with self.lock:
            self.frames = self.bytes = self.skipped = self.errors = self.dropped = 0
            self.last_error = None

    def pause(self) -> None:
        """Forget the schedule: the next frame is due when the channel runs again."""
        with self.lock:
            self._start = None

    def next_due(self) -> float:
        """Clock time (s) at which the next frame is due; -inf for at once, inf for never."""
        with self.lock:
            settings = self._settings
            if not settings.enable:
                return math.inf
            if settings.rate == 0 or self._start is None:
                return -math.inf
            return self._start + self._issued / settings.rate

    def take(self, now: float, now_ns: int) -> FrameBatch | None:
        """Make the frames due at clock time `now` (s; `now_ns` is the same instant since the epoch).

        At most about 1 MiB is made at a time: call again until None, or once for a channel
        without a rate.
        """
        with self.lock:
            settings = self._settings
            if not settings.enable:
                return None
            size = settings.frame_size
            most = max(1, BATCH_BYTES // size)
            if settings.rate == 0:
                count, times = most, np.broadcast_to(np.int64(now_ns), most)
            else:
                count = min(most, self._due(now, settings.rate))
                times = self._times(count, settings.rate, now, now_ns)
                self._issued += count
            if count == 0:
                return None
            rows = self._content(settings, count, size)
            self.made = settings.pattern
            self.frames += count
            self.bytes += count * size
        return FrameBatch.from_rows(rows, channel=self.number, time=times)

    def failed(self, count: int, error: Exception) -> bool:
        """Count `count` frames that a sink refused; return whether this error is a new one."""
        text = f"{type(error).__name__}: {error}"
        with self.lock:
            self.errors += count
            new = text != self.last_error
            self.last_error = text
        return new

    def lose(self, count: int) -> None:
        """Count `count` frames that found no room on their way out."""
        with self.lock:
            self.dropped += count

    def _due(self, now: float, rate: int) -> int:
        if self._start is None:
            self._start, self._issued = now, 0
        due = math.floor((now - self._start) * rate + 1e-6) + 1 - self._issued
        late = due - max(1, math.ceil(CATCH_UP_S * rate))
        if late > 0:
            self.skipped += late
            self._issued += late
            due -= late
        return max(due, 0)

    def _times(self, count: int, rate: int, now: float, now_ns: int) -> NDArray[np.int64]:
        start = 0.0 if self._start is None else self._start
        ago = now - start - (self._issued + np.arange(count)) / rate
        return now_ns - np.rint(ago * 1e9).astype(np.int64)

    def _content(self, settings: Settings, count: int, size: int) -> NDArray[np.uint8]:
        if settings.pattern is Pattern.PRBS:
            return self._prbs.frames(count, size)
        if settings.pattern is Pattern.Counter:
            words = count * (size // 4)
            first, self._word = self._word, (self._word + words) & 0xFFFFFFFF
            counter = np.arange(first, first + words, dtype=np.uint64).astype("<u4")
            return counter.view(np.uint8).reshape(count, size)
        return self._pulses(settings.pulse, size // 2).frames(count).view(np.uint8)

    def _pulses(self, pulse: Pulse, samples: int) -> PulseWaveform:
        """The waveform source of this shape, made anew when the shape has changed."""
        source = self._waveform
        if source is None or (source.pulse, source.samples) != (pulse, samples):
            source = self._waveform = PulseWaveform(pulse, samples, self._seed)
        return source
