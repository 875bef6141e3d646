"""Conversion of raw streams into LH5 files."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.datastreamer import DataStreamer
from sapwood.fileio.raw.errors import OutSpecError, OutSpecTypeError
from sapwood.fileio.raw.library import RawBufferLibrary
from sapwood.fileio.raw.packetstreamer import PacketStreamer
from sapwood.fileio.raw.settings import SPEC_ENDINGS, load_dict
from sapwood.fileio.raw.streams import get_streamer, input_path
from sapwood.fileio.raw.summary import Summary
from sapwood.fileio.raw.writing import Outputs

__all__ = ["build_raw", "default_name"]

_LOG = logging.getLogger("sapwood.fileio.raw.build_raw")
_PACKED = (".gz", ".bz2", ".zst", ".zstd")
_INF = float("inf")


def build_raw(
    in_stream: Any,
    in_stream_type: str | None = None,
    out_spec: Any = None,
    buffer_size: int = 8192,
    n_max: float = _INF,
    overwrite: bool = False,
    compass_config_file: Any = None,
    hdf5_settings: Mapping[str, Any] | None = None,
    db_dict: Mapping[str, Any] | None = None,
    *,
    n_max_rows: float = _INF,
    timezone: str | None = None,
    progress: Callable[[int, int | None], object] | None = None,
    **kwargs: Any,
) -> Summary:
    """Convert a raw stream into LH5 files.

    Files are called ``<name>.part`` until all is written; they stay away when anything fails.

    Parameters
    ----------
    in_stream
        A path (with variables; plain, gzip, bzip2 or zstd), an address of a live stream, or a list
        of these, whose rows follow one another.
    in_stream_type
        ``ORCA``, ``FlashCam``, ``LlamaDaq``, ``Compass``; found out by default.
    out_spec
        None: the input's name with its ending replaced by ``.lh5``. A path: that file, or
        ``file:group``. A path that ends in .json, .yaml or .yml, or a dictionary: the description
        of a `RawBufferLibrary`. Or such a library, which is not changed.
    buffer_size
        Rows of a table that are written at once.
    n_max
        Events to convert; all other records up to there are converted too.
    overwrite
        Replace files that exist.
    compass_config_file
        Settings that CoMPASS saved.
    hdf5_settings
        Of new datasets, such as ``{"compression": "lzf"}``.
    db_dict
        Databases for ``proc_spec``, by ``out_name`` or by group.
    n_max_rows
        Rows to write, of all tables together: what `n_max` is in LEGEND's software.
    timezone
        See `get_streamer`.
    progress
        Called with the bytes read so far, and the bytes in all if they are known.
    kwargs
        Values of words in braces of the description.

    Returns
    -------
    Summary
        What was written, and what was lost.

    Raises
    ------
    InputMissing, StreamTypeError, UnknownStreamType
        For an input that cannot be read.
    OutSpecError
        For an output that cannot be understood.
    RecordingExists
        When an output exists.
    FormatError
        When the beginning of a stream is damaged. Damage later on ends the stream or is skipped,
        and is told in the summary.
    """
    streams = _inputs(in_stream)
    library, default_out = _library(out_spec, streams[0], kwargs)
    _check_limits(buffer_size, n_max=n_max, n_max_rows=n_max_rows)
    summary, limits = Summary(), _Limits(n_max, n_max_rows)
    _LOG.info("input: %s", ", ".join(map(str, streams)))
    begin = time.perf_counter()
    with Outputs(overwrite, hdf5_settings, db_dict) as outputs:
        for number, stream in enumerate(streams):
            streamer = get_streamer(stream, in_stream_type, compass_config_file, timezone)
            own = None if library is None else library.copy()
            summary.add(
                _convert(
                    streamer, stream, (own, default_out), outputs, limits,
                    size=buffer_size, inputs=streams if number == 0 else None, progress=progress,
                )
            )  # fmt: skip
            if limits.reached:
                break
    summary.rows, summary.left_out = outputs.rows, outputs.left_out
    summary.files = {name: os.path.getsize(name) for name in outputs.files}
    _report(summary, time.perf_counter() - begin)
    return summary


def _inputs(in_stream: Any) -> list[Any]:
    """Return the paths or addresses that are meant."""
    streams = list(in_stream) if isinstance(in_stream, list | tuple) else [in_stream]
    if not streams:
        raise OutSpecError("There is no input")
    return [input_path(one) for one in streams]


def _check_limits(buffer_size: Any, **limits: Any) -> None:
    if not isinstance(buffer_size, int | np.integer) or buffer_size < 1:
        raise OutSpecError(f"bad buffer_size {buffer_size}", expected="a whole number, at least 1")
    for name, limit in limits.items():
        if not isinstance(limit, int | float | np.number) or not limit >= 0:
            raise OutSpecError(f"bad {name}", expected="a number, at least 0", seen=limit)


class _Limits:
    """How much may still be converted."""

    def __init__(self, events: float, rows: float) -> None:
        self.events, self.rows = events, rows

    @property
    def reached(self) -> bool:
        return self.events <= 0 or self.rows <= 0

    def cut(self, buffers: Sequence[RawBuffer]) -> list[RawBuffer]:
        """Leave only as many rows in the buffers as may be written."""
        if self.rows == _INF:
            return list(buffers)
        for buffer in buffers:
            buffer.loc = int(min(buffer.loc, self.rows))
            self.rows -= buffer.loc
        return list(buffers)


def _library(out_spec: Any, stream: Any, keywords: Mapping[str, Any]) -> tuple[RawBufferLibrary | None, str]:
    """Return the library that `out_spec` describes, or the name of the file for the default one."""
    if out_spec is None:
        return None, default_name(stream)
    if isinstance(out_spec, RawBufferLibrary):
        return out_spec, ""
    if isinstance(out_spec, str | os.PathLike):
        text = os.path.expandvars(os.fspath(out_spec))
        if not text.endswith(SPEC_ENDINGS):
            return None, text
        out_spec = load_dict(text)
    if isinstance(out_spec, Mapping):
        return RawBufferLibrary(config=out_spec, kw_dict=keywords), ""
    raise OutSpecTypeError(f"unknown out_spec type {type(out_spec).__name__}")


def default_name(stream: Any) -> str:
    """Return the name of the output for an input, when none is given."""
    name = str(getattr(stream, "name", stream))
    if name.startswith("tcp://"):
        raise OutSpecError("A live stream needs an out_spec", seen=name)
    base, ending = os.path.splitext(name)
    if ending.lower() in _PACKED:
        base = os.path.splitext(base)[0]
    return f"{base}.lh5"


def _convert(
    streamer: DataStreamer,
    stream: Any,
    target: tuple[RawBufferLibrary | None, str],
    outputs: Outputs,
    limits: _Limits,
    *,
    size: int,
    inputs: Sequence[Any] | None,
    progress: Callable[[int, int | None], object] | None,
) -> Summary:
    """Convert one stream; check the outputs when all `inputs` are given."""
    library, out_stream = target
    total = os.path.getsize(stream) if isinstance(stream, str) and os.path.isfile(stream) else None
    by_packets = isinstance(streamer, PacketStreamer)
    if isinstance(streamer, PacketStreamer):
        streamer.events_left = limits.events
    header = streamer.open_stream(stream, library, size, "only_full", out_stream)
    try:
        if inputs is not None:
            outputs.check(streamer.rb_lib.get_list_of("out_stream"), inputs)
        outputs.write(limits.cut(header))
        while not limits.reached:
            single = not by_packets and limits.events != _INF
            chunk = streamer.read_chunk("single_packet" if single else None)
            if not chunk:
                break
            outputs.write(limits.cut(chunk), again=not streamer.ended)
            limits.events -= single
            if progress is not None:
                progress(streamer.n_bytes_read, total)
        for decoder in streamer.get_decoder_list():
            for buffer in streamer.rb_lib.get(type(decoder).__name__, [])[:1]:
                outputs.write_garbage(decoder, buffer.out_stream)
    finally:
        streamer.close_stream()
    if isinstance(streamer, PacketStreamer):
        limits.events = streamer.events_left
    if progress is not None:
        progress(streamer.n_bytes_read, total)
    return streamer.summary()


def _report(summary: Summary, seconds: float) -> None:
    for name, rows in summary.rows.items():
        _LOG.info("output: %s, %d rows", name, rows)
    for name, nbytes in summary.files.items():
        _LOG.info("output file: %s (%.3f KB)", name, nbytes / 1024)
    _LOG.info("converted %d packets in %.3g s", summary.packets, seconds)
    for loss in replace(summary, problems=[]).losses():  # problems were told when they were found
        _LOG.warning("%s", loss)
