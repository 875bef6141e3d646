"""llamaDAQ files under the name that LEGEND's users know."""

from __future__ import annotations

from functools import partial

from sapwood.fileio.raw.llama.stream import LlamaStream
from sapwood.fileio.raw.packetstreamer import PacketStreamer

__all__ = ["LLAMAStreamer"]


class LLAMAStreamer(PacketStreamer):
    """Reads llamaDAQ files.

    Parameters
    ----------
    timezone
        Where the clock hung that named the file, such as ``Europe/Rome``.
    """

    def __init__(self, timezone: str = "UTC") -> None:
        super().__init__(partial(LlamaStream, timezone=timezone))
