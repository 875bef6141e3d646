"""Wire protocols as state machines: bytes and events in, bytes and events out, no socket, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports

if TYPE_CHECKING:
    from sapwood.streams.protocols.srp import Cmd

__all__ = [
    "Cmd",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "Cmd": "sapwood.streams.protocols.srp",
    },
)
