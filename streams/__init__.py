"""Frames, batches of frames and the stages they flow through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports
from sapwood.streams.batch import FrameBatch
from sapwood.streams.counters import StageCounters
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

if TYPE_CHECKING:
    from sapwood.streams.eventbuilder import EventBuilder
    from sapwood.streams.fifo import Fifo
    from sapwood.streams.filter import Filter
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

__getattr__ = lazy_exports(
    __name__,
    {
        "EventBuilder": "sapwood.streams.eventbuilder",
        "Fifo": "sapwood.streams.fifo",
        "Filter": "sapwood.streams.filter",
        "PayloadField": "sapwood.streams.payloadfield",
        "Prbs": "sapwood.streams.prbs",
        "RateDrop": "sapwood.streams.ratedrop",
        "StreamUnZip": "sapwood.streams.zip",
        "StreamZip": "sapwood.streams.zip",
    },
)
