"""Python literals from attribute texts, without evaluating anything."""

from __future__ import annotations

import ast
import datetime
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

__all__ = ["parse_literal"]

_SCALARS = (
    "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64", "complex128", "str_", "bytes_",
)  # fmt: skip
_NAMES: Mapping[str, Any] = {
    "nan": float("nan"),
    "inf": float("inf"),
    "np.nan": float("nan"),
    "np.inf": float("inf"),
    "np.True_": np.True_,
    "np.False_": np.False_,
    "datetime.timezone.utc": datetime.UTC,
    **{name: np.dtype(name) for name in _SCALARS if not name.endswith("_")},
    "bool": np.dtype(bool),
}


def _array(values: Any, dtype: Any = None) -> Any:
    return np.array(values, dtype=dtype)


def _text(kind: Callable[[Any], Any], plain: type) -> Callable[[Any], Any]:
    """Return a constructor for `plain` values alone: of a number it could make any amount of bytes."""

    def build(value: Any) -> Any:
        if not isinstance(value, plain):
            raise ValueError(f"not a {plain.__name__}: {value!r:.80}")
        return kind(value)

    return build


_CALLS: Mapping[str, Callable[..., Any]] = {
    "datetime.datetime": datetime.datetime,
    "datetime.date": datetime.date,
    "datetime.time": datetime.time,
    "datetime.timedelta": datetime.timedelta,
    "array": _array,
    "np.array": _array,
    "float": float,
    **{f"np.{name}": getattr(np, name) for name in _SCALARS if name not in ("str_", "bytes_")},
    "np.str_": _text(np.str_, str),
    "np.bytes_": _text(np.bytes_, bytes),
}


def parse_literal(text: str) -> Any:
    """Return the value that `text`, the ``repr`` of a plain Python or NumPy value, stands for.

    Besides literals only dates and times, NumPy scalars and arrays, ``nan`` and ``inf`` are known.

    Raises
    ------
    ValueError
        For anything else.
    """
    try:
        return _value(ast.parse(text, mode="eval").body)
    except ValueError:
        raise
    except (SyntaxError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise ValueError(f"not a plain value: {text[:80]!r}") from error


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value) if value is not Ellipsis:
            return value
        case ast.Tuple(elts=items):
            return tuple([_value(item) for item in items])
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Set(elts=items):
            return {_value(item) for item in items}
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {_value(key): _value(value) for key, value in zip(keys, values, strict=True) if key}
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _number(operand)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _number(left) + _number(right)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _number(left) - _number(right)
        case ast.Name() | ast.Attribute():
            return _known(_NAMES, node)
        case ast.Call(func=function, args=arguments, keywords=keywords):
            named = {word.arg: _value(word.value) for word in keywords if word.arg is not None}
            return _known(_CALLS, function)(*[_value(argument) for argument in arguments], **named)
    raise ValueError(f"not a plain value: {ast.dump(node)[:80]}")


def _number(node: ast.expr) -> Any:
    value = _value(node)
    if isinstance(value, (int, float, complex)):
        return value
    raise ValueError(f"not a number: {value!r:.80}")


def _known(names: Mapping[str, Any], node: ast.expr) -> Any:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        name = ".".join([node.id, *reversed(parts)])
        if name in names:
            return names[name]
    raise ValueError("not a known name")
