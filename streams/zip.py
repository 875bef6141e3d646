"""`StreamZip` and `StreamUnZip`: payloads packed with bzip2 and unpacked again."""

from __future__ import annotations

import bz2
import time

import numpy as np

from sapwood.errors import ProtocolError, combine
from sapwood.streams.batch import FrameBatch
from sapwood.streams.counters import StageCounters
from sapwood.streams.frame import Frame
from sapwood.streams.gap import Gap
from sapwood.streams.link import Master, Slave

__all__ = ["MAX_UNPACKED", "StreamUnZip", "StreamZip"]

MAX_UNPACKED = 1 << 30
"""Bytes that a payload may have after unpacking, unless told otherwise."""

_LEVEL = 1  # blocks of 100 kB
_CORRUPT = "corrupt"
_MAX_PROBLEMS = 8  # told of one batch


class _Repack(Master, Slave):
    """Sends each frame on with its payload changed; channel, flags, error and time stay.

    Attributes
    ----------
    counters
        Frames and bytes that came in.
    """

    forwards = True

    def __init__(self) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self.counters = StageCounters()

    def _change(self, payload: bytes | bytearray | memoryview) -> bytes:
        raise NotImplementedError

    def _acceptFrame(self, frame: Frame) -> None:
        self.counters.accept(1, frame.size)
        try:
            payload = self._change(frame.buffer)
        except ProtocolError:
            self._lose(1, frame.size, frame.channel)
            raise
        self._sendFrame(Frame(payload, channel=frame.channel, flags=frame.flags, error=frame.error))

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self.counters.accept(len(batch), batch.nbytes)
        payloads: list[bytes] = []
        problems: list[Exception] = []
        good = np.ones(len(batch), bool)
        for index in range(len(batch)):
            try:
                payloads.append(self._change(batch.frame_bytes(index).data))
            except ProtocolError as problem:
                good[index] = False
                problems.append(problem)
        if problems:
            self._lose(len(problems), batch[~good].nbytes, None)
            batch = batch[good]
        if payloads:
            size = np.fromiter(map(len, payloads), np.int64, len(payloads))
            self._sendBatch(
                FrameBatch(
                    b"".join(payloads), np.cumsum(size) - size, size,
                    channel=batch.channel, flags=batch.flags, error=batch.error, time=batch.time,
                )
            )  # fmt: skip
        if problems:
            text = f"{len(problems)} of {len(good)} frames were refused"
            raise combine(text, problems[:_MAX_PROBLEMS], ProtocolError)

    def _lose(self, frames: int, nbytes: int, channel: int | None) -> None:
        self.counters.drop(_CORRUPT, frames, nbytes)
        self._sendGap(Gap(channel, frames, nbytes, _CORRUPT, time.time_ns()))


class StreamZip(_Repack):
    """Packs each payload into one complete bzip2 stream, as Rogue's does."""

    def _change(self, payload: bytes | bytearray | memoryview) -> bytes:
        return bz2.compress(payload, _LEVEL)


class StreamUnZip(_Repack):
    """Unpacks payloads that are each one complete bzip2 stream.

    What is none, or would become larger than `maxBytes`, is counted (``corrupt``), leaves a gap
    and is raised to the sender.

    Parameters
    ----------
    maxBytes
        Most bytes of a payload after unpacking.

    Raises
    ------
    ProtocolError
        To the sender: the payload is no bzip2 stream, is cut, has bytes behind its end, or is
        too large. Other frames of the same batch are sent on first.
    """

    def __init__(self, maxBytes: int = MAX_UNPACKED) -> None:
        super().__init__()
        self._most = maxBytes

    def _change(self, payload: bytes | bytearray | memoryview) -> bytes:
        unpacker = bz2.BZ2Decompressor()
        try:
            unpacked = unpacker.decompress(payload, self._most + 1)
        except OSError as problem:
            raise ProtocolError(
                f"Decompression runtime error: {problem}", expected="a bzip2 stream"
            ) from problem
        if len(unpacked) > self._most:
            raise ProtocolError("The unpacked payload is too large", expected=f"at most {self._most} bytes")
        if not unpacker.eof:
            raise ProtocolError(
                "Truncated or corrupt bzip2 stream", seen=f"an end after {len(payload)} bytes"
            )
        if unpacker.unused_data:
            raise ProtocolError(
                "Truncated or corrupt bzip2 stream", seen=f"{len(unpacker.unused_data)} bytes behind its end"
            )
        return unpacked
