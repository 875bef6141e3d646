"""Tests that every stream type should pass, to inherit: the contract of streams and decoders.

::

    class TestMyStream(DecoderContract):
        def make_stream(self) -> bytes: ...
        stream_class = MyStream
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sapwood.errors import SapwoodError
from sapwood.fileio.raw.decoder import DataDecoder
from sapwood.fileio.raw.library import RawBufferLibrary
from sapwood.fileio.raw.packetstreamer import PacketStreamer
from sapwood.fileio.raw.source import ReadingSource, Source
from sapwood.fileio.raw.streamer import PacketStream

__all__ = ["DecoderContract"]


def _source(data: bytes, step: int) -> ReadingSource:
    """Return a source that gives `step` bytes at a time."""
    position = 0

    def read(nbytes: int) -> bytes:
        nonlocal position
        part = data[position : position + min(nbytes, step)]
        position += len(part)
        return part

    return ReadingSource("made", read, lambda: None)


def _plain(obj: Any) -> Any:
    """Return an object of a table as lists."""
    if isinstance(obj, dict):
        return {name: _plain(value) for name, value in obj.items()}
    if hasattr(obj, "nda"):
        return obj.nda.tolist()
    if hasattr(obj, "flattened_data"):
        return [np.asarray(row).tolist() for row in obj]
    return getattr(obj, "value", obj)


def _joined(parts: list[Any]) -> Any:
    """Return the rows of several parts of a table one after the other."""
    if isinstance(parts[0], dict):
        return {name: _joined([part[name] for part in parts]) for name in parts[0]}
    return [row for part in parts for row in part] if isinstance(parts[0], list) else parts[-1]


class DecoderContract:
    """Inherit, give a stream and its class, and run by pytest.

    Attributes
    ----------
    stream_class
        Makes the stream of a `Source`.
    """

    stream_class: Callable[[Source], PacketStream]

    def make_stream(self) -> bytes:
        """Return a stream with packets of every kind, many of the common one."""
        raise NotImplementedError

    def read(
        self,
        data: bytes,
        step: int = 1 << 30,
        mode: str = "any_full",
        size: int = 8192,
        library: RawBufferLibrary | None = None,
    ) -> tuple[dict[str, Any], PacketStreamer]:
        """Return all rows by table, as lists, and the streamer at its end."""
        streamer = PacketStreamer(type(self).stream_class)
        chunk = streamer.open_stream(_source(data, step), library, size, mode)
        parts: dict[str, list[Any]] = {}
        while chunk or (chunk := streamer.read_chunk()):
            for buffer in chunk:
                rows = buffer.lgdo.rows(0, buffer.loc) if hasattr(buffer.lgdo, "rows") else buffer.lgdo
                parts.setdefault(buffer.out_name, []).append(_plain(rows))
                buffer.loc = 0
            chunk = []
        streamer.close_stream()
        return {name: _joined(found) for name, found in parts.items()}, streamer

    def test_rows_come_out(self) -> None:
        """A whole stream gives rows and no complaints."""
        rows, streamer = self.read(self.make_stream())
        assert rows
        assert streamer.summary().problems == []
        assert streamer.summary().garbage == {}

    def test_every_way_of_reading_gives_the_same_rows(self) -> None:
        """Sizes of buffers, chunk modes and portions of bytes do not matter."""
        data = self.make_stream()
        rows, streamer = self.read(data)
        most = max(one.get_max_rows_in_packet() for one in streamer.get_decoder_list())
        for mode in ("any_full", "only_full", "single_packet"):
            assert self.read(data, mode=mode, size=most)[0] == rows
        assert self.read(data, step=7)[0] == rows

    def test_columns_are_those_declared(self) -> None:
        """Tables have the columns that their decoders declare, of the declared types."""
        streamer = PacketStreamer(type(self).stream_class)
        streamer.open_stream(_source(self.make_stream(), 1 << 30))
        for decoder in streamer.get_decoder_list():
            for buffer in streamer.rb_lib.get(type(decoder).__name__, ()):
                declared = decoder.get_decoded_values(buffer.key_list[0])
                if type(decoder).make_lgdo is DataDecoder.make_lgdo:
                    assert set(buffer.lgdo) == set(declared)
                for name, facts in declared.items():
                    if name in buffer.lgdo and hasattr(buffer.lgdo[name], "dtype"):
                        assert buffer.lgdo[name].dtype == np.dtype(facts["dtype"])

    def test_a_stream_cut_anywhere_gives_what_is_whole(self) -> None:
        """Rows before the cut are those of the whole stream; there is an error, or a problem, or less."""
        data = self.make_stream()
        rows, _ = self.read(data)
        for cut in np.unique(np.linspace(0, len(data) - 1, 40).astype(int)).tolist():
            try:
                some, _ = self.read(data[:cut])
            except SapwoodError:
                continue
            for name, found in some.items():
                self._check_prefix(found, rows[name])

    def _check_prefix(self, some: Any, whole: Any) -> None:
        if isinstance(some, dict):
            for name, found in some.items():
                self._check_prefix(found, whole[name])
        elif isinstance(some, list):
            assert some == whole[: len(some)]

    def test_damage_never_stops_it_badly(self) -> None:
        """Bytes changed at random give rows, garbage, problems or an error of ours, and nothing else."""
        data, random = self.make_stream(), np.random.default_rng(1)
        for _ in range(60):
            damaged = bytearray(data)
            for place in random.integers(0, len(data), 4).tolist():
                damaged[place] = int(random.integers(0, 256))
            try:
                self.read(bytes(damaged))
            except SapwoodError:
                continue
