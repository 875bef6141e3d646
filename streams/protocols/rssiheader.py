"""Headers of RSSI segments: flags, sequence numbers, checksum and the parameters of a SYN."""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import ProtocolError, StreamError

__all__ = [
    "ACK",
    "BUSY",
    "HEADER_SIZE",
    "NULL",
    "RST",
    "SYN",
    "SYN_SIZE",
    "Header",
    "Parameters",
    "decode",
    "encode",
    "encode_run",
    "encode_syn",
]

SYN, ACK, RST, NULL, BUSY = 0x80, 0x40, 0x10, 0x08, 0x01

HEADER_SIZE = 8
"""Bytes of a header without SYN."""

SYN_SIZE = 24
"""Bytes of a header with SYN."""

_VERSION = 1
_OPTIONS = 0x08 | 0x04  # always set | header checksum
_CONNECTION_ID = 0x78
_MILLISECONDS = 3
_MAX_UNIT = 9  # nanoseconds
_PLAIN = struct.Struct(">BBBBHH")
_SYN = struct.Struct(">BBBBBBHHHHBBBBB3x")
_WORDS = struct.Struct(">11H")
_LIMITS = {"max_buffers": 0xFF, "max_retran": 0xFF, "max_cum_ack": 0xFF}


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the two ends agree on with their SYNs; every value is at least 1.

    Attributes
    ----------
    max_buffers
        Segments that may be unacknowledged, 1..255.
    max_segment
        Largest segment, header included, bytes.
    cum_ack_tout, retran_tout, null_tout
        Longest delay of an acknowledge, age at which a segment is sent again, and idle time of which
        a third makes a NULL segment be sent; milliseconds.
    max_retran
        Times a segment is sent before the link counts as broken, 1..255.
    max_cum_ack
        Segments received after which an acknowledge is sent at once, 1..255.

    Raises
    ------
    StreamError
        For a value out of range.
    """

    max_buffers: int = 32
    max_segment: int = 1464
    cum_ack_tout: int = 5
    retran_tout: int = 20
    null_tout: int = 1000
    max_retran: int = 15
    max_cum_ack: int = 2

    def __post_init__(self) -> None:
        for field in fields(self):
            limit, value = _LIMITS.get(field.name, 0xFFFF), getattr(self, field.name)
            if not 1 <= value <= limit:
                raise StreamError(
                    f"Invalid value for the RSSI parameter {field.name}", expected=f"1..{limit}", seen=value
                )

    def within(self, other: Parameters) -> Parameters:
        """Return these parameters with segments and buffers no larger than those of `other`."""
        return replace(
            self,
            max_segment=min(self.max_segment, other.max_segment),
            max_buffers=min(self.max_buffers, other.max_buffers),
        )


class Header(NamedTuple):
    """A decoded header; `parameters` are those of a SYN, None without."""

    flags: int
    sequence: int
    acknowledge: int
    parameters: Parameters | None = None

    @property
    def size(self) -> int:
        """Bytes of the header; payload follows."""
        return HEADER_SIZE if self.parameters is None else SYN_SIZE


def encode(flags: int, sequence: int, acknowledge: int) -> bytes:
    """Return the 8 bytes of a header without SYN."""
    total = ((flags << 8) | HEADER_SIZE) + ((sequence << 8) | acknowledge)
    folded = (total & 0xFFFF) + (total >> 16)
    return _PLAIN.pack(flags, HEADER_SIZE, sequence, acknowledge, 0, ~folded & 0xFFFF)


def encode_run(flags: int, first: int, count: int, acknowledge: int) -> NDArray[np.uint8]:
    """Return the headers of `count` segments (256 at most) numbered from `first` on, shape (count, 8)."""
    return _all_numbers(flags, acknowledge)[first : first + count]


@functools.lru_cache(512)  # all numbers to acknowledge, of an end that is busy or not: 2 MiB
def _all_numbers(flags: int, acknowledge: int) -> NDArray[np.uint8]:
    """Return the headers of all sequence numbers, twice, shape (512, 8): every run is a part of it."""
    heads = np.frombuffer(b"".join(encode(flags, number, acknowledge) for number in range(256)), np.uint8)
    return np.concatenate((heads, heads)).reshape(-1, HEADER_SIZE)


def encode_syn(flags: int, sequence: int, acknowledge: int, parameters: Parameters) -> bytes:
    """Return the 24 bytes of a header with SYN, which is added to `flags`."""
    p = parameters
    body = _SYN.pack(
        flags | SYN, SYN_SIZE, sequence, acknowledge, (_VERSION << 4) | _OPTIONS,
        p.max_buffers, p.max_segment, p.retran_tout, p.cum_ack_tout, p.null_tout,
        p.max_retran, p.max_cum_ack, 0, _MILLISECONDS, _CONNECTION_ID,
    )  # fmt: skip
    return body + _checksum_of_words(body).to_bytes(2, "big")


def _checksum_of_words(body: bytes) -> int:
    """Return the checksum of the 22 bytes before it in a SYN: one fold of the carry, inverted."""
    total: int = sum(_WORDS.unpack(body))
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def decode(segment: bytes | bytearray | memoryview) -> Header:
    """Return the header at the start of `segment`.

    Raises
    ------
    ProtocolError
        For a segment that is too short, or a header with a wrong length, checksum or parameter.
    """
    if len(segment) < HEADER_SIZE:
        raise ProtocolError(
            "RSSI segment is too short", expected=f">= {HEADER_SIZE} bytes", seen=len(segment)
        )
    flags, size, sequence, acknowledge, middle, checksum = _PLAIN.unpack_from(segment)
    if flags & SYN:
        return _decode_syn(bytes(segment[:SYN_SIZE]))
    if size != HEADER_SIZE:
        raise ProtocolError("RSSI header has a wrong length", expected=HEADER_SIZE, seen=size)
    total = ((flags << 8) | size) + ((sequence << 8) | acknowledge) + middle
    _check(checksum, ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF)
    return Header(flags, sequence, acknowledge)


def _check(seen: int, expected: int) -> None:
    if seen != expected:
        raise ProtocolError(
            "RSSI header has a wrong checksum", expected=f"{expected:#06x}", seen=f"{seen:#06x}"
        )


def _decode_syn(header: bytes) -> Header:
    if len(header) < SYN_SIZE or header[1] != SYN_SIZE:
        raise ProtocolError(
            "RSSI header with SYN has a wrong length",
            expected=SYN_SIZE,
            seen=min(len(header), header[1]),
        )
    body = header[: SYN_SIZE - 2]
    _check(int.from_bytes(header[SYN_SIZE - 2 :], "big"), _checksum_of_words(body))
    flags, _, sequence, acknowledge, version, buffers, segment, *times, retran, cum_ack, _, unit, _ = (
        _SYN.unpack(body)
    )
    if version >> 4 != _VERSION:
        raise ProtocolError("RSSI version is unknown", expected=_VERSION, seen=version >> 4)
    if unit > _MAX_UNIT or segment <= HEADER_SIZE:
        raise ProtocolError(
            "RSSI parameters make no sense", seen=f"time unit {unit}, segments of {segment} bytes"
        )
    retran_ms, ack_ms, null_ms = (_milliseconds(value, unit) for value in times)
    try:
        parameters = Parameters(buffers, segment, ack_ms, retran_ms, null_ms, retran, cum_ack)
    except StreamError as error:
        raise ProtocolError(error.text, expected=error.expected, seen=error.seen) from error
    return Header(flags, sequence, acknowledge, parameters)


def _milliseconds(value: int, unit: int) -> int:
    """Return `value` units of 10 ** -`unit` s as whole milliseconds, at least 1 unless it is 0."""
    if not value or unit == _MILLISECONDS:
        return value
    return min(max(round(value * 10.0 ** (_MILLISECONDS - unit)), 1), 0xFFFF)
