"""A number at a fixed place of each payload: trigger counters, sequence numbers, time stamps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sapwood.errors import StreamError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.windows import windows

__all__ = ["PayloadField", "Unwrapper"]


@dataclass(frozen=True)
class PayloadField:
    """A whole number in every payload.

    Parameters
    ----------
    offset
        Byte of the payload that it begins at.
    dtype
        Its type, for example ``<u4`` or ``>u2``; integers of 1 to 8 bytes.

    Raises
    ------
    StreamError
        For a negative offset, or a type that is no integer.
    """

    offset: int
    dtype: DTypeLike = "<u4"
    _type: np.dtype[Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        kind = np.dtype(self.dtype)
        if self.offset < 0 or kind.kind not in "iu":
            raise StreamError(
                "No such payload field", expected="an offset of 0 or more, an integer type",
                seen=f"offset {self.offset}, type {kind}",
            )  # fmt: skip
        object.__setattr__(self, "_type", kind)

    @property
    def bits(self) -> int:
        """Bits of the number: a counter starts again from zero after 2**bits."""
        return self._type.itemsize * 8

    def read(self, batch: FrameBatch) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the numbers, i8[n] (u8 modulo 2**64), and which frames are long enough to have one."""
        width = self._type.itemsize
        there = batch.size >= self.offset + width
        values = np.zeros(len(batch), np.int64)
        if there.all():
            place: NDArray[np.int64] = batch.start + self.offset
            if len(place):
                values[:] = windows(batch.payload, width)[place].view(self._type).astype(np.int64)
        elif there.any():
            place = batch.start[there] + self.offset
            values[there] = windows(batch.payload, width)[place].view(self._type).astype(np.int64)
        return values, there


class Unwrapper:
    """Continues counters of limited width: each number is the one nearest to that before it.

    Parameters
    ----------
    bits
        Bits of the counter, 1 to 64.
    """

    def __init__(self, bits: int) -> None:
        if not 1 <= bits <= 64:
            raise StreamError("No such width of a counter", expected="1..64 bits", seen=bits)
        self._spare = 64 - bits
        self._last: int | None = None  # as counted
        self._value = 0  # as continued

    def __call__(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return `counts`, i8[n], continued across their wraps, i8[n]."""
        if not (len(counts) and self._spare):
            return counts
        if self._last is None:
            self._last = self._value = int(counts[0])
        steps = counts - np.concatenate(([self._last], counts[:-1]))
        steps = (steps << self._spare) >> self._spare  # the nearer way round
        values = self._value + np.cumsum(steps)
        self._last, self._value = int(counts[-1]), int(values[-1])
        return values
