"""Streams of packets, decoded many at a time."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FormatError
from sapwood.fileio.lh5 import LH5EncodeError
from sapwood.fileio.raw.buffer import RawBuffer
from sapwood.fileio.raw.columns import distinct
from sapwood.fileio.raw.datastreamer import DataStreamer
from sapwood.fileio.raw.decoder import DataDecoder
from sapwood.fileio.raw.garbage import UNDECODABLE
from sapwood.fileio.raw.library import RawBufferLibrary
from sapwood.fileio.raw.source import Source, open_source
from sapwood.fileio.raw.streamer import PacketBlock, PacketStream
from sapwood.fileio.raw.summary import Summary
from sapwood.streams import FrameBatch

__all__ = ["PacketStreamer"]

_LOG = logging.getLogger("sapwood.fileio.raw")
_BLOCK_BYTES = 4 << 20
_BLOCK_PACKETS = 65536
_BAD_PACKET = (ValueError, LookupError, ArithmeticError, struct.error)


class PacketStreamer(DataStreamer):
    """Drives a `PacketStream`.

    A subclass overrides `make_stream`, or is given the class of the stream.

    Parameters
    ----------
    stream_class
        Makes the stream of its `Source`: the class, or a function.

    Attributes
    ----------
    events_left
        Packets that count as events to read before the stream counts as ended.
    """

    def __init__(self, stream_class: Callable[[Source], PacketStream] | None = None) -> None:
        super().__init__()
        self._class = stream_class
        self._stream: PacketStream | None = None
        self._packets = 0
        self._told = [0, 0]  # problems of the source and of the stream that were logged
        self.events_left = float("inf")

    def make_stream(self, source: Source) -> PacketStream:
        """Return the stream over `source`."""
        if self._class is None:
            raise NotImplementedError(f"{type(self).__name__} has no stream")
        return self._class(source)

    @property
    def stream(self) -> PacketStream:
        """The stream, once it is open."""
        if self._stream is None:
            raise FormatError("The stream is not open", hint="Call open_stream first.")
        return self._stream

    def get_decoder_list(self) -> list[DataDecoder]:
        """Return the decoders of the stream."""
        return list(self.stream.decoders)

    def open_stream(
        self,
        stream_name: Any,
        rb_lib: RawBufferLibrary | None = None,
        buffer_size: int = 8192,
        chunk_mode: str = "any_full",
        out_stream: str = "",
    ) -> list[RawBuffer]:
        """Open a path, an address or a `Source`; see `DataStreamer.open_stream`.

        Raises
        ------
        FormatError
            When this is no stream of the type.
        FileError
            When it cannot be read.
        """
        self._check_mode(chunk_mode)
        source = open_source(stream_name)
        try:
            self._stream = self.make_stream(source)
            first = self._stream.begin()
            super().open_stream(stream_name, rb_lib, buffer_size, chunk_mode, out_stream)
            self._packets = 0
            if first is not None:
                self._decode(first)
        except BaseException:
            source.close()
            raise
        self.n_bytes_read = source.offset
        self._told = [0, 0]
        self._log_problems()
        return self._buffers_with_rows()

    def close_stream(self) -> None:
        """Let go of the stream; what it said stays."""
        if self._stream is not None:
            self._stream.source.close()

    def read_packet(self) -> bool:
        """Decode one packet; return False when there is none left."""
        return self._advance(1) > 0

    def _advance(self, packets: int) -> int:
        self.any_full = False
        if self.events_left <= 0:
            return 0
        block = self.stream.next_block(_BLOCK_BYTES, min(packets, self._room()))
        if block is None:
            self.n_bytes_read = self.stream.source.offset
            self._log_problems()
            return 0
        if self.events_left != float("inf"):
            block = self._cut(block)
        self._decode(block)
        self.n_bytes_read = self.stream.source.offset
        self._log_problems()
        self.any_full = any(one.is_full() for buffers in self.rb_lib.values() for one in buffers)
        return max(1, len(block.packets))

    def _room(self) -> int:
        """Return how many packets fit every buffer, at least 1."""
        room = _BLOCK_PACKETS
        for buffers in self.rb_lib.values():
            for one in buffers:
                if one.size is not None:  # else it holds one object, not rows
                    room = min(room, (len(one) - one.loc) // one.fill_safety)
        return max(1, room)

    def _cut(self, block: PacketBlock) -> PacketBlock:
        """Return the packets of a block up to the last event that is wanted."""
        counts = np.array([one.is_event for one in self.stream.decoders] + [False])
        events = np.cumsum(counts[block.decoder])
        last = int(np.searchsorted(events, self.events_left))
        self.events_left -= min(int(events[-1]), self.events_left) if len(events) else 0
        if last + 1 >= len(events):
            return block
        kept = slice(0, last + 1)
        ids = None if block.ids is None else block.ids[kept]
        return PacketBlock(block.packets[kept], block.decoder[kept], block.first_id, ids)

    def _decode(self, block: PacketBlock) -> None:
        if not len(block.packets):
            return
        ids = block.packet_ids()
        self._packets += len(ids) if block.ids is None else len(distinct(ids))
        self.packet_id = int(ids[-1])
        for index, rows in _runs(block.decoder, self.stream.decoders):
            if index >= 0:
                self._decode_run(self.stream.decoders[index], block.packets, ids, rows)

    def _decode_run(
        self,
        decoder: DataDecoder,
        packets: FrameBatch,
        ids: NDArray[np.uint32],
        rows: NDArray[np.intp] | slice,
    ) -> None:
        found = self.rb_lib.get(type(decoder).__name__)
        if found is None:
            return
        buffers = found.get_keyed_dict()
        if not isinstance(rows, slice):
            packets, ids = packets[rows], ids[rows]
        places = [one.loc for one in found]
        try:
            decoder.decode_batch(packets, ids, buffers)
        except LH5EncodeError:  # rows that are not those of the table: a wrong decoder, not a wrong packet
            raise
        except _BAD_PACKET:
            _rewind(found, places)
            self._decode_each(decoder, packets, ids, found, buffers)

    def _decode_each(
        self,
        decoder: DataDecoder,
        packets: FrameBatch,
        ids: NDArray[np.uint32],
        found: Iterable[RawBuffer],
        buffers: Mapping[Any, RawBuffer],
    ) -> None:
        """Decode packets one by one; those that cannot be decoded become garbage."""
        for row, packet_id in enumerate(ids.tolist()):
            places = [one.loc for one in found]
            try:
                decoder.decode_batch(packets[row : row + 1], ids[row : row + 1], buffers)
            except LH5EncodeError:
                raise
            except _BAD_PACKET as error:
                _rewind(found, places)
                decoder.put_in_garbage(packets.frame_bytes(row), packet_id, UNDECODABLE)
                self._tell(decoder, packet_id, error)

    def _tell(self, decoder: DataDecoder, packet_id: int, error: Exception) -> None:
        if decoder.garbage.count <= 10:
            self.stream.problems.append(
                f"{self.stream.source.name}: packet {packet_id} cannot be decoded: {error}"
            )

    def _log_problems(self) -> None:
        """Log the problems that have come since it was called last."""
        for index, found in enumerate((self.stream.source.problems, self.stream.problems)):
            for text in found[self._told[index] :]:
                _LOG.warning("%s", text)
            self._told[index] = len(found)

    def summary(self) -> Summary:
        """Return what was read, and what was lost, so far."""
        found = super().summary()
        found.packets = self._packets
        found.unknown = dict(self.stream.unknown)
        found.resyncs = self.stream.resyncs
        found.problems = [*self.stream.source.problems, *self.stream.problems]
        return found


def _rewind(buffers: Iterable[RawBuffer], places: list[int]) -> None:
    for buffer, loc in zip(buffers, places, strict=True):
        buffer.loc = loc


def _runs(
    decoder: NDArray[np.int8], decoders: list[DataDecoder]
) -> Iterator[tuple[int, NDArray[np.intp] | slice]]:
    """Yield decoders and the packets they get at once, in the order of the stream as far as it matters."""
    present = (distinct(decoder.astype(np.int64) + 1) - 1).tolist()
    if len(present) == 1:
        yield int(present[0]), slice(None)
        return
    shared: dict[Any, list[int]] = {}
    for index in present:
        state = decoders[index].shares_state_with if index >= 0 else None
        shared.setdefault(("alone", index) if state is None else ("shared", state), []).append(int(index))
    for together in shared.values():
        rows = np.flatnonzero(np.isin(decoder, together))
        bounds = np.flatnonzero(np.diff(decoder[rows])) + 1
        for run in np.split(rows, bounds):
            yield int(decoder[run[0]]), run
