"""Turn Python values into JSON text with binary buffers, and back.

A message is one JSON header and any number of binary buffers. Values that JSON holds exactly
(text, booleans, null, finite numbers, integers up to 2**53, lists, objects with plain text keys)
stand for themselves; everything else is an object with one key that begins with ``$``:

=============================  ==================================================
``{"$i": "0x1f..."}``          integer beyond 2**53
``{"$f": "nan"}``              float that is not finite: ``nan``, ``inf``, ``-inf``
``{"$c": [re, im]}``           complex number
``{"$b": k}``                  bytes, buffer number k
``{"$a": [k, "<u4", [n]]}``    array: buffer number k, NumPy type string, shape; ``[]`` is a NumPy scalar
``{"$t": [...]}``              tuple
``{"$s": [...]}``              set
``{"$d": [[key, value]...]}``  dictionary with keys that are not plain text
=============================  ==================================================

No form names a class or a function: decoding never runs anything but the code of this module.
Bounds on nesting and on the number of buffers hold in both directions.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from sapwood.errors import ProtocolError, RemoteError

__all__ = ["MAX_BUFFERS", "MAX_DEPTH", "MAX_MESSAGE", "dump", "encode", "load", "to_json"]

MAX_MESSAGE = 64 * 2**20  # bytes, all parts of a message together
MAX_DEPTH = 32  # lists and dictionaries inside each other
MAX_BUFFERS = 1024
_EXACT_INT = 2**53
_LAST_CODE_POINT = 0x10FFFF
_DTYPE = re.compile(
    r"[<>|](?:b1|[iu][1248]|f[248]|f16|c8|c16|c32|S[1-9]\d*|U[1-9]\d*|[mM]8(?:\[\d*[a-zA-Z]+\])?)"
)

Buffers = Sequence[bytes]


# ---------------------------------------------------------------- encoding

_dumps = json.JSONEncoder(allow_nan=False, separators=(",", ":"), check_circular=False).encode
_quote = json.encoder.encode_basestring_ascii


def dump(value: object, buffers: list[bytes]) -> bytes:
    """Return the JSON text of `value`; arrays and bytes are appended to `buffers`.

    Raises
    ------
    RemoteError
        The value, or something in it, has no form; it is nested too deeply; too many buffers.
    """
    kind = type(value)
    if kind is int:
        if -_EXACT_INT <= value <= _EXACT_INT:  # type: ignore[operator]  # an int
            return b"%d" % value  # type: ignore[str-format]  # an int
    elif kind is float:
        if math.isfinite(value):  # type: ignore[arg-type]  # a float
            return repr(value).encode()
    elif kind is str:
        return _quote(value).encode()  # type: ignore[arg-type]  # a str
    elif value is None:
        return b"null"
    elif value is True:
        return b"true"
    elif value is False:
        return b"false"
    return to_json(_encode(value, buffers, MAX_DEPTH))


def encode(value: object, buffers: list[bytes]) -> Any:
    """Return the form of `value` as plain JSON data; as `dump` otherwise."""
    return _encode(value, buffers, MAX_DEPTH)


def to_json(form: object) -> bytes:
    """Return the JSON text of what `encode` returned."""
    return _dumps(form).encode()


def _encode(value: Any, buffers: list[bytes], room: int) -> Any:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is int:
        return value if -_EXACT_INT <= value <= _EXACT_INT else {"$i": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"$f": repr(value)}
    if room == 0:
        raise RemoteError(f"a value nested deeper than {MAX_DEPTH} levels cannot be sent")
    for types, encoder in _ENCODERS:
        if isinstance(value, types):
            return encoder(value, buffers, room - 1)
    raise RemoteError(
        "a value of this type cannot be sent",
        expected="numbers, text, bytes, arrays, lists, tuples, sets, dictionaries",
        seen=f"{kind.__module__}.{kind.__qualname__}",
    )


def _encode_array(value: Any, buffers: list[bytes], room: int) -> Any:
    code = value.dtype.str
    if value.dtype.kind in "SU" and not value.shape:
        return _encode(value.item(), buffers, room)
    if not _DTYPE.fullmatch(code):
        raise RemoteError(
            "an array of this type cannot be sent", expected="numbers or text", seen=value.dtype
        )
    return {"$a": [_store(np.asarray(value).tobytes(), buffers), code, list(value.shape)]}


def _encode_bytes(value: Any, buffers: list[bytes], _room: int) -> Any:
    return {"$b": _store(bytes(value), buffers)}


def _store(data: bytes, buffers: list[bytes]) -> int:
    if len(buffers) >= MAX_BUFFERS:
        raise RemoteError("too many arrays in one message", expected=f"at most {MAX_BUFFERS}")
    buffers.append(data)
    return len(buffers) - 1


def _encode_dict(value: Any, buffers: list[bytes], room: int) -> Any:
    if all(type(key) is str and not key.startswith("$") for key in value):
        return {key: _encode(item, buffers, room) for key, item in value.items()}
    return {
        "$d": [[_encode(key, buffers, room), _encode(item, buffers, room)] for key, item in value.items()]
    }


def _encode_list(value: Any, buffers: list[bytes], room: int) -> list[Any]:
    return [_encode(item, buffers, room) for item in value]


_ENCODERS: tuple[tuple[type | tuple[type, ...], Callable[[Any, list[bytes], int], Any]], ...] = (
    ((np.ndarray, np.generic), _encode_array),
    (dict, _encode_dict),
    (list, _encode_list),
    (tuple, lambda value, buffers, room: {"$t": _encode_list(value, buffers, room)}),
    ((set, frozenset), lambda value, buffers, room: {"$s": _encode_list(value, buffers, room)}),
    ((bytes, bytearray, memoryview), _encode_bytes),
    (complex, lambda value, buffers, room: {"$c": _encode_list((value.real, value.imag), buffers, room)}),
    # Subclasses of the plain types, such as members of an IntEnum, travel as the plain type.
    (int, lambda value, buffers, room: _encode(int(value), buffers, room)),
    (float, lambda value, buffers, room: _encode(float(value), buffers, room)),
    (str, lambda value, buffers, room: str.__str__(value)),
)


# ---------------------------------------------------------------- decoding


def _refuse_constant(name: str) -> NoReturn:
    raise ProtocolError("number is not JSON", expected='{"$f": ...}', seen=name)


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)
_scan: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once  # type: ignore[attr-defined]  # not in typeshed


def load(raw: bytes, buffers: Buffers = ()) -> Any:
    """Return the value that `raw` (JSON text) and `buffers` hold.

    Raises
    ------
    ProtocolError
        The text is not JSON, a form is malformed, nesting or buffers exceed their bounds.
    """
    if len(buffers) > MAX_BUFFERS:
        raise ProtocolError("too many buffers", expected=f"at most {MAX_BUFFERS}", seen=len(buffers))
    try:
        text = raw.decode()
        value, end = _scan(text, 0)
        if end != len(text):
            value = _decoder.decode(text)
    except StopIteration:
        raise ProtocolError("the header is not JSON", seen=raw[:40]) from None
    except ProtocolError:
        raise
    except RecursionError:
        raise ProtocolError("the header is nested too deeply", expected=f"{MAX_DEPTH} levels") from None
    except ValueError as problem:
        raise ProtocolError(f"the header is not JSON: {problem}", seen=raw[:40]) from None
    if b'"$' in raw or (len(raw) > MAX_DEPTH and raw.count(b"[") + raw.count(b"{") > MAX_DEPTH):
        return _decode(value, buffers, MAX_DEPTH + 4)  # the header itself takes some levels
    return value


def _decode(form: Any, buffers: Buffers, room: int) -> Any:
    kind = type(form)
    if kind is list:
        if room == 0:
            raise ProtocolError("value is nested too deeply", expected=f"{MAX_DEPTH} levels")
        return [_decode(item, buffers, room - 1) for item in form]
    if kind is dict:
        if room == 0:
            raise ProtocolError("value is nested too deeply", expected=f"{MAX_DEPTH} levels")
        if len(form) == 1:
            key, body = next(iter(form.items()))
            if key[:1] == "$":
                return _decode_form(key, body, buffers, room - 1)
        return {key: _decode(item, buffers, room - 1) for key, item in form.items()}
    return form


def _decode_form(key: str, body: Any, buffers: Buffers, room: int) -> Any:
    decoder = _DECODERS.get(key)
    if decoder is None:
        raise ProtocolError("unknown form of a value", expected=", ".join(_DECODERS), seen=key[:40])
    try:
        return decoder(body, buffers, room)
    except (TypeError, ValueError, IndexError, KeyError, OverflowError) as problem:
        if isinstance(problem, ProtocolError):
            raise
        raise ProtocolError(f"malformed {key} form: {problem}", seen=repr(body)[:80]) from None


def _buffer(number: Any, buffers: Buffers) -> bytes:
    if type(number) is not int or not 0 <= number < len(buffers):
        raise ProtocolError("no such buffer", expected=f"0 to {len(buffers) - 1}", seen=repr(number)[:40])
    return buffers[number]


def _decode_array(body: Any, buffers: Buffers, _room: int) -> Any:
    number, code, shape = body
    data = _buffer(number, buffers)
    if type(code) is not str or not _DTYPE.fullmatch(code):
        raise ProtocolError("array type is not allowed", expected="numbers or text", seen=repr(code)[:40])
    if len(shape) > MAX_DEPTH or not all(type(size) is int and size >= 0 for size in shape):
        raise ProtocolError("malformed array shape", seen=repr(shape)[:80])
    kind = np.dtype(code)
    if math.prod(shape) * kind.itemsize != len(data):
        raise ProtocolError(
            "array has the wrong size", expected=f"{shape} of {code}", seen=f"{len(data)} bytes"
        )
    if kind.kind == "U" and np.any(np.frombuffer(data, kind.byteorder + "u4") > _LAST_CODE_POINT):
        raise ProtocolError("text array holds something that is not a character", seen=code)
    array = np.frombuffer(data, kind).reshape(shape).copy()
    return array if shape else array[()]


def _decode_int(body: Any, _buffers: Buffers, _room: int) -> int:
    if type(body) is not str:
        raise TypeError("expected text")
    return int(body, 16)


def _decode_float(body: Any, _buffers: Buffers, _room: int) -> float:
    if body not in ("nan", "inf", "-inf"):
        raise ValueError("expected nan, inf or -inf")
    return float(body)


def _decode_complex(body: Any, buffers: Buffers, room: int) -> complex:
    real, imag = _decode(body, buffers, room)
    return complex(real, imag)


def _decode_items(body: Any, buffers: Buffers, room: int) -> list[Any]:
    if type(body) is not list:
        raise TypeError("expected a list")
    return [_decode(item, buffers, room) for item in body]


def _decode_pairs(body: Any, buffers: Buffers, room: int) -> dict[Any, Any]:
    if type(body) is not list or not all(type(pair) is list and len(pair) == 2 for pair in body):
        raise TypeError("expected a list of pairs")
    return {_decode(key, buffers, room): _decode(item, buffers, room) for key, item in body}


_DECODERS: dict[str, Callable[[Any, Buffers, int], Any]] = {
    "$a": _decode_array,
    "$b": lambda body, buffers, _room: _buffer(body, buffers),
    "$c": _decode_complex,
    "$d": _decode_pairs,
    "$f": _decode_float,
    "$i": _decode_int,
    "$s": lambda body, buffers, room: set(_decode_items(body, buffers, room)),
    "$t": lambda body, buffers, room: tuple(_decode_items(body, buffers, room)),
}
