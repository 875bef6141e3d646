"""Datagrams of any senders as frames: sensors and boards that speak plain UDP."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import select
import socket
import sys
import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import StreamError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.gap import Gap
from sapwood.streams.payloadfield import PayloadField, Unwrapper
from sapwood.streams.transports.receiver import Receiver

__all__ = ["DatagramSource", "is_multicast"]

_log = logging.getLogger("sapwood.stream.DatagramSource")

_RXQ_OVFL = 40  # of Linux: datagrams that the kernel had no room for, so far
_UDP_GRO = 104  # of Linux: datagrams of one size that arrive together come as one train
_SLAB = 4 << 20  # bytes of memory that datagrams are received into, one after the other
_ROOM = 1 << 16  # for a datagram, or a train of them
_BATCH_BYTES = 1 << 20  # of datagrams that are sent onward together, about
_MOST = 1024  # datagrams, or trains, of a batch
_ANCILLARY = 64
_KERNEL_BYTES = 4 << 20  # asked for the queue of the kernel
_JOIN_S = 2.0
_LARGEST = 65507
_RESTART = 1024
_MAX_CHANNEL = 255

Sender = str | tuple[str, int]


class DatagramSource(Receiver):
    """Receives datagrams at a port; each is a frame.

    Datagrams that wait in the kernel become one batch, with the time of their arrival. They are received
    into one piece of memory after the other and delivered from the thread that receives, so that a slow
    receiver makes the kernel drop, not memory grow; what the kernel drops becomes a gap (``kernel``).
    The thread starts with the first link.

    Parameters
    ----------
    port
        Port to receive at; 0 takes a free one, see `port`.
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
    group
        Multicast group to join at the interface `host`; without a `host` at that of the route to the
        group, or of the default route. Several receivers of this machine may
        have the same group and port.
    restart
        A number so far behind the highest one is that of a sender that began again.

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
        When the port is taken, a sender unknown, a group cannot be joined, or a channel or size makes no
        sense.
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
        group: str | None = None,
        restart: int = _RESTART,
    ) -> None:
        channels = [channel, *(senders or {}).values()]
        if not 0 < maxSize <= _LARGEST or any(not 0 <= one <= _MAX_CHANNEL for one in channels):
            raise StreamError(
                "No such channel or size of a datagram", expected=f"0..{_MAX_CHANNEL}, 1..{_LARGEST} bytes",
                seen=f"{channels}, {maxSize} bytes",
            )  # fmt: skip
        known = None if senders is None else _resolved(senders)
        if group is not None and not is_multicast(group):
            raise StreamError("No such multicast group", expected="224.0.0.0 .. 239.255.255.255", seen=group)
        super().__init__(_log)
        self._most = maxSize
        self._senders, self._channel = known, channel
        self._overflow = 0
        self._sequence = sequence
        self._counts: dict[int, tuple[Unwrapper, int]] = {}  # by channel: numbers, and the highest so far
        self.lost = self.late = 0
        self._group, self._behind = group, restart
        self._host, self.port = host, port
        self._socket = self._open_socket()
        self._slab, self._at = np.empty(_SLAB, np.uint8), 0

    def _bind(self) -> socket.socket:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BYTES)
            if sys.platform == "linux":
                with contextlib.suppress(OSError):  # an old kernel tells less, and gives them one by one
                    one.setsockopt(socket.SOL_SOCKET, _RXQ_OVFL, 1)
                    one.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, 1)
            if self._group is None:
                one.bind((self._host, self.port))
            else:
                self._join(one, self._group)
        except StreamError:
            one.close()
            raise
        except (OSError, OverflowError) as error:
            one.close()
            raise StreamError(
                f"Failed to bind to local port {self.port}. Another process may be using it", seen=error
            ) from error
        self.port = int(one.getsockname()[1])
        return one

    def _join(self, one: socket.socket, group: str) -> None:
        """Bind to the group, which others may do too, and ask the network for its datagrams."""
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((group, self.port))
        interface = socket.gethostbyname(self._host) if self._host else "0.0.0.0"  # noqa: S104  # any of them
        member = socket.inet_aton(group) + socket.inet_aton(interface)
        try:
            one.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        except OSError as error:
            raise StreamError(
                f"Failed to join the multicast group {group} at {self._host or 'the default interface'}",
                seen=error,
                hint="host= is the address of the interface that the datagrams come in at.",
            ) from error

    def _open_socket(self) -> socket.socket:
        self._overflow = 0
        return self._bind()

    def _thread_name(self) -> str:
        return f"DatagramSource-{self.port}"

    # Receiving

    def _run(self, bell: int, link: socket.socket | None) -> None:
        if link is None:
            return
        poll = select.poll()
        poll.register(link, select.POLLIN)
        poll.register(bell, select.POLLIN)
        try:
            while all(descriptor != bell for descriptor, _ in poll.poll()):
                self._receive(link)
        finally:
            os.close(bell)
            link.close()

    def _receive(self, link: socket.socket) -> None:
        """Send onward what the kernel holds, up to one batch."""
        if len(self._slab) - self._at < _BATCH_BYTES + _ROOM:
            self._slab, self._at = np.empty(_SLAB, np.uint8), 0
        view, at = self._slab.data, self._at
        starts: list[int] = []
        sizes: list[int] = []
        channels: list[int] = []
        missed: list[tuple[int, Gap]] = []
        for _ in range(_MOST):
            try:
                size, extra, _, sender = link.recvmsg_into((view[at : at + _ROOM],), _ANCILLARY)
            except OSError:  # there is nothing more
                break
            step = self._look(extra, size, len(starts), missed)
            count = -(-size // step) if step else 1
            channel = self._channel_of(sender)
            reason = "source" if channel < 0 else "oversize" if step > self._most else ""
            if reason:
                self.counters.accept(count, size)
                self.counters.drop(reason, count, size)
                continue
            starts.extend(range(at, at + size, step) if size else (at,))
            sizes.extend([step] * (count - 1))
            sizes.append(size - step * (count - 1))
            channels.extend([channel] * count)
            at += size
            if at - self._at >= _BATCH_BYTES:
                break
        self._at = at
        if starts:
            self._forward(starts, sizes, channels, missed)

    def _channel_of(self, sender: tuple[str, int]) -> int:
        """Return the channel of a sender; -1 for one that is not known."""
        if self._senders is None:
            return self._channel
        return self._senders.get(sender, self._senders.get(sender[0], -1))

    def _look(
        self, extra: list[tuple[int, int, bytes]], size: int, place: int, missed: list[tuple[int, Gap]]
    ) -> int:
        """Return the size of the datagrams of a train; take note of what the kernel dropped before."""
        step = size
        for level, kind, value in extra:
            number = int.from_bytes(value[:4], sys.byteorder)
            if (level, kind) == (socket.IPPROTO_UDP, _UDP_GRO):
                step = number
            elif (level, kind) == (socket.SOL_SOCKET, _RXQ_OVFL) and number != self._overflow:
                count, self._overflow = (number - self._overflow) & 0xFFFFFFFF, number
                self.counters.accept(count, 0)
                self.counters.drop("kernel", count)
                missed.append((place, Gap(None, count, 0, "kernel", time.time_ns())))
        return step

    def _forward(
        self, starts: list[int], sizes: list[int], channels: list[int], gaps: list[tuple[int, Gap]]
    ) -> None:
        channel = (
            channels[0] if channels.count(channels[0]) == len(channels) else np.array(channels, np.uint8)
        )
        batch = FrameBatch(
            self._slab, np.array(starts, np.int64), np.array(sizes, np.int64),
            channel=channel, time=time.time_ns(),
        )  # fmt: skip
        self.counters.accept(len(batch), batch.nbytes)
        if self._sequence is not None:
            gaps = sorted(gaps + self._numbers_missing(batch, self._sequence), key=lambda gap: gap[0])
        done = 0
        for place, gap in gaps:
            if place > done:
                self._deliver(batch[done:place])
                done = place
            self._deliver(gap)
        self._deliver(batch[done:] if done else batch)

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
        again = np.flatnonzero(steps < -min(self._behind, 1 << (bits - 2)))
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


def is_multicast(host: str) -> bool:
    """Tell whether `host` is the address of a multicast group."""
    try:
        return ipaddress.IPv4Address(host).is_multicast
    except ValueError:
        return False


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
