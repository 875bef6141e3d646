"""FlashCam streams under the name that LEGEND's users know."""

from __future__ import annotations

from sapwood.fileio.raw.fcio.stream import FCIOStream
from sapwood.fileio.raw.packetstreamer import PacketStreamer

__all__ = ["FCStreamer"]


class FCStreamer(PacketStreamer):
    """Reads FCIO files and connections."""

    def __init__(self) -> None:
        super().__init__(FCIOStream)
