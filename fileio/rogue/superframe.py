"""Sub-frames of batcher super-frames, wherever their headers stand.

Three layouts occur in files:

* header first (version 1 after an inverter, and what Rogue's reader expects): each sub-frame is
  a header and its data, padded to the word width;
* version 1 as sent by the firmware: one word of super header, then data and tail by turns, the
  last tail ending the frame;
* version 2: two bytes of super header, then data without padding and 7-byte tails.

A header or tail is u32 LE payload bytes, u8 destination, u8 first user, u8 last user and, not in
version 2, u8 width code; it fills one word, 8 bytes at least.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from sapwood.errors import FormatError

__all__ = ["BatchHeader", "split_superframe"]

_V1 = struct.Struct("<I4B")
_V2 = struct.Struct("<I3B")
_MAX_CODE = 5  # of the word width: 2 << code bytes


@dataclass
class BatchHeader:
    """Header of a sub-frame: payload bytes, destination, users, word width (bytes; 1 = none)."""

    size: int
    tdest: int
    fUser: int
    lUser: int
    width: int


_Parts = list[tuple[BatchHeader, int]]  # header, and where the data begin


def split_superframe(frame: memoryview) -> _Parts:
    """Return the header of each sub-frame of `frame` and the byte where its data begin.

    Raises
    ------
    FormatError
        ``Batch frame header underrun`` or ``Batch frame data underrun``, when `frame` is of none of
        the layouts.
    """
    try:
        return _header_first(frame, padded=True)
    except FormatError as error:
        for attempt in (_tails_v1, _tails_v2):
            parts = attempt(frame)
            if parts is not None:
                return parts
        try:
            return _header_first(frame, padded=False)
        except FormatError:
            raise error from None


def _header_first(frame: memoryview, *, padded: bool) -> _Parts:
    parts: _Parts = []
    position, end = 0, len(frame)
    while position < end:
        if position + _V1.size > end:
            raise FormatError("Batch frame header underrun", offset=position)
        size, tdest, first, last, code = _V1.unpack_from(frame, position)
        if code > _MAX_CODE or (parts and parts[0][0].width != 2 << code):
            raise FormatError("Batch frame header underrun", offset=position, seen=f"width code {code}")
        width = 2 << code
        data = position + max(width, _V1.size)
        if data + size > end:
            raise FormatError("Batch frame data underrun", offset=position, seen=f"{size} bytes")
        parts.append((BatchHeader(size, tdest, first, last, width), data))
        position = data + size
        if padded:
            position = min(data + -(-size // width) * width, end)
    return parts


def _tails_v1(frame: memoryview) -> _Parts | None:
    if not frame or frame[0] & 0x0F != 1 or frame[0] >> 4 > _MAX_CODE:
        return None
    code = frame[0] >> 4
    width = 2 << code
    tail = max(width, _V1.size)
    parts: _Parts = []
    end = len(frame)
    while end > width:
        if end - tail < width:
            return None
        size, tdest, first, last, tail_code = _V1.unpack_from(frame, end - tail)
        data = end - tail - -(-size // width) * width
        if data < width or tail_code & 0x0F != code:
            return None
        parts.append((BatchHeader(size, tdest, first, last, width), data))
        end = data
    return parts[::-1] if end == width and parts else None


def _tails_v2(frame: memoryview) -> _Parts | None:
    if len(frame) < 2 or frame[0] & 0x0F != 2:
        return None
    parts: _Parts = []
    end = len(frame)
    while end > 2:
        if end - _V2.size < 2:
            return None
        size, tdest, first, last = _V2.unpack_from(frame, end - _V2.size)
        data = end - _V2.size - size
        if data < 2:
            return None
        parts.append((BatchHeader(size, tdest, first, last, 1), data))
        end = data
    return parts[::-1] if parts else None
