"""SRP version 0: register accesses as frames of little-endian words.

A request has an id, ``address >> 2`` with bit 30 set for a write, then the data of a write or the
number of words to read - 1, and a zero word. A response repeats the first two words, then holds
the data and a status word.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from sapwood.errors import ProtocolError
from sapwood.streams.protocols.srp import MIN_ACCESS, READ, WRITE, Request, Response, StatusTexts

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "FAILED",
    "MAX_ACCESS",
    "MAX_ADDRESS",
    "STATUS",
    "TIMED_OUT",
    "decode_request",
    "decode_response",
    "encode_request",
    "encode_response",
    "head",
]

MAX_ACCESS = 2048
MAX_ADDRESS = (1 << 32) - 1

TIMED_OUT, FAILED = 0x20000, 0x10000
"""Status: the bus did not answer in time, refused the access."""

_HEAD = struct.Struct("<2I")
_WORD = struct.Struct("<I")
_HEAD_BYTES = _HEAD.size
_LEAST = _HEAD.size + 2 * _WORD.size
_WRITE_BIT = 1 << 30
_ADDRESS_BITS = _WRITE_BIT - 1
_END = bytes(4)
STATUS = StatusTexts(
    {
        TIMED_OUT: "Axi bus timeout detected in hardware",
        FAILED: "Axi bus returned fail status in hardware",
    },
    "Non zero status message returned on axi bus in hardware",
    FAILED,
)
"""What the status words mean."""


def head(opcode: int, id: int, address: int, size: int, timeout: int) -> tuple[int, ...]:
    """Return the two words that a request begins with and its response repeats."""
    return id, address >> 2 | (0 if opcode == READ else _WRITE_BIT)


def encode_request(head: tuple[int, ...], size: int, data: Buffer) -> bytes:
    """Return the bytes of the request that begins with the words `head`.

    Parameters
    ----------
    head
        From the function of this name.
    size
        Bytes to move, a multiple of 4.
    data
        What to write, `size` bytes; ignored for a read.

    Raises
    ------
    ProtocolError
        A word that is out of range.
    """
    try:
        middle = data if head[1] & _WRITE_BIT else _WORD.pack(size // MIN_ACCESS - 1)
        return b"".join((_HEAD.pack(*head), middle, _END))
    except struct.error as problem:
        raise ProtocolError("SRPV0 request out of range", expected="words of 32 bits", seen=head) from problem


def decode_request(payload: Buffer) -> Request:
    """Return the request in `payload`.

    Raises
    ------
    ProtocolError
        Not a request: its size, its second word, or the number of bytes it asks for.
    """
    view = memoryview(payload).cast("B")
    if view.nbytes < _LEAST or view.nbytes % MIN_ACCESS:
        raise _bad_request(f"words, {_LEAST} bytes or more", f"{view.nbytes} bytes")
    id, word, last = struct.unpack_from("<3I", view)
    if word > _WRITE_BIT | _ADDRESS_BITS:
        raise _bad_request("bit 31 of the second word clear", f"{word:#x}")
    write = bool(word & _WRITE_BIT)
    size = view.nbytes - _HEAD_BYTES - len(_END) if write else (last + 1) * MIN_ACCESS
    if size > MAX_ACCESS:
        raise _bad_request(f"up to {MAX_ACCESS}", f"{size} bytes to move")
    if not write and view.nbytes != _LEAST:
        raise _bad_request(f"{_LEAST} bytes to ask for a read", f"{view.nbytes} bytes")
    data = view[_HEAD_BYTES:-4] if write else view[:0]
    address = (word & _ADDRESS_BITS) << 2
    return Request(WRITE if write else READ, id, address, size, data, bytes(view[:_HEAD_BYTES]))


def _bad_request(expected: str, seen: str) -> ProtocolError:
    return ProtocolError("Bad SRPV0 request", expected=expected, seen=seen)


def encode_response(head: bytes, data: Buffer, status: int) -> bytes:
    """Return the bytes of the response to the request whose `head` is given."""
    return b"".join((head, data, _WORD.pack(status)))


def decode_response(payload: Buffer) -> Response:
    """Return the response in `payload`; only its size is checked.

    Raises
    ------
    ProtocolError
        Too short to be one.
    """
    view = memoryview(payload).cast("B")
    if view.nbytes < _LEAST:
        raise ProtocolError("Bad SRPV0 response", expected=f"{_LEAST} bytes or more", seen=view.nbytes)
    id, word = _HEAD.unpack_from(view)
    (status,) = _WORD.unpack_from(view, view.nbytes - 4)
    return Response(id, (id, word), view[_HEAD_BYTES:-4], status)
