"""What the two ends of a memory TCP bridge say to each other, as lists of message parts.

A request is ``id u32, address u64, size u32, type u32`` and, for writes and posts, the data; a
reply repeats these, then holds the data and the result text (``OK`` or the error). All numbers
are little-endian. Type ``PROBE`` asks whether somebody is there.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from sapwood.errors import ProtocolError
from sapwood.memory.transaction import Post, Read, Verify, Write

__all__ = ["MAX_TEXT", "OK", "PROBE", "Message", "decode_reply", "decode_request", "encode"]

PROBE = 0xFFFFFFFE
"""Transaction type of the readiness probe."""

OK = "OK"
"""Result text of a success."""

MAX_TEXT = 999
"""Longest result text (bytes)."""

_u32 = struct.Struct("<I")
_u64 = struct.Struct("<Q")
_HEADER = (4, 8, 4, 4)
_TYPES = (Read, Write, Post, Verify, PROBE)
_WITH_DATA = (Write, Post)


class Message(NamedTuple):
    """A request (`data` only with writes and posts, no `text`) or a reply."""

    id: int
    address: int
    size: int
    type: int
    data: bytes | None = None
    text: str = ""


def encode(message: Message) -> list[bytes]:
    """Return the parts of `message`; the id is cut to 32 bits, the text to `MAX_TEXT` bytes."""
    parts = [
        _u32.pack(message.id & 0xFFFFFFFF),
        _u64.pack(message.address),
        _u32.pack(message.size),
        _u32.pack(message.type),
    ]
    if message.data is not None:
        parts.append(message.data)
    if message.text:
        parts.append(message.text.encode()[:MAX_TEXT])
    return parts


def decode_request(parts: Sequence[bytes]) -> Message:
    """Return the request in `parts`.

    Raises
    ------
    ProtocolError
        Not the parts of a request, an unknown type, or data of another size than announced.
    """
    message = _decode_header(parts, "request", (4, 5))
    if message.type not in _TYPES:
        raise ProtocolError("Bad memory bridge request", expected="a known type", seen=message.type)
    if message.type in _WITH_DATA:
        if len(parts) != 5 or len(parts[4]) != message.size:
            seen = f"{len(parts[4])} bytes" if len(parts) == 5 else "none"
            raise ProtocolError(
                "Bad memory bridge request", expected=f"{message.size} bytes of data", seen=seen
            )
        return message._replace(data=parts[4])
    return message


def decode_reply(parts: Sequence[bytes]) -> Message:
    """Return the reply in `parts`; its data may be shorter or longer than its size says.

    Raises
    ------
    ProtocolError
        Not the parts of a reply.
    """
    message = _decode_header(parts, "reply", (6,))
    return message._replace(data=parts[4], text=parts[5].decode(errors="replace"))


def _decode_header(parts: Sequence[bytes], kind: str, counts: tuple[int, ...]) -> Message:
    lengths = tuple(map(len, parts))
    if len(parts) not in counts or lengths[:4] != _HEADER:
        raise ProtocolError(
            f"Bad memory bridge {kind}",
            expected=f"{' or '.join(map(str, counts))} parts that start with {_HEADER} bytes",
            seen=f"{len(parts)} parts of {lengths[:6]} bytes",
        )
    return Message(
        _u32.unpack(parts[0])[0], _u64.unpack(parts[1])[0], _u32.unpack(parts[2])[0], _u32.unpack(parts[3])[0]
    )
