"""Stream types: how they are recognised, and streamers for them."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sapwood.errors import nearest
from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.datastreamer import DataStreamer
from sapwood.fileio.raw.errors import InputMissing, StreamTypeError, UnknownStreamType
from sapwood.fileio.raw.library import RawBufferLibrary
from sapwood.fileio.raw.source import open_source

__all__ = [
    "StreamType",
    "get_streamer",
    "input_path",
    "open_stream",
    "register_stream",
    "split_out_stream",
    "stream_kind",
    "stream_type_of",
]

_HEAD_BYTES = 4096
_PACKED = ("gz", "bz2", "zst", "zstd")


@dataclass(frozen=True)
class StreamType:
    """A kind of stream.

    Parameters
    ----------
    name
        For ``in_stream_type``.
    streamer
        Makes a streamer; gets the keywords of `get_streamer` that it names in `options`.
    recognise
        Tells by the first bytes of a stream, 4096 at most, whether it is of this type.
    endings
        Of files, without the dot, for those that their bytes do not tell.
    options
        Keywords that `streamer` takes.
    """

    name: str
    streamer: Callable[..., DataStreamer]
    recognise: Callable[[bytes], bool]
    endings: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


def _is_fcio(head: bytes) -> bool:
    return head[:4] == b"\xff\x35\x65\xc4" and head[4:14] == b"FlashCamV1"


def _is_orca(head: bytes) -> bool:
    if len(head) < 12 or head[8:12] != b"<?xm" or head[2] & 0xFC or head[3]:
        return False
    words = int.from_bytes(head[:4], "little") & 0x3FFFF
    return not words or 0 <= 4 * words - 8 - int.from_bytes(head[4:8], "little") <= 3


def _is_llama(head: bytes) -> bool:
    return head[:4] == b"LArI"


def _is_compass(head: bytes) -> bool:
    return len(head) >= 2 and head[1] == 0xCA and head[0] & 0xF0 in (0xE0, 0)


def _by_name(home: str) -> Callable[..., DataStreamer]:
    """Return what makes a streamer of the class ``module:class``, imported when it is needed."""

    def make(**options: Any) -> DataStreamer:
        module, _, name = home.partition(":")
        streamer: DataStreamer = getattr(importlib.import_module(f"{_HOME}.{module}"), name)(**options)
        return streamer

    return make


_HOME = "sapwood.fileio.raw"
_types: dict[str, StreamType] = {
    one.name: one
    for one in (
        StreamType("FlashCam", _by_name("fcio.streamer:FCStreamer"), _is_fcio, ("fcio",)),
        StreamType("ORCA", _by_name("orca.streamer:OrcaStreamer"), _is_orca, ("orca",)),
        StreamType("LlamaDaq", _by_name("llama.streamer:LLAMAStreamer"), _is_llama, (), ("timezone",)),
        StreamType(
            "Compass",
            _by_name("compass.streamer:CompassStreamer"),
            _is_compass,
            ("bin", "BIN"),
            ("compass_config_file",),
        ),
    )
}


def register_stream(kind: StreamType) -> None:
    """Add a stream type for this process, or replace the one of its name."""
    _types[kind.name] = kind


def stream_kind(name: str) -> StreamType:
    """Return the stream type `name`.

    Raises
    ------
    UnknownStreamType
        When there is no such type.
    """
    if name == "MGDO":
        raise UnknownStreamType("MGDO streaming not yet implemented", expected=", ".join(_types))
    kind = _types.get(name)
    if kind is None:
        near = nearest(name, list(_types))
        raise UnknownStreamType(
            f"unknown input stream type {name}",
            expected=", ".join(_types),
            hint=f"Did you mean: {', '.join(near)}?" if near else None,
        )
    return kind


def input_path(in_stream: Any) -> Any:
    """Return a path with variables filled in; an address or a `Source` as it is.

    Raises
    ------
    InputMissing
        When there is no such file.
    """
    if hasattr(in_stream, "peek"):
        return in_stream
    text = os.path.expandvars(os.path.expanduser(os.fsdecode(in_stream)))
    if not text.startswith("tcp://") and not os.path.exists(text):
        raise InputMissing(f"file {text} not found", file=text)
    return text


def stream_type_of(in_stream: Any, compass_config_file: Any = None) -> str:
    """Return the name of the stream's type, found by its first bytes, else by the ending of its name.

    Raises
    ------
    StreamTypeError
        When it cannot be found out.
    """
    if compass_config_file is not None:
        return "Compass"
    name = input_path(in_stream)
    if isinstance(name, str) and name.startswith("tcp://"):
        return "FlashCam"
    source = open_source(name)
    try:
        head = source.peek(_HEAD_BYTES).tobytes()
    finally:
        if source is not name:
            source.close()
    for kind in _types.values():
        if kind.recognise(head):
            return kind.name
    text = os.path.basename(source.name)
    parts = text.split(".")
    while len(parts) > 1 and parts[-1].lower() in _PACKED:
        parts.pop()
    for kind in _types.values():
        if len(parts) > 1 and parts[-1] in kind.endings:
            return kind.name
    what = f"unknown file extension {parts[-1]}" if len(parts) > 1 else "unknown file type"
    raise StreamTypeError(
        f"{what}. Specify in_stream_type",
        file=source.name,
        expected=", ".join(_types),
        seen=f"bytes that begin {head[:8].hex(' ')}" if head else "an empty file",
    )


def get_streamer(
    in_stream: Any,
    in_stream_type: str | None = None,
    compass_config_file: Any = None,
    timezone: str | None = None,
) -> DataStreamer:
    """Return a streamer for a stream, not open yet.

    Parameters
    ----------
    in_stream
        A path (plain or packed by gzip, bzip2 or zstd), ``tcp://connect/<port>/<host>``,
        ``tcp://listen/<port>[/<host>]``, or a `Source`.
    in_stream_type
        ``ORCA``, ``FlashCam``, ``LlamaDaq``, ``Compass`` or a registered one; found out by default.
    compass_config_file
        The settings that CoMPASS saved.
    timezone
        Where the clock hung that named files of llamaDAQ, such as ``Europe/Rome``; UTC by default.

    Raises
    ------
    InputMissing
        When there is no such file.
    UnknownStreamType
        When there is no such type.
    StreamTypeError
        When it cannot be found out.
    """
    in_stream = input_path(in_stream)
    if in_stream_type is None:
        in_stream_type = stream_type_of(in_stream, compass_config_file)
    kind = stream_kind(in_stream_type)
    given = {"compass_config_file": compass_config_file, "timezone": timezone}
    return kind.streamer(**{name: given[name] for name in kind.options if given.get(name) is not None})


@contextlib.contextmanager
def open_stream(
    in_stream: Any,
    in_stream_type: str | None = None,
    rb_lib: RawBufferLibrary | None = None,
    buffer_size: int = 8192,
    chunk_mode: str = "any_full",
    out_stream: str = "",
    compass_config_file: Any = None,
    timezone: str | None = None,
) -> Iterator[tuple[DataStreamer, list[RawBuffer]]]:
    """Open a stream; give the streamer and the buffers with rows of the header; close it at the end.

    Parameters
    ----------
    in_stream, in_stream_type, compass_config_file, timezone
        See `get_streamer`.
    rb_lib, buffer_size, chunk_mode, out_stream
        See `DataStreamer.open_stream`.
    """
    streamer = get_streamer(in_stream, in_stream_type, compass_config_file, timezone)
    header = streamer.open_stream(input_path(in_stream), rb_lib, buffer_size, chunk_mode, out_stream)
    try:
        yield streamer, header
    finally:
        streamer.close_stream()


def split_out_stream(out_stream: str) -> tuple[str, str]:
    """Return file and group of ``file:group``; a drive letter belongs to the file."""
    match = re.match(r"([A-Za-z]:[\\/])?([^:]*)(?::(.*))?$", out_stream, re.DOTALL)
    if match is None:
        return out_stream, "/"
    return (match[1] or "") + match[2], match[3] or "/"
