"""Noisy detector pulses as 16-bit samples, made for whole batches of frames at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = ["Pulse", "PulseWaveform"]

NOISE_POOL = 1 << 16  # samples of noise to choose from
NOISE_LIMIT = 16383  # counts; leaves the other half of the range to the pulse


@dataclass(frozen=True)
class Pulse:
    """Shape of a pulse waveform; heights in ADC counts, times in samples.

    Parameters
    ----------
    baseline
        Level between pulses.
    amplitude
        Height of a pulse above the baseline.
    noise
        Standard deviation of the Gaussian noise.
    period
        Distance of pulses that repeat; 0 gives one pulse a frame.
    decay
        Time constant of the exponential tail.
    """

    baseline: int = 100
    amplitude: int = 2000
    noise: int = 10
    period: int = 0
    decay: int = 32


class PulseWaveform:
    """Source of frames of `samples` samples: baseline, pulses at a random position, noise.

    A frame is a window, at a random offset, of a table that holds the pulse shape, plus a
    window of a pool of noise; so a batch costs two strided copies and no loop over samples.
    The sum never leaves the 16-bit range: the pulse saturates below it.

    Parameters
    ----------
    pulse
        The shape.
    samples
        Samples a frame, at least 1.
    seed
        Of the random generator; equal seeds give equal frames.
    """

    def __init__(self, pulse: Pulse, samples: int, seed: int = 0) -> None:
        self.pulse = pulse
        self.samples = samples
        self._random = np.random.default_rng(seed)
        pool = np.zeros(samples)
        if pulse.noise:
            pool = np.rint(self._random.normal(0.0, pulse.noise, NOISE_POOL + samples))
        pool = np.clip(pool, -NOISE_LIMIT, NOISE_LIMIT)
        self._noise = sliding_window_view(pool.astype(np.int16), samples)
        self._positions, self._shapes = self._shape_windows(32767 - int(np.abs(pool).max()))

    def _shape_windows(self, limit: int) -> tuple[int, NDArray[np.int16]]:
        """Number of pulse positions, and a view with one row (samples) for each, within +-limit."""
        pulse, samples = self.pulse, self.samples
        period = pulse.period or samples
        tail = np.exp(-np.arange(period) / max(pulse.decay, 1))
        if pulse.period:
            shape = np.tile(tail, samples // period + 2)
        else:
            shape = np.concatenate([np.zeros(samples - 1), tail])
        table = np.clip(np.rint(pulse.baseline + pulse.amplitude * shape), -limit, limit)
        return period, sliding_window_view(table.astype(np.int16), samples)

    def frames(self, count: int) -> NDArray[np.int16]:
        """Make `count` frames: an int16 array (count, samples)."""
        rows: NDArray[np.int16] = self._shapes[self._random.integers(0, self._positions, count)]
        if self.pulse.noise:
            rows += self._noise[self._random.integers(0, len(self._noise), count)]
        return rows
