"""A fixed schedule: due times that do not drift, whatever the work between them costs."""

from __future__ import annotations

__all__ = ["Schedule"]


class Schedule:
    """Due times at a fixed distance; of several that passed meanwhile only the last one counts.

    Parameters
    ----------
    now
        Monotonic time of the start, seconds; the first due time is one period later.
    """

    def __init__(self, now: float) -> None:
        self._origin = now
        self._period = 0.0
        self._count = 0

    def next(self, now: float, period: float) -> float:
        """Return the next due time (s); it is `now` when `period` is 0.

        Parameters
        ----------
        now
            Monotonic time, seconds.
        period
            Seconds between due times. When it changes, a new schedule begins at the last one.
        """
        if period != self._period:
            self._origin += self._count * self._period
            self._period, self._count = period, 0
        if period == 0:
            self._origin = now
            return now
        self._count = max(self._count + 1, int((now - self._origin) / period))
        return self._origin + self._count * period
