"""What a recorder is doing, read without its lock: also while a disk call hangs."""

from __future__ import annotations

from sapwood.errors import RecorderFault
from sapwood.fileio.recording.watermark import RateMeter, RecorderCounters, Tally, Watermark

__all__ = ["CLOSED", "FAULT", "RECORDING", "Readings"]

CLOSED, RECORDING, FAULT = "Closed", "Recording", "Fault"


class Readings:
    """State, file and counters of a recorder, for its subclass `RecorderBase` to set."""

    _state: str
    _fault: RecorderFault | None
    _path: str | None
    _tally: Tally
    _rate: RateMeter
    _part_from: int  # bytes of all parts before the present one

    @property
    def state(self) -> str:
        """``Closed``, ``Recording`` or ``Fault``."""
        return self._state

    @property
    def fault(self) -> str | None:
        """Why the recorder is in Fault, else None."""
        fault = self._fault
        return str(fault) if self._state == FAULT and fault is not None else None

    @property
    def path(self) -> str | None:
        """The file being written, or, in Fault, the one that failed; None when closed."""
        return None if self._state == CLOSED else self._path

    @property
    def counters(self) -> RecorderCounters:
        """What was done since the recorder was opened."""
        return self._tally.snapshot(self._sync_count())

    def _sync_count(self) -> int:
        """Return how often a file was synced since the recorder was opened."""
        raise NotImplementedError

    @property
    def written(self) -> Watermark:
        """Frames and bytes given to the system since the recorder was opened."""
        return self._tally.written

    @property
    def data_frames(self) -> int:
        """Of the frames written, those that are no configuration."""
        return self._tally.data_frames

    @property
    def total_size(self) -> int:
        """Bytes of all files since the recorder was opened, staged ones included."""
        return self._tally.size

    @property
    def current_size(self) -> int:
        """Bytes of the present file, staged ones included."""
        return self._tally.size - self._part_from

    @property
    def bandwidth(self) -> float:
        """Bytes given to the system in the last second, per second; 0 when not recording."""
        return self._rate.bytes_per_second() if self._state == RECORDING else 0.0
