"""EnableVariable: switches a device and everything below it on and off."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from sapwood.errors import VariableError
from sapwood.tree.variable import BaseVariable

__all__ = ["DEPENDENCY_POLL_S", "EnableVariable"]

DEPENDENCY_POLL_S = 1.0
"""How often dependencies are read that nobody polls (s)."""

_TEXTS = {False: "False", True: "True", "parent": "ParentFalse", "deps": "ExtDepFalse"}


class EnableVariable(BaseVariable):
    """Whether a device is enabled: True, False, ``'parent'`` or ``'deps'``.

    ``'parent'`` means that the device above is not enabled, ``'deps'`` that one of the variables
    it depends on is not true. Dependencies that nobody polls are polled every second.

    Parameters
    ----------
    enabled
        Initial setting.
    deps
        Variables that must all be true.
    """

    def __init__(self, *, enabled: bool, deps: Iterable[BaseVariable] | None = None) -> None:
        super().__init__(
            name="enable",
            description="Determines if device is enabled for hardware access",
            mode="RW",
            value=enabled,
            groups="Enable",
            disp=_TEXTS,
        )
        self._own = bool(enabled)
        self._deps = list(deps or ())
        self._depsTrue = not self._deps
        self._lock = threading.RLock()

    @property
    def lock(self) -> threading.RLock:
        """The re-entrant lock of the setting."""
        return self._lock

    @property
    def reason(self) -> str:
        """Why the device is not enabled, empty when it is."""
        state = self.value()
        if state is False:
            return f"{self._path} is set to False"
        if state == "deps":
            off = ", ".join(dep.path for dep in self._deps if not dep.value())
            return f"{self._path} waits for {off or 'its dependencies'}"
        return str(self._parent.parent.enable.reason) if state == "parent" else ""

    @property
    def setting(self) -> bool:
        """What was set for this device itself, whatever its parent and dependencies say."""
        return self._own

    def value(self, index: int = -1) -> Any:
        """Return True, False, ``'parent'`` or ``'deps'``."""
        if not self._own:
            return False
        if not self._depsTrue:
            return "deps"
        device = self._parent
        if device is not None and device is not self._root and device._parent.enable.value() is not True:
            return "parent"
        return True

    def get(
        self, *, index: int = -1, read: bool = True, wait: bool | None = None, check: bool | None = None
    ) -> Any:
        """Return True, False, ``'parent'`` or ``'deps'``; publishes when `read`."""
        if read:
            self._queueUpdate()
        return self.value()

    def set(
        self,
        value: Any,
        *,
        index: int = -1,
        write: bool = True,
        verify: bool = True,
        wait: bool | None = None,
        check: bool | None = None,
    ) -> None:
        """Enable or disable the device; ``'parent'`` and ``'deps'`` are ignored.

        Raises
        ------
        VariableError
            For any other value.
        """
        self._check(value)
        if isinstance(value, str):
            return
        with self._lock:
            old = self.value()
            self._own = bool(value)
            state = self.value()
        if self._parent is not None and state != old:
            self._parent._refresh_enable()
            self._parent.enableChanged(state)
        self._queueUpdate()

    def _check(self, value: Any, index: int = -1) -> None:
        if isinstance(value, (list, dict)) or value not in _TEXTS:
            raise VariableError(f"Invalid value {value!r} for {self._path}", expected="True or False")

    def _holds(self, value: Any, index: int = -1) -> bool:
        return isinstance(value, str) or bool(value) is self._own  # texts are ignored by `set`

    def _saved(self) -> bool:
        return self._own

    def _dep_changed(self, path: str, value: Any) -> None:
        """Follow an update of a dependency."""
        old = self.value()
        self._depsTrue = all(bool(dep.value()) for dep in self._deps)
        state = self.value()
        if state != old:
            self._parent._refresh_enable()
            self._parent.enableChanged(state)
            self._queueUpdate()

    def _finishInit(self) -> None:
        for dep in self._deps:
            dep.addListener(self._dep_changed)
            if dep.pollInterval == 0:
                dep.setPollInterval(DEPENDENCY_POLL_S)
        if self._deps:
            self._depsTrue = all(bool(dep.value()) for dep in self._deps)

    def _register_poll(self) -> None:
        """Do nothing: changes are published when they happen."""
