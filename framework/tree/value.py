"""VariableValue: what a variable held at one moment."""

from __future__ import annotations

import time as clock
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sapwood.tree.variable import BaseVariable

__all__ = ["VariableValue", "same"]


def same(old: Any, new: Any) -> bool:
    """Tell if two values are equal."""
    if isinstance(old, np.ndarray) or isinstance(new, np.ndarray):
        return np.array_equal(old, new)
    return bool(old == new)


class VariableValue:
    """A snapshot of a variable, as listeners receive it.

    Attributes
    ----------
    value
        The native value.
    valueDisp
        The value as text.
    disp, enum
        Format and texts of the variable.
    status, severity
        State of its alarm.
    updated
        Set by `VariableWait` when an update has come.
    time
        When the snapshot was taken (s since 1970).
    """

    __slots__ = ("disp", "enum", "severity", "status", "time", "updated", "value", "valueDisp")

    def __init__(self, var: BaseVariable, read: bool = False, index: int = -1) -> None:
        self.value: Any = var.get(read=True, index=index) if read else var.value(index=index)
        self.valueDisp: str = var.genDisp(self.value)
        self.disp: Any = var._disp
        self.enum: dict[Any, str] | None = var._enum
        self.status, self.severity = var._alarmState(self.value)
        self.updated = False
        self.time = clock.time()

    def __repr__(self) -> str:
        parts = (f"{name}={getattr(self, name)}" for name in ("value", "valueDisp", "status", "severity"))
        return f"VariableValue({', '.join(parts)})"
