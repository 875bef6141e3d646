"""Finding the hits in the bytes of one readout: the rules, byte by byte.

The bytes carried over from the readout before never change where the hits of a readout lie, so
`scan` does not ask for them; `join` says afterwards what becomes of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sapwood.fileio.apx.errors import DecodingError
from sapwood.fileio.apx.layout import IDLE, LAYOUT_QUAD, PADDING, HitLayout
from sapwood.fileio.apx.status import ByteType, Decoding

__all__ = ["Scan", "join", "scan"]

_FILLER = bytes((IDLE, PADDING))


@dataclass(slots=True)
class Scan:
    """What was found in a readout.

    Parameters
    ----------
    orphan
        First byte and end of the bytes before the first start of a hit; None when there are none.
    hits
        Where hits begin.
    extra
        First of the bytes at the end that begin a hit, -1 for none.
    status
        Bits, see `Decoding`; those about orphan bytes are added by `join`.
    skipped
        Bytes dropped, between hits or from incomplete hits.
    mask
        A `ByteType` for each byte, when it was asked for.
    """

    orphan: tuple[int, int] | None = None
    hits: list[int] = field(default_factory=list)
    extra: int = -1
    status: int = 0
    skipped: int = 0
    mask: bytearray | None = None

    def mark(self, begin: int, end: int, role: ByteType) -> None:
        """Give bytes `begin` to `end` a role."""
        if self.mask is not None and end > begin:
            self.mask[begin:end] = bytes((role,)) * (end - begin)

    def flag(self, flag: Decoding) -> None:
        """Set one flag of the status."""
        self.status |= 1 << flag


def join(orphan: bytes | None, carry: bytes | None, size: int) -> tuple[bytes | None, int]:
    """Return the hit that carried and orphan bytes make together, if any, and the status bits.

    Parameters
    ----------
    orphan
        None when the readout begins with a hit, or holds none.
    carry
        Extra bytes of the readout before; None when there are none.
    size
        Bytes of a hit.
    """
    if orphan is None:
        return None, 0
    if carry is None:
        return None, 1 << Decoding.ORPHAN_BYTES_NOT_USED
    if len(carry) + len(orphan) == size:
        return carry + orphan, 1 << Decoding.ORPHAN_BYTES_MATCHED
    return None, 1 << Decoding.ORPHAN_BYTES_DROPPED


def scan(data: bytes, layout: HitLayout, found: Scan, *, strict: bool = False) -> Scan:
    """Find the hits in `data`, into `found`, and return it.

    Parameters
    ----------
    found
        A new `Scan`; its mask has the length of `data` and is zero, or it is None.
    strict
        Follow the peer's decoder where it loses hits, and fail where it fails.

    Raises
    ------
    DecodingError
        When strict, for bytes that the peer's decoder fails on; `found` holds what came before.
    """
    if layout is LAYOUT_QUAD:
        return _scan_frames(data, layout, found)
    at = _lead_in(data, layout, found, strict)
    while at >= 0:
        at = _step(data, at, layout, found, strict)
    if found.mask is not None and 0 in found.mask:
        found.flag(Decoding.NOT_ALL_BYTES_VISITED)
    return found


def _skip(data: bytes, at: int, filler: bytes, found: Scan) -> int:
    """Return where the first byte that is no filler lies from `at` on, or the end."""
    begin, end = at, len(data)
    while at < end and data[at] in filler:
        at += 1
    found.mark(begin, at, ByteType.IDLE)
    return at


def _next_start(data: bytes, at: int, layout: HitLayout) -> int:
    """Return where the first byte from `at` on lies that begins a hit, or the end."""
    end, is_start = len(data), layout.is_start
    while at < end and not is_start[data[at]]:
        at += 1
    return at


def _lead_in(data: bytes, layout: HitLayout, found: Scan, strict: bool) -> int:
    """Pass what lies before the first start of a hit; return where that is, -1 for nowhere."""
    at = _skip(data, 0, _FILLER, found)
    if at == len(data):
        return _fails("No hit begins in the readout", strict)
    first = _next_start(data, at, layout)
    if first == at:
        return at
    if first == len(data):
        _fails("No hit begins behind the orphan bytes", strict)
    end = first
    while end > at and data[end - 1] == IDLE:
        end -= 1
    found.orphan = (at, end)
    found.mark(at, end, ByteType.ORPHAN)
    found.mark(end, first, ByteType.IDLE)
    return first


def _fails(text: str, strict: bool) -> int:
    if strict:
        raise DecodingError(text, hint="Tolerant decoding goes on.")
    return -1


def _step(data: bytes, at: int, layout: HitLayout, found: Scan, strict: bool) -> int:
    """Take one hit, or the tail; return where to go on, -1 at the end."""
    size, end = layout.size, len(data)
    at = _skip(data, at, _FILLER, found)
    left = end - at
    if left == 0:
        return -1
    is_start = layout.is_start
    if left < size or (left == size and (strict or not is_start[data[at]])):
        _take_tail(data, at, layout, found)
        return -1
    if not is_start[data[at]]:
        begin, at = at, _next_start(data, at, layout)
        found.mark(begin, at, ByteType.DROPPED)
        found.skipped += at - begin
        if not strict:
            found.flag(Decoding.BYTES_SKIPPED)
        if at == end:
            return _fails("No hit begins behind bytes that were skipped", strict and layout.raises_late)
        if end - at < size:
            if strict:
                return _fails("A hit is cut by the end of the readout", layout.raises_late)
            return at
    at = _drop_incomplete(data, at, layout, found, strict)
    if at < 0 or end - at < size:
        return at
    found.hits.append(at)
    found.mark(at, at + 1, ByteType.HIT_START)
    found.mark(at + 1, at + size, ByteType.HIT)
    return _skip(data, at + size, _FILLER[:1], found)


def _take_tail(data: bytes, at: int, layout: HitLayout, found: Scan) -> None:
    found.mark(at, len(data), ByteType.EXTRA)
    if layout.is_start[data[at]]:
        found.mark(at, at + 1, ByteType.HIT_START)
        found.extra = at
        found.flag(Decoding.VALID_EXTRA_BYTES)
    else:
        found.flag(Decoding.INVALID_EXTRA_BYTES)


def _drop_incomplete(data: bytes, at: int, layout: HitLayout, found: Scan, strict: bool) -> int:
    """Drop the beginning of a hit when a later byte of it is more likely to begin one.

    That is when such a byte is there, and what follows the hit does not begin one. Returns where
    the hit begins; fewer bytes than a hit may be left from there on.
    """
    size, end, is_start = layout.size, len(data), layout.is_start
    for offset in range(1, size):
        if not is_start[data[at + offset]]:
            continue
        behind = at + size
        while behind < end and data[behind] == IDLE:
            behind += 1
        if behind == end or is_start[data[behind]]:
            continue
        found.flag(Decoding.INCOMPLETE_HIT_DROPPED)
        found.mark(at, at + offset, ByteType.DROPPED)
        found.skipped += offset
        at += offset
        if end - at < size:
            if strict:
                return _fails("Fewer bytes than a hit are left behind a dropped one", layout.raises_late)
            return at
    return at


def _scan_frames(data: bytes, layout: HitLayout, found: Scan) -> Scan:
    """Find the frames of a quad-chip readout, each led by the number of bytes that follow."""
    at, end, size = 0, len(data), layout.size
    while True:
        at = _skip(data, at, _FILLER[1:], found)
        if at == end:
            return found
        if data[at] != size - 1:
            found.mark(at, at + 1, ByteType.DROPPED)
            found.flag(Decoding.BYTES_SKIPPED)
            found.skipped += 1
            at += 1
        elif end - at < size:
            found.extra = at
            found.flag(Decoding.VALID_EXTRA_BYTES)
            found.mark(at, at + 1, ByteType.HIT_START)
            found.mark(at + 1, end, ByteType.EXTRA)
            return found
        else:
            found.hits.append(at)
            found.mark(at, at + 1, ByteType.HIT_START)
            found.mark(at + 1, at + size, ByteType.HIT)
            at += size
