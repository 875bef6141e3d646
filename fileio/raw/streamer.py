"""Base of streams: blocks of packets are read, sorted by decoder and decoded into buffers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.raw.decoder import DataDecoder
from sapwood.fileio.raw.source import Source
from sapwood.streams import FrameBatch

__all__ = ["PacketBlock", "PacketStream"]


@dataclass(frozen=True, slots=True)
class PacketBlock:
    """A run of packets.

    Parameters
    ----------
    packets
        All of them in order, as views of the stream.
    decoder
        For each packet the index of its decoder in `PacketStream.decoders`, -1 for none; shape (n,).
    first_id
        Number of the first packet in the stream.
    """

    packets: FrameBatch
    decoder: NDArray[np.int8]
    first_id: int


class PacketStream:
    """What a stream type provides; `DataStreamer` drives it.

    `begin` reads the header, makes `decoders` and returns the header's block of rows or packets;
    `next_block` returns packets until the stream ends. Damage is reported by `problems`, with
    offsets; what is whole before it is delivered.
    """

    decoders: list[DataDecoder]

    def __init__(self, source: Source) -> None:
        self.source = source
        self.decoders = []
        self.problems: list[str] = []

    def begin(self) -> PacketBlock | None:
        """Read up to the first packet of data; return the packets read on the way, decoded like others."""
        raise NotImplementedError

    def next_block(self, nbytes: int, packets: int) -> PacketBlock | None:
        """Return the next packets, at most so many and about so many bytes, at least one; None at the end."""
        raise NotImplementedError
