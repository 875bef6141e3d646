"""ORCA packets: where each begins and ends, what it is, and where a damaged stream goes on."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.raw.source import Source
from sapwood.streams.windows import windows

__all__ = [
    "LONG_ID",
    "MAX_WORDS",
    "SHORT",
    "SHORT_ID",
    "Walk",
    "find_packets",
    "is_orca",
    "masked_id",
    "packet_words",
    "walk",
]

SHORT = 0x80000000
SHORT_ID = 0xFC000000
LONG_ID = 0xFFFC0000
LENGTH = 0x0003FFFF
MAX_WORDS = 1 << 24  # of a packet that is believed

_XML = 0x6D783F3C  # ``<?xm``
_ALIKE = 4  # so many equal packets in a row are worth a look for more
_CHAIN = 3  # packets that must follow each other where a stream is taken up again
_FIRST_WINDOW = 1 << 10  # bytes searched at once, at first,
_WINDOW = 1 << 20  # and at most
_SIGHT = 16 << 20  # bytes looked ahead at most for a chain


def masked_id(word: int) -> int:
    """Return the data id in word 0 of a packet, in the place where it stands there."""
    return word & (SHORT_ID if word & SHORT else LONG_ID)


def packet_words(word: int, second: int | None) -> int:
    """Return the words of a packet by its words 0 and 1; 0 when word 1 is needed and missing."""
    if word & SHORT:
        return 1
    return word & LENGTH or second or 0


def is_orca(head: NDArray[np.uint8] | bytes) -> bool:
    """Tell whether a stream begins with the packet of an ORCA header."""
    if len(head) < 12:
        return False
    first, nbytes = np.frombuffer(bytes(head[:8]), "<u4").tolist()
    return not first & LONG_ID and 0 <= 4 * first - 8 - nbytes <= 3 and bytes(head[8:12]) == b"<?xm"


@dataclass(frozen=True, slots=True)
class Walk:
    """Packets found one after the other.

    Parameters
    ----------
    start, size
        Bytes, i8, shape (n,).
    word
        Word 0 of each, u4, shape (n,).
    end
        Bytes up to the end of the last.
    fault
        Why it went no further: empty at a limit, ``partial`` when the next packet is not there
        as a whole, ``unknown`` when the next word begins no packet.
    wanted
        Bytes that a partial packet needs from `end` on.
    """

    start: NDArray[np.int64]
    size: NDArray[np.int64]
    word: NDArray[np.uint32]
    end: int
    fault: str = ""
    wanted: int = 0

    def __len__(self) -> int:
        return len(self.start)


def walk(data: NDArray[np.uint8], known: Set[int], limit: int) -> Walk:
    """Follow packets from byte 0 on, at most `limit`; runs of equal packets are found at once.

    Parameters
    ----------
    data
        Bytes of the stream from the beginning of a packet.
    known
        The data ids that exist, as `masked_id` returns them.
    """
    words = data[: len(data) // 4 * 4].view("<u4")
    quick = _quick(data[: 4 * len(words)])
    sizes: dict[int, int] = {}  # of packets that begin with a word, unless word 1 tells
    runs: list[tuple[int, int, int, int]] = []  # position, words, word 0, count
    position = count = alike = 0
    before, fault, wanted, there = -1, "", 0, len(words)
    while count < limit and position < there:
        word = quick[position]
        size = sizes.get(word, 0)
        if not size or position + size > there:
            size, fault, wanted = _look(words, position, known)
            if fault:
                break
            if word & (SHORT | LENGTH) and word & LONG_ID:
                sizes[word] = size
        alike = alike + 1 if word == before else 0
        repeats = 1
        if alike >= _ALIKE:
            repeats = _repeats(words, position, size, limit - count)
            alike = 0
        runs.append((position, size, word, repeats))
        before = word
        position += size * repeats
        count += repeats
    if count < limit and position == there and len(data) % 4 and not fault:
        fault, wanted = "partial", 4
    return _walked(runs, position, fault, wanted)


def _quick(data: NDArray[np.uint8]) -> memoryview[int]:
    """Return the words of `data` as what gives single ones faster than an array does, at any alignment."""
    return memoryview(data.data if len(data) else b"").cast("B").cast("I")


def _look(words: NDArray[np.uint32], position: int, known: Set[int]) -> tuple[int, str, int]:
    """Return the words of the packet at `position`, what is wrong with it and the bytes it wants."""
    there = len(words) - position
    word = int(words[position])
    if masked_id(word) not in known and not (there > 2 and _begins_header(word, words[position + 2])):
        return 0, "unknown", 0
    extended = not word & SHORT and not word & LENGTH
    if extended and there < 2:
        return 0, "partial", 8
    size = packet_words(word, int(words[position + 1]) if extended else None)
    if size > MAX_WORDS or size < 1 + extended:
        return 0, "unknown", 0
    return (size, "partial", 4 * size) if size > there else (size, "", 0)


def _begins_header(word: int, third: np.uint32) -> bool:
    return not word & LONG_ID and third == _XML


def _repeats(words: NDArray[np.uint32], position: int, size: int, limit: int) -> int:
    """Return how many packets from `position` on have the same id and length."""
    word = words[position]
    extended = not int(word) & (SHORT | LENGTH)
    most = min((len(words) - position) // size, limit)
    found, step = 1, 16
    while found < most:
        end = min(found + step, most)
        here = position + found * size
        equal = words[here : position + end * size : size] == word
        if extended:
            equal = equal & (words[here + 1 : position + end * size : size] == words[position + 1])
        bad = np.flatnonzero(~equal)
        if len(bad):
            return found + int(bad[0])
        found, step = end, step * 4
    return found


def _walked(runs: list[tuple[int, int, int, int]], position: int, fault: str, wanted: int) -> Walk:
    table = np.array(runs, np.int64).reshape(-1, 4)
    first, size, word, repeats = table.T
    index = np.repeat(np.arange(len(table)), repeats)
    within = np.arange(len(index)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    start = first[index] + within * size[index]
    return Walk(4 * start, 4 * size[index], word[index].astype(np.uint32), 4 * position, fault, wanted)


def find_packets(source: Source, known: Set[int], *, lone_end: bool = True) -> int | None:
    """Advance `source` to where packets go on, at any alignment; return the bytes skipped, None at the end.

    Three packets must follow each other there, or fewer that end where the stream ends.

    Parameters
    ----------
    source
        At the word that begins no packet.
    known
        See `walk`.
    lone_end
        Whether one packet alone that ends with the stream is believed.
    """
    skipped, begin = 0, 1
    while True:
        data = source.peek(_WINDOW + _SIGHT)
        ended = len(data) < _WINDOW + _SIGHT
        place = _first_chain(data, begin, _WINDOW if not ended else len(data), known, ended, lone_end)
        if place is not None:
            source.advance(place)
            return skipped + place
        if ended:
            source.advance(len(data))
            return None
        source.advance(_WINDOW)
        skipped, begin = skipped + _WINDOW, 0


def _first_chain(
    data: NDArray[np.uint8], begin: int, end: int, known: Set[int], ended: bool, lone_end: bool
) -> int | None:
    """Return the first byte of ``begin..end`` from which packets follow each other."""
    low, width = begin, _FIRST_WINDOW
    while low < end:
        place = _candidates(data, low, min(low + width, end), known)
        low, width = low + width, min(4 * width, _WINDOW)
        position, alive = place, np.ones(len(place), bool)
        for step in range(_CHAIN):
            size = _sizes(data, position, known)
            at_end = (position == len(data)) & ended & (step > (0 if lone_end else 1))
            alive &= (size > 0) | at_end
            position = position + size
        if alive.any():
            return int(place[np.argmax(alive)])
    return None


def _candidates(data: NDArray[np.uint8], begin: int, end: int, known: Set[int]) -> NDArray[np.int64]:
    """Return the bytes in ``begin..end``, in order, where the word is the first of a known packet."""
    found: list[NDArray[np.int64]] = []
    for shift in range(4):
        part = data[begin + shift : end + 3]
        hits = np.flatnonzero(_are_known(part[: len(part) // 4 * 4].view("<u4"), known))
        found.append(begin + shift + 4 * hits.astype(np.int64))
    places = np.sort(np.concatenate(found))
    return places[places < end]


def _are_known(word: NDArray[np.uint32], known: Set[int]) -> NDArray[np.bool_]:
    mask = np.where(word & np.uint32(SHORT), np.uint32(SHORT_ID), np.uint32(LONG_ID))
    return np.isin(word & mask, np.array(sorted(known), np.uint32))


def _sizes(data: NDArray[np.uint8], position: NDArray[np.int64], known: Set[int]) -> NDArray[np.int64]:
    """Return the bytes of the packets that begin at `position`, 0 where none does."""
    size = np.zeros(len(position), np.int64)
    inside = np.flatnonzero(position + 4 <= len(data))
    if not len(inside):
        return size
    at = position[inside]
    word = windows(data, 4)[at].view("<u4")
    second = windows(data, 4)[np.minimum(at + 4, len(data) - 4)].view("<u4").astype(np.int64)
    length = (word & np.uint32(LENGTH)).astype(np.int64)
    short = (word & np.uint32(SHORT)) != 0
    extended = ~short & (length == 0)
    words = np.where(short, 1, np.where(extended, second, length))
    good = (
        _are_known(word, known)
        & (words <= MAX_WORDS)
        & (words > extended)
        & (~extended | (at + 8 <= len(data)))
    )
    size[inside] = np.where(good, 4 * words, 0)
    return size
