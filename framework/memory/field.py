"""A variable's place in a block, with its value read and staged by compiled closures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sapwood.memory.model import Model

if TYPE_CHECKING:
    from sapwood.memory.block import Block

__all__ = ["Field", "FieldSpec"]


@dataclass
class FieldSpec:
    """What a variable asks of the register layer.

    `offset` (bytes from its device), `bitOffset` and `bitSize` are lists of equal length, or are
    broadcast to the longest; the pieces hold the value's bits, least significant first. With
    `numValues` the variable is an array: element i has `valueBits` bits from bit
    ``bitOffset + i * valueStride`` and `model` is the model of one element. `minimum` and
    `maximum` narrow the range of the model. `owner` is whatever the caller wants to find again.
    """

    name: str
    path: str
    offset: list[int]
    bitOffset: list[int]
    bitSize: list[int]
    model: Model
    mode: str = "RW"
    overlapEn: bool = False
    verify: bool = True
    bulkOpEn: bool = True
    updateNotify: bool = True
    retryCount: int = 0
    numValues: int = 0
    valueBits: int = 0
    valueStride: int = 0
    minimum: Any = None
    maximum: Any = None
    owner: Any = field(default=None, repr=False)


class Field:
    """A variable's place in a block."""

    get: Callable[..., Any]
    set: Callable[..., None]
    block: Block
