"""Frames, batches of frames and the stages they flow through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports

if TYPE_CHECKING:
    from sapwood.streams.batch import FrameBatch
    from sapwood.streams.counters import StageCounters
    from sapwood.streams.eventbuilder import EventBuilder
    from sapwood.streams.fifo import Fifo
    from sapwood.streams.filter import Filter
    from sapwood.streams.frame import Frame, FrameLock
    from sapwood.streams.gap import Gap
    from sapwood.streams.link import (
        Master,
        Slave,
        StreamEnd,
        connect,
        disconnect,
        downstream,
        drain,
        streamConnect,
        streamConnectBiDir,
    )
    from sapwood.streams.payloadfield import PayloadField
    from sapwood.streams.prbs import Prbs
    from sapwood.streams.ratedrop import RateDrop
    from sapwood.streams.zip import StreamUnZip, StreamZip

__all__ = [
    "EventBuilder",
    "Fifo",
    "Filter",
    "Frame",
    "FrameBatch",
    "FrameLock",
    "Gap",
    "Master",
    "PayloadField",
    "Prbs",
    "RateDrop",
    "Slave",
    "StageCounters",
    "StreamEnd",
    "StreamUnZip",
    "StreamZip",
    "connect",
    "disconnect",
    "downstream",
    "drain",
    "streamConnect",
    "streamConnectBiDir",
]

_HOMES = {
    "batch": ("FrameBatch",),
    "counters": ("StageCounters",),
    "eventbuilder": ("EventBuilder",),
    "fifo": ("Fifo",),
    "filter": ("Filter",),
    "frame": ("Frame", "FrameLock"),
    "gap": ("Gap",),
    "link": (
        "Master",
        "Slave",
        "StreamEnd",
        "connect",
        "disconnect",
        "downstream",
        "drain",
        "streamConnect",
        "streamConnectBiDir",
    ),
    "payloadfield": ("PayloadField",),
    "prbs": ("Prbs",),
    "ratedrop": ("RateDrop",),
    "zip": ("StreamUnZip", "StreamZip"),
}

__getattr__ = lazy_exports(
    __name__, {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}
)
