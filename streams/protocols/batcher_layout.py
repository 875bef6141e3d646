"""Where the sub-frames of a batcher super-frame lie.

* Version 1: one word of super header (low nibble 1, width code in the high nibble; sequence), then
  data padded to the word and a tail by turns. A tail is u32 LE payload bytes, TDEST, first-user,
  last-user and width code; it fills one word, 8 bytes at least. A word is ``2 << code`` bytes.
* Version 2: two bytes of super header (low nibble 2; sequence), then data without padding and tails
  of 7 bytes, by turns.

The last tail ends the super-frame, so it is read from its end.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

__all__ = ["LAYOUT_V1", "LAYOUT_V2", "MAX_CODE", "Layout", "Reason", "layout_of", "walk"]

MAX_CODE = 5
"""Largest width code."""

_LEAST_V1 = 16
_LEAST_V2 = 10
_WORD = struct.Struct("<Q")


class Layout(NamedTuple):
    """Bytes of the super header, of a word that data are padded to, and of a tail; and its version.

    The 8 bytes that hold a tail's fields begin `back` bytes before it; those do not belong to it.
    """

    head: int
    word: int
    tail: int
    back: int
    version: int


class Reason(str):
    """Why a super-frame is refused: ``size``, ``version``, ``width`` or ``tail``."""


LAYOUT_V1 = tuple(Layout(2 << code, 2 << code, max(2 << code, 8), 0, 1) for code in range(MAX_CODE + 1))
"""Layouts of version 1, by width code."""

LAYOUT_V2 = Layout(2, 1, 7, 1, 2)


def layout_of(version: int, first: int, size: int) -> Layout | Reason:
    """Return the layout of a super-frame of `size` bytes whose first byte is `first`, or why it has none."""
    if size < (_LEAST_V1 if version == 1 else _LEAST_V2):
        return Reason("size")
    if first & 0x0F != version:
        return Reason("version")
    if version == 2:
        return LAYOUT_V2
    if first >> 4 > MAX_CODE:
        return Reason("width")
    layout = LAYOUT_V1[first >> 4]
    return layout if size >= layout.head + layout.tail else Reason("size")


def walk(frame: memoryview, layout: Layout, base: int, end: int) -> tuple[list[int], list[int]] | None:
    """Step back over the sub-frames of the super-frame in bytes `base` to `end` of `frame`.

    Returns
    -------
    tuple or None
        Where the data of each begin, and each tail as a number: payload bytes in bits 31:0, then
        8 bits each of TDEST, first-user, last-user and width code. None when a tail or its data
        would cross the super header.
    """
    head, word, tail, back, _ = layout
    floor, mask, shift, margin = base + head, -word, 8 * back, word - 1
    reach = tail + back
    lowest = floor + tail
    starts: list[int] = []
    tails: list[int] = []
    unpack = _WORD.unpack_from
    while end > floor:
        if end < lowest:
            return None
        fields = unpack(frame, end - reach)[0] >> shift
        end -= tail + (((fields & 0xFFFFFFFF) + margin) & mask)
        if end < floor:
            return None
        starts.append(end)
        tails.append(fields)
    starts.reverse()
    tails.reverse()
    return starts, tails
