"""CoMPASS: list files of CAEN's digitiser software, with or without header, waveforms, calibration.

`CompassStream` finds the events, `CompassHeaderDecoder` and `CompassEventDecoder` make the tables
``CompassHeader`` and ``CompassEvent``, `CompassConfig` reads the settings file that CoMPASS keeps
with a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports

if TYPE_CHECKING:
    from sapwood.fileio.raw.compass.config import CompassConfig
    from sapwood.fileio.raw.compass.eventdecoder import CompassEventDecoder
    from sapwood.fileio.raw.compass.headerdecoder import CompassHeaderDecoder
    from sapwood.fileio.raw.compass.layout import EventLayout
    from sapwood.fileio.raw.compass.stream import CompassStream
    from sapwood.fileio.raw.compass.streamer import CompassStreamer

__all__ = [
    "CompassConfig",
    "CompassEventDecoder",
    "CompassHeaderDecoder",
    "CompassStream",
    "CompassStreamer",
    "EventLayout",
]

_HOMES = {
    "CompassConfig": "config",
    "CompassEventDecoder": "eventdecoder",
    "CompassHeaderDecoder": "headerdecoder",
    "CompassStream": "stream",
    "CompassStreamer": "streamer",
    "EventLayout": "layout",
}

__getattr__ = lazy_exports(__name__, {name: f"{__name__}.{home}" for name, home in _HOMES.items()})


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
