"""Closures that read and stage runs of values in the image of a block."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from sapwood.errors import VariableError
from sapwood.memory.model import container
from sapwood.memory.scalars import raw_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sapwood.memory.field import Field

__all__ = ["array_codec"]

_CONVERSION = (TypeError, ValueError, OverflowError)


class _Aligned:
    """Elements that start at whole bytes and end before the next one does: a view of the image."""

    def __init__(self, image: bytearray, first: int, count: int, bits: int, stride: int) -> None:
        kind = container(bits)
        self._view: NDArray[Any] = np.ndarray((count,), kind, image, first >> 3, (stride >> 3,))
        self._whole = bits == 8 * kind.itemsize
        self._mask = kind.type((1 << bits) - 1)
        self._kept = ~self._mask

    @staticmethod
    def holds(image: bytearray, first: int, count: int, bits: int, stride: int) -> bool:
        """Say whether the elements lie so that whole integers of the image can be used."""
        size = container(bits).itemsize
        if container(bits).kind == "O" or first & 7 or stride & 7 or 8 * size > stride:
            return False
        return (first + (count - 1) * stride >> 3) + size <= len(image)

    def one(self, index: int) -> int:
        return int(self._view[index] & self._mask)

    def all(self) -> NDArray[Any]:
        if self._whole:
            return self._view.copy()
        masked: NDArray[Any] = self._view & self._mask
        return masked

    def put_one(self, index: int, raw: int) -> None:
        self._view[index] = raw if self._whole else (self._view[index] & self._kept) | raw

    def put(self, index: int, raw: NDArray[Any]) -> None:
        part = self._view[index : index + len(raw)]
        part[:] = raw if self._whole else (part & self._kept) | (raw & self._mask)


class _Packed:
    """Elements of any width at any distance, unpacked to one byte a bit."""

    def __init__(self, image: bytearray, first: int, count: int, bits: int, stride: int) -> None:
        self._bytes = np.frombuffer(image, np.uint8)
        self._first, self._count, self._bits, self._stride = first, count, bits, stride
        self._raw = container(bits)

    def _cells(self, index: int, count: int) -> tuple[slice, NDArray[Any], NDArray[Any]]:
        """Return the covering bytes, their bits, and a view (count, bits) of the elements' bits."""
        first = self._first + index * self._stride
        end = first + (count - 1) * self._stride + self._bits
        where = slice(first >> 3, (end + 7) >> 3)
        flat = np.unpackbits(self._bytes[where], bitorder="little")
        cells = np.lib.stride_tricks.as_strided(
            flat[first & 7 :], (count, self._bits), (self._stride, 1), writeable=True
        )
        return where, flat, cells

    def one(self, index: int) -> int:
        _, _, cells = self._cells(index, 1)
        return int.from_bytes(np.packbits(cells[0], bitorder="little").tobytes(), "little")

    def all(self) -> NDArray[Any]:
        _, _, cells = self._cells(0, self._count)
        packed = np.packbits(cells, axis=1, bitorder="little")
        if self._raw.kind == "O":
            wide = np.empty(self._count, object)
            wide[:] = [int.from_bytes(row.tobytes(), "little") for row in packed]
            return wide
        padded = np.zeros((self._count, self._raw.itemsize), np.uint8)
        padded[:, : packed.shape[1]] = packed
        return padded.view(self._raw)[:, 0]

    def put_one(self, index: int, raw: int) -> None:
        one = np.empty(1, self._raw)
        one[0] = raw
        self.put(index, one)

    def put(self, index: int, raw: NDArray[Any]) -> None:
        where, flat, cells = self._cells(index, len(raw))
        if raw.dtype.kind == "O":
            size = (self._bits + 7) >> 3
            text = b"".join(value.to_bytes(size, "little") for value in raw)
            packed = np.frombuffer(text, np.uint8).reshape(len(raw), size)
        else:
            packed = np.ascontiguousarray(raw).view(np.uint8).reshape(len(raw), -1)
        cells[:] = np.unpackbits(packed, axis=1, count=self._bits, bitorder="little")
        self._bytes[where] = np.packbits(flat, bitorder="little")


def array_codec(field: Field) -> tuple[Callable[..., Any], Callable[..., None], Callable[..., None]]:
    """Return the functions that get, stage and check values of the array `field`."""
    spec, block, model = field.spec, field.block, field.spec.model
    first = field.pieces[0][0]
    count, bits, stride = spec.numValues, spec.valueBits, spec.valueStride
    where = (block.image, first, count, bits, stride)
    cells = _Aligned(*where) if _Aligned.holds(*where) else _Packed(*where)
    lock, raw_of = block.lock, raw_value(field)

    def get(index: int = -1) -> Any:
        at = operator.index(index)
        if at < 0:
            with lock:
                raw = cells.all()
            return model.decodeArray(raw)
        if at >= count:
            raise _no_such(field, at)
        return model.decode(cells.one(at))

    def is_run(value: Any, index: int) -> bool:
        """Say whether `value` is several values; one must have a place."""
        run = isinstance(value, list | tuple | np.ndarray) and np.ndim(value) > 0
        if not run and index >= count:
            raise _no_such(field, index)
        return run

    def check(value: Any, index: int = -1) -> None:
        at = max(operator.index(index), 0)
        if is_run(value, at):
            _raw_values(field, value, at)
        else:
            raw_of(value)

    def stage(value: Any, index: int = -1) -> None:
        at = max(operator.index(index), 0)
        low, high = field.span(at)
        if is_run(value, at):
            raw = _raw_values(field, value, at)
            if not len(raw):
                return
            _, high = field.span(at + len(raw) - 1)
            with lock:
                cells.put(at, raw)
                mark(low, high)
        else:
            one = raw_of(value)
            with lock:
                cells.put_one(at, one)
                mark(low, high)

    def mark(low: int, high: int) -> None:
        if spec.mode != "RO":
            block.stagedLow = min(block.stagedLow, low)
            block.stagedHigh = max(block.stagedHigh, high)

    return get, stage, check


def _no_such(field: Field, index: int) -> VariableError:
    return VariableError(f"Index {index} is out of range for {field.spec.name}", path=field.spec.path)


def _raw_values(field: Field, values: Any, index: int) -> NDArray[Any]:
    """Return the raw integers of `values`, checked to fit the array from `index` and its range."""
    spec = field.spec
    if index + len(values) > spec.numValues:
        raise VariableError(
            f"Overflow error for passed list with length {len(values)} at index {index}. "
            f"Variable length = {spec.numValues} for {spec.name}",
            path=spec.path,
        )
    minimum, maximum = spec.limits()
    try:
        array = spec.model.normalizeArray(values)
        if len(array) and minimum is not None and maximum is not None:
            smallest, largest = np.fmin.reduce(array), np.fmax.reduce(array)
            if smallest < minimum or largest > maximum:
                raise field.out_of_range(smallest if smallest < minimum else largest, minimum, maximum)
        return spec.model.encodeArray(array)
    except _CONVERSION as problem:
        if isinstance(problem, VariableError):
            raise
        raise field.unfit(values, problem) from problem
