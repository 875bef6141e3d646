"""Wire protocols as state machines: bytes and events in, bytes and events out, no socket, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports

if TYPE_CHECKING:
    from sapwood.streams.protocols.batcher import (
        CombinerV1,
        CombinerV2,
        InverterV1,
        InverterV2,
        SplitterV1,
        SplitterV2,
    )
    from sapwood.streams.protocols.srp import Cmd

__all__ = [
    "Cmd",
    "CombinerV1",
    "CombinerV2",
    "InverterV1",
    "InverterV2",
    "SplitterV1",
    "SplitterV2",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "CombinerV1": "sapwood.streams.protocols.batcher",
        "CombinerV2": "sapwood.streams.protocols.batcher",
        "InverterV1": "sapwood.streams.protocols.batcher",
        "InverterV2": "sapwood.streams.protocols.batcher",
        "SplitterV1": "sapwood.streams.protocols.batcher",
        "SplitterV2": "sapwood.streams.protocols.batcher",
        "Cmd": "sapwood.streams.protocols.srp",
    },
)
