"""Rows of string arrays: pickles of plain values, written and read without the pickle machinery."""

from __future__ import annotations

import struct
from typing import Any

__all__ = ["decode_row", "encode_row"]

_HEAD, _STOP = b"\x80\x04", b"."
_FRAMED_FROM = 4  # bytes of body
_CONSTANTS = {b"N": None, b"\x88": True, b"\x89": False}
_NUMBERS = {b"K": "<B", b"M": "<H", b"J": "<i", b"G": ">d"}
_SIZES = {b"\x8c": "<B", b"X": "<I", b"\x8d": "<Q", b"C": "<B", b"B": "<I", b"\x8e": "<Q", b"\x8a": "<B"}
_TEXTS = frozenset((b"\x8c", b"X", b"\x8d"))
_SKIPPED = {b"\x80": 1, b"\x95": 8, b"\x94": 0, b"q": 1, b"r": 4}  # PROTO, FRAME, MEMOIZE, BINPUT ...


def encode_row(value: Any) -> bytes:
    """Return the pickle (protocol 4) of a text, None, a bool, a number or bytes.

    Raises
    ------
    TypeError
        For anything else: readers must not need to run code to see it.
    """
    body = _body(value) + _STOP
    if len(body) < _FRAMED_FROM:
        return _HEAD + body
    return _HEAD + b"\x95" + struct.pack("<Q", len(body)) + body


def _body(value: Any) -> bytes:
    if isinstance(value, str):
        text = value.encode("utf-8", "surrogatepass")
        return _sized(text, b"\x8c", b"X", b"\x8d") + b"\x94"
    if isinstance(value, (bytes, bytearray)):
        return _sized(bytes(value), b"C", b"B", b"\x8e") + b"\x94"
    if value is None:
        return b"N"
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    raise TypeError(f"A row of a string array is a text, a number, bytes or None, not {type(value).__name__}")


def _sized(data: bytes, short: bytes, long: bytes, huge: bytes) -> bytes:
    if len(data) < 1 << 8:
        return short + struct.pack("<B", len(data)) + data
    if len(data) < 1 << 32:
        return long + struct.pack("<I", len(data)) + data
    return huge + struct.pack("<Q", len(data)) + data


def _integer(value: int) -> bytes:
    if 0 <= value < 1 << 8:
        return b"K" + struct.pack("<B", value)
    if 0 <= value < 1 << 16:
        return b"M" + struct.pack("<H", value)
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    if len(data) > 255:
        raise TypeError("A row of a string array holds numbers of up to 255 bytes")
    return b"\x8a" + bytes((len(data),)) + data


def decode_row(row: bytes) -> Any:
    """Return the plain value that `row` is the pickle of, or `row` itself if it is anything else."""
    try:
        return _decode(row)
    except (_NotPlainError, struct.error, IndexError, UnicodeDecodeError):
        return row


class _NotPlainError(Exception):
    """The row is no pickle of one plain value."""


def _decode(row: bytes) -> Any:
    at, found = 0, []
    while True:
        code = row[at : at + 1]
        at += 1
        if code in _SKIPPED:
            at += _SKIPPED[code]
        elif code in _CONSTANTS:
            found.append(_CONSTANTS[code])
        elif code in _NUMBERS:
            form = _NUMBERS[code]
            found.append(struct.unpack_from(form, row, at)[0])
            at += struct.calcsize(form)
        elif code in _SIZES:
            form = _SIZES[code]
            begin = at + struct.calcsize(form)
            at = begin + struct.unpack_from(form, row, at)[0]
            found.append(_sized_value(code, row[begin:at], at - begin))
        elif code == _STOP and len(found) == 1:
            return found[0]
        else:
            raise _NotPlainError


def _sized_value(code: bytes, data: bytes, size: int) -> Any:
    if len(data) != size:
        raise _NotPlainError
    if code in _TEXTS:
        return data.decode("utf-8", "surrogatepass")
    if code == b"\x8a":
        return int.from_bytes(data, "little", signed=True)
    return data
