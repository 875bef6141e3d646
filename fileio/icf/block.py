"""The objects of one run in memory or mapped, and which of them are whole."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.icf.checksum import checksums, combined, crc32_function
from sapwood.streams import FrameBatch

__all__ = ["Block", "common_size", "split"]

_NONE_BAD: NDArray[np.int64] = np.empty(0, np.int64)
_COMBINE_BELOW = 2048  # bytes an object, on average: larger ones are checked one by one


def common_size(sizes: NDArray[np.int64]) -> int | None:
    """Return the size all objects have, None when they differ or there are none."""
    if len(sizes) and bool((sizes == sizes[0]).all()):
        return int(sizes[0])
    return None


def split(data: NDArray[np.uint8], sizes: NDArray[np.int64], equal: int | None) -> list[bytes]:
    """Return the objects that lie one after the other in `data`, u1, contiguous.

    Parameters
    ----------
    sizes
        Bytes of each, i8, shape (n,).
    equal
        The size of all, when they have one.
    """
    if equal is None:
        return list(map(BytesIO(data.data).read, sizes.tolist()))
    if equal == 0:
        return [b""] * len(sizes)
    items: list[bytes] = data.view(np.dtype((np.void, equal))).tolist()
    return items


class Block:
    """The objects of a run.

    Parameters
    ----------
    data
        u1, contiguous.
    sizes
        Bytes of each object, i8, shape (n,).
    crcs
        Their stored checksums, u4, shape (n,).
    starts
        Where in `data` each object begins, i8, shape (n,); when left out they lie one after the
        other from byte 0, and nothing else is there.
    held
        `data` is memory of this block, not the mapped file.
    """

    __slots__ = ("_bad", "_dense", "_starts", "crcs", "data", "equal", "held", "placed", "sizes")

    def __init__(
        self,
        data: NDArray[np.uint8],
        sizes: NDArray[np.int64],
        crcs: NDArray[np.uint32],
        starts: NDArray[np.int64] | None = None,
        *,
        held: bool = False,
    ) -> None:
        self.data = data
        self.sizes = sizes
        self.crcs = crcs
        self.held = held
        self.equal = common_size(sizes)
        self.placed = starts is not None  # `starts` count from byte 0 of the file
        self._starts = starts
        self._dense = data if starts is None else None
        self._bad: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def nbytes(self) -> int:
        """Memory that the block takes."""
        return (len(self.data) if self.held else 0) + 20 * len(self.sizes)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each object begins in `data`, i8, shape (n,)."""
        if self._starts is None:
            self._starts = np.cumsum(self.sizes) - self.sizes
        return self._starts

    @property
    def dense(self) -> NDArray[np.uint8]:
        """The objects one after the other; copied together, once, where they do not lie so."""
        if self._dense is None:
            self._dense = FrameBatch(self.data, self.starts, self.sizes).compact().payload
        return self._dense

    def objects(self) -> list[bytes]:
        """Return all objects, whole or not."""
        return split(self.dense, self.sizes, self.equal)

    def object(self, row: int) -> tuple[bytes, bool]:
        """Return object `row`, and whether it is whole."""
        start = int(self.starts[row])
        data = self.data[start : start + int(self.sizes[row])].tobytes()
        return data, crc32_function()(data) == self.crcs[row]

    def pick(self, rows: NDArray[np.int64]) -> tuple[list[bytes], NDArray[np.bool_]]:
        """Return the objects `rows`, and which of them are whole, shape (len(rows),)."""
        view = self.data.data
        starts = self.starts[rows]
        ends = starts + self.sizes[rows]
        found = [bytes(view[start:end]) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        return found, checksums(found) == self.crcs[rows]

    @property
    def bad(self) -> NDArray[np.int64]:
        """Numbers of the damaged objects, ascending; found once."""
        if self._bad is None:
            self._bad = self._find_bad()
        return self._bad

    def _find_bad(self) -> NDArray[np.int64]:
        count = len(self.sizes)
        small = int(self.sizes.sum()) < _COMBINE_BELOW * count
        if small and count > 1:
            sizes = self.sizes if self.equal is None else self.equal
            if crc32_function()(self.dense.data) == combined(self.crcs, sizes):
                return _NONE_BAD
        found = checksums(self.objects() if small else self._views())
        return np.flatnonzero(found != self.crcs)

    def _views(self) -> list[memoryview]:
        view = self.data.data
        ends = (self.starts + self.sizes).tolist()
        return [view[start:end] for start, end in zip(self.starts.tolist(), ends, strict=True)]
