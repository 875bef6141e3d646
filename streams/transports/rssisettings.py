"""Parameters and counters of an RSSI link under the names that Rogue gives them."""

from __future__ import annotations

from dataclasses import replace

from sapwood.errors import StreamError
from sapwood.streams.protocols.rssi import RssiCore, RssiCounters

__all__ = ["RssiSettings"]


class RssiSettings:
    """Getters and setters of a link.

    ``setLoc...`` change what this end asks for at the next opening (times in milliseconds; 0 and
    values out of range raise `StreamError`), ``cur...`` return what both ends agreed on.
    """

    def __init__(self, core: RssiCore) -> None:
        self._core = core

    def _ask(self, **values: int) -> None:
        self._core.local = replace(self._core.local, **values)

    def getLocTryPeriod(self) -> int:
        """Return the time between two calls of a client, ms."""
        return round(self._core.try_period * 1000)

    def setLocTryPeriod(self, value: int) -> None:
        """Set the time between two calls of a client, ms."""
        if not 1 <= value <= 0xFFFFFFFF:
            raise StreamError("Invalid value for the RSSI try period", expected=">= 1 ms", seen=value)
        self._core.try_period = value / 1000

    def getLocMaxBuffers(self) -> int:
        """Return how many segments may be unacknowledged."""
        return self._core.local.max_buffers

    def setLocMaxBuffers(self, value: int) -> None:
        """Set how many segments may be unacknowledged, 1..255 (more than 127 count as 127)."""
        self._ask(max_buffers=value)

    def getLocMaxSegment(self) -> int:
        """Return the largest segment, header included, bytes."""
        return self._core.local.max_segment

    def setLocMaxSegment(self, value: int) -> None:
        """Set the largest segment, header included, bytes."""
        self._ask(max_segment=value)

    def getLocCumAckTout(self) -> int:
        """Return the longest delay of an acknowledge, ms."""
        return self._core.local.cum_ack_tout

    def setLocCumAckTout(self, value: int) -> None:
        """Set the longest delay of an acknowledge, ms."""
        self._ask(cum_ack_tout=value)

    def getLocRetranTout(self) -> int:
        """Return the age at which a segment is sent again, ms."""
        return self._core.local.retran_tout

    def setLocRetranTout(self, value: int) -> None:
        """Set the age at which a segment is sent again, ms."""
        self._ask(retran_tout=value)

    def getLocNullTout(self) -> int:
        """Return the NULL time-out, ms: after a third of it an idle end sends a sign of life."""
        return self._core.local.null_tout

    def setLocNullTout(self, value: int) -> None:
        """Set the NULL time-out, ms."""
        self._ask(null_tout=value)

    def getLocMaxRetran(self) -> int:
        """Return how often a segment is sent before the link counts as broken."""
        return self._core.local.max_retran

    def setLocMaxRetran(self, value: int) -> None:
        """Set how often a segment is sent before the link counts as broken, 1..255."""
        self._ask(max_retran=value)

    def getLocMaxCumAck(self) -> int:
        """Return after how many segments an acknowledge is sent at once."""
        return self._core.local.max_cum_ack

    def setLocMaxCumAck(self, value: int) -> None:
        """Set after how many segments an acknowledge is sent at once, 1..255."""
        self._ask(max_cum_ack=value)

    def curMaxBuffers(self) -> int:
        """Return how many segments may be unacknowledged."""
        return self._core.current.max_buffers

    def curMaxSegment(self) -> int:
        """Return the largest segment, header included, bytes."""
        return self._core.current.max_segment

    def curCumAckTout(self) -> int:
        """Return the longest delay of an acknowledge, ms."""
        return self._core.current.cum_ack_tout

    def curRetranTout(self) -> int:
        """Return the age at which a segment is sent again, ms."""
        return self._core.current.retran_tout

    def curNullTout(self) -> int:
        """Return the NULL time-out, ms."""
        return self._core.current.null_tout

    def curMaxRetran(self) -> int:
        """Return how often a segment is sent before the link counts as broken."""
        return self._core.current.max_retran

    def curMaxCumAck(self) -> int:
        """Return after how many segments an acknowledge is sent at once."""
        return self._core.current.max_cum_ack

    def maxPayload(self) -> int:
        """Return the largest frame of the application, bytes."""
        return self._core.max_payload

    def getOpen(self) -> bool:
        """Return whether the link is open."""
        return self._core.is_open

    def getDownCount(self) -> int:
        """Return how often the open link broke."""
        return self._core.counters.down

    def getDropCount(self) -> int:
        """Return how many segments that arrived were not used."""
        return sum(list(self._core.counters.dropped.values()))

    def getDropReasons(self) -> dict[str, int]:
        """Return how many segments that arrived were not used, by reason."""
        return dict(self._core.counters.dropped)

    def getRetranCount(self) -> int:
        """Return how many segments were sent again."""
        return self._core.counters.retransmitted

    def getLocBusy(self) -> bool:
        """Return whether the application leaves too much waiting here."""
        return self._core.local_busy

    def getLocBusyCnt(self) -> int:
        """Return how often this end became busy."""
        return self._core.counters.local_busy

    def getRemBusy(self) -> bool:
        """Return whether the other end is busy."""
        return self._core.remote_busy

    def getRemBusyCnt(self) -> int:
        """Return how often the other end became busy."""
        return self._core.counters.remote_busy

    def resetCounters(self) -> None:
        """Set all counters to zero."""
        self._core.counters = RssiCounters()
