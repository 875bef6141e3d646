"""Packets of version 1: no checksum, frames never interleave.

A packet is 8 bytes of head (version and frame index, packet number in the frame u24, TDEST, TID,
first-user), payload without padding, and one byte of tail (last-user in 7 bits, end of frame).
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from sapwood.streams.batch import FrameBatch
from sapwood.streams.frame import Frame
from sapwood.streams.protocols.packetizer_assembly import HELD_BYTES, Event, Partial, Reassembly, Run, trimmed
from sapwood.streams.protocols.packetizer_segment import HEAD, chunk_size, segment
from sapwood.streams.protocols.scatter import place, place_rows, words_at

__all__ = ["DecoderV1", "EncoderV1"]

_TAIL = 1
_LEAST = HEAD + 1 + _TAIL
_SOF = 0x02  # first-user bit of SSI
_EOF = 0x80
_INDEX_MASK = 0xFFF
_NUMBER_MASK = 0xFFFFFF
_HEAD = struct.Struct("<Q")


class EncoderV1:
    """Cuts frames into packets.

    Parameters
    ----------
    ssi
        Set the start-of-frame bit in first-user.
    """

    def __init__(self, ssi: bool) -> None:
        self._first = _SOF if ssi else 0
        self._index = 0

    def batch(self, frames: FrameBatch, dest: int, limit: int) -> FrameBatch:
        """Return the packets, of at most `limit` bytes, of frames for TDEST `dest`; none may be empty."""
        pieces, frame, number, last = segment(frames, chunk_size(limit, _TAIL))
        index = (frame + self._index) & _INDEX_MASK
        self._index = (self._index + len(frames)) & _INDEX_MASK
        first = (pieces.flags.astype(np.int64) & 0xFF) | self._first
        head = (index << 4) | ((number & _NUMBER_MASK) << 16) | (dest << 40) | (first << 56)
        tail = ((pieces.flags >> 8) & 0x7F) | (last * _EOF)
        size = pieces.size + (HEAD + _TAIL)
        stop = np.cumsum(size)
        out = np.empty(int(stop[-1]) if len(stop) else 0, np.uint8)
        place_rows(out, stop - size, head.astype("<i8").view(np.uint8).reshape(-1, 8))
        place(out, stop - size + HEAD, pieces)
        out[stop - 1] = tail
        return FrameBatch(out, stop - size, size)

    def frame(self, frame: Frame, dest: int, limit: int) -> Frame | FrameBatch:
        """Return the only packet of a frame, or the batch of its packets."""
        if frame.size > chunk_size(limit, _TAIL):
            return self.batch(FrameBatch.gather((frame,)), dest, limit)
        first = (frame.flags & 0xFF) | self._first
        head = _HEAD.pack((self._index << 4) | (dest << 40) | (first << 56))
        self._index = (self._index + 1) & _INDEX_MASK
        return Frame(b"".join((head, frame.buffer, bytes(((frame.flags >> 8) & 0x7F | _EOF,)))))


class DecoderV1(Reassembly):
    """Puts frames together from packets; what is lost is counted, and told by gaps.

    Parameters
    ----------
    ssi
        Give frames whose end-of-frame-error bit is set the error 0x80.
    limit
        Most bytes of an unfinished frame.
    """

    def __init__(self, ssi: bool, limit: int = HELD_BYTES) -> None:
        super().__init__(ssi, limit)
        self._state = Partial()

    def frame(self, packet: Frame) -> list[Event]:
        """Take one packet; return the frame that it completes and the gap that it shows, if any."""
        data, size = memoryview(packet.buffer), packet.size
        if packet.error or size < _LEAST:
            return self._drop("transport" if packet.error else "size", 1)
        word: int = _HEAD.unpack_from(data)[0]
        if word & 0x0F:
            return self._drop("version", 1)
        state, tail = self._state, data[size - 1]
        index, number, dest = word >> 4 & _INDEX_MASK, word >> 16 & _NUMBER_MASK, word >> 40 & 0xFF
        last = bool(tail & _EOF)
        events: list[Event] = []
        if number:
            dest = state.dest if state.open else dest
            if not state.open or index != state.index or number != state.number:
                return self._break(state, dest, "order", size - HEAD - _TAIL, starts=False, ends=last)
        elif state.open:
            events = self._lose(state, state.dest, "unfinished", 1)
        return events + self._add(
            state, dest, data[HEAD : size - _TAIL],
            number=number, index=index, first=word >> 56, last=tail & 0x7F if last else None,
        )  # fmt: skip

    def batch(self, packets: FrameBatch) -> list[Event]:
        """Take many packets; return frames and gaps in order."""
        packets, head = self._sound(packets)
        if not len(packets):
            return []
        run = Run(
            pieces=trimmed(packets, packets.start + HEAD, packets.size - (HEAD + _TAIL)),
            dest=((head >> 40) & 0xFF).astype(np.int64),
            first=(head >> 56).astype(np.int64),
            last=(packets.payload[packets.start + packets.size - 1]).astype(np.int64) & 0x7F,
            ends=(packets.payload[packets.start + packets.size - 1] & _EOF) != 0,
        )
        index = (head >> 4 & _INDEX_MASK).astype(np.int64)
        number = (head >> 16 & _NUMBER_MASK).astype(np.int64)
        if self._regular(run, index, number) and self._fits(run):
            return self._take(self._state, run, number=int(number[-1]), index=int(index[-1]))
        return [event for packet in packets.frames() for event in self.frame(packet)]

    def _sound(self, packets: FrameBatch) -> tuple[FrameBatch, NDArray[np.uint64]]:
        """Return the packets that can be read, with their heads; the others are counted."""
        packets = self._keep(packets, packets.error == 0, "transport")
        packets = self._keep(packets, packets.size >= _LEAST, "size")
        head = words_at(packets.payload, packets.start)
        right = (head & 0x0F) == 0
        return self._keep(packets, right, "version"), head[right]

    def _regular(self, run: Run, index: NDArray[np.int64], number: NDArray[np.int64]) -> bool:
        """Return whether each packet goes on where the one before ended."""
        state = self._state
        fresh = np.concatenate(([not state.open], run.ends[:-1]))
        before = np.concatenate(([state.index], index[:-1]))
        wanted = np.where(fresh, 0, np.concatenate(([state.number], number[:-1] + 1)))
        return bool(((number == wanted) & (fresh | (index == before))).all())
