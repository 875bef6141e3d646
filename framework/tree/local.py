"""LocalVariable: a value that lives in the program."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from sapwood.errors import VariableError
from sapwood.tree.callbacks import adapt
from sapwood.tree.coerce import coerce
from sapwood.tree.inplace import InPlace
from sapwood.tree.value import same
from sapwood.tree.variable import BaseVariable, waits

__all__ = ["LocalBlock", "LocalVariable"]

_READ = 1


class LocalBlock:
    """The place of one local variable among the blocks of its device: no bus, just its update."""

    __slots__ = ("_due", "bulkOpEn", "enable", "lock", "variable")

    size = 0

    def __init__(self, variable: BaseVariable) -> None:
        self.variable = variable
        self.bulkOpEn = variable._bulkOpEn
        self.lock = threading.RLock()
        self.enable = True
        self._due = False

    @property
    def path(self) -> str:
        """Path of the variable."""
        return self.variable._path

    @property
    def variables(self) -> list[BaseVariable]:
        """The variable, as a list."""
        return [self.variable]

    def startTransaction(self, type: int, *, force: bool = False, field: Any = None, index: int = -1) -> None:
        """Note that the variable is to be published: always on a read, else only for an access of its own."""
        self._due = self.enable and (type == _READ or field is not None)

    def waitTransaction(self) -> None:
        """Publish the variable if that is due."""
        if self._due:
            self._due = False
            self.variable._queueUpdate()

    def settle(self) -> tuple[None, bool]:
        """Publish the variable if that is due; nothing can have gone wrong."""
        self.waitTransaction()
        return None, False


class LocalVariable(InPlace, BaseVariable):
    """A value that lives in the program.

    Parameters
    ----------
    value
        Default; it fixes the type.
    localSet
        Called as ``localSet(dev, var, value, changed)`` on every set, with those of the parameters
        that it names.
    localGet
        Called as ``localGet(dev, var)`` for every get; returns the value.
    typeCheck
        False: accept values of any type.

    Raises
    ------
    VariableError
        Neither `value` nor `localGet` is given.
    """

    def __init__(
        self,
        *,
        name: str,
        value: Any = None,
        localSet: Callable[..., Any] | None = None,
        localGet: Callable[..., Any] | None = None,
        typeCheck: bool = True,
        **kwargs: Any,
    ) -> None:
        if value is None and localGet is None:
            raise VariableError(f"LocalVariable {name} without localGet must have value", path=name)
        super().__init__(name=name, value=value, **kwargs)
        self._typeCheck = typeCheck
        self._value = value
        self._setter = None if localSet is None else adapt(localSet, ("dev", "var", "value", "changed"))
        self._getter = None if localGet is None else adapt(localGet, ("dev", "var"))
        self._bounded = self._minimum is not None or self._maximum is not None
        # The type that is stored without further ado.
        self._plain = None if localSet is not None or self._bounded else self._nativeType
        self._block = LocalBlock(self)
        self._lock = self._block.lock
        self._publish: Callable[[BaseVariable], None] | None = None

    @property
    def lock(self) -> threading.RLock:
        """The re-entrant lock that guards the value."""
        return self._lock  # type: ignore[no-any-return]  # slots are untyped

    def _rootAttached(self, parent: Any, root: Any) -> None:
        super()._rootAttached(parent, root)
        self._direct = not parent._intercepts
        self._publish = root._updates.publish if self._updateNotify else None

    def _fit(self, value: Any, index: int = -1) -> Any:
        """Return `value` in the type of this variable, within its limits."""
        kind = self._nativeType
        if index < 0 and self._typeCheck and kind is not None:
            try:
                value = coerce(value, kind, self._ndType)
            except (TypeError, ValueError) as error:
                raise VariableError(
                    f"Type mismatch for {self._path}: expected {kind}, got {type(value)}: {error}"
                ) from None
        if self._bounded and not isinstance(value, (list, dict, np.ndarray, str)):
            low, high = self._minimum, self._maximum
            if (low is not None and value < low) or (high is not None and value > high):
                raise VariableError(
                    f"Value range error for {self._path}. Value={value}, Min={low}, Max={high}"
                )
        return value

    def _check(self, value: Any, index: int = -1) -> None:
        self._fit(value, index)
        if index >= 0:
            self._value[index]  # an index out of range is found here

    def _length(self) -> int:
        try:
            return len(self._value)
        except TypeError:
            return 0

    def _store(self, value: Any) -> None:
        if type(value) is not self._nativeType or self._bounded:
            value = self._fit(value)
        old = self._value
        self._value = value
        if self._setter is not None and self._block.enable:
            try:
                self._setter(self._parent, self, value, _differ(old, value))
            except BaseException:
                self._value = old
                raise

    def _store_item(self, value: Any, index: int) -> None:
        value = self._fit(value, index)
        old = self._value[index]
        self._value[index] = value
        if self._setter is not None and self._block.enable:
            try:
                self._setter(self._parent, self, self._value, _differ(old, value))
            except BaseException:
                self._value[index] = old
                raise

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
        """Store `value` (or one element), call ``localSet``, and publish unless `write` is False.

        While the device is disabled the value is only stored.

        Raises
        ------
        VariableError
            For a value of the wrong type or beyond the limits.
        """
        if check is not None:
            wait = waits(wait, check)
        with self._lock:
            if index >= 0:
                self._store_item(value, index)
            elif type(value) is self._plain:
                self._value = value
            else:
                self._store(value)
        if not write:
            return
        if self._direct:
            publish = self._publish
            if publish is not None and self._block.enable:
                publish(self)
        else:
            self._parent._write_variable(self, index, verify, wait is not False)

    def get(
        self, *, index: int = -1, read: bool = True, wait: bool | None = None, check: bool | None = None
    ) -> Any:
        """Return the value (or one element), from ``localGet`` if there is one; publishes when `read`."""
        if check is not None:
            wait = waits(wait, check)
        if read:
            if not self._direct:
                self._parent._read_variable(self, index, wait is not False)
            elif self._publish is not None and self._block.enable:
                self._publish(self)
        if self._getter is not None and self._block.enable:
            with self._lock:
                self._value = self._getter(self._parent, self)
        return self._value if index < 0 else self._value[index]

    def value(self, index: int = -1) -> Any:
        """Return the value (or one element) without publishing it."""
        if self._getter is not None and self._block.enable:
            with self._lock:
                self._value = self._getter(self._parent, self)
        return self._value if index < 0 else self._value[index]

    def post(self, value: Any, *, index: int = -1) -> None:
        """Set the value."""
        self.set(value, index=index)


def _differ(old: Any, new: Any) -> bool:
    """Tell if two values differ; a list, dict or array given again may have changed inside."""
    if old is new and isinstance(new, (list, dict, np.ndarray)):
        return True
    return not same(old, new)
