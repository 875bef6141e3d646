"""Indexed container files (ICF, also called SOF) of SSDAQ.

The names are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports

if TYPE_CHECKING:
    from sapwood.fileio.icf.bag import Frame
    from sapwood.fileio.icf.mappings import BACKPLANE_TO_SUPERPIXEL, PIXEL_MAPPINGS, SUPERPIXEL_TO_BACKPLANE
    from sapwood.fileio.icf.reader import RawObjectReaderBase
    from sapwood.fileio.icf.readout import SSReadout
    from sapwood.fileio.icf.rotating import RotatingWriter
    from sapwood.fileio.icf.schema import message, messages, parse
    from sapwood.fileio.icf.slowpackets import ReadoutBuilder, SourcePacket
    from sapwood.fileio.icf.triggers import (
        BusyTriggerPacketV1,
        NominalTriggerPacketV1,
        TriggerPacket,
        TriggerPacketV2,
        TriggerPacketV3,
    )
    from sapwood.fileio.icf.typed import (
        DataReader,
        FrameWriter,
        LogReader,
        LogWriter,
        RawTriggerWriter,
        TimestampReader,
        TimestampWriter,
        TriggerReader,
        TriggerWriter,
    )
    from sapwood.fileio.icf.writer import RawObjectWriterBase, RawObjectWriterV0, RawObjectWriterV1

__all__ = [
    "BACKPLANE_TO_SUPERPIXEL",
    "PIXEL_MAPPINGS",
    "SUPERPIXEL_TO_BACKPLANE",
    "BusyTriggerPacketV1",
    "DataReader",
    "Frame",
    "FrameWriter",
    "LogReader",
    "LogWriter",
    "NominalTriggerPacketV1",
    "RawObjectReaderBase",
    "RawObjectWriterBase",
    "RawObjectWriterV0",
    "RawObjectWriterV1",
    "RawTriggerWriter",
    "ReadoutBuilder",
    "RotatingWriter",
    "SSReadout",
    "SourcePacket",
    "TimestampReader",
    "TimestampWriter",
    "TriggerPacket",
    "TriggerPacketV2",
    "TriggerPacketV3",
    "TriggerReader",
    "TriggerWriter",
    "message",
    "messages",
    "parse",
]

_HOMES = {
    "bag": ("Frame",),
    "mappings": ("BACKPLANE_TO_SUPERPIXEL", "PIXEL_MAPPINGS", "SUPERPIXEL_TO_BACKPLANE"),
    "schema": ("message", "messages", "parse"),
    "reader": ("RawObjectReaderBase",),
    "readout": ("SSReadout",),
    "rotating": ("RotatingWriter",),
    "slowpackets": ("ReadoutBuilder", "SourcePacket"),
    "triggers": (
        "BusyTriggerPacketV1",
        "NominalTriggerPacketV1",
        "TriggerPacket",
        "TriggerPacketV2",
        "TriggerPacketV3",
    ),
    "typed": (
        "DataReader",
        "FrameWriter",
        "LogReader",
        "LogWriter",
        "RawTriggerWriter",
        "TimestampReader",
        "TimestampWriter",
        "TriggerReader",
        "TriggerWriter",
    ),
    "writer": ("RawObjectWriterBase", "RawObjectWriterV0", "RawObjectWriterV1"),
}

__getattr__ = lazy_exports(
    __name__, {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}
)
