"""Raw digitiser streams as the registry knows them."""

from __future__ import annotations

from typing import Any

from sapwood.errors import FileError, FormatError, MissingExtra
from sapwood.fileio.formats import MAGIC, NO, PLAUSIBLE, UNREADABLE, Format, PathLike, Report
from sapwood.fileio.raw.packetstreamer import PacketStreamer
from sapwood.fileio.raw.rawreader import RawReader
from sapwood.fileio.raw.rescue import copy_packets
from sapwood.fileio.raw.source import is_packed, open_source
from sapwood.fileio.raw.streams import get_streamer, stream_kind

__all__ = ["COMPASS", "FCIO", "LLAMA", "ORCA", "CompassFormat", "RawFormat"]

_HEAD_BYTES = 4096
_LOOK_BYTES = 1 << 20  # looked at for events


class RawFormat(Format):
    """Files of one stream type, plain or packed by gzip, bzip2 or zstd.

    Parameters
    ----------
    name
        Of the format.
    stream_type
        See `sapwood.fileio.raw.streams`.
    """

    def __init__(self, name: str, stream_type: str) -> None:
        self.name = name
        self._type = stream_type

    def detect(self, head: bytes, path: str) -> int:
        """Return MAGIC when the stream, unpacked if need be, begins as its type does."""
        return MAGIC if stream_kind(self._type).recognise(_unpacked(head, path)) else NO

    def open(self, path: PathLike, **options: Any) -> RawReader:
        """Open a file as the tables of its decoders.

        Options are those of `get_streamer` for the type: ``compass_config_file``, ``timezone``.
        """
        return RawReader(path, self.name, self._type, **options)

    def verify(self, path: PathLike) -> Report:
        """Decode everything."""
        try:
            reader = self.open(path)
        except FormatError as error:
            return Report(UNREADABLE, problems=[str(error)])
        with reader:
            return reader.report()

    def recover(self, path: PathLike, out: PathLike) -> Report:
        """Copy the header and all whole packets to the new file `out`, unpacked; nothing without a header."""
        report = self.verify(path)
        if report.status != UNREADABLE:
            streamer = get_streamer(path, self._type)
            if isinstance(streamer, PacketStreamer):
                copy_packets(streamer, path, out)
        return report


class CompassFormat(RawFormat):
    """List files of CoMPASS, known by a header and events behind it that make sense.

    Two bytes are little to be known by: they count only when the first events, up to 32, follow
    from each other. Follow-up files have no header and are opened by the format's name.
    """

    def detect(self, head: bytes, path: str) -> int:
        """Return PLAUSIBLE for a header with a chain of events behind it."""
        from sapwood.fileio.raw.compass.layout import HEADER_BYTES, layout_of_header, sensible_events

        if not stream_kind(self._type).recognise(_unpacked(head, path)):
            return NO
        source = open_source(path)
        try:
            data = source.peek(_LOOK_BYTES)
            layout = layout_of_header(data)
            ended = len(data) < _LOOK_BYTES
            if layout is None or not sensible_events(layout, data[HEADER_BYTES:], ended, alike=False):
                return NO
        finally:
            source.close()
        return PLAUSIBLE


def _unpacked(head: bytes, path: str) -> bytes:
    """Return the first bytes of the stream in `path`, whose own first bytes are `head`."""
    if not is_packed(head):
        return head
    try:
        source = open_source(path)
    except (FileError, MissingExtra):
        return b""
    try:
        return source.peek(_HEAD_BYTES).tobytes()
    finally:
        source.close()


FCIO = RawFormat("fcio", "FlashCam")
ORCA = RawFormat("orca", "ORCA")
COMPASS = CompassFormat("compass", "Compass")
LLAMA = RawFormat("llama", "LlamaDaq")
