"""What the two ends of a stream TCP bridge say to each other, as lists of message parts.

A frame is Rogue's message of four parts: ``flags u16``, ``channel u8``, ``error u8`` and the
payload, which must not be empty: a Rogue end takes an empty part, and the message behind it, for
nothing. All numbers are little-endian.

Between two Sapwood ends there are more messages, all of one or two parts, which a Rogue end
drops without a word. The first part starts with the 8 bytes of `MAGIC` and one for the kind:

========  ================================================================================
greeting  ``sender 8 bytes``, ``token 8 bytes`` (zeros: no answer wanted), ``echo 8 bytes``
batch     ``count u32``, ``mask u8``, then the columns time i8, size u4, flags u2, channel u1
          and error u1; bit k of the mask: column k is one value, which counts for all frames.
          The second part is the frames' bytes one after the other; left out when there are none
gap       ``channel i16`` (-1: several), ``frames u64``, ``bytes u64``, ``time i64``, ``reason``
========  ================================================================================
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import ProtocolError, StreamError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.frame import Frame
from sapwood.streams.gap import Gap

__all__ = [
    "MAGIC",
    "MAX_FRAMES",
    "MAX_PART",
    "TOKEN_BYTES",
    "Greeting",
    "decode",
    "encode_batch",
    "encode_frame",
    "encode_gap",
    "encode_greeting",
    "frame_head",
]

MAGIC = b"Sapwood1"
"""First bytes of every message that is not Rogue's."""

MAX_FRAMES = 1 << 16
"""Frames in one batch message at most."""

MAX_PART = 1 << 30
"""Bytes of one message part at most."""

TOKEN_BYTES = 8

Buffer: TypeAlias = bytes | bytearray | memoryview
_GREETING, _BATCH, _GAP = b"H", b"B", b"G"
_HEAD = struct.Struct("<8sc")
_COUNTS = struct.Struct("<IB")
_GAP_HEAD = struct.Struct("<hQQq")
_U16 = struct.Struct("<H")
_COLUMNS = (("time", "<i8"), ("size", "<u4"), ("flags", "<u2"), ("channel", "u1"), ("error", "u1"))
_FRAME_HEAD = (2, 1, 1)
_REASON_BYTES = 200


class Greeting(NamedTuple):
    """Tells a Sapwood end that another one is there.

    Attributes
    ----------
    sender
        Names the end that sends it, 8 bytes.
    token
        To be sent back as `echo`; zeros when no answer is wanted.
    echo
        Token of the greeting that this one answers; zeros when it answers none.
    """

    sender: bytes
    token: bytes
    echo: bytes


def frame_head(frame: Frame) -> tuple[bytes, bytes, bytes]:
    """Return the first three parts of the message of `frame`."""
    return _U16.pack(frame.flags), bytes((frame.channel,)), bytes((frame.error,))


def encode_frame(frame: Frame) -> list[Buffer]:
    """Return the four parts of `frame`.

    Raises
    ------
    StreamError
        When it is empty.
    """
    if not frame.size:
        raise StreamError("An empty frame cannot be a message of four parts")
    return [*frame_head(frame), frame.buffer]


def encode_greeting(greeting: Greeting) -> list[Buffer]:
    """Return the part of `greeting`."""
    return [MAGIC + _GREETING + greeting.sender + greeting.token + greeting.echo]


def encode_gap(gap: Gap) -> list[Buffer]:
    """Return the part of `gap`."""
    channel = -1 if gap.channel is None else gap.channel
    head = _GAP_HEAD.pack(channel, gap.frames, gap.bytes, gap.time)
    return [MAGIC + _GAP + head + gap.reason.encode()[:_REASON_BYTES]]


def encode_batch(batch: FrameBatch) -> list[Buffer]:
    """Return the parts of `batch`; its frames may be empty, their bytes are not copied when dense."""
    mask = 0
    columns: list[bytes] = []
    for bit, (name, kind) in enumerate(_COLUMNS):
        column: NDArray[Any] = getattr(batch, name)
        if len(column) > 1 and (column.strides == (0,) or bool((column == column[0]).all())):
            column = column[:1]
        if len(column) == 1:
            mask |= 1 << bit
        columns.append(column.astype(kind).tobytes())
    head: list[Buffer] = [b"".join((MAGIC, _BATCH, _COUNTS.pack(len(batch), mask), *columns))]
    return [*head, _payload(batch)] if batch.nbytes else head


def _payload(batch: FrameBatch) -> memoryview:
    first, ends = int(batch.start[0]), batch.start + batch.size
    if bool((ends[:-1] == batch.start[1:]).all()):  # one run
        return batch.payload[first : int(ends[-1])].data
    return batch.compact().payload.data


def decode(parts: Sequence[Buffer]) -> Frame | FrameBatch | Gap | Greeting:
    """Return what a message holds; its last part is kept as the payload.

    Raises
    ------
    ProtocolError
        Not a message of a stream bridge.
    """
    if len(parts) == 4:
        flags, channel, error, payload = parts
        if (len(flags), len(channel), len(error)) != _FRAME_HEAD:
            raise _bad(parts, f"parts of {_FRAME_HEAD} bytes and a payload")
        return Frame.of_view(memoryview(payload), channel[0], flags[0] | flags[1] << 8, error[0])
    if not 1 <= len(parts) <= 2 or len(parts[0]) < _HEAD.size:
        raise _bad(parts, "four parts, or one or two that start with a known head")
    magic, kind = _HEAD.unpack_from(parts[0])
    body = memoryview(parts[0])[_HEAD.size :]
    if magic == MAGIC and kind == _BATCH:
        return _decode_batch(parts, body)
    if magic == MAGIC and kind == _GAP and len(parts) == 1 and len(body) >= _GAP_HEAD.size:
        number, frames, nbytes, time = _GAP_HEAD.unpack_from(body)
        reason = bytes(body[_GAP_HEAD.size :]).decode(errors="replace")
        return Gap(None if number < 0 else number, frames, nbytes, reason, time)
    if magic == MAGIC and kind == _GREETING and len(parts) == 1 and len(body) == 3 * TOKEN_BYTES:
        return Greeting(bytes(body[:8]), bytes(body[8:16]), bytes(body[16:]))
    raise _bad(parts, "a known kind of message")


def _decode_batch(parts: Sequence[Buffer], body: memoryview) -> FrameBatch:
    count, mask = _COUNTS.unpack_from(body) if len(body) >= _COUNTS.size else (0, 0)
    if not 0 < count <= MAX_FRAMES:
        raise _bad(parts, f"a batch of 1..{MAX_FRAMES} frames")
    at = _COUNTS.size
    columns: dict[str, Any] = {}
    for bit, (name, kind) in enumerate(_COLUMNS):
        items = 1 if mask >> bit & 1 else count
        width = items * np.dtype(kind).itemsize
        if len(body) - at < width:
            raise _bad(parts, f"columns of {count} frames")
        column = np.frombuffer(body, kind, items, at)
        columns[name] = column if items == count else int(column[0])
        at += width
    size = columns.pop("size")
    if isinstance(size, int):
        start, total = np.arange(count, dtype=np.int64) * size, count * size
    else:
        size = size.astype(np.int64)
        start = np.cumsum(size) - size
        total = int(start[-1] + size[-1])
    payload = np.frombuffer(parts[1], np.uint8) if len(parts) == 2 else np.empty(0, np.uint8)
    if at != len(body) or total != len(payload):
        raise _bad(parts, f"columns of {count} frames and {total} bytes")
    return FrameBatch(payload, start, size, **columns)


def _bad(parts: Sequence[Buffer], expected: str) -> ProtocolError:
    seen = f"{len(parts)} parts of {tuple(map(len, parts[:5]))} bytes"
    return ProtocolError("Bad message sizes on a stream bridge", expected=expected, seen=seen)
