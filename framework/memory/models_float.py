"""Models of floating point numbers, from 64 bits down to 4."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sapwood.errors import VariableError
from sapwood.memory.model import Model, container

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "BFloat16",
    "BFloat16BE",
    "Double",
    "DoubleBE",
    "Float",
    "Float4",
    "Float4BE",
    "Float6",
    "Float6BE",
    "Float8",
    "Float8BE",
    "Float16",
    "Float16BE",
    "FloatBE",
    "TensorFloat32",
    "TensorFloat32BE",
]


def real(value: Any) -> float:
    """Return a number, of Python or NumPy, as a float; refuse text and complex numbers."""
    if isinstance(value, int | float | np.integer | np.floating | np.bool_):
        return float(value)
    if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "iufb":
        return float(value)
    raise TypeError(f"{value!r} is not a real number")


def reals(values: Any) -> NDArray[Any]:
    """Return `values` as a 1-D array of a floating dtype."""
    array = np.asarray(values)
    if array.dtype.kind == "f":
        return array
    if array.dtype.kind in "iub":
        return array.astype(np.float64)
    return np.array([real(value) for value in values], np.float64)


class _Real(Model):
    """What all floating point models share."""

    pytype: ClassVar[type] = float
    defaultdisp = "{:f}"
    bits: ClassVar[int]
    limit: ClassVar[float]

    def __init__(self, bitSize: int) -> None:
        if bitSize != self.bits:
            raise VariableError(
                f"BitSize of {bitSize} is invalid for {type(self).__name__}", expected=f"{self.bits} bits"
            )
        super().__init__(bitSize)

    def minValue(self) -> float:
        """Return the smallest value."""
        return -self.limit

    def maxValue(self) -> float:
        """Return the largest value."""
        return self.limit

    def fromString(self, string: str) -> float:
        """Return the number that `string` writes."""
        return float(string)

    def normalize(self, value: Any) -> float:
        """Return `value` as a float."""
        return real(value)

    def normalizeArray(self, values: Any) -> NDArray[Any]:
        """Return `values` as floats."""
        return reals(values)


class Float(_Real):
    """IEEE 754 binary32, little-endian."""

    modelId = 6
    bits = 32
    limit = 3.4e38
    code: ClassVar[str] = "f"

    def _ndType(self) -> np.dtype[Any] | None:
        return np.dtype(f"<f{self.bytes}")

    def struct_format(self) -> str | None:
        """Return the ``struct`` code of this model."""
        return (">" if self.isBigEndian else "<") + self.code

    def encode(self, value: float) -> int:
        """Return the raw integer; finite values too large become infinite."""
        order = ">" if self.isBigEndian else "<"
        try:
            packed = struct.pack(order + self.code, value)
        except OverflowError:
            packed = struct.pack(order + self.code, float("inf") if value > 0 else float("-inf"))
        return int.from_bytes(packed, "little")

    def decode(self, raw: int) -> float:
        """Return the value."""
        order = ">" if self.isBigEndian else "<"
        value: float = struct.unpack(order + self.code, raw.to_bytes(self.bytes, "little"))[0]
        return value

    def encodeArray(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return raw integers."""
        raw = values.astype(f"{'>' if self.isBigEndian else '<'}f{self.bytes}")
        return raw.view(container(self.bitSize))

    def decodeArray(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return the values."""
        values = np.ascontiguousarray(raw).view(f"{'>' if self.isBigEndian else '<'}f{self.bytes}")
        return values.astype(f"<f{self.bytes}", copy=False)


class FloatBE(Float):
    """IEEE 754 binary32, big-endian."""

    isBigEndian = True


class Double(Float):
    """IEEE 754 binary64, little-endian."""

    modelId = 7
    bits = 64
    limit = float("inf")
    code = "d"


class DoubleBE(Double):
    """IEEE 754 binary64, big-endian."""

    isBigEndian = True


class _Narrow(_Real):
    """A format narrower than binary32, encoded with NumPy; conversion truncates toward zero."""

    def _label(self) -> str:
        return type(self).__name__

    def _ndType(self) -> np.dtype[Any] | None:
        return np.dtype(np.float32)

    def encode(self, value: float) -> int:
        """Return the raw integer."""
        with np.errstate(over="ignore"):
            return int(self.encodeArray(np.array([value]))[0])

    def decode(self, raw: int) -> float:
        """Return the value."""
        return float(self.decodeArray(np.array([raw], container(self.bitSize)))[0])

    def encodeArray(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return raw integers."""
        codes = self._codes(values)
        return codes.byteswap() if self.isBigEndian else codes

    def decodeArray(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return the values."""
        return self._values(raw.byteswap() if self.isBigEndian else raw)

    def _codes(self, values: NDArray[Any]) -> NDArray[Any]:
        raise NotImplementedError

    def _values(self, codes: NDArray[Any]) -> NDArray[Any]:
        raise NotImplementedError


class _Truncated(_Narrow):
    """binary32 with the low bits of its mantissa cut off."""

    cut: ClassVar[int]
    shift: ClassVar[int]

    def _codes(self, values: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(over="ignore"):
            single = values.astype("<f4")
        codes = single.view("<u4") >> self.cut << self.cut
        codes[np.isnan(single)] |= np.uint32(0x400000)  # a NaN stays one whatever was cut off
        return (codes >> self.shift).astype(container(self.bitSize))

    def _values(self, codes: NDArray[Any]) -> NDArray[Any]:
        values: NDArray[Any] = (codes.astype("<u4") << self.shift).view("<f4")
        return values


class BFloat16(_Truncated):
    """The upper 16 bits of binary32."""

    modelId = 12
    bits = 16
    limit = 3.3895313892515355e38
    cut = 16
    shift = 16


class BFloat16BE(BFloat16):
    """The upper 16 bits of binary32, big-endian."""

    isBigEndian = True


class TensorFloat32(_Truncated):
    """binary32 with a mantissa of 10 bits."""

    modelId = 13
    bits = 32
    limit = 3.4011621342146535e38
    cut = 13
    shift = 0


class TensorFloat32BE(TensorFloat32):
    """binary32 with a mantissa of 10 bits, big-endian."""

    isBigEndian = True


class _Tabled(_Narrow):
    """A format of few codes: its finite positive values stand in a table, in order of code."""

    exponent: ClassVar[int]
    mantissa: ClassVar[int]
    finite: ClassVar[int]
    nan: ClassVar[int]
    infinite: ClassVar[int]

    def __init__(self, bitSize: int) -> None:
        super().__init__(bitSize)
        self._sign = 1 << (self.exponent + self.mantissa)
        codes = np.arange(self._sign)
        power = codes >> self.mantissa
        part = (codes & (1 << self.mantissa) - 1) / (1 << self.mantissa)
        bias = (1 << (self.exponent - 1)) - 1
        values = np.where(power > 0, np.ldexp(1 + part, power - bias), np.ldexp(part, 1 - bias))
        self._steps = values[: self.finite + 1]
        values[self.finite + 1 :] = np.nan
        if self.infinite != self.finite:
            values[self.infinite] = np.inf
        self._table = np.concatenate((values, -values)).astype(self.ndType)

    def _codes(self, values: NDArray[Any]) -> NDArray[Any]:
        size = np.abs(values).astype(np.float64)
        codes: NDArray[Any] = np.searchsorted(self._steps, size, side="right") - 1
        codes[np.isinf(size)] = self.infinite
        codes[np.signbit(values)] |= self._sign
        codes[np.isnan(values)] = self.nan
        return codes.astype(container(self.bitSize))

    def _values(self, codes: NDArray[Any]) -> NDArray[Any]:
        values: NDArray[Any] = self._table[codes & (2 * self._sign - 1)]
        return values


class Float16(_Tabled):
    """IEEE 754 binary16."""

    modelId = 10
    bits = 16
    limit = 65504.0
    exponent, mantissa, finite, nan, infinite = 5, 10, 0x7BFF, 0x7E00, 0x7C00

    def _ndType(self) -> np.dtype[Any] | None:
        return np.dtype("<f2")


class Float16BE(Float16):
    """IEEE 754 binary16, big-endian."""

    isBigEndian = True


class Float8(_Tabled):
    """E4M3: no infinity, one NaN."""

    modelId = 11
    bits = 8
    limit = 448.0
    exponent, mantissa, finite, nan, infinite = 4, 3, 0x7E, 0x7F, 0x7E


class Float8BE(Float8):
    """E4M3, big-endian."""

    isBigEndian = True


class Float6(_Tabled):
    """E3M2 in the low 6 bits of a byte: no infinity, no NaN (written as the largest value)."""

    modelId = 14
    bits = 8
    limit = 28.0
    exponent, mantissa, finite, nan, infinite = 3, 2, 0x1F, 0x1F, 0x1F


class Float6BE(Float6):
    """E3M2 in the low 6 bits of a byte, big-endian."""

    isBigEndian = True


class Float4(_Tabled):
    """E2M1 in the low 4 bits of a byte: no infinity, no NaN (written as the largest value)."""

    modelId = 15
    bits = 8
    limit = 6.0
    exponent, mantissa, finite, nan, infinite = 2, 1, 7, 7, 7


class Float4BE(Float4):
    """E2M1 in the low 4 bits of a byte, big-endian."""

    isBigEndian = True
