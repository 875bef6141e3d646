"""Between byte formats and the recorder: who encodes, what is encoded, where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.filelayer import Buffer
from sapwood.streams import Frame, FrameBatch

__all__ = ["Encoder", "Records", "SingleRecord", "Source"]


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
        """Return the bytes of at least one record; valid until the next call."""
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


class Encoder(Protocol):
    """A byte format: it only encodes."""

    def record(self, frame: Frame, channel: int) -> tuple[bytes, Buffer]:
        """Return header and body of the record of `frame`; `channel` 0 keeps the frame's own."""
        ...

    def records(self, batch: FrameBatch, channel: int) -> Records:
        """Return the records of `batch`; `channel` 0 keeps each frame's own."""
        ...


class Source(Protocol):
    """Where frames come from: an endpoint of the recorder.

    `count` is kept by the recorder: frames offered here since the recorder was opened. Frames
    of a `config` source are configuration, not data: they are written at once and counted apart.
    """

    count: int
    forced: int
    config: bool
