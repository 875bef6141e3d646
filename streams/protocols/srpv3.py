"""SRP version 3: register accesses as frames of little-endian words.

A request has five words, then the data of a write: ``version | opcode << 8 | timeout << 24``, id,
address (two words), bytes - 1. A response repeats them, then holds the data of a read or write
and a status word.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from sapwood.errors import ProtocolError
from sapwood.streams.protocols.srp import MIN_ACCESS, POST, READ, Request, Response, StatusTexts

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "DEFAULT_TIMEOUT",
    "FAILED",
    "LOCKED_UP",
    "MAX_ACCESS",
    "MAX_ADDRESS",
    "STATUS",
    "TIMED_OUT",
    "VERSION",
    "decode_request",
    "decode_response",
    "encode_request",
    "encode_response",
    "head",
]

VERSION = 3
MAX_ACCESS = 4096
MAX_ADDRESS = (1 << 64) - 1

DEFAULT_TIMEOUT = 0x0A
"""Time-out code that tells the hardware how long its bus may take."""

LOCKED_UP, TIMED_OUT, FAILED = 0x2000, 0x0100, 0x0002
"""Status: the bus hangs until a power cycle, did not answer in time, refused the access."""

_HEAD = struct.Struct("<5I")
_STATUS = struct.Struct("<I")
_HEAD_BYTES = _HEAD.size
_LEAST = _HEAD.size + _STATUS.size
_REPEATED = 0xFFFFC3FF  # bits 13:10 belong to the response
_IGNORE = 1 << 14  # the request does not want to know what the registers say
_BUS_ANSWER = 0xFF
_U32 = 0xFFFFFFFF
STATUS = StatusTexts(
    {
        LOCKED_UP: "FPGA register bus lockup detected in hardware. Power cycle required.",
        TIMED_OUT: "FPGA register bus timeout detected in hardware",
    },
    "Non zero status message returned on fpga register bus in hardware",
    FAILED,
)
"""What the status words mean."""


def head(opcode: int, id: int, address: int, size: int, timeout: int) -> tuple[int, ...]:
    """Return the five words that a request begins with and its response repeats."""
    return VERSION | opcode << 8 | timeout << 24, id, address & _U32, address >> 32, size - 1


def encode_request(head: tuple[int, ...], size: int, data: Buffer) -> bytes:
    """Return the bytes of the request that begins with the words `head`.

    Parameters
    ----------
    head
        From the function of this name.
    size
        Bytes to move (`head` has it already).
    data
        What to write, `size` bytes; empty for a read.

    Raises
    ------
    ProtocolError
        A word that is out of range.
    """
    try:
        return b"".join((_HEAD.pack(*head), data))
    except struct.error as problem:
        raise ProtocolError("SRPV3 request out of range", expected="words of 32 bits", seen=head) from problem


def decode_request(payload: Buffer) -> Request:
    """Return the request in `payload`.

    Raises
    ------
    ProtocolError
        Not a request: its size, version or opcode, or the number of bytes it asks for.
    """
    view = memoryview(payload).cast("B")
    if view.nbytes < _HEAD_BYTES:
        raise _bad_request(f"{_HEAD_BYTES} bytes or more", f"{view.nbytes} bytes")
    word, id, low, high, last = _HEAD.unpack_from(view)
    opcode = word >> 8 & 3
    if word & 0xFF != VERSION or opcode > POST:
        raise _bad_request(f"version {VERSION}, opcode 0..{POST}", f"{word & 0xFF}, {opcode}")
    size = last + 1
    if size > MAX_ACCESS or size % MIN_ACCESS:
        raise _bad_request(f"a multiple of {MIN_ACCESS} up to {MAX_ACCESS}", f"{size} bytes to move")
    length = _HEAD_BYTES if opcode == READ else _HEAD_BYTES + size
    if view.nbytes != length:
        raise _bad_request(f"{length} bytes", f"{view.nbytes} bytes")
    repeated = _HEAD.pack(word & _REPEATED, id, low, high, last)
    return Request(opcode, id, high << 32 | low, size, view[_HEAD_BYTES:], repeated)


def _bad_request(expected: str, seen: str) -> ProtocolError:
    return ProtocolError("Bad SRPV3 request", expected=expected, seen=seen)


def encode_response(head: bytes, data: Buffer, status: int) -> bytes:
    """Return the bytes of the response to the request whose `head` is given.

    A request may say that it does not want to know whether the registers refused it.
    """
    if status and head[1] & _IGNORE >> 8:
        status &= ~_BUS_ANSWER
    return b"".join((head, data, _STATUS.pack(status)))


def decode_response(payload: Buffer) -> Response:
    """Return the response in `payload`; only its size is checked.

    Raises
    ------
    ProtocolError
        Too short to be one.
    """
    view = memoryview(payload).cast("B")
    if view.nbytes < _LEAST:
        raise ProtocolError("Bad SRPV3 response", expected=f"{_LEAST} bytes or more", seen=view.nbytes)
    word, id, low, high, last = _HEAD.unpack_from(view)
    (status,) = _STATUS.unpack_from(view, view.nbytes - 4)
    return Response(id, (word & _REPEATED, id, low, high, last), view[_HEAD_BYTES:-4], status)
