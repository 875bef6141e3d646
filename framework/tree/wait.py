"""Wait until variables have the values that a test wants."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from sapwood.tree.value import VariableValue
from sapwood.tree.variable import BaseVariable

__all__ = ["VariableWait", "VariableWaitClass"]

RECHECK_S = 0.5
"""How often the test is evaluated without an update (s)."""

Test = Callable[[list[VariableValue]], bool]


class VariableWaitClass:
    """Waits until a test of some variables is true.

    Parameters
    ----------
    varList
        A variable or several.
    testFunction
        Called with the list of their values; without one all must be updated once.
    timeout
        Seconds, 0 for ever.
    """

    def __init__(
        self,
        varList: BaseVariable | Iterable[BaseVariable],
        testFunction: Test | None = None,
        timeout: float = 0,
    ) -> None:
        self._variables = [varList] if isinstance(varList, BaseVariable) else list(varList)
        self._test = testFunction
        self._timeout = timeout
        self._change = threading.Condition()
        self._values: dict[str, VariableValue] = {}
        self._armed = False
        self._count = 0

    def arm(self) -> None:
        """Take the present values and begin to listen."""
        with self._change:
            self._values = {one.path: one.getVariableValue(read=False) for one in self._variables}
        if not self._armed:
            self._armed = True
            for variable in self._variables:
                variable.addListener(self._update)

    def _disarm(self) -> None:
        self._armed = False
        for variable in self._variables:
            variable.delListener(self._update)

    def _update(self, path: str, value: VariableValue) -> None:
        with self._change:
            value.updated = True
            self._values[path] = value
            self._count += 1
            self._change.notify_all()

    def _look(self) -> tuple[bool, int]:
        """Return the outcome of the test, and how many updates had come by then."""
        with self._change:
            values = [self._values[variable.path] for variable in self._variables]
            count = self._count
        true = all(value.updated for value in values) if self._test is None else bool(self._test(values))
        return true, count

    def wait(self) -> bool:
        """Wait for the test; False when the time was over first."""
        if not self._armed:
            self.arm()
        end = time.monotonic() + self._timeout if self._timeout > 0 else None
        try:
            while True:
                true, count = self._look()
                if true:
                    return True
                left = RECHECK_S if end is None else end - time.monotonic()
                if left <= 0:
                    return False
                with self._change:
                    if self._count == count:
                        self._change.wait(min(left, RECHECK_S))
        finally:
            self._disarm()

    def get_values(self) -> dict[Any, VariableValue]:
        """Return the values seen last, by variable."""
        with self._change:
            return {variable: self._values[variable.path] for variable in self._variables}


def VariableWait(
    varList: BaseVariable | Iterable[BaseVariable], testFunction: Test | None = None, timeout: float = 0
) -> bool:
    """Wait until `testFunction` of the values of some variables is true.

    Parameters
    ----------
    varList
        A variable or several.
    testFunction
        Called with the list of their values, at every update and twice a second; without one all
        must be updated once.
    timeout
        Seconds, 0 for ever.

    Returns
    -------
    bool
        False when the time was over first.
    """
    waiting = VariableWaitClass(varList, testFunction, timeout)
    waiting.arm()
    return waiting.wait()
