"""A variable's place in a block, with its value read and staged by compiled closures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sapwood.errors import VariableError
from sapwood.memory.arrays import array_codec
from sapwood.memory.model import Model
from sapwood.memory.scalars import scalar_getter, scalar_setter

if TYPE_CHECKING:
    from sapwood.memory.block import Block

__all__ = ["Field", "FieldSpec"]


@dataclass(slots=True)
class FieldSpec:
    """What a variable asks of the register layer.

    `offset` (bytes from its device), `bitOffset` and `bitSize` are lists, broadcast to the
    longest; the pieces hold the value's bits, least significant first. With `numValues` the
    variable is an array: element i has `valueBits` bits from bit
    ``bitOffset + i * valueStride`` and `model` is the model of one element. `minimum` and
    `maximum` narrow the range of the model. `owner` is whatever the caller wants to find again.
    """

    name: str
    path: str
    offset: Sequence[int]
    bitOffset: Sequence[int]
    bitSize: Sequence[int]
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

    def pieces(self) -> list[tuple[int, int, int]]:
        """Return offset (bytes), first bit and width of each piece; single values are repeated.

        Raises
        ------
        VariableError
            The lists differ in length.
        """
        lists = (self.offset, self.bitOffset, self.bitSize)
        if len(self.offset) == len(self.bitOffset) == len(self.bitSize) == 1:
            return [(self.offset[0], self.bitOffset[0], self.bitSize[0])]
        count = max(map(len, lists))
        if any(len(values) not in (1, count) for values in lists):
            raise VariableError(
                "Lists of offset, bitOffset and bitSize differ in length",
                path=self.path,
                seen=", ".join(str(len(values)) for values in lists),
            )
        offset, bit, size = (list(values) * count if len(values) == 1 else values for values in lists)
        return list(zip(offset, bit, size, strict=True))

    def check(self) -> None:
        """Raise `VariableError` when the widths given make no sense."""
        if self.numValues:
            if self.valueBits < 1:
                raise VariableError(f"BitSize of {self.valueBits} is invalid", path=self.path)
            if self.valueBits > self.valueStride:
                raise VariableError(
                    f"ValueBits {self.valueBits} is greater than valueStrude {self.valueStride}",
                    path=self.path,
                )
            if self.model.ndType is None:
                raise VariableError(f"Model {self.model.name} has no arrays", path=self.path)
            bits = self.valueBits
        else:
            bits = 0
            for _, _, size in self.pieces():
                if size < 1:
                    raise VariableError(f"BitSize of {size} is invalid", path=self.path)
                bits += size
        if bits < self.model.bitSize:
            raise VariableError(
                f"Model {self.model.name} does not fit the variable",
                path=self.path,
                expected=f"{self.model.bitSize} bits",
                seen=f"{bits} bits",
            )

    def limits(self) -> tuple[Any, Any]:
        """Return the smallest and largest value, or two None for a model without a range."""
        low, high = self.model.minValue(), self.model.maxValue()
        if self.minimum == 0 and self.maximum == 0:
            return low, high
        if low is None or high is None:
            return self.minimum, self.maximum
        return (
            low if self.minimum is None else max(low, self.minimum),
            high if self.maximum is None else min(high, self.maximum),
        )


_COMPILED = ("get", "set", "check")


class Field:
    """A variable's place in a block.

    Attributes
    ----------
    spec, block
        What was asked for and where it went.
    offset, bitOffset, bitSize, varBytes
        Byte offset in the device, aligned down to the smallest access; first bits and widths of
        the pieces from there; bytes from there to the last bit, aligned up.
    low, high
        The bytes of the block's image that an access of this variable moves.
    get(index=-1)
        Return the value in the image, without the bus; of an array all values (index < 0) or one.
    set(value, index=-1)
        Stage a value in the image: `VariableError` when it does not fit. Of an array a run of
        values from `index`, or one value.
    check(value, index=-1)
        Raise what `set` would raise, without staging anything.

    These three are compiled when they are first used.
    """

    __slots__ = (
        "__weakref__",
        "bitOffset",
        "bitSize",
        "block",
        "check",
        "get",
        "high",
        "low",
        "offset",
        "set",
        "spec",
        "varBytes",
    )

    get: Callable[..., Any]
    set: Callable[..., None]
    check: Callable[..., None]

    def __init__(
        self, spec: FieldSpec, block: Block, offset: int, pieces: list[tuple[int, int]], varBytes: int
    ) -> None:
        self.spec = spec
        self.block = block
        self.offset = offset
        self.bitOffset = [bit for bit, _ in pieces]
        self.bitSize = [spec.numValues * spec.valueBits] if spec.numValues else [size for _, size in pieces]
        self.varBytes = varBytes
        self.low, self.high = self._bytes_of(min(self.bitOffset), max([bit + size for bit, size in pieces]))

    def __getattr__(self, name: str) -> Any:
        # Only a slot without a value comes here: the functions are not compiled yet.
        if name not in _COMPILED:
            raise AttributeError(f"{type(self).__name__} has no attribute {name}")
        if self.spec.numValues:
            self.get, self.set, self.check = array_codec(self)
        elif name == "get":
            self.get = scalar_getter(self)
        else:
            self.set, self.check = scalar_setter(self)
        return object.__getattribute__(self, name)

    def __repr__(self) -> str:
        return f"<Field {self.spec.path} at 0x{self.address:08x}>"

    @property
    def address(self) -> int:
        """Absolute address of the byte that holds the first bit."""
        return self.block.address + self.offset - self.block.offset + (min(self.bitOffset) >> 3)

    @property
    def pieces(self) -> list[tuple[int, int]]:
        """First bit in the block's image and width of each piece (not the elements of an array)."""
        shift = 8 * (self.offset - self.block.offset)
        return [(bit + shift, size) for bit, size in zip(self.bitOffset, self.bitSize, strict=True)]

    def _bytes_of(self, first: int, end: int) -> tuple[int, int]:
        """Return the aligned bytes of the image that hold the bits `first` to `end` of this field."""
        shift = 8 * (self.offset - self.block.offset)
        unit = self.block.minAccess
        return (first + shift) // (8 * unit) * unit, -(-(end + shift) // (8 * unit)) * unit

    def span(self, index: int = -1) -> tuple[int, int]:
        """Return first and end byte in the image of the variable, or of element `index` of an array."""
        spec = self.spec
        if 0 <= index < spec.numValues:
            first = self.bitOffset[0] + index * spec.valueStride
            return self._bytes_of(first, first + spec.valueBits)
        return self.low, self.high

    def holds(self, value: Any, index: int = -1) -> bool:
        """Say whether staging `value`, which `check` has let through, would change no bit of the image."""
        model = self.spec.model
        present = self.get(index)
        if not self.spec.numValues or not isinstance(value, list | tuple | np.ndarray):
            if isinstance(present, np.ndarray):
                present = self.get(0)
            return model.toBytes(value) == model.toBytes(present)
        first = max(index, 0)
        return all(self.holds(one, number) for number, one in enumerate(value, first))

    def out_of_range(self, value: Any, low: Any, high: Any) -> VariableError:
        """Return the error for a value outside ``low..high``."""
        return VariableError(
            f"Value range error for {self.spec.name}. Value={value}, Min={low}, Max={high}",
            path=self.spec.path,
        )

    def unfit(self, value: Any, reason: Exception) -> VariableError:
        """Return the error for a value that does not convert to the model."""
        return VariableError(
            f"Invalid value for {self.spec.name} with type {self.spec.model.name}: {reason}",
            path=self.spec.path,
            expected=self.spec.model.pytype.__name__,
            seen=f"{value!r:.100}",
        )
