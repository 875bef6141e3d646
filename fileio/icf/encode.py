"""From groups of objects to bytes of a file, for both protocols."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.filelayer import Buffer
from sapwood.fileio.icf.checksum import checksums
from sapwood.fileio.icf.compressors import Compressor
from sapwood.fileio.icf.layout import TRAILER

__all__ = ["Bunches", "Chunks", "Encoder", "Group"]


class Group(NamedTuple):
    """Objects that are written together.

    Parameters
    ----------
    objects
        One or more.
    data
        The same bytes one after the other, where they lie so already.
    sizes
        Bytes of each, i8, shape (n,), where they are known.
    """

    objects: Sequence[bytes]
    data: Buffer | None = None
    sizes: NDArray[np.int64] | None = None

    def lengths(self) -> NDArray[np.uint32]:
        """Return the bytes of each object, u4, shape (n,)."""
        if self.sizes is not None:
            return self.sizes.astype("<u4")
        return np.fromiter(map(len, self.objects), "<u4", len(self.objects))


class Encoder(Protocol):
    """Turns groups of objects into bytes of the file."""

    threaded: bool  # encode() is worth a thread of its own: it compresses

    def encode(self, group: Group) -> tuple[Buffer, ...]:
        """Return the bytes of a group as far as they do not depend on their place; any thread."""
        ...

    def finish(self, encoded: tuple[Buffer, ...], at: int) -> Sequence[Buffer]:
        """Return all bytes of the group, to be written at byte `at`; called in order."""
        ...

    def written(self, end: int) -> None:
        """Note that the group finished last lies on the disk and ends at byte `end`."""
        ...


class Chunks:
    """Protocol 0: length, checksum and bytes of each object."""

    threaded = False

    def encode(self, group: Group) -> tuple[Buffer, ...]:
        """Return the chunks of the objects."""
        heads = np.empty((len(group.objects), 2), "<u4")
        heads[:, 0] = group.lengths()
        heads[:, 1] = checksums(group.objects)
        headers: list[bytes] = heads.view("V8")[:, 0].tolist()
        return (b"".join(chain.from_iterable(zip(headers, group.objects, strict=True))),)

    def finish(self, encoded: tuple[Buffer, ...], at: int) -> Sequence[Buffer]:
        """Return the chunks: nothing in them depends on their place."""
        return encoded

    def written(self, end: int) -> None:
        """Keep nothing: chunks do not point at each other."""


class Bunches:
    """Protocol 1: data, tables and trailer of each bunch."""

    def __init__(self, compressor: Compressor) -> None:
        self._compress = compressor.compress
        self.threaded = self._compress is not None
        self._number = 0
        self._before = 0  # where the trailer of the bunch before begins

    def encode(self, group: Group) -> tuple[Buffer, ...]:
        """Return data, checksums and sizes of a bunch."""
        data: Buffer = b"".join(group.objects) if group.data is None else group.data
        if self._compress is not None:
            data = self._compress(bytes(data))
        return data, checksums(group.objects).tobytes(), group.lengths().tobytes()

    def finish(self, encoded: tuple[Buffer, ...], at: int) -> Sequence[Buffer]:
        """Return the bunch with its trailer."""
        length = sum(map(len, encoded))
        place = at + length
        count = len(encoded[2]) // 4
        return (*encoded, TRAILER.pack(place - self._before, length, place, 0, count, self._number))

    def written(self, end: int) -> None:
        """Let the next trailer point at this one."""
        self._before = end - TRAILER.size
        self._number += 1
