"""How the events of a CoMPASS file are laid out, from its header or from the events themselves."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["HEADER_BYTES", "MOST_SAMPLES", "EventLayout", "guess", "layout_of_header", "sensible_events"]

HEADER_BYTES = 2
MOST_SAMPLES = 1 << 24  # of one event: more than any digitiser's memory holds

_MARK = 0xCA
_GUESSED = 32  # events looked at
_BOARDS, _CHANNELS = 256, 256
_LATEST_PS = 1 << 62
_SPAN_PS = 10**16  # of times so near to each other: hours
# Waveform, energy, calibrated, short; the likely ones first: energy alone and short energy alone look alike.
_CANDIDATES = list(itertools.product((True, False), (True, False), (False, True), (True, False)))


@dataclass(frozen=True)
class EventLayout:
    """Which fields every event has.

    Parameters
    ----------
    energy, calibrated, short, waveform
        Energy in ADC channels, calibrated energy, energy of the short gate, samples.
    header
        Whether the file has a header that says so.
    """

    energy: bool
    calibrated: bool
    short: bool
    waveform: bool
    header: bool = True

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Fields before the samples."""
        fields = [("board", "<u2"), ("channel", "<u2"), ("timestamp", "<u8")]
        fields += [("energy", "<u2")] if self.energy else []
        fields += [("energy_calibrated", "<f8")] if self.calibrated else []
        fields += [("energy_short", "<u2")] if self.short else []
        fields += [("flags", "<u4")]
        fields += [("code", "u1"), ("samples", "<u4")] if self.waveform else []
        return np.dtype(fields)

    @property
    def head(self) -> int:
        """Bytes before the samples."""
        return self.dtype.itemsize

    def event(self, data: NDArray[np.uint8], at: int) -> Any:
        """Return the fields of the event at byte `at`; None when it does not lie in `data`."""
        if at + self.head > len(data):
            return None
        return data[at : at + self.head].view(self.dtype)[0]

    def size(self, event: Any) -> int:
        """Return the bytes of an event."""
        return self.head + (2 * int(event["samples"]) if self.waveform else 0)


def layout_of_header(data: NDArray[np.uint8]) -> EventLayout | None:
    """Return the layout that the first bytes of a file announce; None when that is no header."""
    if len(data) < HEADER_BYTES or data[1] != _MARK:
        return None
    bits = int(data[0])
    return EventLayout(*(bool(bits >> bit & 1) for bit in range(4)))


def guess(data: NDArray[np.uint8], ended: bool) -> EventLayout | None:
    """Return the layout with which the events at the begin of `data` make sense.

    Follow-up files have no header. Candidates are all layouts; that is taken with which most of the
    first events, up to 32, have small board and channel numbers, equal numbers of samples and
    times that go on.

    Parameters
    ----------
    data
        From the first event on.
    ended
        Whether the file ends with `data`.
    """
    best, most = None, 0
    for waveform, energy, calibrated, short in _CANDIDATES:
        layout = EventLayout(energy, calibrated, short, waveform, header=False)
        events = sensible_events(layout, data, ended)
        if events > most:
            best, most = layout, events
    return best


def sensible_events(layout: EventLayout, data: NDArray[np.uint8], ended: bool, *, alike: bool = True) -> int:
    """Return how many of the first events, up to 32, make sense; 0 when one of them makes none.

    Parameters
    ----------
    layout
        Of the events.
    data, ended
        See `guess`.
    alike
        Whether all must have the same number of samples. If not, most must have a time or a
        channel of their own: zeros make no sense.
    """
    at, events = 0, 0
    different: set[tuple[int, ...]] = set()
    times: list[int] = []
    samples: set[int] = set()
    while events < _GUESSED and at < len(data):
        event = layout.event(data, at)
        end = len(data) + 1 if event is None else at + layout.size(event)
        if event is not None:
            times.append(int(event["timestamp"]))
            different.add((int(event["board"]), int(event["channel"]), times[-1]))
            samples.add(int(event["samples"]) if layout.waveform else 1)
            differ = alike and len(samples) > 1
            if not _is_sensible(layout, event) or differ or max(times) - min(times) > _SPAN_PS:
                return 0
        if end > len(data):
            events = events if events > 1 or not ended else 0
            break
        at, events = end, events + 1
    return events if alike or 2 * len(different) > events else 0


def _is_sensible(layout: EventLayout, event: Any) -> bool:
    if event["board"] >= _BOARDS or event["channel"] >= _CHANNELS or event["timestamp"] >= _LATEST_PS:
        return False
    if layout.calibrated and not _is_energy(float(event["energy_calibrated"])):
        return False
    return not layout.waveform or 0 < event["samples"] <= MOST_SAMPLES


def _is_energy(value: float) -> bool:
    return value == 0 or 1e-12 < abs(value) < 1e12
