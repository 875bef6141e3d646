"""In-place operators: ``device.Variable += 1``."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["InPlace"]

Self = TypeVar("Self", bound="InPlace")


class InPlace:
    """Gives a variable the in-place operators; each reads, changes and sets under the variable's lock."""

    lock: Any
    value: Callable[..., Any]
    set: Callable[..., None]

    def _change(self: Self, function: Callable[[Any, Any], Any], other: Any) -> Self:
        with self.lock:
            self.set(function(self.value(), other))
        return self

    def __iadd__(self: Self, other: Any) -> Self:
        return self._change(operator.add, other)

    def __isub__(self: Self, other: Any) -> Self:
        return self._change(operator.sub, other)

    def __imul__(self: Self, other: Any) -> Self:
        return self._change(operator.mul, other)

    def __imatmul__(self: Self, other: Any) -> Self:
        return self._change(operator.matmul, other)

    def __itruediv__(self: Self, other: Any) -> Self:
        return self._change(operator.truediv, other)

    def __ifloordiv__(self: Self, other: Any) -> Self:
        return self._change(operator.floordiv, other)

    def __imod__(self: Self, other: Any) -> Self:
        return self._change(operator.mod, other)

    def __ipow__(self: Self, other: Any) -> Self:
        return self._change(operator.pow, other)

    def __ilshift__(self: Self, other: Any) -> Self:
        return self._change(operator.lshift, other)

    def __irshift__(self: Self, other: Any) -> Self:
        return self._change(operator.rshift, other)

    def __iand__(self: Self, other: Any) -> Self:
        return self._change(operator.and_, other)

    def __ixor__(self: Self, other: Any) -> Self:
        return self._change(operator.xor, other)

    def __ior__(self: Self, other: Any) -> Self:
        return self._change(operator.or_, other)
