"""Alarm limits of a variable and the state they give."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["NO_ALARM", "Limits"]

NO_ALARM = ("None", "None")
_GOOD = ("Good", "Good")


class Limits:
    """The four limits of a variable; any of them may be None."""

    __slots__ = ("highAlarm", "highWarning", "lowAlarm", "lowWarning")

    def __init__(self, lowWarning: Any, lowAlarm: Any, highWarning: Any, highAlarm: Any) -> None:
        self.lowWarning = lowWarning
        self.lowAlarm = lowAlarm
        self.highWarning = highWarning
        self.highAlarm = highAlarm

    def state(self, value: Any) -> tuple[str, str]:
        """Return status and severity of `value`; an array counts by its worst element."""
        if isinstance(value, np.ndarray):
            if not value.size:
                return _GOOD
            low, high = value.min(), value.max()
        elif isinstance(value, (list, dict, str)) or value is None:
            return NO_ALARM
        else:
            low = high = value
        if self.lowAlarm is not None and low < self.lowAlarm:
            return "AlarmLoLo", "AlarmMajor"
        if self.highAlarm is not None and high > self.highAlarm:
            return "AlarmHiHi", "AlarmMajor"
        if self.lowWarning is not None and low < self.lowWarning:
            return "AlarmLow", "AlarmMinor"
        if self.highWarning is not None and high > self.highWarning:
            return "AlarmHigh", "AlarmMinor"
        return _GOOD
