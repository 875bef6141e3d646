"""The keywords of declared nodes and their types; read by editors, and to check register tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict

from sapwood.memory import Model

__all__ = [
    "CommandKeywords",
    "LinkKeywords",
    "LocalKeywords",
    "RegisterCommandKeywords",
    "RegisterKeywords",
    "VariableKeywords",
]


class _NodeKeywords(TypedDict, total=False):
    description: str
    hidden: bool
    groups: str | Sequence[str]
    guiGroup: str


class _ValueKeywords(_NodeKeywords, total=False):
    disp: str | Sequence[Any] | Mapping[Any, str]
    enum: Mapping[Any, str]
    units: str
    typeStr: str


class VariableKeywords(_ValueKeywords, total=False):
    """Keywords of all variables; `BaseVariable` says what they mean."""

    mode: Literal["RW", "RO", "WO"]
    lowWarning: float
    lowAlarm: float
    highWarning: float
    highAlarm: float
    pollInterval: float
    updateNotify: bool
    bulkOpEn: bool


class RegisterKeywords(VariableKeywords, total=False):
    """Keywords of a register beyond its place; `RemoteVariable` says what they mean."""

    value: Any
    base: type[Model] | Model
    bitSize: int | Sequence[int]
    bitOffset: int | Sequence[int]
    minimum: float
    maximum: float
    numValues: int
    valueBits: int
    valueStride: int
    overlapEn: bool
    verify: bool
    retryCount: int


class LocalKeywords(VariableKeywords, total=False):
    """Keywords of a value of the program; `LocalVariable` says what they mean."""

    minimum: float
    maximum: float
    localSet: Callable[..., Any]
    localGet: Callable[..., Any]
    typeCheck: bool


class LinkKeywords(VariableKeywords, total=False):
    """Keywords of a link; `LinkVariable` says what they mean."""

    value: Any
    linkedGet: Callable[..., Any]
    linkedSet: Callable[..., Any]


class CommandKeywords(_ValueKeywords, total=False):
    """Keywords of a command; `BaseCommand` says what they mean."""

    value: Any
    retValue: Any
    minimum: float
    maximum: float


class RegisterCommandKeywords(CommandKeywords, total=False):
    """Keywords of a command with a register; `RemoteCommand` says what they mean."""

    base: type[Model] | Model
    bitSize: int | Sequence[int]
    bitOffset: int | Sequence[int]
    overlapEn: bool
    retryCount: int
    function: Callable[..., Any]
