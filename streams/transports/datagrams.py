"""Datagrams of any senders as frames: sensors and boards that speak plain UDP."""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import StreamError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.gap import Gap
from sapwood.streams.link import drain
from sapwood.streams.payloadfield import PayloadField, Unwrapper
from sapwood.streams.transports.udp import Server

__all__ = ["DatagramSource"]

_RXQ_OVFL = 40  # of Linux: datagrams that the kernel had no room for, so far
_LARGEST = 65507
_RESTART = 1024  # a number so far behind is that of a sender that began again
_MAX_CHANNEL = 255

Sender = str | tuple[str, int]


class DatagramSource(Server):
    """Receives datagrams at a port; each is a frame. Frames linked to it are sent to the last sender.

    Datagrams that wait in the kernel become one batch, with the time of their arrival. They are received
    into one piece of memory after the other and delivered from the thread that receives, so that a slow
    receiver makes the kernel drop, not memory grow; what the kernel drops becomes a gap (``kernel``).
    The thread starts with the first link.

    Parameters
    ----------
    port
        Port to receive at; 0 takes a free one, see `getPort`.
    host
        Address of the interface to receive at; all by default.
    senders
        Channel by sender, ``"10.0.0.5"`` or ``("10.0.0.5", 4000)``; others are dropped (``source``).
        None: anybody's datagrams are taken.
    channel
        Channel of the frames when there are no `senders`.
    sequence
        A number in each datagram that grows by one, for each channel of its own: numbers that are missing
        become a gap (``lost``) before the frame that comes next.
    maxSize
        Bytes of a datagram; larger ones are dropped (``oversize``).

    Attributes
    ----------
    counters
        Frames received, and dropped by ``source``, ``oversize``, ``kernel``.
    lost
        Numbers that were missing when a later one came.
    late
        Frames whose number was not above those before: reordered on the way, or sent twice.

    Raises
    ------
    StreamError
        When the port is taken, a sender unknown, or a channel or size makes no sense.
    """

    def __init__(
        self,
        port: int,
        *,
        host: str = "",
        senders: Mapping[Sender, int] | None = None,
        channel: int = 0,
        sequence: PayloadField | None = None,
        maxSize: int = _LARGEST,
    ) -> None:
        channels = [channel, *(senders or {}).values()]
        if not 0 < maxSize <= _LARGEST or any(not 0 <= one <= _MAX_CHANNEL for one in channels):
            raise StreamError(
                "No such channel or size of a datagram", expected=f"0..{_MAX_CHANNEL}, 1..{_LARGEST} bytes",
                seen=f"{channels}, {maxSize} bytes",
            )  # fmt: skip
        known = None if senders is None else _resolved(senders)
        super().__init__(port, True, host=host)
        self._limit = maxSize
        self._senders = known
        self._channel = self._current = channel
        self._channels: list[int] = []
        self._overflow = 0
        self._missed: list[tuple[int, Gap]] = []
        self._sequence = sequence
        self._counts: dict[int, tuple[Unwrapper, int]] = {}  # by channel: numbers, and the highest so far
        self.lost = self.late = 0
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, _RXQ_OVFL, 1)

    def _is_wanted(self, sender: tuple[str, int], size: int) -> bool:
        if self._senders is not None:
            found = self._senders.get(sender, self._senders.get(sender[0], -1))
            if found < 0:
                self.counters.accept(1, size)
                self.counters.drop("source", 1, size)
                return False
            self._current = found
        self._peer = sender
        return True

    def _divide(
        self, at: int, size: int, extra: list[tuple[int, int, bytes]], starts: list[int], sizes: list[int]
    ) -> None:
        before = len(starts)
        for level, kind, value in extra:
            if (level, kind) == (socket.SOL_SOCKET, _RXQ_OVFL):
                total = int.from_bytes(value[:4], sys.byteorder)
                missed, self._overflow = (total - self._overflow) & 0xFFFFFFFF, total
                if missed:
                    self.counters.accept(missed, 0)
                    self.counters.drop("kernel", missed)
                    self._missed.append((before, Gap(None, missed, 0, "kernel", time.time_ns())))
        super()._divide(at, size, extra, starts, sizes)
        self._channels.extend([self._current] * (len(starts) - before))

    def _forward(self, starts: list[int], sizes: list[int]) -> None:
        channels, self._channels = self._channels, []
        gaps, self._missed = self._missed, []
        channel = (
            channels[0] if channels.count(channels[0]) == len(channels) else np.array(channels, np.uint8)
        )
        batch = FrameBatch(
            self._slab, np.array(starts, np.int64), np.array(sizes, np.int64),
            channel=channel, time=time.time_ns(),
        )  # fmt: skip
        if self._sequence is not None:
            gaps += self._numbers_missing(batch, self._sequence)
            gaps.sort(key=lambda gap: gap[0])
        try:
            done = 0
            for place, gap in gaps:
                if place > done:
                    self._sendBatch(batch[done:place])
                    done = place
                self._sendGap(gap)
            self._sendBatch(batch[done:] if done else batch)
        except Exception as error:  # noqa: BLE001  # whatever a sink raises, the thread goes on
            self._faults.note(error)
            self.counters.errors = self._faults.count

    def _numbers_missing(self, batch: FrameBatch, sequence: PayloadField) -> list[tuple[int, Gap]]:
        values, there = sequence.read(batch)
        gaps: list[tuple[int, Gap]] = []
        for channel in np.unique(batch.channel).tolist():
            rows = np.flatnonzero(there & (batch.channel == channel))
            while len(rows):
                rows = self._follow(channel, rows, values, sequence.bits, gaps)
        return gaps

    def _follow(
        self,
        channel: int,
        rows: NDArray[np.int64],
        values: NDArray[np.int64],
        bits: int,
        gaps: list[tuple[int, Gap]],
    ) -> NDArray[np.int64]:
        """Compare the numbers of `rows`; return those left from where the sender began again."""
        fresh = channel not in self._counts
        unwrap, top = (Unwrapper(bits), 0) if fresh else self._counts[channel]
        numbers = unwrap(values[rows])
        tops = np.maximum.accumulate(np.concatenate(([numbers[0] - 1 if fresh else top], numbers)))
        steps = numbers - tops[:-1]
        again = np.flatnonzero(steps < -min(_RESTART, 1 << (bits - 2)))
        end = int(again[0]) if len(again) else len(rows)
        self.late += int(np.count_nonzero(steps[:end] <= 0))
        for at in np.flatnonzero(steps[:end] > 1).tolist():
            missing = int(steps[at]) - 1
            self.lost += missing
            gaps.append((int(rows[at]), Gap(channel, missing, 0, "lost", time.time_ns())))
        if end < len(rows):
            self._counts.pop(channel, None)
        else:
            self._counts[channel] = unwrap, int(tops[-1])
        return rows[end:]

    # Life

    def _quiesce(self, deadline: float) -> None:
        """Receive no more."""
        self._stop()

    def _drain(self, deadline: float) -> bool:
        """Wait for the queues behind to run empty; nothing is held here."""
        return drain(self, deadline)

    def abort(self) -> None:
        """Receive no more; nothing is held that could be dropped."""
        self._stop()


def _resolved(senders: Mapping[Sender, int]) -> dict[Sender, int]:
    """Return `senders` with addresses for names."""
    found: dict[Sender, int] = {}
    for sender, channel in senders.items():
        host = sender if isinstance(sender, str) else sender[0]
        try:
            address = socket.gethostbyname(host)
        except OSError as error:
            raise StreamError(f"Unknown host {host}", seen=error) from error
        found[address if isinstance(sender, str) else (address, sender[1])] = channel
    return found
