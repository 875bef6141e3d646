"""Faults of whoever takes register requests: it waits, is slow, or overhears some."""

from __future__ import annotations

import threading
from collections import Counter

from sapwood.devices.board.faults import ALL, Window
from sapwood.errors import DeviceError, ProtocolError
from sapwood.streams import Frame, FrameBatch, Master, Slave
from sapwood.streams.protocols import srpv3

__all__ = ["RequestGate"]


class RequestGate(Master, Slave):
    """Stands between the network and the SRP server and spoils requests as it is told, at any time.

    While it holds, requests wait: first here, then in the board's RSSI, which says BUSY, then at
    the client.

    Attributes
    ----------
    hits
        Requests spoilt so far, by kind: ``held``, ``slow``, ``muted``.
    """

    def __init__(self) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self.hits: Counter[str] = Counter()
        self._news = threading.Condition()
        self._holding = self._stopping = False
        self._slow = 0.0
        self._muted: list[Window] = []

    @property
    def holding(self) -> bool:
        """Whether requests wait until `release`."""
        return self._holding

    @property
    def pause(self) -> float:
        """Seconds that each request waits."""
        return self._slow

    def hold(self) -> None:
        """Let all requests wait."""
        with self._news:
            self._holding = True

    def release(self) -> None:
        """Take what waits, and what comes."""
        with self._news:
            self._holding = False
            self._news.notify_all()

    def slow(self, seconds: float) -> None:
        """Take each request `seconds` later than the one before; DeviceError for less than none."""
        if not 0 <= seconds < threading.TIMEOUT_MAX:
            raise DeviceError("No such pause", expected=">= 0 s", seen=seconds)
        with self._news:
            self._slow = seconds
            self._news.notify_all()

    def mute(self, address: int = 0, size: int = ALL, count: int | None = None) -> None:
        """Throw away the next `count` requests (None: all) that touch `size` bytes from `address` on."""
        with self._news:
            self._muted.append(Window(address, address + size, count))

    def clear(self) -> None:
        """Take every request at once; `hits` stays."""
        with self._news:
            self._holding, self._slow = False, 0.0
            self._muted.clear()
            self._news.notify_all()

    def _acceptFrame(self, frame: Frame) -> None:
        if self._admits(frame):
            self._sendFrame(frame)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        if not (self._holding or self._slow or self._muted):
            self._sendBatch(batch)
            return
        for frame in batch.frames():
            self._acceptFrame(frame)

    def _admits(self, frame: Frame) -> bool:
        with self._news:
            if self._slow:
                self.hits["slow"] += 1
                self._news.wait_for(lambda: self._stopping or not self._slow, self._slow)
            if self._holding:
                self.hits["held"] += 1
                self._news.wait_for(lambda: self._stopping or not self._holding)
            if not self._muted:
                return True
            try:
                request = srpv3.decode_request(frame.buffer)
            except ProtocolError:
                return True  # the server tells of it
            end = request.address + request.size
            muted = any(window.spoils(request.address, end) for window in self._muted)
            self.hits["muted"] += muted
            return not muted

    def _start(self) -> None:
        """Wait again after a stop."""
        self._stopping = False

    def _stop(self) -> None:
        """Let go whoever waits."""
        with self._news:
            self._stopping = True
            self._news.notify_all()
