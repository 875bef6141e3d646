"""Many small frames in one super-frame: combiners, splitters and inverters of both batcher versions."""

from __future__ import annotations

import logging
import threading
import time
from typing import cast

from sapwood.errors import StreamError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.counters import StageCounters
from sapwood.streams.frame import Frame
from sapwood.streams.framequeue import QUEUE_BYTES, lean
from sapwood.streams.gap import Gap
from sapwood.streams.link import Master, Slave
from sapwood.streams.protocols.batcher_codec import Refused, combine, invert, split, split_batch
from sapwood.streams.protocols.batcher_layout import MAX_CODE
from sapwood.streams.protocols.rarelog import RareLog

__all__ = ["CombinerV1", "CombinerV2", "InverterV1", "InverterV2", "SplitterV1", "SplitterV2"]

_log = logging.getLogger("sapwood.batcher")


class _Stage(Master, Slave):
    """What all have in common: counters, and a gap for every frame dropped."""

    forwards = True
    _version = 1

    def __init__(self) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self.counters = StageCounters()
        self._rare = RareLog(_log)

    def _drop(self, reason: str, channel: int | None, size: int) -> None:
        self.counters.drop(reason, 1, size)
        self._rare.warning("%s dropped a frame of %d bytes: %s", type(self).__name__, size, reason)
        self._sendGap(Gap(channel, 1, size, reason, time.time_ns()))


class _Splitter(_Stage):
    """Sends the sub-frames of each super-frame, as views of it, in order."""

    def _acceptFrame(self, frame: Frame) -> None:
        self.counters.accept(1, frame.size)
        self._pass_on(split(frame, self._version))

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self.counters.accept(len(batch), batch.nbytes)
        for found in split_batch(batch, self._version):
            self._pass_on(found)

    def _pass_on(self, found: FrameBatch | Refused) -> None:
        if isinstance(found, FrameBatch):
            self._sendBatch(found)
        else:
            self._drop(str(found.reason), None, found.size)


class SplitterV1(_Splitter):
    """Splits super-frames of version 1; sub-frames have their TDEST as channel.

    Attributes
    ----------
    counters
        Super-frames that came in, and those dropped, by reason: ``error``, ``size`` (under 16
        bytes, or no room for a tail), ``version``, ``width``, ``tail`` (one would cross the header).
    """


class SplitterV2(_Splitter):
    """Splits super-frames of version 2; as `SplitterV1`, with at least 10 bytes and no ``width``."""

    _version = 2


class _Inverter(_Stage):
    """Sends each super-frame anew with headers first; the one that came in is not changed."""

    def _acceptFrame(self, frame: Frame) -> None:
        self.counters.accept(1, frame.size)
        found = invert(frame, self._version)
        if isinstance(found, Frame):
            self._sendFrame(found)
        else:
            self._drop(str(found.reason), frame.channel, found.size)


class InverterV1(_Inverter):
    """Puts the tails of version 1 before their data, as batched file readers want it.

    Attributes
    ----------
    counters
        As of `SplitterV1`; words of less than 8 bytes are dropped for their ``width``.
    """


class InverterV2(_Inverter):
    """Gives the sub-frames of version 2 headers first, as version 1 in words of 2 bytes.

    (Rogue's own keeps two bytes of each tail, which nothing can read.)
    """

    _version = 2


class _Combiner(_Stage):
    """Keeps frames until `sendBatch`."""

    def __init__(self, code: int, maxBytes: int) -> None:
        super().__init__()
        self._code = code
        self._limit = maxBytes
        self._lock = threading.Lock()
        self._loads: list[FrameBatch] = []
        self._singles: list[Frame] = []
        self._frames = self._bytes = 0
        self._sequence = 0

    def _acceptFrame(self, frame: Frame) -> None:
        self.counters.accept(1, frame.size)
        with self._lock:
            fits = self._bytes + frame.size <= self._limit
            if fits:
                self._singles.append(cast(Frame, lean(frame.snapshot())))
                self._frames += 1
                self._bytes += frame.size
        if not fits:
            self._drop("full", frame.channel, frame.size)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        if not len(batch):
            return
        with self._lock:
            fits = self._bytes + batch.nbytes <= self._limit
            if fits:
                self.counters.accept(len(batch), batch.nbytes)
                self._gather_singles()
                self._loads.append(cast(FrameBatch, lean(batch)))
                self._frames += len(batch)
                self._bytes += batch.nbytes
        if not fits:
            for frame in batch.frames():
                self._acceptFrame(frame)

    def _gather_singles(self) -> None:
        if self._singles:
            self._loads.append(FrameBatch.gather(self._singles))
            self._singles = []

    def getCount(self) -> int:
        """Return the frames waiting for `sendBatch`."""
        return self._frames

    def sendBatch(self) -> None:
        """Send what waits as one super-frame; nothing when there is nothing.

        Raises
        ------
        ProtocolError
            When a frame is too long for its tail; it and those waiting with it are dropped.
        """
        with self._lock:
            self._gather_singles()
            loads, self._loads = self._loads, []
            self._frames = self._bytes = 0
            sequence = self._sequence
            self._sequence += bool(loads)
        if loads:
            frames = loads[0] if len(loads) == 1 else FrameBatch.concat(loads)
            self._sendFrame(combine(frames, self._version, self._code, sequence))

    def _drain(self, deadline: float) -> bool:
        return not self._frames


class CombinerV1(_Combiner):
    """Makes super-frames of version 1; the channel of a frame is its TDEST, its error is not carried.

    Splitters refuse less than 16 bytes, as Rogue's does: that is one frame of 4 bytes or less alone with
    width code 0, an empty one with width code 1.

    Parameters
    ----------
    widthCode
        0..5: words of ``2 << widthCode`` bytes.
    maxBytes
        Most payload bytes that wait; frames beyond are dropped (reason ``full``).

    Raises
    ------
    StreamError
        For a width code that does not exist.
    """

    def __init__(self, widthCode: int, *, maxBytes: int = QUEUE_BYTES) -> None:
        if not 0 <= widthCode <= MAX_CODE:
            raise StreamError("No such width code", expected=f"0..{MAX_CODE}", seen=widthCode)
        super().__init__(widthCode, maxBytes)


class CombinerV2(_Combiner):
    """Makes super-frames of version 2; as `CombinerV1`, without padding."""

    _version = 2

    def __init__(self, *, maxBytes: int = QUEUE_BYTES) -> None:
        super().__init__(0, maxBytes)
