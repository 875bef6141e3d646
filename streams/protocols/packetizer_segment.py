"""Frames cut into the pieces that go into packets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import StreamError
from sapwood.streams.batch import FrameBatch

__all__ = ["ALIGN", "HEAD", "Segments", "chunk_size", "segment"]

HEAD = 8
"""Bytes of a packet's head, in both versions."""

ALIGN = 8
"""Pieces are cut to multiples of this, so that only the last of a frame is odd."""


class Segments(NamedTuple):
    """Pieces of the frames of a batch, in order; p pieces.

    Attributes
    ----------
    pieces
        Views of the frames' payload, with the flags of their frames.
    frame
        Index of the frame, i8[p].
    number
        Place of the piece in its frame, from 0, i8[p].
    last
        The piece ends its frame, bool[p].
    """

    pieces: FrameBatch
    frame: NDArray[np.int64]
    number: NDArray[np.int64]
    last: NDArray[np.bool_]


def chunk_size(limit: int, tail: int) -> int:
    """Return the payload bytes that fit in a packet of at most `limit` bytes with a tail of `tail` bytes.

    Raises
    ------
    StreamError
        When not even 8 bytes of payload fit.
    """
    chunk = (limit - tail) // ALIGN * ALIGN - HEAD
    if chunk < ALIGN:
        raise StreamError("Packets are too small for a packetizer", expected="24 bytes or more", seen=limit)
    return chunk


def segment(batch: FrameBatch, chunk: int) -> Segments:
    """Cut frames, none of them empty, into pieces of `chunk` bytes; what is left is the last of each."""
    size = np.ascontiguousarray(batch.size)
    count = -(-size // chunk)
    frame = np.repeat(np.arange(len(batch)), count)
    number = np.arange(len(frame)) - np.repeat(np.cumsum(count) - count, count)
    start = batch.start[frame] + number * chunk
    left = size[frame] - number * chunk
    pieces = FrameBatch(batch.payload, start, np.minimum(left, chunk), flags=batch.flags[frame])
    return Segments(pieces, frame, number, left <= chunk)
