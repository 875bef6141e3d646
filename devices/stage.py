"""Stream stages as devices of the tree."""

from __future__ import annotations

from functools import partial
from typing import Any

from sapwood import streams
from sapwood.devices.polled import add_polled
from sapwood.errors import DeviceError
from sapwood.streams import Master, Slave, StageCounters, StreamEnd, drain
from sapwood.streams.framequeue import QUEUE_BYTES, Policy
from sapwood.tree import Device, LocalCommand, LocalVariable

__all__ = ["Fifo", "Filter", "RateDrop", "StageDevice"]


class StageDevice(StreamEnd, Device):
    """Device around a stream stage: links pass through it, its counters are variables.

    Parameters
    ----------
    stage
        Slave, master or both, with a `StageCounters` named ``counters``; or a plain `Slave`, which
        counts frames and bytes. Where it counts its other direction too, as protocol ends do
        (``received``, ``sent``, or a ``queue`` of what came), there are variables for that.

    Raises
    ------
    DeviceError
        For a stage that counts nothing, or is no stream end.
    """

    def __init__(self, stage: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._stage = stage
        _check(stage)
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
        add_polled(self, "DropReasons", "Why, since the stage was made", self._reasons, value="")
        self._add_other_way(*_other_way(stage))

    def _add_other_way(self, prefix: str, counters: StageCounters | None) -> None:
        """Add variables for what flows against the direction that the main ones count."""
        self._other = counters
        self._other_cleared = (0, 0, 0)
        if counters is None:
            return
        way = "the far end" if prefix == "Rx" else "here"
        for place, (name, description) in enumerate(
            (
                ("FrameCount", f"Frames that came from {way}"),
                ("ErrorCount", "Errors that sinks behind raised"),
                ("DropCount", "Frames of those that were not passed on"),
            )
        ):
            add_polled(self, prefix + name, description, partial(self._other_count, place))

    def _other_counts(self) -> tuple[int, int, int]:
        counters = self._other or StageCounters()
        return counters.frames, counters.errors, counters.dropped_total

    def _other_count(self, place: int) -> int:
        """Count number `place` of `_other_counts` since the last reset."""
        return self._other_counts()[place] - self._other_cleared[place]

    def _counters(self) -> StageCounters:
        counters: StageCounters | None = getattr(self._stage, "counters", None)
        if counters is None:
            counters = StageCounters(self._stage.getFrameCount(), self._stage.getByteCount())
        return counters

    def _counts(self) -> tuple[int, int, int, int]:
        counters = self._counters()
        return counters.frames, counters.bytes, counters.errors, counters.dropped_total

    def _reasons(self) -> str:
        return self._counters().reasons()

    def _count(self, place: int) -> int:
        """Count number `place` of `_counts` since the last reset."""
        return self._counts()[place] - self._cleared[place]

    def _add_setting(self, name: str, description: str, value: Any, **kwargs: Any) -> None:
        """Add a variable that shows how the stage was made."""
        self.add(LocalVariable(name=name, description=description, mode="RO", value=value, **kwargs))

    def _getStreamMaster(self) -> Master:
        master: Master = _end(self._stage, "_getStreamMaster")
        return master

    def _getStreamSlave(self) -> Slave:
        slave: Slave = _end(self._stage, "_getStreamSlave")
        return slave

    def _runDry(self, deadline: float) -> None:
        """Let what is queued run empty; sources that are no devices fill it too."""
        if hasattr(self._stage, "_drain"):
            self._stage._drain(deadline)
        else:
            drain(self._stage, deadline)
        super()._runDry(deadline)

    def countReset(self) -> None:
        """Let the counters start again from zero."""
        self._cleared = self._counts()
        self._other_cleared = self._other_counts()
        super().countReset()


def _other_way(stage: Any) -> tuple[str, StageCounters | None]:
    """Return how the second direction of `stage` is called, Rx or Tx, and its counters."""
    for prefix, name in (("Tx", "sent"), ("Rx", "received")):
        counters = getattr(stage, name, None)
        if isinstance(counters, StageCounters):
            return prefix, counters
    queue = getattr(stage, "queue", None)
    return "Rx", queue.counters if isinstance(queue, streams.Fifo) else None


def _end(stage: Any, hook: str) -> Any:
    """Return the end of `stage` that `hook` offers; the stage itself, which a link refuses, if none."""
    offer = getattr(stage, hook, None)
    return stage if offer is None else offer()


def _check(stage: Any) -> None:
    """Raise DeviceError unless `stage` can be linked and counts something."""
    if not hasattr(stage, "_getStreamMaster") and not hasattr(stage, "_getStreamSlave"):
        hint = "Of a link or packetizer take an end: transport() or application()."
        raise DeviceError("No stream end", seen=repr(stage), hint=hint)
    if getattr(stage, "counters", None) is None and not isinstance(stage, Slave):
        hint = "A StageCounters named counters makes a stage of it."
        raise DeviceError("The stage counts nothing", seen=repr(stage), hint=hint)


class Fifo(StageDevice):
    """Queue with a thread of its own; see `sapwood.streams.Fifo` for the parameters."""

    def __init__(
        self,
        name: str | None = None,
        description: str = "",
        maxDepth: int = 0,
        trimSize: int = 0,
        noCopy: bool = False,
        *,
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
