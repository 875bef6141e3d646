"""LinkVariable: a value computed from other variables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sapwood.errors import VariableError
from sapwood.tree.callbacks import adapt
from sapwood.tree.variable import BaseVariable, waits

__all__ = ["LinkVariable"]

_GET = ("dev", "var", "read", "index", "wait")
_SET = ("dev", "var", "value", "write", "index", "verify", "wait")
_OLD = {"check": "wait"}


class LinkVariable(BaseVariable):
    """A value computed from other variables; it never touches the hardware itself.

    Parameters
    ----------
    variable
        Mirror this variable: disp, enum and units are taken from it.
    dependencies
        Variables whose updates this one follows.
    linkedGet
        Called as ``linkedGet(dev, var, read, index, wait)`` with the parameters it names.
    linkedSet
        Called as ``linkedSet(dev, var, value, write, index, verify, wait)``, likewise.
    pollInterval
        Handed down to the dependencies.

    Raises
    ------
    VariableError
        For a minimum or maximum, and for a dependency that is no variable.
    """

    def __init__(
        self,
        *,
        name: str,
        variable: BaseVariable | None = None,
        dependencies: Iterable[BaseVariable] | None = None,
        linkedGet: Callable[..., Any] | None = None,
        linkedSet: Callable[..., Any] | None = None,
        minimum: Any = None,
        maximum: Any = None,
        **kwargs: Any,
    ) -> None:
        if minimum is not None or maximum is not None:
            raise VariableError(f"Invalid use of min or max values with LinkVariable {name}", path=name)
        getter = None if linkedGet is None else adapt(linkedGet, _GET, _OLD)
        setter = None if linkedSet is None else adapt(linkedSet, _SET, _OLD)
        if variable is not None:
            getter, setter = getter or _mirror_get(variable), setter or _mirror_set(variable)
            for key in ("disp", "units"):
                kwargs.setdefault(key, getattr(variable, key))
            if variable.enum is not None and kwargs["disp"] == "enum":
                kwargs.setdefault("enum", variable.enum)
        if setter is None:
            kwargs["mode"] = "RO"
        elif getter is None:
            kwargs["mode"] = "WO"
        super().__init__(name=name, **kwargs)
        self._getter = getter
        self._setter = setter
        self._mirrored = variable if linkedSet is None else None
        if variable is not None and linkedGet is None and self._nativeType is None:
            self._nativeType, self._ndType = variable.nativeType, variable.ndType
            self._shape = variable._shape
        for dep in [variable] if variable is not None else []:
            self.addDependency(dep)
        for dep in dependencies or ():
            if not isinstance(dep, BaseVariable):
                raise VariableError(f"Dependency {dep!r} of LinkVariable {name} is not a variable", path=name)
            self.addDependency(dep)

    def _check(self, value: Any, index: int = -1) -> None:
        if self._mirrored is not None:
            self._mirrored._check(value, index)

    def __getitem__(self, index: int) -> BaseVariable:
        return self._dependencies[index]

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
        """Call ``linkedSet``.

        Raises
        ------
        VariableError
            There is none.
        """
        if self._setter is None:
            raise VariableError(f"LinkVariable {self._path} cannot be set, it has no linkedSet")
        self._setter(self._parent, self, value, write, index, verify, waits(wait, check))

    def get(
        self, *, index: int = -1, read: bool = True, wait: bool | None = None, check: bool | None = None
    ) -> Any:
        """Return what ``linkedGet`` returns; None when there is none."""
        if self._getter is None:
            return None
        if check is not None:
            wait = waits(wait, check)
        return self._getter(self._parent, self, read, index, wait is not False)

    def write(self, *, verify: bool = True, wait: bool | None = None, check: bool | None = None) -> None:
        """Write what is staged in the dependencies."""
        for dep in self._dependencies:
            dep.write(verify=verify, wait=waits(wait, check))

    @property
    def nativeType(self) -> type | None:
        """Python type of the value."""
        if self._nativeType is None and self._root is not None and self._getter is not None:
            self._learn_from_getter()
        return self._nativeType

    def _finishInit(self) -> None:
        if self._default is not None and self._default != "" and self._setter is not None:
            self.setDisp(self._default, write=False)
        elif self._nativeType is None and self._getter is not None:
            self._learn_from_getter()
        if self._pollInterval > 0:
            self._register_poll()

    @property
    def depBlocks(self) -> list[Any]:
        """Blocks of all dependencies, and of theirs."""
        found: dict[int, Any] = {}
        for dep in self._dependencies:
            blocks = dep.depBlocks if isinstance(dep, LinkVariable) else [dep._block]
            found.update((id(block), block) for block in blocks if block is not None)
        return list(found.values())

    @property
    def pollInterval(self) -> float:
        """Smallest interval of the dependencies that are polled, 0 for none."""
        return min((dep.pollInterval for dep in self._dependencies if dep.pollInterval > 0), default=0)

    @pollInterval.setter
    def pollInterval(self, interval: float) -> None:
        self.setPollInterval(interval)

    def _register_poll(self) -> None:
        """Poll the dependencies at least this often."""
        for dep in self._dependencies:
            known = dep.pollInterval
            if self._pollInterval > 0 and (known == 0 or known > self._pollInterval):
                dep.setPollInterval(self._pollInterval)


def _mirror_get(variable: BaseVariable) -> Callable[..., Any]:
    return lambda dev, var, read, index, wait: variable.get(read=read, index=index, wait=wait)


def _mirror_set(variable: BaseVariable) -> Callable[..., Any]:
    def mirror(dev: Any, var: Any, value: Any, write: bool, index: int, verify: bool, wait: bool) -> None:
        variable.set(value, index=index, write=write, verify=verify, wait=wait)

    return mirror
