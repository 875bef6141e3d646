"""LocalCommand: something a device can be told to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sapwood.errors import CommandError
from sapwood.tree.callbacks import adapt, parameters
from sapwood.tree.variable import BaseVariable

__all__ = ["BaseCommand", "Command", "LocalCommand"]

_ARGS = ("root", "dev", "cmd", "arg")


class BaseCommand(BaseVariable):
    """Something a device can be told to do; call it like a function.

    Parameters
    ----------
    value
        Default argument; it fixes the type that texts are parsed as.
    retValue
        An example of the result, for `retTypeStr` only.
    function
        Called as ``function(root, dev, cmd, arg)`` with the parameters it names. The static
        methods of this class (``toggle``, ``touchOne``, ``postedTouch``...) can be given here.
    """

    isVariable = False
    isCommand = True
    _logFamily: ClassVar[str] = "Command"

    def __init__(
        self,
        *,
        name: str,
        value: Any = 0,
        retValue: Any = None,
        function: Callable[..., Any] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.update(mode="WO", bulkOpEn=False)
        super().__init__(name=name, value=value, **kwargs)
        self._init_command(function, retValue)

    def _init_command(self, function: Callable[..., Any] | None, retValue: Any) -> None:
        self._retValue = retValue
        self.replaceFunction(BaseCommand.nothing if function is None else function)

    def replaceFunction(self, function: Callable[..., Any]) -> None:
        """Execute `function` from now on."""
        self._function = function
        self._arg = "arg" in parameters(function)[0]
        self._execute = adapt(function, _ARGS)

    @property
    def arg(self) -> bool:
        """Whether the function takes an argument."""
        return self._arg

    @property
    def retTypeStr(self) -> str | None:
        """Type of the result as text, ``List[int]`` for a list; None when it is not known."""
        value = self._retValue
        if value is None:
            return None
        if isinstance(value, list):
            return f"List[{type(value[0]).__name__}]" if value else "List"
        return type(value).__name__

    def __call__(self, arg: Any = None) -> Any:
        """Execute the command, as `call`."""
        return self.call(arg)

    def call(self, arg: Any = None) -> Any:
        """Execute the command in this thread and return the function's result.

        Without `arg` the last argument is used, at first the default; text is parsed. While the
        device is not enabled nothing is done and None returned. An exception is logged and raised.
        """
        parent = self._parent
        if parent is not None and not parent._enabled:
            return None
        try:
            if arg is None:
                arg = self._default
            else:
                arg = self.parseDisp(arg)
                if self._arg:
                    self._default = arg
                    self._queueUpdate()
            return self._execute(self._root, parent, self, arg)
        except Exception as error:
            self._log_once(error)
            raise

    def _log_once(self, error: Exception) -> None:
        """Log `error` unless a command called by this one has done so."""
        if not getattr(error, "_logged_by_command", False):
            error._logged_by_command = True  # type: ignore[attr-defined]  # a mark for the outer commands
            self._log.exception("Command %s failed: %s", self._path, error)

    def callDisp(self, arg: Any = None) -> str:
        """Execute the command and return its result as text."""
        return f"{self.call(arg)}"

    def get(
        self, *, index: int = -1, read: bool = True, wait: bool | None = None, check: bool | None = None
    ) -> Any:
        """Return the last argument, at first the default."""
        return self._default

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
        """Do nothing: a command without registers holds no value."""

    def _finishInit(self) -> None:
        """Stage nothing: the default is an argument, not a value."""

    # ---- functions for the argument ``function``

    @staticmethod
    def nothing() -> None:
        """Do nothing."""

    @staticmethod
    def read(cmd: Any) -> None:
        """Read the register."""
        cmd.get(read=True)

    @staticmethod
    def setArg(cmd: Any, arg: Any) -> None:
        """Write the argument."""
        cmd.set(arg)

    @staticmethod
    def setAndVerifyArg(cmd: Any, arg: Any) -> None:
        """Write the argument, read it back and compare.

        Raises
        ------
        CommandError
            They differ.
        """
        cmd.set(arg)
        seen = cmd.get()
        if seen != arg:
            raise CommandError(f"Verification failed for {cmd.path}", expected=arg, seen=seen)

    @staticmethod
    def createToggle(sets: Any) -> Callable[..., None]:
        """Return a function that writes each of `sets` in turn."""

        def toggle(cmd: Any) -> None:
            for value in sets:
                cmd.set(value)

        return toggle

    @staticmethod
    def toggle(cmd: Any) -> None:
        """Write 1, then 0."""
        cmd.set(1)
        cmd.set(0)

    @staticmethod
    def createTouch(value: Any) -> Callable[..., None]:
        """Return a function that writes `value`."""

        def touch(cmd: Any) -> None:
            cmd.set(value)

        return touch

    @staticmethod
    def touch(cmd: Any, arg: Any) -> None:
        """Write the argument, or 1."""
        cmd.set(1 if arg is None else arg)

    @staticmethod
    def touchZero(cmd: Any) -> None:
        """Write 0."""
        cmd.set(0)

    @staticmethod
    def touchOne(cmd: Any) -> None:
        """Write 1."""
        cmd.set(1)

    @staticmethod
    def createPostedTouch(value: Any) -> Callable[..., None]:
        """Return a function that posts `value`."""

        def postedTouch(cmd: Any) -> None:
            cmd.post(value)

        return postedTouch

    @staticmethod
    def postedTouch(cmd: Any, arg: Any) -> None:
        """Post the argument."""
        cmd.post(arg)

    @staticmethod
    def postedTouchOne(cmd: Any) -> None:
        """Post 1."""
        cmd.post(1)

    @staticmethod
    def postedTouchZero(cmd: Any) -> None:
        """Post 0."""
        cmd.post(0)


LocalCommand = BaseCommand
Command = BaseCommand
