"""`Filter`: pass the frames of one channel."""

from __future__ import annotations

import logging

from sapwood.errors import StreamError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.counters import StageCounters
from sapwood.streams.frame import Frame
from sapwood.streams.link import Master, Slave

__all__ = ["Filter"]

_MAX_CHANNEL = 255

_log = logging.getLogger("sapwood.stream.Filter")


class Filter(Master, Slave):
    """Passes frames of one channel, without errors if wanted; gaps pass always.

    Parameters
    ----------
    dropErrors
        Drop frames whose error byte is set.
    channel
        The channel to pass.

    Attributes
    ----------
    counters
        What came in and what was dropped, by reason: ``channel``, ``error``.

    Raises
    ------
    StreamError
        For a channel that no frame can have.
    """

    forwards = True

    def __init__(self, dropErrors: bool, channel: int) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        if not 0 <= channel <= _MAX_CHANNEL:
            raise StreamError("No such channel", expected=f"0..{_MAX_CHANNEL}", seen=channel)
        self.counters = StageCounters()
        self._dropErrors = dropErrors
        self._channel = channel

    def _acceptFrame(self, frame: Frame) -> None:
        counters, size = self.counters, frame._size  # not the property, which is a call
        with counters.lock:  # as `accept` does, without a call: chains of filters see every frame
            counters.frames += 1
            counters.bytes += size
        if frame.channel != self._channel:
            counters.drop("channel", 1, size)
        elif frame.error and self._dropErrors:
            counters.drop("error", 1, size)
            _log.debug("Dropped a frame of channel %d with error %#x", frame.channel, frame.error)
        else:
            sinks = self._frame_sinks
            if len(sinks) == 1:
                sinks[0](frame)
            else:
                self._sendFrame(frame)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self.counters.accept(len(batch), batch.nbytes)
        passed = self.counters.keep(batch, batch.channel == self._channel, "channel")
        if self._dropErrors:
            passed = self.counters.keep(passed, passed.error == 0, "error")
        if len(passed):
            self._sendBatch(passed)
