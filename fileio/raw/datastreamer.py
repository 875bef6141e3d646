"""Streams as their users see them: opened with a library of buffers, read chunk by chunk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.decoder import DataDecoder
from sapwood.fileio.raw.errors import OutSpecError
from sapwood.fileio.raw.library import RawBufferLibrary, default_library
from sapwood.fileio.raw.summary import Summary

__all__ = ["CHUNK_MODES", "DataStreamer"]

CHUNK_MODES = ("any_full", "only_full", "single_packet")
_MEMORY_BYTES = 16 << 20  # of all rows; beyond that they are handed out, full or not


class DataStreamer(ABC):
    """A stream of packets, decoded into buffers.

    ::

        header = streamer.open_stream("run.fcio")
        for buffers in streamer:        # those with rows: `RawBuffer.lgdo`, rows up to `RawBuffer.loc`
            ...
        streamer.close_stream()

    Subclasses override `get_decoder_list`, `open_stream` (which calls this one), `read_packet` and
    `close_stream`. For stream types of one's own, `PacketStream` is the quicker base.

    Attributes
    ----------
    rb_lib
        The buffers.
    chunk_mode, buffer_size
        See `open_stream`.
    n_bytes_read
        Bytes of the stream that were consumed.
    any_full
        Whether a buffer may not take the rows of another packet; `read_packet` sets it.
    packet_id
        Number of the packet read last.
    memory_limit
        Bytes of rows in all buffers from which on a chunk holds all of them.
    """

    def __init__(self) -> None:
        self.rb_lib: RawBufferLibrary = RawBufferLibrary()
        self.chunk_mode = "any_full"
        self.buffer_size = 8192
        self.n_bytes_read = 0
        self.any_full = False
        self.packet_id = 0
        self.memory_limit = _MEMORY_BYTES
        self._ended = False

    @abstractmethod
    def get_decoder_list(self) -> list[DataDecoder]:
        """Return the decoders; asked when the header is known."""

    @abstractmethod
    def read_packet(self) -> bool:
        """Decode one packet into the buffers; return False when there is none left."""

    @abstractmethod
    def close_stream(self) -> None:
        """Let go of the stream."""

    def open_stream(
        self,
        stream_name: Any,
        rb_lib: RawBufferLibrary | None = None,
        buffer_size: int = 8192,
        chunk_mode: str = "any_full",
        out_stream: str = "",
    ) -> list[RawBuffer]:
        """Make the buffers fit the stream; a subclass opens it first and returns the header's rows.

        Parameters
        ----------
        stream_name
            A path, several, or an address.
        rb_lib
            Where rows go; everything into one table for each decoder by default. It is changed:
            wildcards are resolved, tables made.
        buffer_size
            Rows of a buffer.
        chunk_mode
            What `read_chunk` returns: ``any_full``, ``only_full`` or ``single_packet``.
        out_stream
            For the library made by default.

        Raises
        ------
        OutSpecError
            When the library or a parameter does not fit.
        """
        self._check_mode(chunk_mode)
        if buffer_size < 1:
            raise OutSpecError(f"bad buffer_size {buffer_size}", expected="at least 1")
        self.chunk_mode, self.buffer_size = chunk_mode, buffer_size
        decoders = self.get_decoder_list()
        self.rb_lib = self.build_default_rb_lib(out_stream) if rb_lib is None else rb_lib
        self.rb_lib.match(decoders)
        self.rb_lib.prepare(decoders, buffer_size)
        self._ended = False
        return []

    @staticmethod
    def _check_mode(mode: str) -> None:
        if mode not in CHUNK_MODES:
            raise OutSpecError(f"unknown chunk_mode {mode!r}", expected=", ".join(CHUNK_MODES))

    def build_default_rb_lib(self, out_stream: str = "") -> RawBufferLibrary:
        """Return a library with a table for every group of keys of every decoder."""
        return default_library(self.get_decoder_list(), out_stream)

    def read_chunk(
        self,
        chunk_mode_override: str | None = None,
        rp_max: int = 1_000_000,
        clear_full_buffers: bool = True,
    ) -> list[RawBuffer]:
        """Read packets until buffers are to be handed out; return those, none at the end.

        The caller sets ``loc = 0`` of each when its rows are used.

        Parameters
        ----------
        chunk_mode_override
            ``any_full``: all buffers with rows, as soon as one is full. ``only_full``: the full
            ones. ``single_packet``: all with rows after one packet. At the end of the stream, and
            when rows take too much memory: all with rows.
        rp_max
            Packets after which it returns all the same.
        clear_full_buffers
            Empty full buffers first.
        """
        mode = chunk_mode_override or self.chunk_mode
        self._check_mode(mode)
        if clear_full_buffers:
            self.rb_lib.clear_full()
        left = rp_max + 1 if mode != "single_packet" else 1
        while left > 0 and not self._ended:
            read = self._advance(left)
            left -= max(read, 1)
            self._ended = read == 0
            if mode == "single_packet":
                break
            if self._too_large():
                return self._buffers_with_rows()
            if self.any_full:
                full = self._buffers_with_rows(full_only=mode == "only_full")
                self.any_full = False
                if full:
                    return full
        found = self._buffers_with_rows()
        if not self._ended and not found and mode == "single_packet":
            return self.read_chunk(mode, rp_max, clear_full_buffers)
        return found

    def _advance(self, packets: int) -> int:
        """Decode some packets, `packets` at most; return how many, 0 at the end."""
        self.any_full = False
        return 1 if self.read_packet() else 0

    @property
    def ended(self) -> bool:
        """Whether the stream was read to its end."""
        return self._ended

    def _too_large(self) -> bool:
        return self.memory_limit < sum(one.nbytes for buffers in self.rb_lib.values() for one in buffers)

    def _buffers_with_rows(self, full_only: bool = False) -> list[RawBuffer]:
        return [
            one
            for buffers in self.rb_lib.values()
            for one in buffers
            if one.loc > 0 and (not full_only or one.is_full())
        ]

    def summary(self) -> Summary:
        """Return what was read, and what was lost, so far."""
        return Summary(
            packets=self.packet_id,
            skipped={type(one).__name__: dict(one.skipped) for one in self.get_decoder_list() if one.skipped},
            garbage={
                type(one).__name__: one.garbage.count for one in self.get_decoder_list() if one.garbage.count
            },
        )

    def __iter__(self) -> Iterator[list[RawBuffer]]:
        """Yield chunks to the end; their buffers are empty again after each."""
        while chunk := self.read_chunk():
            yield chunk
            for buffer in chunk:
                buffer.loc = 0
