"""Whole packets of a stream, damaged or not, as bytes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.formats import PathLike
from sapwood.fileio.partfile import complete_file
from sapwood.fileio.raw.fcio.records import PREAMBLE_BYTES
from sapwood.fileio.raw.fcio.stream import FCIOStream
from sapwood.fileio.raw.packetstreamer import PacketStreamer
from sapwood.fileio.raw.source import Source, open_source

__all__ = ["copy_packets", "torn_bytes"]

_BLOCK_BYTES = 4 << 20
_BLOCK_PACKETS = 1 << 16


def copy_packets(streamer: PacketStreamer, path: PathLike, out: PathLike) -> None:
    """Write the header and all whole packets of `path` to the new file `out`, unpacked.

    Parameters
    ----------
    streamer
        Of the stream's type, not open.

    Raises
    ------
    FormatError
        When the beginning of the stream is damaged; nothing is written then.
    FileError
        When a file cannot be read or written.
    """
    source = open_source(path)
    try:
        with complete_file(out) as part, open(part, "wb") as file:
            for piece in _pieces(streamer, source):
                file.write(piece.data)
    finally:
        source.close()


def torn_bytes(streamer: PacketStreamer, path: PathLike) -> int:
    """Return how many bytes of `path`, unpacked, belong neither to the header nor to a whole packet."""
    source = open_source(path)
    try:
        whole = sum(len(piece) for piece in _pieces(streamer, source))
        while len(rest := source.peek(_BLOCK_BYTES)):
            source.advance(len(rest))
        return source.offset - whole
    finally:
        source.close()


def _pieces(streamer: PacketStreamer, source: Source) -> Iterator[NDArray[np.uint8]]:
    stream = streamer.make_stream(source)
    preamble = source.peek(PREAMBLE_BYTES if isinstance(stream, FCIOStream) else 0)
    block = stream.begin()
    yield preamble
    while block is not None:
        yield block.packets.compact().payload
        block = stream.next_block(_BLOCK_BYTES, _BLOCK_PACKETS)
