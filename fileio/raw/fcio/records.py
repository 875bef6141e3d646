"""Records of FCIO streams: a tag, then frames of data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FormatError
from sapwood.fileio.raw.columns import distinct
from sapwood.streams import FrameBatch

__all__ = [
    "CONFIG", "EVENT", "EVENT_HEADER", "FSP_CONFIG", "FSP_EVENT", "FSP_STATUS", "FSP_TAGS", "MAGIC",
    "PREAMBLE_BYTES", "SPARSE_EVENT", "STATUS", "TAGS", "Incomplete", "Layout", "by_layout", "check_preamble",
    "parse_record", "split_records", "word_at",
]  # fmt: skip

MAGIC = -1_000_000_001
PREAMBLE_BYTES = 68
_PROTOCOL = b"FlashCamV1"

CONFIG, CALIB, EVENT, STATUS, REC_EVENT, SPARSE_EVENT, EVENT_HEADER = range(1, 8)
FSP_CONFIG, FSP_EVENT, FSP_STATUS = 8, 9, 10
FSP_TAGS = (FSP_CONFIG, FSP_EVENT, FSP_STATUS)
TAGS = {
    CONFIG: "Config", CALIB: "Calib", EVENT: "Event", STATUS: "Status", REC_EVENT: "RecEvent",
    SPARSE_EVENT: "SparseEvent", EVENT_HEADER: "EventHeader", FSP_CONFIG: "FSPConfig",
    FSP_EVENT: "FSPEvent", FSP_STATUS: "FSPStatus",
}  # fmt: skip

_MOST_FRAMES = {CONFIG: 13, EVENT: 6, EVENT_HEADER: 7}
_LARGEST_TAG = 1_000_000_000
_LARGEST_FRAME = 2 * 672 * (32768 + 2)


class Incomplete(Exception):  # noqa: N818  # no error: more bytes are needed
    """The bytes end within a record."""


@dataclass(frozen=True)
class Layout:
    """Where the frames of a record lie.

    Parameters
    ----------
    tag
        Of the record.
    begin, size
        Of every frame's data: offset from the tag, and bytes.
    nbytes
        Of the whole record.
    """

    tag: int
    begin: tuple[int, ...]
    size: tuple[int, ...]
    nbytes: int
    _places: NDArray[np.intp] = field(init=False, repr=False, compare=False)
    _bytes: NDArray[np.uint8] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words = np.array([-self.tag, *self.size], "<i4")
        where = np.array([0, *(begin - 4 for begin in self.begin)], np.intp)
        object.__setattr__(self, "_places", (where[:, np.newaxis] + np.arange(4)).reshape(-1))
        object.__setattr__(self, "_bytes", words.view(np.uint8))

    def matches(self, rows: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Tell which of the records in `rows`, shape (n, nbytes), have this layout."""
        same: NDArray[np.bool_] = (rows[:, self._places] == self._bytes).all(axis=1)
        return same

    def values(self, rows: NDArray[np.uint8], frame: int, dtype: str) -> NDArray[np.generic]:
        """Return the data of a frame of every record, shape (n, elements); whole elements only."""
        if frame >= len(self.begin):
            return np.zeros((len(rows), 0), dtype)
        width = self.size[frame] // np.dtype(dtype).itemsize * np.dtype(dtype).itemsize
        found: NDArray[np.generic] = rows[:, self.begin[frame] : self.begin[frame] + width].view(dtype)
        return found

    def number(self, rows: NDArray[np.uint8], frame: int) -> NDArray[np.int64]:
        """Return the first integer of a frame of every record, 0 where it is missing; shape (n,)."""
        found = self.values(rows, frame, "<i4")
        return found[:, 0].astype(np.int64) if found.shape[1] else np.zeros(len(rows), np.int64)


def word_at(data: NDArray[np.uint8], offset: int) -> int:
    """Return the signed 32-bit word at `offset`."""
    return int.from_bytes(data[offset : offset + 4].tobytes(), "little", signed=True)


def check_preamble(data: NDArray[np.uint8], name: str, offset: int) -> None:
    """Make sure that `data` begins like a stream of FlashCam.

    Raises
    ------
    FormatError
        When it does not.
    """
    if len(data) < PREAMBLE_BYTES or word_at(data, 0) != MAGIC or data[4:14].tobytes() != _PROTOCOL:
        raise FormatError(
            "This is no FCIO stream",
            file=name,
            offset=offset,
            expected=f"{MAGIC}, then {_PROTOCOL.decode()!r}",
            seen=data[:16].tobytes().hex(" "),
        )


def parse_record(data: NDArray[np.uint8], at_end: bool) -> Layout:
    """Return the layout of the record that `data` begins with.

    Parameters
    ----------
    data
        Bytes from the tag on.
    at_end
        Whether the stream ends with `data`.

    Raises
    ------
    Incomplete
        When more bytes are needed.
    FormatError
        When this cannot be a record.
    """
    if len(data) < 4:
        raise Incomplete
    tag = -word_at(data, 0)
    if not 0 < tag <= _LARGEST_TAG:
        raise FormatError("There is no record", expected="a tag", seen=-tag)
    begin: list[int] = []
    size: list[int] = []
    position, most = 4, _MOST_FRAMES.get(tag)
    while most is None or len(begin) < most:
        if position + 4 > len(data):
            if at_end and position == len(data) and _may_end(tag, len(begin)):
                break
            raise Incomplete
        length = word_at(data, position)
        if length < 0:
            break
        if length > _LARGEST_FRAME:
            raise FormatError("A frame is too long", expected=f"{_LARGEST_FRAME} bytes at most", seen=length)
        begin.append(position + 4)
        size.append(length)
        position += 4 + length
        if position > len(data):
            raise Incomplete
        if most is None:
            most = _frames_of(tag, data, begin)
    return Layout(tag, tuple(begin), tuple(size), position)


def _may_end(tag: int, frames: int) -> bool:
    """Tell whether a record may be whole with so many frames when nothing follows it."""
    return frames >= {CONFIG: 10}.get(tag, 1) if tag not in _MOST_FRAMES or tag == CONFIG else False


def _frames_of(tag: int, data: NDArray[np.uint8], begin: list[int]) -> int | None:
    """Return how many frames a record has, when those seen tell."""
    if tag == SPARSE_EVENT and len(begin) == 6:
        return 7 + max(0, word_at(data, begin[5]))
    if tag == STATUS and len(begin) == 3:
        return 4 + max(0, word_at(data, begin[2]))
    return 1 if tag == FSP_STATUS else None


def by_layout(packets: FrameBatch) -> Iterator[tuple[Layout, NDArray[np.intp], NDArray[np.uint8]]]:
    """Yield groups of records that have one layout: it, their indices, and their bytes, shape (n, nbytes)."""
    sizes = distinct(packets.size).tolist()
    for nbytes in sizes:
        left = np.arange(len(packets)) if len(sizes) == 1 else np.flatnonzero(packets.size == nbytes)
        while len(left):
            some = packets if len(left) == len(packets) else packets[left]
            rows = some.rows()
            if rows is None:
                rows = _gathered(some, nbytes)
            try:
                layout = parse_record(rows[0], at_end=True)
            except Incomplete as error:
                raise FormatError("A record is cut", expected="its frames", seen=f"{nbytes} bytes") from error
            if layout.nbytes != nbytes:
                layout = Layout(layout.tag, layout.begin, layout.size, nbytes)
            same = layout.matches(rows)
            if same.all():
                yield layout, left, rows
                break
            yield layout, left[same], rows[same]
            left = left[~same]


def _gathered(packets: FrameBatch, nbytes: int) -> NDArray[np.uint8]:
    out = np.empty((len(packets), nbytes), np.uint8)
    for row, start in enumerate(packets.start.tolist()):
        out[row] = packets.payload[start : start + nbytes]
    return out


def split_records(data: NDArray[np.uint8]) -> list[tuple[int, Layout]]:
    """Return the records in `data`, all of them whole: where each begins, and its layout.

    Raises
    ------
    FormatError
        When something else is there.
    """
    found: list[tuple[int, Layout]] = []
    position = 0
    while position < len(data):
        if word_at(data, position) == MAGIC:
            check_preamble(data[position:], "a packet", position)
            position += PREAMBLE_BYTES
            continue
        if len(data) - position >= 4 and word_at(data, position) >= 0:
            position += 4 + word_at(data, position)  # a frame more than the record needs
            continue
        try:
            layout = parse_record(data[position:], at_end=True)
        except Incomplete as error:
            raise FormatError("A record is cut", offset=position, seen=f"{len(data)} bytes") from error
        found.append((position, layout))
        position += layout.nbytes
    return found
