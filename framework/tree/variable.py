"""BaseVariable: what all kinds of variables have in common."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from sapwood.errors import VariableError
from sapwood.tree import display
from sapwood.tree.alarms import NO_ALARM, Limits
from sapwood.tree.groups import Groups
from sapwood.tree.keywords import suspect
from sapwood.tree.node import Node
from sapwood.tree.value import VariableValue, same

__all__ = ["BaseVariable", "Listener", "waits"]

Listener = Callable[[str, VariableValue], Any]

_NO_LIMITS = (None, None, None, None)
_MODES = ("RW", "RO", "WO")
_DIGITS = re.compile(r":\d*\.(\d+)f")
BOOL_TEXTS: dict[Any, str] = {False: "False", True: "True"}
_BOOL_VALUES: dict[str, Any] = {text: value for value, text in BOOL_TEXTS.items()}


def waits(wait: bool | None, check: bool | None) -> bool:
    """Return whether to wait, from ``wait`` and its former name ``check`` (None: not given).

    Raises
    ------
    ValueError
        Both are given and differ.
    """
    if check is None:
        return True if wait is None else bool(wait)
    warnings.warn("the argument 'check' is now called 'wait'", DeprecationWarning, stacklevel=3)
    if wait is not None and bool(wait) != bool(check):
        raise ValueError(f"wait={wait} and check={check} contradict each other")
    return bool(check)


class BaseVariable(Node):
    """A value in the tree; see `RemoteVariable`, `LocalVariable` and `LinkVariable`.

    Parameters
    ----------
    mode
        ``RW``, ``RO`` or ``WO``.
    value
        Default, staged when the tree starts.
    disp
        Format of the value's text; ``''`` shows nothing; a dict or list stands for `enum`.
    enum
        Texts by value.
    units
        Label of the unit.
    minimum, maximum
        Limits of the value.
    lowWarning, lowAlarm, highWarning, highAlarm
        Limits that raise an alarm.
    pollInterval
        Seconds between reads, 0 for none.
    updateNotify
        False: never publish.
    typeStr
        Type as shown to clients; else derived from the value.
    bulkOpEn
        Take part in bulk operations.
    kwargs
        Anything else is kept and returned by `getExtraAttribute`.

    Raises
    ------
    VariableError
        For an unknown mode, or an enum of a list, dict or array.
    """

    isVariable = True
    _logFamily: ClassVar[str] = "Variable"
    _PROPERTIES: ClassVar[tuple[str, ...]] = (
        "name", "path", "mode", "typeStr", "enum", "disp", "precision", "units", "minimum", "maximum",
        "nativeType", "ndType", "updateNotify", "hasAlarm", "lowWarning", "highWarning", "lowAlarm",
        "highAlarm", "alarmStatus", "alarmSeverity", "pollInterval",
    )  # fmt: skip
    _block: Any = None
    _direct = True
    _mode = "RW"
    _default: Any = None
    _units: str | None = None
    _minimum: Any = None
    _maximum: Any = None
    _pollInterval: float = 0
    _updateNotify = True
    _typeStr = "Unknown"
    _bulkOpEn = True
    _extra: Mapping[str, Any] = MappingProxyType({})
    _dependencies: tuple[BaseVariable, ...] = ()
    _functions: tuple[Listener, ...] = ()
    _followers: tuple[BaseVariable, ...] = ()
    _limits: Limits | None = None
    _enum: dict[Any, str] | None = None
    _revEnum: dict[str, Any] | None = None
    _nativeType: type | None = None
    _ndType: np.dtype[Any] | None = None
    _shape: tuple[int, ...] = ()

    def __init__(
        self,
        *,
        name: str,
        description: str = "",
        mode: str = "RW",
        value: Any = None,
        disp: str | Mapping[Any, str] | Iterable[Any] = "{}",
        enum: Mapping[Any, str] | None = None,
        units: str | None = None,
        hidden: bool = False,
        groups: Groups = None,
        minimum: Any = None,
        maximum: Any = None,
        lowWarning: Any = None,
        lowAlarm: Any = None,
        highWarning: Any = None,
        highAlarm: Any = None,
        pollInterval: float = 0,
        updateNotify: bool = True,
        typeStr: str = "Unknown",
        bulkOpEn: bool = True,
        guiGroup: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, description=description, hidden=hidden, groups=groups, guiGroup=guiGroup)
        if mode not in _MODES:
            raise VariableError(f"Invalid variable mode {mode}. Supported: RW, RO, WO", path=name)
        self._mode = mode
        self._pollInterval = pollInterval
        self._updateNotify = bool(updateNotify)
        self._bulkOpEn = bool(bulkOpEn)
        if units is not None:
            self._units = units
        if minimum is not None:
            self._minimum = minimum
        if maximum is not None:
            self._maximum = maximum
        if typeStr != "Unknown":
            self._typeStr = typeStr
        limits = (lowWarning, lowAlarm, highWarning, highAlarm)
        if limits != _NO_LIMITS:
            self._limits = Limits(*limits)
        if value is not None:
            self._default = value
            self._learn(value)
        self._set_texts(disp, enum)
        if kwargs:
            self._extra = kwargs
            for keyword in kwargs:
                self._warn_of(keyword)

    def _set_texts(self, disp: Any, enum: Mapping[Any, str] | None) -> None:
        if isinstance(disp, str):
            if enum is None and self._nativeType is bool:
                enum = BOOL_TEXTS
        elif isinstance(disp, Mapping):
            enum = disp
        else:
            enum = {item: str(item) for item in disp}
        if enum is None:
            self._disp = str(disp)
            return
        self._disp = "enum"
        if enum is BOOL_TEXTS:
            self._enum, self._revEnum = BOOL_TEXTS, _BOOL_VALUES
        else:
            self._enum = dict(enum)
            self._revEnum = {text: value for value, text in enum.items()}
        if self._nativeType in (list, dict, np.ndarray):
            raise VariableError(
                f"Invalid use of enum with value of type {self._nativeType} in variable {self._name}",
                path=self._path,
            )

    def _warn_of(self, keyword: str) -> None:
        meant = suspect(type(self), keyword)
        if meant is not None:
            told = "Unknown keyword %r of variable %s: did you mean %r?"
            self._log.warning(told, keyword, self._name, meant)

    def _learn(self, value: Any) -> None:
        """Take the native type from `value`."""
        self._nativeType = type(value)
        if isinstance(value, np.ndarray):
            self._nativeType = np.ndarray
            self._ndType = value.dtype
            self._shape = value.shape

    # ---- what it is

    @property
    def mode(self) -> str:
        """``RW``, ``RO`` or ``WO``."""
        return self._mode

    @property
    def enum(self) -> dict[Any, str] | None:
        """Texts by value."""
        return None if self._enum is None else dict(self._enum)

    @property
    def revEnum(self) -> dict[str, Any] | None:
        """Values by text."""
        return None if self._revEnum is None else dict(self._revEnum)

    @property
    def enumYaml(self) -> str:
        """The enum as YAML text."""
        from sapwood.tree.yamlio import dataToYaml

        return dataToYaml(self._enum)

    @property
    def disp(self) -> str:
        """Format of the value's text, or ``'enum'``."""
        return self._disp

    @property
    def units(self) -> str | None:
        """Label of the unit."""
        return self._units

    @property
    def minimum(self) -> Any:
        """Lowest value allowed."""
        return self._minimum

    @property
    def maximum(self) -> Any:
        """Highest value allowed."""
        return self._maximum

    @property
    def nativeType(self) -> type | None:
        """Python type of the value; ``numpy.ndarray`` for arrays."""
        return self._nativeType

    @property
    def ndType(self) -> np.dtype[Any] | None:
        """Type of the elements of an array."""
        return self._ndType

    @property
    def ndTypeStr(self) -> str | None:
        """Type of the elements of an array, as text."""
        return None if self._ndType is None else str(self._ndType)

    @property
    def isArray(self) -> bool:
        """Whether the value is an array."""
        return self._nativeType is np.ndarray

    @property
    def typeStr(self) -> str:
        """Type as shown to clients."""
        if self._typeStr != "Unknown":
            return self._typeStr
        if self._ndType is not None:
            return f"{self._ndType}{self._shape}".replace(" ", "")
        return "Unknown" if self._nativeType is None else self._nativeType.__name__

    @property
    def precision(self) -> int:
        """Digits after the point shown for a float or an array: those of the format, else 8; others 0."""
        if self._nativeType not in (float, np.ndarray):
            return 0
        digits = _DIGITS.search(self._disp)
        return int(digits[1]) if digits else 8

    @property
    def updateNotify(self) -> bool:
        """Whether this variable publishes updates."""
        return self._updateNotify

    @property
    def bulkOpEn(self) -> bool:
        """Whether this variable takes part in bulk operations."""
        return self._bulkOpEn

    @property
    def dependencies(self) -> list[BaseVariable]:
        """Variables whose updates this one follows."""
        return list(self._dependencies)

    @property
    def lock(self) -> Any:
        """The re-entrant lock of this variable's block."""
        return None if self._block is None else self._block.lock

    def getExtraAttribute(self, name: str) -> Any:
        """Return the value of an extra keyword given to the constructor, or None."""
        return self._extra.get(name)

    def properties(self) -> dict[str, Any]:
        """Return value, text and all that describes this variable."""
        value = self.value()
        facts = {"value": value, "valueDisp": self.genDisp(value), "class": type(self).__name__}
        facts.update((name, getattr(self, name)) for name in self._PROPERTIES)
        return facts

    # ---- access, filled in by the kinds of variables

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
        """Stage `value` and, unless `write` is False, write and verify it.

        Parameters
        ----------
        value
            New value, or one element when `index` is given.
        index
            Element of an array, list or dict; negative for the whole value.
        wait
            False: return before the bus has answered; call ``waitBlocks`` of the device later.
        check
            Former name of `wait`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define set")

    def get(
        self, *, index: int = -1, read: bool = True, wait: bool | None = None, check: bool | None = None
    ) -> Any:
        """Return the value, read from the hardware unless `read` is False."""
        raise NotImplementedError(f"{type(self).__name__} must define get")

    def value(self, index: int = -1) -> Any:
        """Return the value without access to the hardware."""
        return self.get(read=False, index=index)

    def post(self, value: Any, *, index: int = -1) -> None:
        """Write `value` posted: not verified."""
        self.set(value, index=index, verify=False)

    def write(self, *, verify: bool = True, wait: bool | None = None, check: bool | None = None) -> None:
        """Write what is staged."""
        self.set(self.value(), verify=verify, wait=waits(wait, check))

    def _check(self, value: Any, index: int = -1) -> None:
        """Raise what `set` would raise for this native value, without staging it."""

    def _holds(self, value: Any, index: int = -1) -> bool:
        """Tell if setting `value`, which `_check` has let through, would change nothing."""
        return same(self.value(index=index), value)

    def _length(self) -> int:
        """Return the number of elements, 0 for a scalar; calls no code of the user."""
        return self._shape[0] if self._shape else 0

    def _saved(self) -> Any:
        """Return the value that a saved configuration holds."""
        return self.value()

    # ---- text

    def genDisp(self, value: Any, *, useDisp: str | None = None) -> str:
        """Return `value` as text, by the format of this variable or `useDisp`."""
        disp = self._disp if useDisp is None else useDisp
        text = display.to_text(value, disp, self._enum)
        if disp == "enum" and text.startswith(display.INVALID):
            self._log.warning("Invalid enum value %s in variable '%s'", value, self._path)
        return text

    def getDisp(self, read: bool = True, index: int = -1) -> str:
        """Return the value as text, read from the hardware unless `read` is False."""
        return self.genDisp(self.get(read=read, index=index))

    def valueDisp(self, index: int = -1) -> str:
        """Return the value as text without access to the hardware."""
        return self.genDisp(self.value(index=index))

    def parseDisp(self, sValue: Any, index: int = -1) -> Any:
        """Return the value in the text `sValue`; anything but a str is returned as it is.

        Raises
        ------
        VariableError
            When the text does not hold a value of this variable.
        """
        if not isinstance(sValue, str):
            return sValue
        try:
            if self._revEnum is not None:
                return display.parse_enum(sValue, self._revEnum)
            if self._nativeType is np.ndarray and index < 0:
                return display.parse_array(sValue, self._ndType)
            if self._nativeType in (list, dict, np.ndarray) and index >= 0:
                return display.number(sValue)
            return display.parse_text(sValue, self._nativeType)
        except (ValueError, TypeError) as error:
            raise VariableError(
                f"Invalid value {sValue} for variable {self._name} with type {self._nativeType}: {error}",
                path=self._path,
            ) from None

    def setDisp(self, sValue: Any, write: bool = True, index: int = -1) -> None:
        """Set the value given as text."""
        self.set(self.parseDisp(sValue, index), write=write, index=index)

    # ---- alarms

    def _alarmState(self, value: Any) -> tuple[str, str]:
        return NO_ALARM if self._limits is None else self._limits.state(value)

    def _limit(self, name: str) -> Any:
        return None if self._limits is None else getattr(self._limits, name)

    @property
    def hasAlarm(self) -> bool:
        """Whether any alarm limit is set."""
        return self._limits is not None

    @property
    def lowWarning(self) -> Any:
        """Values below raise a warning."""
        return self._limit("lowWarning")

    @property
    def lowAlarm(self) -> Any:
        """Values below raise an alarm."""
        return self._limit("lowAlarm")

    @property
    def highWarning(self) -> Any:
        """Values above raise a warning."""
        return self._limit("highWarning")

    @property
    def highAlarm(self) -> Any:
        """Values above raise an alarm."""
        return self._limit("highAlarm")

    @property
    def alarmStatus(self) -> str:
        """State of the alarm: ``None``, ``Good``, ``AlarmLow``, ``AlarmHiHi``..."""
        return self._alarmState(self.value())[0]

    @property
    def alarmSeverity(self) -> str:
        """Severity of the alarm: ``None``, ``Good``, ``AlarmMinor`` or ``AlarmMajor``."""
        return self._alarmState(self.value())[1]

    # ---- updates

    def getVariableValue(self, read: bool = True, index: int = -1) -> VariableValue:
        """Return a snapshot, read from the hardware unless `read` is False."""
        return VariableValue(self, read=read, index=index)

    def addListener(self, listener: Listener | BaseVariable) -> None:
        """Call ``listener(path, VariableValue)`` on each update, or update the variable `listener` too."""
        if isinstance(listener, BaseVariable):
            if not any(one is listener for one in self._followers):
                self._followers += (listener,)
        elif not any(one is listener or _same_method(one, listener) for one in self._functions):
            self._functions += (listener,)

    def delListener(self, listener: Listener | BaseVariable) -> None:
        """Undo `addListener`."""
        self._followers = tuple(one for one in self._followers if one is not listener)
        self._functions = tuple(
            one for one in self._functions if not (one is listener or _same_method(one, listener))
        )

    def addDependency(self, dep: BaseVariable) -> None:
        """Follow the updates of `dep`."""
        if not any(one is dep for one in self._dependencies):
            self._dependencies += (dep,)
            dep.addListener(self)

    def _queueUpdate(self) -> None:
        """Publish this variable to its listeners."""
        if self._updateNotify and self._root is not None:
            self._root._updates.publish(self)

    # ---- polling and start

    @property
    def pollInterval(self) -> float:
        """Seconds between reads, 0 for none."""
        return self._pollInterval

    @pollInterval.setter
    def pollInterval(self, interval: float) -> None:
        self.setPollInterval(interval)

    def setPollInterval(self, interval: float) -> None:
        """Poll every `interval` seconds from now on, 0 for never."""
        self._pollInterval = interval
        self._register_poll()

    def _register_poll(self) -> None:
        """Tell the poller, once there is one."""
        if self._root is not None and self._block is not None:
            self._root._poller.update(self._block)

    def _finishInit(self) -> None:
        if self._default is not None:
            self.setDisp(self._default, write=False)
        elif self._nativeType is None and self._mode != "WO":
            self._learn_from_getter()
        if self._pollInterval > 0:
            self._register_poll()

    def _learn_from_getter(self) -> None:
        try:
            value = self.value()
        except Exception as error:  # noqa: BLE001  # a user's getter; it may work once the tree runs
            self._log.debug("The type of %s is not known yet: %s", self._path, error)
            return
        if value is not None:
            self._learn(value)


def _same_method(one: Any, other: Any) -> bool:
    """Tell if both are the same method of the same object."""
    mine, its = getattr(one, "__self__", None), getattr(other, "__self__", None)
    if mine is None or mine is not its:
        return False
    return getattr(one, "__func__", one) is getattr(other, "__func__", other)
