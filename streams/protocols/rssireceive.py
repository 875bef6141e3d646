"""Segments that arrive at an RSSI link: brought into order, each taken once, and acknowledged."""

from __future__ import annotations

from sapwood.streams.batch import FrameBatch
from sapwood.streams.protocols.rssisend import MAX_WINDOW, Data

__all__ = ["ReceiveWindow"]

_HALF = 0x80


class ReceiveWindow:
    """Keeps the order of arriving segments and knows what to acknowledge.

    Parameters
    ----------
    size
        Segments that the other end may send beyond the last acknowledged one.
    last
        Sequence number that counts as received (that of the SYN).

    Attributes
    ----------
    received
        Payloads in order, alone or in batches, to be taken away by the owner.
    pending
        Segments taken since the last acknowledge.
    urgent
        An acknowledge is to be sent without delay.
    gapped
        Segments came before their turn since the last acknowledge: one is missing, or late.
    """

    def __init__(self, size: int, last: int) -> None:
        self.received: list[Data | FrameBatch] = []
        self.pending = 0
        self.urgent = False
        self.gapped = False
        self._size = min(size, MAX_WINDOW)
        self._next = (last + 1) & 0xFF
        self._told = last  # newest acknowledge sent
        self._ahead: dict[int, Data] = {}  # came before their turn, by sequence number

    def take(self, sequence: int, payload: Data) -> str | None:
        """Take a segment (of a NULL segment the payload is empty); return why it is dropped, or None."""
        if (sequence - self._told - 1) & 0xFF >= self._size:
            self.urgent = True  # so that the sender learns where we are
            return "duplicate" if (self._told - sequence) & 0xFF < self._size else "window"
        ahead = (sequence - self._next) & 0xFF
        if ahead:
            self.urgent = True
            if ahead >= _HALF or sequence in self._ahead:
                return "duplicate"
            self.gapped = True
            self._ahead[sequence] = bytes(payload)  # shall not keep the buffer it lies in
            return None
        self._accept(payload)
        while self._ahead and (waiting := self._ahead.pop(self._next, None)) is not None:
            self._accept(waiting)
        return None

    def room_for_run(self, sequence: int) -> int:
        """Return how many segments from `sequence` on can be taken at once; 0 when others come first."""
        if sequence != self._next or self._ahead:
            return 0
        return self._size - ((sequence - self._told - 1) & 0xFF)

    def take_run(self, payloads: FrameBatch) -> None:
        """Take segments in order, none of them empty, for which there is room."""
        self.received.append(payloads)
        self._next = (self._next + len(payloads)) & 0xFF
        self.pending += len(payloads)

    @property
    def is_missing(self) -> bool:
        """A segment is missing of which the other end does not know: acknowledges tell it by a repetition."""
        return self.gapped and bool(self._ahead) and bool(self.pending)

    def _accept(self, payload: Data) -> None:
        if len(payload):
            self.received.append(payload)
        self._next = (self._next + 1) & 0xFF
        self.pending += 1

    def acknowledge(self, frozen: bool) -> int:
        """Return the number that acknowledges all that was taken; the last one again when `frozen`."""
        self.urgent = self.gapped = False
        if not frozen:
            self.pending = 0
            self._told = (self._next - 1) & 0xFF
        return self._told
