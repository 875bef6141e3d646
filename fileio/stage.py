"""Encoded records: what a recorder is given, and what it holds until it writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.filelayer import Buffer

__all__ = ["Records", "SingleRecord", "Stage"]

_JOIN_BELOW = 2048  # mean bytes an item below which items are joined before writing


class Records(Protocol):
    """Encoded records in file order, each either wholly written or not at all."""

    @property
    def count(self) -> int:
        """Number of records."""
        ...

    def span(self, first: int, last: int) -> int:
        """Return the bytes of records `first` to ``last - 1``."""
        ...

    def fit(self, first: int, room: int) -> int:
        """Return how many records from `first` on lie wholly within `room` bytes (maybe negative)."""
        ...

    def sizes(self, first: int, last: int) -> NDArray[np.int64]:
        """Return the bytes of each of records `first` to ``last - 1``."""
        ...

    def pieces(self, first: int, last: int) -> Sequence[Buffer]:
        """Return the bytes of the records; valid until the next call."""
        ...


class SingleRecord:
    """One record of a header and a body."""

    __slots__ = ("_body", "_head", "_size", "count")

    def __init__(self, head: bytes, body: Buffer) -> None:
        self._head = head
        self._body = body
        self._size = len(head) + len(body)
        self.count = 1

    def span(self, first: int, last: int) -> int:
        """Return the bytes of the record, or 0 for none."""
        return self._size * (last - first)

    def fit(self, first: int, room: int) -> int:
        """Return 1 when the record lies within `room` bytes, else 0."""
        return int(self._size <= room)

    def sizes(self, first: int, last: int) -> NDArray[np.int64]:
        """Return the size of the record, shape (1,)."""
        return np.array([self._size], np.int64)

    def pieces(self, first: int, last: int) -> Sequence[Buffer]:
        """Return header and body."""
        return (self._head, self._body)


class Stage:
    """Records in memory, waiting to be written together.

    A single record is appended to `items` as header and body, two items. Records of a batch
    are one item, whose record sizes are kept beside it.
    """

    def __init__(self) -> None:
        self.items: list[Buffer] = []
        self._batches: dict[int, NDArray[np.int64]] = {}  # index in items -> sizes of the records there

    def clear(self) -> None:
        """Forget all records."""
        self.items.clear()
        self._batches.clear()

    def add(self, records: Records, first: int, last: int) -> None:
        """Append a copy of records `first` to ``last - 1``."""
        data = b"".join(records.pieces(first, last))
        self._batches[len(self.items)] = records.sizes(first, last)
        self.items.append(data)

    @property
    def count(self) -> int:
        """Number of records."""
        batched = sum(len(sizes) for sizes in self._batches.values())
        return batched + (len(self.items) - len(self._batches)) // 2

    def sizes(self, first: int, last: int) -> NDArray[np.int64]:
        """Return the bytes of each of records `first` to ``last - 1``."""
        sizes: list[int] = []
        index = 0
        while index < len(self.items):
            batch = self._batches.get(index)
            if batch is None:
                sizes.append(len(self.items[index]) + len(self.items[index + 1]))
                index += 2
            else:
                sizes.extend(batch.tolist())
                index += 1
        return np.array(sizes[first:last], np.int64)

    def span(self, first: int, last: int) -> int:
        """Return the bytes of records `first` to ``last - 1``."""
        if first == 0 and last == self.count:
            return sum(map(len, self.items))
        return int(self.sizes(first, last).sum())

    def fit(self, first: int, room: int) -> int:
        """Return how many records from `first` on lie wholly within `room` bytes."""
        ends = np.cumsum(self.sizes(first, self.count))
        return int(np.searchsorted(ends, room, side="right"))

    def pieces(self, first: int, last: int) -> Sequence[Buffer]:
        """Return all records; small ones are joined, which costs less than many pieces."""
        items = self.items
        if len(items) > 2 and sum(map(len, items)) < _JOIN_BELOW * len(items):
            return [b"".join(items)]
        return items
