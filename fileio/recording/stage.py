"""What a recorder holds in memory until it writes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.filelayer import Buffer
from sapwood.fileio.recording.records import Records

__all__ = ["Stage"]

_JOIN_BELOW = 2048  # mean bytes an item below which items are joined before writing


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

    @property
    def nbytes(self) -> int:
        """Bytes of all records."""
        return sum(map(len, self.items))

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
            return self.nbytes
        return int(self.sizes(first, last).sum())

    def fit(self, first: int, room: int) -> int:
        """Return how many records from `first` on lie wholly within `room` bytes."""
        ends = np.cumsum(self.sizes(first, self.count))
        return int(np.searchsorted(ends, room, side="right"))

    def pieces(self, first: int, last: int) -> Sequence[Buffer]:
        """Return all records; small ones are joined, which costs less than many pieces."""
        items = self.items
        if len(items) > 2 and self.nbytes < _JOIN_BELOW * len(items):
            return [b"".join(items)]
        return items
