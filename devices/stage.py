"""Stream stages as devices of the tree."""

from __future__ import annotations

from functools import partial
from typing import Any

from sapwood import streams
from sapwood.devices.polled import add_polled
from sapwood.streams import Master, Slave, StageCounters, StreamEnd
from sapwood.streams.framequeue import QUEUE_BYTES, Policy
from sapwood.tree import Device, LocalCommand, LocalVariable

__all__ = ["Fifo", "Filter", "RateDrop", "StageDevice"]


class StageDevice(StreamEnd, Device):
    """Device around a stream stage: links pass through it, its counters are variables.

    Parameters
    ----------
    stage
        Slave and master in one, with a `StageCounters` named ``counters``.
    """

    def __init__(self, stage: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._stage = stage
        self._cleared = (0, 0, 0, 0)
        self.addInterface(stage)
        for place, (name, description) in enumerate(
            (
                ("FrameCount", "Frames that came in"),
                ("ByteCount", "Bytes that came in"),
                ("ErrorCount", "Errors that sinks behind raised"),
                ("DropCount", "Frames not passed on"),
            )
        ):
            add_polled(self, name, description, partial(self._count, place))

    def _counts(self) -> tuple[int, int, int, int]:
        counters: StageCounters = self._stage.counters
        return counters.frames, counters.bytes, counters.errors, counters.dropped_total

    def _count(self, place: int) -> int:
        """Count number `place` of `_counts` since the last reset."""
        return self._counts()[place] - self._cleared[place]

    def _add_setting(self, name: str, description: str, value: Any, **kwargs: Any) -> None:
        """Add a variable that shows how the stage was made."""
        self.add(LocalVariable(name=name, description=description, mode="RO", value=value, **kwargs))

    def _getStreamMaster(self) -> Master:
        master: Master = self._stage
        return master

    def _getStreamSlave(self) -> Slave:
        slave: Slave = self._stage
        return slave

    def _runDry(self, deadline: float) -> None:
        """Let what is queued run empty; sources that are no devices fill it too."""
        self._stage._drain(deadline)
        super()._runDry(deadline)

    def countReset(self) -> None:
        """Let the counters start again from zero."""
        self._cleared = self._counts()
        super().countReset()


class Fifo(StageDevice):
    """Queue with a thread of its own; see `sapwood.streams.Fifo` for the parameters."""

    def __init__(
        self,
        *,
        name: str | None = None,
        description: str = "",
        maxDepth: int = 0,
        trimSize: int = 0,
        noCopy: bool = False,
        policy: Policy | None = None,
        maxBytes: int = QUEUE_BYTES,
        **kwargs: Any,
    ) -> None:
        fifo = streams.Fifo(maxDepth, trimSize, noCopy, policy=policy, maxBytes=maxBytes)
        self._fifo = fifo
        self._blockedBefore = 0
        super().__init__(fifo, description=description, **({"name": name} if name else {}), **kwargs)
        self._add_setting("MaxDepth", "Most frames held, 0 = no limit", maxDepth)
        add_polled(self, "Size", "Frames held now", fifo.size)
        add_polled(self, "FrameDropCnt", "Frames dropped, mostly because the queue was full", fifo.dropCnt)
        add_polled(self, "BlockCount", "How often a sender had to wait for room", self._getBlocked)
        add_polled(self, "LastError", "What a sink raised last, if any did", self._getLastError, value="")
        self.add(LocalCommand(name="ClearCnt", description="Zero the drop count", function=fifo.clearCnt))

    def _getBlocked(self) -> int:
        return self._fifo.counters.blocked - self._blockedBefore

    def _getLastError(self) -> str:
        error = self._fifo.lastError
        return "" if error is None else f"{type(error).__name__}: {error}"

    def countReset(self) -> None:
        """Let the counters start again from zero."""
        self._blockedBefore = self._fifo.counters.blocked
        self._fifo.clearCnt()
        super().countReset()


class Filter(StageDevice):
    """Passes the frames of one channel, see `sapwood.streams.Filter`."""

    def __init__(self, *, dropErrors: bool = False, channel: int = 0, **kwargs: Any) -> None:
        super().__init__(streams.Filter(dropErrors, channel), **kwargs)
        self._add_setting("DropErrors", "Whether frames with an error are dropped", dropErrors)
        self._add_setting("Channel", "Channel that passes", channel)


class RateDrop(StageDevice):
    """Passes one frame in n, or one a period, see `sapwood.streams.RateDrop`."""

    def __init__(self, *, period: bool = False, value: float = 0, **kwargs: Any) -> None:
        super().__init__(streams.RateDrop(period, value), **kwargs)
        self._add_setting("Period", "Whether Value is a time", period)
        self._add_setting("Value", "Seconds between frames, or frames dropped between two", float(value))
