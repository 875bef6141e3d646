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
from sapwood.streams.protocols.batcher_layout import LAYOUT_V1, LAYOUT_V2, MAX_CODE, Layout, walk

__all__ = ["BatchHeader", "split_superframe"]

_HEADER = struct.Struct("<I4B")


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
        parts = _tails_last(frame)
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
        if position + _HEADER.size > end:
            raise FormatError("Batch frame header underrun", offset=position)
        size, tdest, first, last, code = _HEADER.unpack_from(frame, position)
        if code > MAX_CODE or (parts and parts[0][0].width != 2 << code):
            raise FormatError("Batch frame header underrun", offset=position, seen=f"width code {code}")
        width = 2 << code
        data = position + max(width, _HEADER.size)
        if data + size > end:
            raise FormatError("Batch frame data underrun", offset=position, seen=f"{size} bytes")
        parts.append((BatchHeader(size, tdest, first, last, width), data))
        position = data + size
        if padded:
            position = min(data + -(-size // width) * width, end)
    return parts


def _tails_last(frame: memoryview) -> _Parts | None:
    if not frame:
        return None
    version, code = frame[0] & 0x0F, frame[0] >> 4
    if version == 1 and code <= MAX_CODE:
        return _behind(frame, LAYOUT_V1[code], code)
    return _behind(frame, LAYOUT_V2, 0) if version == 2 else None


def _behind(frame: memoryview, layout: Layout, code: int) -> _Parts | None:
    if len(frame) < layout.head + layout.tail:
        return None
    found = walk(frame, layout, 0, len(frame))
    if found is None or any(tail >> 56 & 0x0F != code for tail in found[1]):
        return None
    return [
        (
            BatchHeader(
                tail & 0xFFFFFFFF, tail >> 32 & 0xFF, tail >> 40 & 0xFF, tail >> 48 & 0xFF, layout.word
            ),
            at,
        )
        for at, tail in zip(*found, strict=True)
    ]
