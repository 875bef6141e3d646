"""ORCA streams under the name that LEGEND's users know."""

from __future__ import annotations

from typing import Any

from sapwood.fileio.raw.orca.header import OrcaHeader
from sapwood.fileio.raw.orca.packets import is_orca
from sapwood.fileio.raw.orca.stream import OrcaStream
from sapwood.fileio.raw.packetstreamer import PacketStreamer
from sapwood.fileio.raw.source import open_source

__all__ = ["OrcaStreamer"]


class OrcaStreamer(PacketStreamer):
    """Reads ORCA files."""

    def __init__(self) -> None:
        super().__init__(OrcaStream)

    @property
    def header(self) -> OrcaHeader:
        """The header, once the stream is open."""
        stream = self.stream
        return stream.header if isinstance(stream, OrcaStream) else OrcaHeader()

    @staticmethod
    def is_orca_stream(stream_name: Any) -> bool:
        """Tell whether a file begins like an ORCA stream."""
        source = open_source(stream_name)
        try:
            return is_orca(source.peek(12))
        finally:
            source.close()
