"""RemoteCommand: a command with a register of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sapwood.memory import UInt
from sapwood.tree.command import BaseCommand
from sapwood.tree.remotevar import RemoteVariable

__all__ = ["RemoteCommand"]


class RemoteCommand(BaseCommand, RemoteVariable):
    """A command with a write-only register, which its function writes by ``cmd.set`` or ``cmd.post``.

    The register is never verified and takes no part in bulk operations. See `BaseCommand` and
    `RemoteVariable` for the parameters.
    """

    def __init__(
        self,
        *,
        name: str,
        offset: int | Iterable[int],
        value: Any = None,
        retValue: Any = None,
        function: Callable[..., Any] | None = None,
        base: Any = UInt,
        bitSize: int | Iterable[int] = 32,
        bitOffset: int | Iterable[int] = 0,
        overlapEn: bool = False,
        **kwargs: Any,
    ) -> None:
        kwargs.update(mode="WO", bulkOpEn=False, verify=False)
        RemoteVariable.__init__(
            self,
            name=name,
            offset=offset,
            value=value,
            base=base,
            bitSize=bitSize,
            bitOffset=bitOffset,
            overlapEn=overlapEn,
            **kwargs,
        )
        self._init_command(function, retValue)

    def _place(self, field: Any) -> None:
        super()._place(field)
        self._direct = True  # commands go straight to their register

    set = RemoteVariable.set
    get = RemoteVariable.get
    value = RemoteVariable.value
    post = RemoteVariable.post
