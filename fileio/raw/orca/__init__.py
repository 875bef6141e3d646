"""ORCA streams: packets, header, and the decoders of FlashCam and Struck digitisers read out by ORCA.

`OrcaStream` finds the packets, `OrcaHeader` is the header, `skim_orca_file` cuts a file short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sapwood.extras import lazy_exports

if TYPE_CHECKING:
    from sapwood.fileio.raw.orca.header import OrcaHeader
    from sapwood.fileio.raw.orca.skim import skim_orca_file
    from sapwood.fileio.raw.orca.stream import OrcaStream
    from sapwood.fileio.raw.orca.streamer import OrcaStreamer

__all__ = ["OrcaHeader", "OrcaStream", "OrcaStreamer", "skim_orca_file"]

__getattr__ = lazy_exports(
    __name__,
    {
        "OrcaHeader": f"{__name__}.header",
        "OrcaStream": f"{__name__}.stream",
        "OrcaStreamer": f"{__name__}.streamer",
        "skim_orca_file": f"{__name__}.skim",
    },
)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
