"""RemoteVariable: a value in the registers of the hardware."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from sapwood.errors import VariableError
from sapwood.memory import FieldSpec, Model, Read, UInt, Verify, Write
from sapwood.tree.variable import BOOL_TEXTS, BaseVariable, waits

__all__ = ["RemoteVariable"]


class _Unplaced:
    """Stands for the place in a block until the tree has started."""

    def __getattr__(self, name: str) -> Any:
        raise VariableError("The registers are not mapped: the tree has not been started")


def _numbers(value: int | Iterable[int]) -> tuple[int, ...]:
    """Return one number or several as a tuple."""
    if type(value) is int:
        return (value,)
    return tuple(int(item) for item in value) if isinstance(value, Iterable) else (int(value),)


class RemoteVariable(BaseVariable):
    """A value in the registers of the hardware.

    Parameters
    ----------
    offset
        Byte offset from the device; a list for a value in several places.
    bitSize, bitOffset
        Bits of the value, and first bit from `offset`; lists as `offset`, least significant first.
    base
        A model class (``UInt``, ``Int``, ``Bool``, ``String``, ``Float``...) or an instance.
    numValues, valueBits, valueStride
        An array of `numValues` elements of `valueBits` bits, every `valueStride` bits.
    overlapEn
        Share bits with other variables that allow it too.
    verify
        Read back and compare after a write.
    retryCount
        How often a failed access is repeated.
    minimum, maximum
        Limits within those of the model.

    Raises
    ------
    VariableError
        For sizes that make no sense, an array of a model that has none, or an enum of an array value.
    """

    _PROPERTIES: ClassVar[tuple[str, ...]] = (
        *BaseVariable._PROPERTIES,
        "address", "overlapEn", "offset", "bitOffset", "bitSize", "verifyEn", "numValues", "valueBits",
        "valueStride", "retryCount", "varBytes", "bulkEn",
    )  # fmt: skip
    _block: Any = _Unplaced()
    _field: Any = _Unplaced()

    def __init__(
        self,
        *,
        name: str,
        offset: int | Iterable[int],
        value: Any = None,
        disp: str | Mapping[Any, str] | Iterable[Any] | None = None,
        enum: Mapping[Any, str] | None = None,
        minimum: Any = None,
        maximum: Any = None,
        base: Any = UInt,
        bitSize: int | Iterable[int] = 32,
        bitOffset: int | Iterable[int] = 0,
        numValues: int = 0,
        valueBits: int = 0,
        valueStride: int = 0,
        overlapEn: bool = False,
        verify: bool = True,
        retryCount: int = 0,
        **kwargs: Any,
    ) -> None:
        sizes = (numValues * valueBits,) if numValues else _numbers(bitSize)
        model = _model(name, base, valueBits if numValues else sum(sizes), sizes)
        if numValues:
            _check_array(name, model, valueBits, valueStride)
        if disp is None:
            disp = model.defaultdisp
            if model.pytype is bool and enum is None:
                enum = BOOL_TEXTS
        super().__init__(name=name, disp=disp, enum=enum, **kwargs)
        if (
            isinstance(value, (list, dict, np.ndarray))
            and self._enum is not None
            and model.pytype is not bool
        ):
            raise VariableError(
                f"Invalid use of enum with value of type {type(value)} in variable {name}", path=name
            )
        if value is not None:
            self._default = value
        self._nativeType = model.pytype
        if numValues:
            self._nativeType, self._ndType, self._shape = np.ndarray, model.ndType, (numValues,)
        low, high = model.minValue(), model.maxValue()
        self._minimum = low if minimum is None or (low is not None and minimum < low) else minimum
        self._maximum = high if maximum is None or (high is not None and maximum > high) else maximum
        self._wanted = FieldSpec(
            name, name, _numbers(offset), _numbers(bitOffset), sizes, model, self._mode, overlapEn, verify,
            self._bulkOpEn, self._updateNotify, retryCount, numValues, valueBits, valueStride,
            self._minimum, self._maximum, self,
        )  # fmt: skip

    def _spec(self) -> FieldSpec:
        """Return what this variable asks of the register layer."""
        wanted = self._wanted
        wanted.path, wanted.mode = self._path, self._mode
        wanted.bulkOpEn, wanted.updateNotify = self._bulkOpEn, self._updateNotify
        wanted.minimum, wanted.maximum = self._minimum, self._maximum
        return wanted

    def _place(self, field: Any) -> None:
        """Take the place in a block that the register layer has given."""
        self._field = field
        self._block = field.block
        self._direct = not self._parent._intercepts

    # ---- access

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
        """Stage `value` (or the elements from `index`) and, unless `write` is False, write and verify it."""
        if check is not None:
            wait = waits(wait, check)
        if not write:
            self._field.set(value, index)
        elif self._direct:
            self._block.write(self._field, value, index, verify, wait is not False)
        else:
            self._field.set(value, index)
            self._parent._write_variable(self, index, verify, wait is not False)

    def get(
        self, *, index: int = -1, read: bool = True, wait: bool | None = None, check: bool | None = None
    ) -> Any:
        """Return the value (or one element), read from the hardware unless `read` is False."""
        if check is not None:
            wait = waits(wait, check)
        if not read:
            return self._field.get(index)
        if self._direct:
            self._block.read(self._field, index, wait is not False)
        else:
            self._parent._read_variable(self, index, wait is not False)
        return self._field.get(index)

    def value(self, index: int = -1) -> Any:
        """Return the value (or one element) last read or staged, without access to the hardware."""
        return self._field.get(index)

    def post(self, value: Any, *, index: int = -1) -> None:
        """Write `value` posted, and wait until the bus has taken it."""
        self._block.post(self._field, value, index)

    def write(self, *, verify: bool = True, wait: bool | None = None, check: bool | None = None) -> None:
        """Write what is staged."""
        wait = waits(wait, check)
        if not self._direct:
            self._parent._write_variable(self, -1, verify, wait)
            return
        self._block.startTransaction(Write, force=True, field=self._field)
        if verify:
            self._block.startTransaction(Verify, field=self._field)
        if wait:
            self._block.waitTransaction()

    def startRead(self, index: int = -1) -> None:
        """Request a read without waiting for it."""
        self._block.startTransaction(Read, field=self._field, index=index)

    def _check(self, value: Any, index: int = -1) -> None:
        self._field.check(value, index)

    def _holds(self, value: Any, index: int = -1) -> bool:
        return bool(self._field.holds(value, index))

    # ---- where it is

    @property
    def address(self) -> int:
        """Absolute address of the block that holds this variable (bytes)."""
        return int(self._block.address)

    @property
    def byteAddress(self) -> int:
        """Absolute address of the first byte of this variable."""
        return self.address - int(self._block.offset) + self.offset

    @property
    def _placed(self) -> bool:
        return not isinstance(self._field, _Unplaced)

    @property
    def offset(self) -> int:
        """Byte offset from the device, aligned to the bus' access size once the tree has started."""
        return int(self._field.offset) if self._placed else min(self._wanted.offset)

    @property
    def bitOffset(self) -> list[int]:
        """First bit of each piece, counted from `offset`."""
        return list(self._field.bitOffset if self._placed else self._wanted.bitOffset)

    @property
    def bitSize(self) -> list[int]:
        """Bits of each piece."""
        return list(self._field.bitSize if self._placed else self._wanted.bitSize)

    @property
    def varBytes(self) -> int:
        """Bytes from `offset` that hold this variable, in whole accesses."""
        return int(self._field.varBytes)

    @property
    def numValues(self) -> int:
        """Elements of the array, 0 for a scalar."""
        return self._wanted.numValues

    @property
    def valueBits(self) -> int:
        """Bits of one element."""
        return self._wanted.valueBits

    @property
    def valueStride(self) -> int:
        """Bits from one element to the next."""
        return self._wanted.valueStride

    @property
    def retryCount(self) -> int:
        """How often a failed access is repeated."""
        return self._wanted.retryCount

    @property
    def verifyEn(self) -> bool:
        """Whether writes are verified."""
        return self._wanted.verify

    @property
    def overlapEn(self) -> bool:
        """Whether bits may be shared."""
        return self._wanted.overlapEn

    @property
    def bulkEn(self) -> bool:
        """Whether this variable takes part in bulk operations."""
        return self._bulkOpEn

    @property
    def base(self) -> Model:
        """The model of the value."""
        return self._wanted.model

    @property
    def typeStr(self) -> str:
        """Name of the model; type and length of an array."""
        if self._typeStr != "Unknown":
            return self._typeStr
        wanted = self._wanted
        return f"{self._ndType}({wanted.numValues},)" if wanted.numValues else wanted.model.name

    def _finishInit(self) -> None:
        if self._default is not None:
            self.setDisp(self._default, write=False)
        if self._pollInterval > 0:
            self._register_poll()


def _model(name: str, base: Any, bits: int, sizes: tuple[int, ...]) -> Model:
    """Return the model instance for a variable of `bits` bits in pieces of `sizes`."""
    if not all(sizes) and not isinstance(base, Model):
        raise VariableError(f"BitSize of 0 is invalid for variable {name}", path=name)
    if isinstance(base, Model):
        return base
    model: Model = base(bits)
    return model


def _check_array(name: str, model: Model, bits: int, stride: int) -> None:
    if bits > stride:
        raise VariableError(f"ValueBits {bits} is greater than valueStrude {stride} in variable {name}")
    if model.ndType is None:
        raise VariableError(f"Model {model.name} of variable {name} has no arrays", path=name)
