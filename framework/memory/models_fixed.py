"""Models of fixed point numbers and of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sapwood.errors import VariableError
from sapwood.memory.bits import twosComplement
from sapwood.memory.model import Model, container
from sapwood.memory.models_float import real, reals

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Fixed", "String", "UFixed"]


class Fixed(Model):
    """Signed fixed point number: an integer of `bitSize` bits divided by 2 to the `binPoint`.

    Values between two steps are rounded to the nearer one, halves away from zero.
    """

    modelId = 8
    pytype: ClassVar[type] = float
    signed = True

    def __init__(self, bitSize: int, binPoint: int) -> None:
        if not 1 <= bitSize <= 64:
            raise VariableError(
                f"BitSize of {bitSize} is invalid for {type(self).__name__}", expected="1 to 64 bits"
            )
        super().__init__(bitSize, binPoint)
        self._low = -(1 << (bitSize - 1)) if self.signed else 0
        self._high = self._low + self.mask
        self._scale = 2.0**binPoint

    def _label(self) -> str:
        return f"{type(self).__name__}_{self.bitSize}_{self.binPoint}"

    def _ndType(self) -> np.dtype[Any] | None:
        return np.dtype("<f8")

    def minValue(self) -> float:
        """Return the smallest value."""
        return self._low / self._scale

    def maxValue(self) -> float:
        """Return the largest value."""
        return self._high / self._scale

    def fromString(self, string: str) -> float:
        """Return the number that `string` writes."""
        return float(string)

    def normalize(self, value: Any) -> float:
        """Return `value` as a float."""
        return real(value)

    def normalizeArray(self, values: Any) -> NDArray[Any]:
        """Return `values` as floats."""
        return reals(values)

    def encode(self, value: float) -> int:
        """Return the raw integer of the nearest step; NaN is refused."""
        scaled = value * self._scale
        steps = int(scaled)
        if abs(scaled - steps) >= 0.5:
            steps += 1 if scaled > 0 else -1
        return min(max(steps, self._low), self._high) & self.mask

    def decode(self, raw: int) -> float:
        """Return the value."""
        return (twosComplement(raw, self.bitSize) if self.signed else raw) / self._scale

    def encodeArray(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return raw integers."""
        if np.isnan(values).any():
            raise ValueError("NaN is not a fixed point number")
        scaled = values.astype(np.float64) * self._scale
        steps = np.trunc(scaled)
        steps += np.where(np.abs(scaled - steps) >= 0.5, np.sign(scaled), 0.0)
        if self.bitSize > 53:  # a float cannot tell the limits apart from the step beyond them
            raw = np.empty(len(steps), container(self.bitSize))
            raw[:] = [min(max(int(step), self._low), self._high) & self.mask for step in steps]
            return raw
        whole = np.clip(steps, self._low, self._high).astype(np.int64)
        return whole.astype(container(self.bitSize))

    def decodeArray(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return the values."""
        if self.signed:
            unused = 8 * raw.dtype.itemsize - self.bitSize
            raw = (raw << unused).view(f"<i{raw.dtype.itemsize}") >> unused
        values: NDArray[Any] = raw / self._scale
        return values


class UFixed(Fixed):
    """Unsigned fixed point number."""

    modelId = 9
    signed = False


class String(Model):
    """UTF-8 text, padded with zeros; the last byte always stays zero.

    Longer text is cut at a character. Bytes that are no UTF-8 read as replacement characters.
    """

    modelId = 5
    pytype: ClassVar[type] = str

    def __init__(self, bitSize: int) -> None:
        if bitSize % 8:
            raise VariableError(f"BitSize of {bitSize} is invalid for String", expected="a multiple of 8")
        super().__init__(bitSize)

    def _label(self) -> str:
        return f"String({self.bytes})"

    def normalize(self, value: Any) -> str:
        """Return `value`, which must be text."""
        if not isinstance(value, str):
            raise TypeError(f"{value!r} is not text")
        return value

    def toBytes(self, value: Any) -> bytes:
        """Return the register's bytes."""
        data = self.normalize(value).encode()
        if len(data) >= self.bytes:
            data = data[: self.bytes - 1].decode(errors="ignore").encode()
        return data.ljust(self.bytes, b"\0")

    def fromBytes(self, data: Any) -> str:
        """Return the text before the first zero byte."""
        return bytes(data).partition(b"\0")[0].decode(errors="replace")
