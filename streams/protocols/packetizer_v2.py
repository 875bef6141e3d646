"""Packets of version 2: aligned to 8 bytes, checksum on demand, frames of different TDEST may interleave.

A packet is 8 bytes of head (version and CRC mode, first-user, TDEST, TID, packet number in the frame
u16, start of frame), payload padded to 8 bytes, and 8 bytes of tail (last-user, end of frame, valid
bytes of the last payload word, CRC-32 big-endian). The checksum runs on over the packets of a frame.
"""

from __future__ import annotations

import struct
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from sapwood.streams.batch import FrameBatch
from sapwood.streams.frame import Frame
from sapwood.streams.protocols.checksum import Checksum, quickest
from sapwood.streams.protocols.packetizer_assembly import (
    EOFE_ERROR,
    HELD_BYTES,
    Event,
    Partial,
    Reassembly,
    Run,
    trimmed,
)
from sapwood.streams.protocols.packetizer_segment import ALIGN, HEAD, chunk_size, segment
from sapwood.streams.protocols.scatter import place, words_at

__all__ = ["DecoderV2", "EncoderV2"]

_TAIL = 8
_LEAST = HEAD + ALIGN + _TAIL
_CRC = 4  # bytes, not part of what it covers
_VERSION = 0x02
_WITH_CRC = 0x20  # in the first byte
_SOF_USER = 0x02  # first-user bit of SSI
_SOF = 1 << 63
_NUMBER_MASK = 0xFFFF
_LARGE = 1024  # bytes of a frame or packet from which steps are quicker than columns,
_FEW = 32  # as far as they are less than so many packets (for the encoder)
_PADS = tuple(bytes(count) for count in range(ALIGN))
_HEAD = struct.Struct("<Q")
_TAIL_HALF = struct.Struct("<I")
_CRC_BE = struct.Struct(">I")
_WHOLE_TAIL = struct.Struct(">BBBBI")
_WHOLE_HEAD = _SOF | _NUMBER_MASK << 32 | 0x0F  # what counts in the head of a packet that is a whole frame


class EncoderV2:
    """Cuts frames into packets; keeps no state between frames.

    Parameters
    ----------
    crc
        Send checksums.
    ssi
        Set the start-of-frame bit in first-user.
    """

    def __init__(self, crc: bool, ssi: bool) -> None:
        self._crc: Checksum | None = quickest() if crc else None
        self._mode = _VERSION | (_WITH_CRC if crc else 0)
        self._first = _SOF_USER if ssi else 0

    def batch(self, frames: FrameBatch, dest: int, limit: int) -> FrameBatch:
        """Return the packets, of at most `limit` bytes, of frames for TDEST `dest`; none may be empty."""
        chunk = chunk_size(limit, _TAIL)
        if _FEW * chunk > frames.nbytes > _LARGE * len(frames) and chunk > _LARGE:
            return self._in_steps(frames, dest, chunk)
        pieces, _, number, last = segment(frames, chunk)
        flags = pieces.flags.astype(np.uint64)
        padded = (pieces.size + (ALIGN - 1)) // ALIGN
        size = padded + (HEAD + _TAIL) // ALIGN  # all in words of 8 bytes
        stop = np.cumsum(size)
        start = stop - size
        words = np.empty(int(stop[-1]) if len(stop) else 0, "<u8")
        head = (number.astype(np.uint64) & _NUMBER_MASK) << 32 | (number == 0).astype(np.uint64) << 63
        words[start] = head | self._mode | dest << 16 | ((flags & 0xFF) | self._first) << 8
        words[stop - 2] = 0  # padding
        valid = (pieces.size - (padded - 1) * ALIGN).astype(np.uint64)
        words[stop - 1] = flags >> 8 | last.astype(np.uint64) << 8 | valid << 16
        out = words.view(np.uint8)
        place(out, start * ALIGN + HEAD, pieces)
        if self._crc is not None:
            bounds = (start * ALIGN).tolist(), (stop * ALIGN - _CRC).tolist(), (number == 0).tolist()
            sums = np.array(_running_sums(self._crc, out.data, *bounds), np.uint32)
            words.view(np.uint32)[stop * 2 - 1] = sums.byteswap()
        return FrameBatch(out, start * ALIGN, size * ALIGN)

    def _in_steps(self, frames: FrameBatch, dest: int, chunk: int) -> FrameBatch:
        """Do as `batch` does, packet by packet; frames are cut into pieces of `chunk` bytes."""
        view, base = frames.payload.data, dest << 16 | self._mode
        parts: list[bytes | memoryview] = []
        sizes: list[int] = []
        checksum, running = self._crc, 0
        columns = frames.start.tolist(), frames.size.tolist(), frames.flags.tolist()
        for start, size, flags in zip(*columns, strict=True):
            first, end = ((flags & 0xFF) | self._first) << 8 | base, start + size
            for number, at in enumerate(range(start, end, chunk)):
                piece = view[at : min(at + chunk, end)]
                count = len(piece)
                pad = -count % ALIGN
                head = _HEAD.pack((number & _NUMBER_MASK) << 32 | first | (0 if number else _SOF))
                last = flags >> 8 | (at + count == end) << 8 | (ALIGN - pad) << 16
                tail = _PADS[pad] + _TAIL_HALF.pack(last)
                if checksum is not None:
                    running = checksum(head, running if number else 0)
                    running = checksum(tail, checksum(piece, running))
                parts += (head, piece, tail, _CRC_BE.pack(running))
                sizes.append(HEAD + count + pad + _TAIL)
        size = np.array(sizes, np.int64)
        return FrameBatch(b"".join(parts), np.cumsum(size) - size, size)

    def frame(self, frame: Frame, dest: int, limit: int) -> Frame | FrameBatch:
        """Return the only packet of a frame, or the batch of its packets."""
        size = frame.size
        if size > chunk_size(limit, _TAIL):
            return self.batch(FrameBatch.gather((frame,)), dest, limit)
        first = (frame.flags & 0xFF) | self._first
        pad = -size % ALIGN
        packet = b"".join((
            _HEAD.pack(_SOF | dest << 16 | first << 8 | self._mode),
            frame.buffer,
            _PADS[pad],
            _TAIL_HALF.pack(frame.flags >> 8 | 1 << 8 | (ALIGN - pad) << 16),
        ))  # fmt: skip
        return Frame(packet + _CRC_BE.pack(self._crc(packet, 0) if self._crc is not None else 0))


def _running_sums(
    checksum: Checksum, data: memoryview, start: list[int], stop: list[int], fresh: list[bool]
) -> list[int]:
    """Return the checksum at the end of each run of bytes; it goes on from the one before unless `fresh`."""
    sums = []
    running = 0
    for begin, end, anew in zip(start, stop, fresh, strict=True):
        running = checksum(data[begin:end], 0 if anew else running)
        sums.append(running)
    return sums


class DecoderV2(Reassembly):
    """Puts frames together from packets, for each TDEST; what is lost is counted, and told by gaps.

    Parameters
    ----------
    crc
        Compare checksums (whatever the packets say about having one).
    ssi
        Give frames whose end-of-frame-error bit is set the error 0x80.
    limit
        Most bytes of unfinished frames.
    """

    def __init__(self, crc: bool, ssi: bool, limit: int = HELD_BYTES) -> None:
        super().__init__(ssi, limit)
        self._crc: Checksum | None = quickest() if crc else None
        self._states: defaultdict[int, Partial] = defaultdict(Partial)

    def frame(self, packet: Frame) -> list[Event]:
        """Take one packet; return the frame that it completes and the gap that it shows, if any."""
        data, size = memoryview(packet.buffer), packet.size
        if packet.error or size < _LEAST or size % ALIGN:
            return self._drop("transport" if packet.error else "size", 1)
        head: int = _HEAD.unpack_from(data)[0]
        last, end, valid, _, told = _WHOLE_TAIL.unpack_from(data, size - _TAIL)
        if head & 0x0F != _VERSION or not 1 <= valid <= ALIGN:
            return self._drop("version" if head & 0x0F != _VERSION else "valid", 1)
        dest, number, starts, ends = head >> 16 & 0xFF, head >> 32 & _NUMBER_MASK, head >= _SOF, bool(end & 1)
        state = self._states[dest]
        piece = data[HEAD : size - _TAIL - ALIGN + valid]
        if starts == state.open or number != state.number & _NUMBER_MASK:
            return self._break(state, dest, "order", len(piece), starts=starts, ends=ends)
        if self._crc is not None:
            crc = self._crc(data[: size - _CRC], 0 if starts else state.crc)
            if told != crc:
                return self._break(state, dest, "crc", len(piece), starts=starts, ends=ends)
            state.crc = crc
        first = head >> 8 & 0xFF
        return self._add(state, dest, piece, number=number, first=first, last=last if ends else None)

    def batch(self, packets: FrameBatch) -> list[Event]:
        """Take many packets; return frames and gaps, those of each TDEST in order."""
        if packets.nbytes > _LARGE * len(packets):
            return self._in_steps(packets)
        return self._in_columns(packets)

    def _in_columns(self, packets: FrameBatch) -> list[Event]:
        packets, head, tail = self._sound(packets)
        if not len(packets):
            return []
        dest = (head >> 16 & 0xFF).astype(np.int64)
        if (dest == dest[0]).all():
            return self._one_dest(int(dest[0]), packets, head, tail)
        events: list[Event] = []
        for target in np.unique(dest).tolist():
            mine = np.flatnonzero(dest == target)
            events += self._one_dest(target, packets[mine], head[mine], tail[mine])
        return events

    def _in_steps(self, packets: FrameBatch) -> list[Event]:
        """Do as `_in_columns` does, packet by packet; packets that are whole frames go on in batches.

        Frames of several packets would lose their times, so where these are known columns are used.
        """
        data, checksum, states = packets.payload.data, self._crc, self._states
        events: list[Event] = []
        starts: list[int] = []
        sizes: list[int] = []
        flags: list[int] = []
        run, timed = -1, bool(packets.time.any())  # TDEST of the frames that wait to go on
        columns = packets.start.tolist(), packets.size.tolist(), packets.error.tolist()
        for index, (start, size, error) in enumerate(zip(*columns, strict=True)):
            whole = not error and size >= _LEAST and not size % ALIGN
            if whole:
                head: int = _HEAD.unpack_from(data, start)[0]
                last, end, valid, _, told = _WHOLE_TAIL.unpack_from(data, start + size - _TAIL)
                state = states[head >> 16 & 0xFF]
                whole = (
                    head & _WHOLE_HEAD == _SOF | _VERSION
                    and bool(end & 1)
                    and 1 <= valid <= ALIGN
                    and not state.open
                    and (checksum is None or checksum(data[start : start + size - _CRC], 0) == told)
                )
            if run >= 0 and not (whole and head >> 16 & 0xFF == run):
                here = packets[index - len(starts) : index]
                events.append(self._wholes(run, here, starts, sizes, flags))
                starts, sizes, flags, run = [], [], [], -1
            if whole:
                state.skipping, run = False, head >> 16 & 0xFF
                starts.append(start + HEAD)
                sizes.append(size - (HEAD + _TAIL + ALIGN) + valid)
                flags.append(head >> 8 & 0xFF | last << 8)
            elif timed:
                return events + self._in_columns(packets[index:])
            else:
                events += self.frame(Frame.of_view(data[start : start + size], 0, 0, error))
        if run >= 0:
            events.append(self._wholes(run, packets[-len(starts) :], starts, sizes, flags))
        return events

    def _wholes(
        self, dest: int, packets: FrameBatch, starts: list[int], sizes: list[int], flags: list[int]
    ) -> Event:
        """Return the frames that `packets` are, one each, and count them."""
        frames = trimmed(packets, np.array(starts, np.int64), np.array(sizes, np.int64))
        frames.channel = np.broadcast_to(np.uint8(0), packets.channel.shape)
        frames.flags = np.array(flags, np.uint16)
        counts = self.received[dest]
        counts.frames += len(starts)
        counts.bytes += sum(sizes)
        bad = (frames.flags >> 8 & 1).astype(np.uint8) if self._ssi else None
        if bad is not None and bad.any():
            counts.eofe += int(np.count_nonzero(bad))
            frames.error = bad * np.uint8(EOFE_ERROR)
        return dest, frames

    def _sound(self, packets: FrameBatch) -> tuple[FrameBatch, NDArray[np.uint64], NDArray[np.uint64]]:
        """Return the packets that can be read, with their heads and tails; the others are counted."""
        packets = self._keep(packets, packets.error == 0, "transport")
        packets = self._keep(packets, (packets.size >= _LEAST) & (packets.size % ALIGN == 0), "size")
        head = words_at(packets.payload, packets.start)
        tail = words_at(packets.payload, packets.start + packets.size - _TAIL)
        version = (head & 0x0F) == _VERSION
        packets, head, tail = self._keep(packets, version, "version"), head[version], tail[version]
        valid = (tail >> 16) - np.uint64(1) & 0xFF < ALIGN
        return self._keep(packets, valid, "valid"), head[valid], tail[valid]

    def _one_dest(
        self, dest: int, packets: FrameBatch, head: NDArray[np.uint64], tail: NDArray[np.uint64]
    ) -> list[Event]:
        """Take sound packets of one TDEST: as a run when nothing is amiss, else one by one."""
        state = self._states[dest]
        valid = (tail >> 16 & 0xFF).astype(np.int64)
        size = packets.size - (HEAD + _TAIL + ALIGN) + valid
        run = Run(
            pieces=trimmed(packets, packets.start + HEAD, size),
            dest=np.broadcast_to(np.int64(dest), (len(packets),)),
            first=(head >> 8 & 0xFF).astype(np.int64),
            last=(tail & 0xFF).astype(np.int64),
            ends=(tail & 0x100) != 0,
        )
        number, starts = (head >> 32 & _NUMBER_MASK).astype(np.int64), head >= np.uint64(_SOF)
        fresh = np.concatenate(([not state.open], run.ends[:-1]))
        wanted = np.where(fresh, 0, np.concatenate(([state.number], number[:-1] + 1)) & _NUMBER_MASK)
        regular = bool(((number == wanted) & (starts == fresh)).all()) and self._fits(run)
        crc = self._matching_sum(state, packets, starts, tail) if regular else None
        if crc is not None:
            return self._take(state, run, number=int(number[-1]), crc=crc)
        return [event for packet in packets.frames() for event in self.frame(packet)]

    def _matching_sum(
        self, state: Partial, packets: FrameBatch, starts: NDArray[np.bool_], tail: NDArray[np.uint64]
    ) -> int | None:
        """Return the checksum of the last packet, None when one of them is wrong; 0 without checking."""
        checksum = self._crc
        if checksum is None:
            return 0
        data, running = packets.payload.data, state.crc
        begins, ends = packets.start.tolist(), (packets.start + packets.size - _CRC).tolist()
        sums = (tail >> 32).astype(np.uint32).byteswap().tolist()
        for begin, end, anew, wanted in zip(begins, ends, starts.tolist(), sums, strict=True):
            running = checksum(data[begin:end], 0 if anew else running)
            if running != wanted:
                return None
        return running
