"""CoMPASS files under the name that LEGEND's users know."""

from __future__ import annotations

from functools import partial

from sapwood.fileio.formats import PathLike
from sapwood.fileio.raw.compass.stream import CompassStream
from sapwood.fileio.raw.packetstreamer import PacketStreamer

__all__ = ["CompassStreamer"]


class CompassStreamer(PacketStreamer):
    """Reads CoMPASS files.

    Parameters
    ----------
    compass_config_file
        Settings that CoMPASS saved with the run.
    """

    def __init__(self, compass_config_file: PathLike | None = None) -> None:
        super().__init__(partial(CompassStream, config_file=compass_config_file))
