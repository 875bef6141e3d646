"""Readouts on a network: one record a datagram, received and sent as frames."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import StreamError
from sapwood.fileio.apx.readout import HEAD, MARKER, AbstractAstroPixReadout
from sapwood.fileio.apx.writer import encode
from sapwood.streams import FrameBatch, Gap, PayloadField, Slave, StageCounters
from sapwood.streams.framequeue import Flow
from sapwood.streams.sinkerrors import SinkErrors
from sapwood.streams.transports.datagrams import DatagramSource, Sender, is_multicast
from sapwood.streams.windows import windows

__all__ = ["HOST", "LARGEST", "PORT", "ReadoutSender", "ReadoutSource", "without_heads"]

_LOG = logging.getLogger("sapwood.fileio")

HOST, PORT = "127.0.0.1", 5007
LARGEST = 65507  # bytes of a datagram
_TTL = 2
_RESTART = 16  # readouts that a count falls behind when its sender began again
_LATEST = np.uint64(np.iinfo(np.int64).max)  # times of frames are signed
_HEADS = np.dtype([("marker", "u1", 3), ("readout_id", "<u4"), ("timestamp", "<u8"), ("size", "<u4")])
_MARKER = np.frombuffer(MARKER, np.uint8)


def _heads(batch: FrameBatch) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
    """Return the heads of frames that are records, and which frames are: marker and size are right."""
    heads = np.zeros(len(batch), _HEADS)
    whole: NDArray[np.bool_] = batch.size >= HEAD.size
    place = batch.start[whole]
    if len(place):
        heads[whole] = windows(batch.payload, HEAD.size)[place].view(_HEADS)
    whole = whole & (heads["marker"] == _MARKER).all(axis=1) & (heads["size"] == batch.size - HEAD.size)
    return heads, whole


def _times(heads: NDArray[np.void]) -> NDArray[np.int64]:
    times: NDArray[np.uint64] = heads["timestamp"]
    return np.where(times <= _LATEST, times, np.uint64(0)).astype(np.int64)


def without_heads(batch: FrameBatch) -> tuple[FrameBatch, NDArray[np.uint32], NDArray[np.uint64]] | None:
    """Return data, ids and times of frames that are whole records; None when one of them is not."""
    heads, whole = _heads(batch)
    if not whole.all():
        return None
    data = batch.replace(start=batch.start + HEAD.size, size=batch.size - HEAD.size, time=_times(heads))
    return data, heads["readout_id"].copy(), heads["timestamp"].copy()


class _ReadoutIds(PayloadField):
    """The counts of readouts; what is no readout has none."""

    def read(self, batch: FrameBatch) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the counts, and which frames have one."""
        heads, whole = _heads(batch)
        return heads["readout_id"].astype(np.int64), whole


class ReadoutSource(DatagramSource):
    """Receives readouts; each is a frame: the bytes of the board, with the time of the readout.

    Counts that are missing become a gap (``lost``), also those of datagrams that the kernel had no
    room for. What is no readout is dropped (``malformed``).

    Parameters
    ----------
    port
        Port to receive at; 0 takes a free one, see `port`.
    host
        Address to receive at, or a multicast group, which several receivers may share.
    interface
        Address of the interface that a group is joined at; the system's choice when left out.
    records
        Frames are whole records, as in a file, so that the counts of the readouts stay known.
    senders, channel
        See `DatagramSource`.

    Attributes
    ----------
    lost
        Readouts that were missing when a later one came.
    late
        Readouts that came behind a later one, or twice.

    Raises
    ------
    StreamError
        When the port is taken, or the group cannot be joined.
    """

    def __init__(
        self,
        port: int = PORT,
        *,
        host: str = HOST,
        interface: str = "",
        records: bool = False,
        senders: Mapping[Sender, int] | None = None,
        channel: int = 0,
    ) -> None:
        group = host if is_multicast(host) else None
        super().__init__(
            port,
            host=host if group is None else interface,
            group=group,
            senders=senders,
            channel=channel,
            sequence=_ReadoutIds(len(MARKER), "<u4"),
            restart=_RESTART,
        )
        self._records = records

    def _sendBatch(self, batch: FrameBatch) -> None:
        heads, whole = _heads(batch)
        if not whole.all():
            bad = batch[~whole]
            self.counters.drop("malformed", len(bad), bad.nbytes)
            batch, heads = batch[whole], heads[whole]
        if not len(batch):
            return
        at = 0 if self._records else HEAD.size
        super()._sendBatch(batch.replace(start=batch.start + at, size=batch.size - at, time=_times(heads)))

    def _sendGap(self, gap: Gap) -> None:
        """Tell of readouts that are missing; those that the kernel dropped are among them."""
        if gap.reason != "kernel":
            super()._sendGap(gap)


class ReadoutSender(Slave):
    """Sends readouts, one record a datagram.

    Frames are the bytes of a board, numbered from 0 on, or whole records, which go out as they
    are; the time of a frame that has none is now. A gap leaves its numbers out, so that receivers
    notice it.

    Parameters
    ----------
    host, port
        Where to: an address, a name or a multicast group.
    interface
        Address of the interface that datagrams to a group leave by; the system's choice when left out.
    ttl
        Networks that datagrams to a group may cross.

    Attributes
    ----------
    counters
        Readouts taken, and dropped: ``oversize`` for a datagram, ``network`` when the system refused.

    Raises
    ------
    StreamError
        When the host is unknown, or there is no such interface.
    """

    def __init__(self, host: str = HOST, port: int = PORT, *, interface: str = "", ttl: int = _TTL) -> None:
        super().__init__()
        self.counters = StageCounters()
        self._faults = SinkErrors(_LOG)
        self._next_id = 0
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.address = (socket.gethostbyname(host), port)
            if is_multicast(self.address[0]):
                self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
                if interface:
                    place = socket.inet_aton(socket.gethostbyname(interface))
                    self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, place)
        except OSError as error:
            self._socket.close()
            raise StreamError(f"Failed to send to {host}:{port}", seen=error) from error

    @property
    def lastError(self) -> Exception | None:
        """The newest refusal of the system."""
        return self._faults.last

    def flow(self) -> Flow:
        """Return the readouts taken, sent, held (none) and dropped."""
        accepted, dropped = self.counters.frames, self.counters.dropped_total
        return Flow(accepted, accepted - dropped, 0, dropped)

    def send(self, readout: AbstractAstroPixReadout) -> bool:
        """Send one readout with the count and the time that it has; tell whether it went out."""
        with self._lock:
            return self._put(readout.to_bytes())

    def _acceptBatch(self, batch: FrameBatch) -> None:
        with self._lock:
            if without_heads(batch) is None:
                self._put_all(self._numbered(batch))
            else:
                self._put_all(batch.compact().payload)

    def _numbered(self, batch: FrameBatch) -> NDArray[np.uint8]:
        count = ((np.arange(len(batch)) + self._next_id) & 0xFFFFFFFF).astype(np.uint32)
        self._next_id += len(batch)
        times = np.where(batch.time > 0, batch.time, time.time_ns()).astype(np.uint64)
        return encode(batch, count, times)

    def _acceptGap(self, gap: Gap) -> None:
        with self._lock:
            self._next_id += gap.frames

    def _put_all(self, records: NDArray[np.uint8]) -> None:
        view, at = records.data, 0
        while at < len(view):
            behind = at + HEAD.size + HEAD.unpack_from(view, at)[3]
            self._put(view[at:behind])
            at = behind

    def _put(self, record: bytes | memoryview) -> bool:
        size = len(record)
        self.counters.accept(1, size)
        if size > LARGEST:
            self.counters.drop("oversize", 1, size)
            return False
        try:
            self._socket.sendto(record, self.address)
        except OSError as error:
            self._faults.note(error)
            self.counters.drop("network", 1, size)
            return False
        return True

    def _stop(self) -> None:
        """Close the socket; what comes later is dropped."""
        with contextlib.suppress(OSError):
            self._socket.close()

    close = _stop
