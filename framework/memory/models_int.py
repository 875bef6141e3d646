"""Models of whole numbers and booleans."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sapwood.errors import VariableError
from sapwood.memory.bits import reverseBits, twosComplement
from sapwood.memory.model import Model, container

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Bool", "Int", "IntBE", "UInt", "UIntBE", "UIntReversed"]

_STRUCT_CODES = {8: "B", 16: "H", 32: "I", 64: "Q"}


def integer(value: Any) -> int:
    """Return `value` as an int; floats are accepted when they are whole numbers.

    Raises
    ------
    TypeError, ValueError
        `value` is not a whole number.
    """
    if isinstance(value, np.bool_):
        return int(value)
    if isinstance(value, float | np.floating):
        whole = int(value)  # refuses NaN and infinity
        if whole != value:
            raise ValueError(f"{value!r} is not a whole number")
        return whole
    return operator.index(value)


def integers(values: Any) -> NDArray[Any]:
    """Return `values` as a 1-D array of an integer dtype, or of Python ints where none fits."""
    array = np.asarray(values)
    if array.dtype.kind in "iu":
        return array
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    exact = np.empty(array.size, object)
    exact[:] = [integer(value) for value in (array.ravel() if array is values else values)]
    return exact


def swap_bytes(raw: int, bits: int) -> int:
    """Return `raw` with its bytes in reverse order; the top one may be short and stays so."""
    top = bits & 7
    if not top:
        return int.from_bytes(raw.to_bytes(bits >> 3, "big"), "little")
    low = bits - top
    rest = int.from_bytes((raw & (1 << low) - 1).to_bytes(low >> 3, "big"), "little")
    return raw >> low | rest << top


def unswap_bytes(raw: int, bits: int) -> int:
    """Undo `swap_bytes`."""
    top = bits & 7
    if not top:
        return int.from_bytes(raw.to_bytes(bits >> 3, "big"), "little")
    low = bits - top
    rest = int.from_bytes((raw >> top).to_bytes(low >> 3, "big"), "little")
    return (raw & (1 << top) - 1) << low | rest


class UInt(Model):
    """Unsigned integer of any width, little-endian."""

    modelId = 2
    pytype: ClassVar[type] = int
    defaultdisp = "{:#x}"
    plain = True

    def _ndType(self) -> np.dtype[Any] | None:
        return container(self.bitSize)

    def minValue(self) -> int:
        """Return the smallest value."""
        return 0

    def maxValue(self) -> int:
        """Return the largest value."""
        return self.mask

    def fromString(self, string: str) -> int:
        """Return the integer that `string` writes; prefixes ``0x``, ``0o``, ``0b`` work."""
        return int(string, 0)

    def struct_format(self) -> str | None:
        """Return the ``struct`` code for widths of 8, 16, 32 and 64 bits."""
        code = _STRUCT_CODES.get(self.bitSize)
        if code is None:
            return None
        return (">" if self.isBigEndian else "<") + (code.lower() if self.signed else code)

    def normalize(self, value: Any) -> int:
        """Return `value` as an int."""
        return integer(value)

    def normalizeArray(self, values: Any) -> NDArray[Any]:
        """Return `values` as integers."""
        return integers(values)

    def toBytes(self, value: Any) -> bytes:
        """Return the register's bytes; raises OverflowError outside the range."""
        number = self.normalize(value)
        if not self.minValue() <= number <= self.maxValue():
            raise OverflowError(f"{number} does not fit {self.name}")
        return self.encode(number).to_bytes(self.bytes, "little")

    def encode(self, value: int) -> int:
        """Return the raw integer."""
        return value

    def decode(self, raw: int) -> int:
        """Return the value."""
        return raw

    def encodeArray(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return raw integers, modulo 2 to the width of their container."""
        kind = container(self.bitSize)
        if kind.kind == "O" or values.dtype.kind == "O":
            return super().encodeArray(values)
        return self._placed(values.astype(kind, copy=False))

    def decodeArray(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return the values."""
        if raw.dtype.kind == "O":
            return super().decodeArray(raw)
        return raw

    def _placed(self, raw: NDArray[Any]) -> NDArray[Any]:
        return raw


class Int(UInt):
    """Two's complement integer of any width, little-endian."""

    modelId = 3
    defaultdisp = "{:d}"
    signed = True
    plain = False

    def _ndType(self) -> np.dtype[Any] | None:
        kind = container(self.bitSize)
        return kind if kind.kind == "O" else np.dtype(f"<i{kind.itemsize}")

    def minValue(self) -> int:
        """Return the smallest value."""
        return -(1 << (self.bitSize - 1))

    def maxValue(self) -> int:
        """Return the largest value."""
        return (1 << (self.bitSize - 1)) - 1

    def encode(self, value: int) -> int:
        """Return the raw integer."""
        return value & self.mask

    def decode(self, raw: int) -> int:
        """Return the value."""
        return twosComplement(raw, self.bitSize)

    def decodeArray(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return the values, their sign extended to the dtype."""
        if raw.dtype.kind == "O":
            return super().decodeArray(raw)
        unused = 8 * raw.dtype.itemsize - self.bitSize
        signed: NDArray[Any] = (raw << unused).view(f"<i{raw.dtype.itemsize}") >> unused
        return signed


class _BytesReversed(UInt):
    """Mixin: the bytes of the value are reversed before they are placed.

    Where the width is no multiple of 8 the most significant byte is short; it comes first and
    takes only its own bits, so that nothing is lost.
    """

    isBigEndian = True
    plain = False

    def encode(self, value: int) -> int:
        """Return the raw integer."""
        return swap_bytes(super().encode(value), self.bitSize)

    def decode(self, raw: int) -> int:
        """Return the value."""
        return super().decode(unswap_bytes(raw, self.bitSize))

    def encodeArray(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return raw integers."""
        return Model.encodeArray(self, values) if self.bitSize & 7 else super().encodeArray(values)

    def decodeArray(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return the values."""
        if self.bitSize & 7 or raw.dtype.kind == "O":
            return Model.decodeArray(self, raw)
        return super().decodeArray(self._placed(raw))

    def _placed(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return `raw` with the bytes of each element reversed; its own inverse."""
        placed: NDArray[Any] = raw.byteswap() >> (8 * raw.dtype.itemsize - self.bitSize)
        return placed


class UIntBE(_BytesReversed):
    """Unsigned integer, big-endian."""

    modelId = 2


class IntBE(_BytesReversed, Int):
    """Two's complement integer, big-endian."""

    modelId = 3


class UIntReversed(UInt):
    """Unsigned integer whose bits are in reverse order."""

    modelId = 0
    bitReverse = True
    plain = False

    def _ndType(self) -> np.dtype[Any] | None:
        return None

    def struct_format(self) -> str | None:
        """Return None: no ``struct`` code reverses bits."""
        return None

    def encode(self, value: int) -> int:
        """Return the raw integer."""
        return reverseBits(value, self.bitSize)

    def decode(self, raw: int) -> int:
        """Return the value."""
        return reverseBits(raw, self.bitSize)


class Bool(Model):
    """One bit."""

    modelId = 4
    pytype: ClassVar[type] = bool

    def __init__(self, bitSize: int = 1) -> None:
        if bitSize != 1:
            raise VariableError(f"BitSize of {bitSize} is invalid for Bool", expected="1 bit")
        super().__init__(bitSize)

    def _label(self) -> str:
        return "Bool"

    def _ndType(self) -> np.dtype[Any] | None:
        return np.dtype(bool)

    def minValue(self) -> int:
        """Return the smallest value."""
        return 0

    def maxValue(self) -> int:
        """Return the largest value."""
        return 1

    def fromString(self, string: str) -> bool:
        """Return whether `string` is the word true, in any case."""
        return string.strip().lower() == "true"

    def normalize(self, value: Any) -> bool:
        """Return whether `value`, a boolean or an integer, is not zero."""
        return bool(integer(value))

    def normalizeArray(self, values: Any) -> NDArray[Any]:
        """Return which of `values` are not zero."""
        return integers(values).astype(bool)

    def encode(self, value: bool) -> int:
        """Return the raw integer."""
        return 1 if value else 0

    def decode(self, raw: int) -> bool:
        """Return the value."""
        return raw != 0

    def encodeArray(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return raw integers."""
        return values.astype(np.uint8)

    def decodeArray(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return the values."""
        values: NDArray[Any] = raw != 0
        return values
