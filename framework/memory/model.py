"""The base of the models: how a value and the bits of a register become one another."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sapwood.errors import VariableError
from sapwood.memory.bits import byteCount

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Buffer

__all__ = ["Model", "container"]


def container(bits: int) -> np.dtype[Any]:
    """Return the smallest unsigned dtype of at least `bits` bits, ``object`` above 64."""
    for size in (1, 2, 4, 8):
        if bits <= 8 * size:
            return np.dtype(f"<u{size}")
    return np.dtype(object)


class _OnePerArguments(type):
    """Metaclass: equal arguments give the same model."""

    _made: ClassVar[dict[tuple[object, ...], Any]] = {}

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        key = (cls, args, *kwargs.items())
        found = _OnePerArguments._made.get(key)
        if found is None:
            initializer = cls.__init__  # type: ignore[misc]  # its signature is what is looked at
            bound = inspect.signature(initializer).bind(None, *args, **kwargs)
            bound.apply_defaults()
            plain = (cls, tuple(bound.arguments.items())[1:])
            found = _OnePerArguments._made.get(plain)
            if found is None:
                found = super().__call__(*args, **kwargs)
                found = _OnePerArguments._made.setdefault(plain, found)
            _OnePerArguments._made[key] = found
        return found


class Model(metaclass=_OnePerArguments):
    """How values and the bits of a register become one another.

    A model of your own (``modelId`` 0) overrides ``toBytes`` and ``fromBytes``, and ``minValue``
    and ``maxValue`` where it has a range. The built-in models are written in terms of *raw*
    integers instead: the bits of the register, least significant first.

    Parameters
    ----------
    bitSize
        Bits of the value.
    binPoint
        Bits right of the binary point, for fixed point models.
    """

    modelId: ClassVar[int] = 0
    pytype: ClassVar[type] = bytes
    defaultdisp: ClassVar[str] = "{}"
    signed: ClassVar[bool] = False
    isBigEndian: ClassVar[bool] = False
    bitReverse: ClassVar[bool] = False
    plain: ClassVar[bool] = False
    """Whether raw integer and value are the same."""

    def __init__(self, bitSize: int, binPoint: int = 0) -> None:
        if bitSize < 1:
            raise VariableError(f"BitSize of {bitSize} is invalid", expected="at least 1 bit")
        self.bitSize = bitSize
        self.binPoint = binPoint
        self.bytes = byteCount(bitSize)
        self.mask = (1 << bitSize) - 1
        self.name = self._label()
        self.ndType: np.dtype[Any] | None = self._ndType()

    def _label(self) -> str:
        return f"{type(self).__name__}{self.bitSize}"

    def _ndType(self) -> np.dtype[Any] | None:
        """Return the dtype of arrays of this model, None when it has no arrays."""
        return None

    def __repr__(self) -> str:
        return f"<Model {self.name}>"

    @property
    def endianness(self) -> str:
        """``little`` or ``big``."""
        return "big" if self.isBigEndian else "little"

    def minValue(self) -> Any:
        """Return the smallest value, None without a range."""
        return None

    def maxValue(self) -> Any:
        """Return the largest value, None without a range."""
        return None

    def toBytes(self, value: Any) -> bytes | bytearray:
        """Return the register's bytes, least significant first, for `value`."""
        return self.encode(self.normalize(value)).to_bytes(self.bytes, "little")

    def fromBytes(self, data: Buffer) -> Any:
        """Return the value of the register's bytes."""
        return self.decode(int.from_bytes(data, "little") & self.mask)

    def fromString(self, string: str) -> Any:
        """Return the value that `string` writes."""
        return string

    def struct_format(self) -> str | None:
        """Return the ``struct`` code that does the whole work of this model, or None."""
        return None

    def normalize(self, value: Any) -> Any:
        """Return `value` as this model's Python type.

        Raises
        ------
        TypeError, ValueError
            It cannot be converted without loss.
        """
        return value

    def encode(self, value: Any) -> int:
        """Return the raw integer for a normalised value inside the range."""
        return int.from_bytes(self.toBytes(value), "little") & self.mask

    def decode(self, raw: int) -> Any:
        """Return the value of a raw integer of `bitSize` bits."""
        return self.fromBytes(raw.to_bytes(self.bytes, "little"))

    def normalizeArray(self, values: Any) -> NDArray[Any]:
        """Return `values` as a 1-D array whose elements convert without loss."""
        array = np.empty(len(values), object)
        array[:] = [self.normalize(value) for value in values]
        return array

    def encodeArray(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return raw integers, dtype ``container(bitSize)``, for normalised values."""
        raw = np.empty(len(values), container(self.bitSize))
        raw[:] = [self.encode(value) for value in values.tolist()]
        return raw

    def decodeArray(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return values, dtype `ndType`, for raw integers of dtype ``container(bitSize)``."""
        values = np.empty(len(raw), self.ndType)
        values[:] = [self.decode(one) for one in raw.tolist()]
        return values
