"""Values of as few bits as they need, packed into words of 16 bits and back: many runs at once.

Bits are packed most significant first. A run is cut into groups of 16 values, which fill as many
whole words as a value has bits; groups of one width are worked on together, by shifts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["GROUP", "WIDEST", "Groups", "groups_of", "pack", "unpack"]

GROUP = 16  # values
WIDEST = 16  # bits of a value
_WORD, _PAIR, _QUAD = np.dtype("<u2"), np.dtype("<u4"), np.dtype("<u8")  # the first value lies lowest
_PLACES = np.arange(GROUP)[:, np.newaxis]
_PARTIAL = 1  # in keys of the order: after the full groups of the same width


class Groups(NamedTuple):
    """Up to 16 values each, as columns, full ones of a width before partial ones.

    Parameters
    ----------
    value, word
        Index of the first value and of the first word, i8.
    size
        Values, i8.
    base
        Subtracted from values before they are packed, u2.
    key
        Twice the width, and 1 more where there are fewer than 16 values.
    """

    value: NDArray[np.int64]
    word: NDArray[np.int64]
    size: NDArray[np.int64]
    base: NDArray[np.uint16]
    key: NDArray[np.uint8]

    def by_width(self) -> Iterator[tuple[int, Groups, int]]:
        """Yield every width, its groups, and how many of them are full."""
        bounds = np.searchsorted(self.key, np.arange(2 * WIDEST + 3))
        for width in range(1, WIDEST + 1):
            begin, full, end = (int(bounds[2 * width + i]) for i in range(3))
            if begin < end:
                yield width, self.taken(slice(begin, end)), full - begin

    def taken(self, which: slice | NDArray[np.int64]) -> Groups:
        """Return some groups."""
        value, word, size, base, key = self
        return Groups(value[which], word[which], size[which], base[which], key[which])


def groups_of(
    value: NDArray[np.int64],
    count: NDArray[np.int64],
    width: NDArray[np.int64],
    word: NDArray[np.int64],
    base: NDArray[np.uint16],
) -> Groups:
    """Cut runs of `count` values into groups.

    Parameters
    ----------
    value, word
        Where the values and the words of each run begin.
    count, width
        Values, and bits of each.
    base
        Subtracted from values before they are packed.
    """
    pieces = (count + GROUP - 1) // GROUP
    rank = np.arange(int(pieces.sum())) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    bits = np.repeat(width, pieces)
    left = np.minimum(np.repeat(count, pieces) - GROUP * rank, GROUP)
    key = (2 * bits + _PARTIAL * (left < GROUP)).astype(np.uint8)
    groups = Groups(
        np.repeat(value, pieces) + GROUP * rank,
        np.repeat(word, pieces) + rank * bits,
        left,
        np.repeat(base, pieces),
        key,
    )
    return groups.taken(np.argsort(key, kind="stable"))


def pack(values: NDArray[np.uint16], groups: Groups, words: NDArray[np.uint16]) -> None:
    """Set the `words` of all groups; no others are touched.

    Parameters
    ----------
    values
        With at least 16 more behind the last one.
    groups
        Their values less their base fit their width.
    words
        With at least 16 more behind the last one.
    """
    for width, part, full in groups.by_width():
        columns = _columns(_records(values, GROUP)[part.value])
        columns -= part.base
        columns[:, full:] *= part.size[full:] > _PLACES
        packed = np.ascontiguousarray(_packed(columns, width).T)
        _records(words, width)[part.word[:full]] = packed[:full].view(f"V{2 * width}")[:, 0]
        _scatter(words, part.word[full:], (part.size[full:] * width + 15) // 16, packed[full:])


def unpack(words: NDArray[np.uint16], groups: Groups, values: NDArray[np.uint16]) -> None:
    """Set the `values` of all groups from `words`; the reverse of `pack`."""
    for width, part, full in groups.by_width():
        block = _unpacked(_records(words, width)[part.word].view(_WORD).reshape(-1, width), width)
        block += part.base[:, np.newaxis]
        _records(values, GROUP)[part.value[:full]] = block[:full].view(f"V{2 * GROUP}")[:, 0]
        _scatter(values, part.value[full:], part.size[full:], block[full:])


def _columns(records: NDArray[Any]) -> NDArray[np.uint16]:
    """Return element i of all records as row i."""
    return np.ascontiguousarray(records.view(_WORD).reshape(len(records), -1).T)


def _records(array: NDArray[np.uint16], size: int) -> NDArray[Any]:
    """Return a view of `array`: item i is its elements i to i + `size`, as one piece of memory."""
    return np.ndarray((len(array) - size + 1,), f"V{2 * size}", array, strides=(2,))


def _scatter(
    out: NDArray[np.uint16], at: NDArray[np.int64], count: NDArray[np.int64], rows: NDArray[np.uint16]
) -> None:
    """Put the first `count` elements of each of `rows` at `at`."""
    for i in range(int(count.max(initial=0))):
        some = np.flatnonzero(count > i)
        out[at[some] + i] = rows[some, i]


def _overlaps(count: int, width: int) -> Iterator[tuple[int, int, int]]:
    """Yield which of `count` values has bits in which word, and how many bits it reaches beyond its end."""
    for value in range(count):
        begin, end = width * value, width * (value + 1)
        for word in range(begin // 16, (end + 15) // 16):
            yield value, word, end - 16 * (word + 1)


def _packed(values: NDArray[np.uint16], width: int) -> NDArray[np.uint16]:
    """Return the words of groups, word by word, of their values, value by value: (16, n) to (width, n)."""
    words = np.zeros((width, values.shape[1]), _WORD)
    for value, word, over in _overlaps(GROUP, width):
        bits = values[value]
        words[word] |= bits >> _WORD.type(over) if over > 0 else bits << _WORD.type(-over)
    return words


def _unpacked(words: NDArray[np.uint16], width: int) -> NDArray[np.uint16]:
    """Return the values of groups: shape (n, width) to (n, 16)."""
    quads = np.zeros((len(words), 4), _QUAD)
    for quad, word, over in _overlaps(4, 4 * width):
        bits = words[:, word].astype(_QUAD)
        quads[:, quad] |= bits << _QUAD.type(over) if over >= 0 else bits >> _QUAD.type(-over)
    mask = _QUAD.type((1 << 2 * width) - 1)
    quads = ((quads >> _QUAD.type(2 * width)) & mask) | ((quads & mask) << _QUAD.type(32))
    pairs = quads.view(_PAIR)
    pairs = (pairs >> _PAIR.type(width)) | ((pairs & _PAIR.type((1 << width) - 1)) << _PAIR.type(16))
    return pairs.view(_WORD)
