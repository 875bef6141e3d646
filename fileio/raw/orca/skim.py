"""ORCA files cut short: the header and a few packets."""

from __future__ import annotations

import os
from collections.abc import Iterator

from sapwood.errors import FileError
from sapwood.fileio.formats import PathLike
from sapwood.fileio.partfile import complete_file
from sapwood.fileio.raw.orca.stream import OrcaStream
from sapwood.fileio.raw.source import open_source

__all__ = ["skim_orca_file"]

_BLOCK = 4 << 20


def skim_orca_file(
    in_file: PathLike, n_packets: int, out_file: PathLike | None = None, *, overwrite: bool = False
) -> str:
    """Copy the header, the first packet, `n_packets` further ones and the last packet of a file.

    Parameters
    ----------
    in_file
        The ORCA file, plain or packed.
    n_packets
        0 or more. A file that has no more packets is copied whole, apart from damage.
    out_file
        By default ``<in_file>_first<n_packets>``.
    overwrite
        Whether an existing file may be replaced.

    Returns
    -------
    str
        Name of the file written.

    Raises
    ------
    FileError
        When the file cannot be read or written, or `n_packets` is negative.
    """
    if n_packets < 0:
        raise FileError("The number of packets to copy is negative", file=in_file, seen=n_packets)
    name = os.fspath(in_file)
    target = f"{name}_first{n_packets}" if out_file is None else os.fspath(out_file)
    source = open_source(name)
    try:
        with complete_file(target, overwrite=overwrite) as part, open(part, "wb") as out:
            for piece in _pieces(OrcaStream(source, with_decoders=False), n_packets + 1):
                out.write(piece)
    finally:
        source.close()
    return target


def _pieces(stream: OrcaStream, wanted: int) -> Iterator[bytes]:
    """Yield the bytes of the header, of the first `wanted` packets, and of the last if it is another."""
    yield stream.begin().packets.frame_bytes(0).tobytes()
    last = b""
    while (block := stream.next_block(_BLOCK, _BLOCK)) is not None:
        here = min(wanted, len(block.packets))
        for row in range(here):
            yield block.packets.frame_bytes(row).tobytes()
        wanted -= here
        last = (
            block.packets.frame_bytes(len(block.packets) - 1).tobytes() if here < len(block.packets) else b""
        )
    yield last
