"""Base of streams: blocks of packets are read and sorted by decoder."""

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
    ids
        Number of each packet, where they do not count up by one; shape (n,).
    """

    packets: FrameBatch
    decoder: NDArray[np.int8]
    first_id: int
    ids: NDArray[np.uint32] | None = None

    def packet_ids(self) -> NDArray[np.uint32]:
        """Return the number of each packet, shape (n,)."""
        if self.ids is not None:
            return self.ids
        return np.arange(self.first_id, self.first_id + len(self.packets), dtype=np.int64).astype(np.uint32)


class PacketStream:
    """What a stream type provides; `DataStreamer` drives it.

    `begin` reads the header, makes `decoders` and returns the header's packets; `next_block`
    returns packets until the stream ends. Damage is told in `problems`, with offsets; what is
    whole before it is delivered.

    Attributes
    ----------
    source
        Where the bytes come from.
    decoders
        Filled by `begin`; the order is that of the tables.
    problems
        Damage, one sentence each.
    resyncs
        How often the stream lost its place and found it again.
    unknown
        Packets that no decoder is known for: their id or name -> how many.
    """

    decoders: list[DataDecoder]

    def __init__(self, source: Source) -> None:
        self.source = source
        self.decoders = []
        self.problems: list[str] = []
        self.resyncs = 0
        self.unknown: dict[int | str, int] = {}

    def begin(self) -> PacketBlock | None:
        """Read up to the first packet of data; return the packets read on the way, decoded like others.

        Raises
        ------
        FormatError
            When this is no stream of the type.
        """
        raise NotImplementedError

    def next_block(self, nbytes: int, packets: int) -> PacketBlock | None:
        """Return the next packets, at most so many and about so many bytes, at least one; None at the end."""
        raise NotImplementedError

    def count_unknown(self, name: int | str, packets: int = 1) -> None:
        """Count packets that no decoder is known for."""
        self.unknown[name] = self.unknown.get(name, 0) + packets
