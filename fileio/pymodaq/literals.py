"""Python literals from attribute texts, without evaluating anything.

The grammar is our own: Python's parser can be driven out of its stack by hostile texts, and cannot
be entered again when the garbage collector runs inside it.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

__all__ = ["parse_literal"]

_DEEPEST = 40  # brackets within brackets
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>b?(?:'[^'\\\n]*(?:\\.[^'\\\n]*)*'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"))
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?j?)
    |(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
    |(?P<sign>[()\[\]{},:=+-])
    |(?P<end>$)
    )""",
    re.VERBOSE | re.ASCII,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "r": "\r", "t": "\t"}
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_SCALARS = (
    "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64", "complex128", "str_", "bytes_",
)  # fmt: skip
_NAMES: Mapping[str, Any] = {
    "None": None,
    "True": True,
    "False": False,
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
        return _Parser(text).parse()
    except ValueError:
        raise
    except (TypeError, OverflowError, SyntaxError) as error:
        raise ValueError(f"not a plain value: {text[:80]!r}") from error


class _Parser:
    """Reads one value; `kind` and `word` are what comes next."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self.kind: str | None = None
        self.word = ""
        self._next()

    def _next(self) -> str:
        """Step on; return the token stepped over."""
        before = self.word
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            raise ValueError(f"not a plain value: {self._text[self._at : self._at + 40]!r}")
        self._at = match.end()
        self.kind = match.lastgroup
        self.word = match[self.kind or 0]
        return before

    def _expect(self, sign: str) -> None:
        if self.kind != "sign" or self.word != sign:
            raise ValueError(f"{sign!r} expected before {self._text[self._at :][:40]!r}")
        self._next()

    def parse(self) -> Any:
        value = self._value()
        if self.kind != "end":
            raise ValueError(f"more than one value: {self._text[:80]!r}")
        return value

    def _value(self) -> Any:
        """Read one value, or two numbers with a sign between: a complex number."""
        value = self._signed()
        if self.kind == "sign" and self.word in "+-":
            sign = self._next()
            other = _number(self._atom())
            return _number(value) + (other if sign == "+" else -other)
        return value

    def _signed(self) -> Any:
        if self.kind == "sign" and self.word in "+-":
            sign = self._next()
            number = _number(self._atom())
            return number if sign == "+" else -number
        return self._atom()

    def _atom(self) -> Any:
        match self.kind:
            case "text":
                return _unquoted(self._next())
            case "number":
                return _digits(self._next())
            case "name":
                return self._named(self._next())
            case "sign" if self.word in _CLOSING:
                return self._bracket(self._next())
        raise ValueError(f"not a plain value: {self._text[:80]!r}")

    def _named(self, name: str) -> Any:
        if self.kind == "sign" and self.word == "(":
            if name not in _CALLS:
                raise ValueError(f"not a known constructor: {name}")
            self._next()
            items, named, _ = self._items(")", named=True)
            return _CALLS[name](*items, **named)
        if name not in _NAMES:
            raise ValueError(f"not a known name: {name}")
        return _NAMES[name]

    def _bracket(self, opening: str) -> Any:
        items, pairs, comma = self._items(_CLOSING[opening], mapping=opening == "{")
        if opening == "[":
            return items
        if opening == "(":
            return items[0] if len(items) == 1 and not comma else tuple(items)
        return set(items) if items else pairs

    def _items(
        self, closing: str, *, named: bool = False, mapping: bool = False
    ) -> tuple[list[Any], dict[Any, Any], bool]:
        """Read up to `closing`: single values, pairs of key and value, and whether a comma came."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("too many brackets within brackets")
        items: list[Any] = []
        pairs: dict[Any, Any] = {}
        comma = False
        while not (self.kind == "sign" and self.word == closing):
            if named and self.kind == "name" and self._text[self._at : self._at + 1] == "=":
                key = self._next()
                self._expect("=")
                pairs[key] = self._value()
            else:
                value = self._value()
                if mapping and self.word == ":":
                    self._next()
                    pairs[value] = self._value()
                else:
                    items.append(value)
            if self.word != closing:
                self._expect(",")
                comma = True
        self._next()
        self._depth -= 1
        return items, pairs, comma


def _unquoted(literal: str) -> str | bytes:
    """Return the value of a quoted text, or of quoted bytes."""
    if not literal.startswith("b"):
        return _ESCAPE.sub(_character, literal[1:-1])
    text = _ESCAPE.sub(_character, literal[2:-1])
    return text.encode("latin-1")


def _character(match: re.Match[str]) -> str:
    code = match[1]
    if code in _ESCAPES:
        return _ESCAPES[code]
    if code[0] in "xuU":
        return chr(int(code[1:], 16))
    raise ValueError(f"not an escape: {match[0]!r}")


def _number(value: Any) -> Any:
    if isinstance(value, (int, float, complex)):
        return value
    raise ValueError(f"not a number: {value!r:.80}")


def _digits(text: str) -> Any:
    if text.endswith("j"):
        return complex(text)
    return int(text) if text.isdigit() else float(text)
