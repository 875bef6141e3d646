"""Messages that the board sends by itself: their layout, as bytes and as a record.

One message is one frame, little-endian:

====== ==== ==============================================================================
Bytes  Type Meaning
====== ==== ==============================================================================
0      u8   version of the layout, 1
1      u8   severity: 0 info, 1 warning, 2 alarm
2..3   u16  code, see `Code`
4..7   u32  sequence, from 0, +1 a message; a jump tells that messages were lost
8..15  u64  time, ns since 1970
16..17 u16  source: the channel, or 0xFFFF for the board
18..19 u16  length of the text in bytes
20..23 u32  value, whose meaning depends on the code
24..   text UTF-8, without an end mark or padding
====== ==== ==============================================================================
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from sapwood.errors import ProtocolError

__all__ = ["BOARD", "HEAD_BYTES", "Code", "Message", "Severity", "decode", "encode"]

VERSION = 1
BOARD = 0xFFFF
"""Source of messages that are about the whole board."""

_HEAD = struct.Struct("<BBHIQHHI")
HEAD_BYTES = _HEAD.size
_MOST_TEXT = 1000  # bytes


class Severity(IntEnum):
    """How much a message matters."""

    Info = 0
    Warning = 1
    Alarm = 2


class Code(IntEnum):
    """What a message tells; what its value is.

    Attributes
    ----------
    Status
        A sign of life; UpTime, s.
    Client
        A client has connected; how many did so far.
    Run
        ``Run`` was written; its value.
    CountReset
        The counters were set to zero; 0.
    Dropping
        A channel has begun to drop frames; its DropCount.
    DropEnd
        A channel has dropped none for a second; its DropCount.
    SinkFault
        What takes the frames of a channel has refused some; its ErrorCount.
    Stalled
        The client took nothing for too long, and the link was closed; how often that was so. It is
        sent when there is a client again.
    """

    Status = 1
    Client = 2
    Run = 3
    CountReset = 4
    Dropping = 5
    DropEnd = 6
    SinkFault = 7
    Stalled = 8


@dataclass(frozen=True)
class Message:
    """One message; `time` in ns since 1970, `source` a channel or `BOARD`.

    `code` is a plain number where it is not one of `Code`, for boards may know more of them.
    """

    severity: Severity
    code: int
    sequence: int
    time: int
    source: int
    value: int
    text: str

    @property
    def name(self) -> str:
        """Name of the code, or its number."""
        return Code(self.code).name if self.code in set(Code) else str(self.code)

    @property
    def origin(self) -> str:
        """``Board``, or ``Ch[n]``."""
        return "Board" if self.source == BOARD else f"Ch[{self.source}]"


def encode(message: Message) -> bytes:
    """Return the frame of `message`; texts are cut at 1000 bytes."""
    text = message.text.encode()[:_MOST_TEXT].decode(errors="ignore").encode()
    head = _HEAD.pack(
        VERSION,
        message.severity,
        message.code,
        message.sequence & 0xFFFFFFFF,
        message.time,
        message.source,
        len(text),
        message.value & 0xFFFFFFFF,
    )
    return head + text


def decode(payload: bytes | bytearray | memoryview) -> Message:
    """Return the message in a frame.

    Raises
    ------
    ProtocolError
        When it is none.
    """
    if len(payload) < HEAD_BYTES:
        raise ProtocolError("Too short for a message", expected=f">= {HEAD_BYTES} bytes", seen=len(payload))
    version, severity, code, sequence, time, source, length, value = _HEAD.unpack_from(payload)
    if version != VERSION or severity > max(Severity):
        raise ProtocolError(
            "Not a message of the board",
            expected=f"version {VERSION}, severity 0..{int(max(Severity))}",
            seen=f"version {version}, severity {severity}",
        )
    if length != len(payload) - HEAD_BYTES:
        raise ProtocolError(
            "Message of a wrong length", expected=f"{HEAD_BYTES + length} bytes", seen=len(payload)
        )
    text = bytes(payload[HEAD_BYTES:]).decode(errors="replace")
    return Message(Severity(severity), code, sequence, time, source, value, text)
