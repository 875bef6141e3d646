"""UDP as stream ends: one datagram, one frame."""

from __future__ import annotations

import contextlib
import errno
import logging
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import StreamError, combine
from sapwood.streams.batch import FrameBatch
from sapwood.streams.counters import StageCounters
from sapwood.streams.frame import Frame
from sapwood.streams.link import Master, Slave
from sapwood.streams.sinkerrors import SinkErrors
from sapwood.streams.transports.receiverole import ReceiveRole

__all__ = ["JUMBO_PAYLOAD", "STANDARD_PAYLOAD", "Awaiting", "Client", "Server"]

STANDARD_PAYLOAD = 1500 - 28
"""Largest payload of a datagram on an ordinary network, bytes."""

JUMBO_PAYLOAD = 9000 - 28
"""Largest payload of a datagram with jumbo frames, bytes."""

_SLAB = 1 << 20  # bytes of memory that datagrams are received into, one after the other
_MOST = 64  # datagrams, or trains of them, of a batch
_TRAIN_BYTES = 65507  # what the kernel takes at once
_TRAIN_MOST = 64  # datagrams it cuts that into
_UDP_SEGMENT, _UDP_GRO = 103, 104  # of Linux: the size to cut into, and leave to cut to the receiver
_LENGTH = struct.Struct("=H")
_ROOM = _TRAIN_BYTES + 29  # for a train
_ANCILLARY = 64
_KERNEL_BYTES = 4 << 20  # asked for the queues of the kernel
_SEND_S = 1.0  # that a full queue of the kernel is waited for
_JOIN_S = 2.0
_log = logging.getLogger("sapwood.stream.udp")


@runtime_checkable
class Awaiting(Protocol):
    """A slave whose users wait for answers: it is told who brings them.

    With `receiveWhile` such a user receives an answer itself, and `recall` leaves that to the thread.
    """

    def _fedBy(self, source: _Datagrams) -> None:
        """Take note of `source`, which was linked."""

    def _notFedBy(self, source: _Datagrams) -> None:
        """Forget `source`, which was unlinked."""


class _Datagrams(Master, Slave):
    """What client and server share: the socket, the thread that receives, and sending.

    The thread starts with the first link to a receiver. Datagrams that wait in the kernel become one
    batch. Datagrams of one size that are sent together, or arrived together, pass to or from the
    kernel as one train where it can do that (Linux); on the network they are datagrams like others.
    """

    def __init__(self, jumbo: bool, name: str) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self.counters = StageCounters()
        """What was received; dropped by ``oversize``, and at the server by ``source``."""
        self.sent = StageCounters()
        """What was to be sent; dropped by ``error``, ``oversize``, ``unconnected``, ``full``, ``failed``."""
        self._name = name
        self._limit = JUMBO_PAYLOAD if jumbo else STANDARD_PAYLOAD
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        for queue in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, queue, _KERNEL_BYTES)
        self._trains = sys.platform == "linux"
        if self._trains:
            with contextlib.suppress(OSError):  # an old kernel gives the datagrams one by one
                self._socket.setsockopt(socket.IPPROTO_UDP, _UDP_GRO, 1)
        self._bell, self._ringer = socket.socketpair()
        self._role = ReceiveRole(self._socket.fileno(), self._bell.fileno())
        self.refusal: tuple[float, OSError] | None = None
        """What the network last said of datagrams sent earlier, and when (monotonic, s)."""
        self._faults = SinkErrors(_log)
        self._life = threading.Lock()
        self._worker: threading.Thread | None = None
        self._stopping = False
        self._slab = np.empty(_SLAB, np.uint8)
        self._at = 0
        self._lone = memoryview(bytearray(_ROOM))  # for one datagram, or train, after a pause

    def maxPayload(self) -> int:
        """Return the largest payload of a datagram, bytes."""
        return self._limit

    def setRxBufferCount(self, count: int) -> bool:
        """Ask the kernel to hold `count` datagrams of full size; say whether it agrees."""
        wanted = count * (self._limit + 28)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
        given = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        if given < wanted:
            _log.critical(
                "%s: the kernel holds %d bytes, not %d: raise net.core.rmem_max", self._name, given, wanted
            )
        return given >= wanted

    @property
    def lastError(self) -> Exception | None:
        """The newest exception that a sink raised."""
        return self._faults.last

    # ------------------------------------------------------------ life

    def _addSlave(self, slave: object) -> None:
        """Link `slave`, and receive from now on; one that waits for answers may receive them itself."""
        super()._addSlave(slave)
        for linked in self._slaves[-1:]:
            if isinstance(linked, Awaiting):
                linked._fedBy(self)
        self._start()

    def _removeSlave(self, slave: object) -> None:
        before = self._slaves
        super()._removeSlave(slave)
        for gone in before:
            if gone not in self._slaves and isinstance(gone, Awaiting):
                gone._notFedBy(self)

    def receiveWhile(self, waits: Callable[[], bool], deadline: float) -> None:
        """Receive in the caller's thread while `waits()`, until monotonic time `deadline` (s).

        Returns at once when another thread is at it, or when more comes than answers one by one.
        """
        self._role.visit(waits, deadline, self._receive_one, self._seen)

    def recall(self) -> None:
        """Receive at once what `receiveWhile` may have left to the next call."""
        self._role.recall()

    def _seen(self) -> int:
        return self.counters.frames

    def _start(self) -> None:
        """Receive; after a stop there is no socket any more."""
        with self._life:
            if self._worker is None and not self._stopping:
                self._worker = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._worker.start()

    def _stop(self) -> None:
        """End the thread and close the socket."""
        with self._life:
            if self._stopping:
                return
            self._stopping = True
            worker = self._worker
            self._role.close()
            self._ringer.send(b"!")  # under the lock: the thread, once it saw the flag, closes this end too
        if worker is not None and worker is not threading.current_thread() and not self._role.is_mine:
            worker.join(_JOIN_S)
            if worker.is_alive():
                _log.warning("%s ends when the sink that holds it back returns", self._name)
                return
        if worker is None:
            self._close()

    close = _stop

    def _close(self) -> None:
        with self._life:
            for one in (self._socket, self._bell, self._ringer):
                one.close()

    # ------------------------------------------------------------ in

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(self._bell, select.POLLIN)
        role = self._role
        try:
            while not self._stopping:
                receive = self._receive
                if not poll.poll(0):  # what comes after a pause goes onward without a look for more
                    receive = self._receive_one
                    poll.poll()
                if role.take():
                    try:
                        if not self._stopping:
                            receive()
                    finally:
                        role.give()
        finally:
            self._close()

    def _receive_one(self) -> None:
        """Send one datagram onward, or one train, in memory of its own: the short way."""
        view = self._lone
        try:
            size, extra, _, sender = self._socket.recvmsg_into((view,), _ANCILLARY)
        except OSError as problem:  # as below
            self._heed(problem)
            return
        if not self._is_wanted(sender, size):
            return
        if not extra and size <= self._limit:
            self.counters.accept(1, size)
            try:
                self._sendFrame(Frame(bytes(view[:size])))
            except Exception as error:  # noqa: BLE001  # whatever a sink raises, the thread goes on
                self._note(error)
            return
        starts: list[int] = []
        sizes: list[int] = []
        self._divide(0, size, extra, starts, sizes)
        self._forward(np.frombuffer(bytes(view[:size]), np.uint8), starts, sizes)

    def _receive(self) -> None:
        """Send onward what the kernel holds, up to one batch."""
        starts: list[int] = []
        sizes: list[int] = []
        if self._at + _ROOM > _SLAB:
            self._slab, self._at = np.empty(_SLAB, np.uint8), 0
        view, at = self._slab.data, self._at
        for _ in range(_MOST):
            if at + _ROOM > _SLAB:
                break
            try:
                size, extra, _, sender = self._socket.recvmsg_into((view[at : at + _ROOM],), _ANCILLARY)
            except OSError as problem:  # nothing more; or nobody takes what was sent, says the network
                self._heed(problem)
                break
            if self._is_wanted(sender, size):
                self._divide(at, size, extra, starts, sizes)
                at += size
        self._at = at
        self._forward(self._slab, starts, sizes)

    def _heed(self, problem: OSError) -> None:
        if not isinstance(problem, BlockingIOError):
            self.refusal = time.monotonic(), problem

    def _divide(
        self, at: int, size: int, extra: list[tuple[int, int, bytes]], starts: list[int], sizes: list[int]
    ) -> None:
        """Add the places of the datagrams of a train, `size` bytes from `at` on; `extra` tells their size."""
        step, end = size, at + size
        for level, kind, value in extra:
            if (level, kind) == (socket.IPPROTO_UDP, _UDP_GRO):
                step = int.from_bytes(value[:4], sys.byteorder)
        if step > self._limit:
            count = -(-size // step)
            self.counters.accept(count, size)
            self.counters.drop("oversize", count, size)
        elif step == size:
            starts.append(at)
            sizes.append(size)
        else:
            starts.extend(range(at, end, step))
            sizes.extend([step] * (size // step))
            if size % step:
                sizes.append(size % step)

    def _is_wanted(self, sender: tuple[str, int], size: int) -> bool:
        """Return whether a datagram from `sender` is to be taken; a refused one is counted."""
        return True

    def _forward(self, memory: NDArray[np.uint8], starts: list[int], sizes: list[int]) -> None:
        """Count and send onward the datagrams that lie in `memory`."""
        if not starts:
            return
        self.counters.accept(len(starts), sum(sizes))
        try:
            if len(starts) == 1:
                self._sendFrame(Frame.of_view(memory.data[starts[0] : starts[0] + sizes[0]], 0, 0, 0))
            else:
                start, size = np.array(starts, np.int64), np.array(sizes, np.int64)
                self._sendBatch(FrameBatch.of_places(memory, start, size, time.time_ns()))
        except Exception as error:  # noqa: BLE001  # whatever a sink raises, the thread goes on
            self._note(error)

    def _note(self, error: Exception) -> None:
        self._faults.note(error)
        self.counters.errors = self._faults.count

    # ------------------------------------------------------------ out

    def _acceptFrame(self, frame: Frame) -> None:
        """Send `frame` as one datagram.

        Raises
        ------
        StreamError
            When it is larger than a datagram.
        """
        self.sent.accept(1, frame.size)
        self._emit(frame.buffer, frame.error)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        """Send each frame of `batch` as one datagram.

        Raises
        ------
        StreamError
            When frames are larger than a datagram; the others are sent.
        """
        self.sent.accept(len(batch), batch.nbytes)
        view = batch.payload.data
        starts, sizes = batch.start.tolist(), batch.size.tolist()
        errors = batch.error.tolist() if batch.error.any() else None
        problems: list[Exception] = []
        at = 0
        while at < len(starts):
            count = _train(starts, sizes, at, self._limit) if self._trains and errors is None else 1
            end = starts[at + count - 1] + sizes[at + count - 1]
            if count == 1 or not self._put_train(view[starts[at] : end], sizes[at]):
                for one in range(at, at + count):
                    try:
                        self._emit(view[starts[one] : starts[one] + sizes[one]], errors[one] if errors else 0)
                    except StreamError as problem:
                        problems.append(problem)
            at += count
        if problems:
            raise combine(f"{len(problems)} frames were not sent", problems[:8], StreamError)

    def _put_train(self, payload: memoryview, step: int) -> bool:
        """Send datagrams of `step` bytes that lie one after the other; False when none was sent."""
        extra = ((socket.IPPROTO_UDP, _UDP_SEGMENT, _LENGTH.pack(step)),)
        try:
            self._socket.sendmsg((payload,), extra, 0, *self._target())
        except BlockingIOError:
            return False  # one by one they wait for room
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT):
                self._trains = False  # the interface cannot do it
            return False
        return True

    def _target(self) -> tuple[tuple[str, int], ...]:
        """Return the address to send to, where it has to be told."""
        return ()

    def _emit(self, payload: bytes | bytearray | memoryview, error: int) -> None:
        if error:
            self.sent.drop("error", 1, len(payload))
            return
        if len(payload) > self._limit:
            self.sent.drop("oversize", 1, len(payload))
            raise StreamError(
                "Frame is larger than a datagram",
                path=self._name,
                expected=f"at most {self._limit} bytes",
                seen=f"{len(payload)} bytes",
            )
        reason = self._try_to_put(payload)
        if reason:
            self.sent.drop(reason, 1, len(payload))

    def _try_to_put(self, payload: bytes | bytearray | memoryview) -> str:
        """Send a datagram; return why it could not be sent, or nothing."""
        deadline = 0.0
        refused = False
        while True:
            try:
                return self._put(payload)
            except BlockingIOError:
                deadline = deadline or time.monotonic() + _SEND_S
                left = deadline - time.monotonic()
                if left <= 0 or self._stopping:
                    return "full"
                self._wait_for_room(left)
            except ConnectionRefusedError as problem:  # the network's word on a datagram sent earlier
                self._heed(problem)
                if refused:
                    return "failed"
                refused = True
            except OSError as problem:
                self._heed(problem)
                return "failed"
            except ValueError:
                return "failed"

    def _wait_for_room(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        poll.poll(max(1, int(seconds * 1000)))

    def _put(self, payload: bytes | bytearray | memoryview) -> str:
        """Hand a datagram to the kernel; return why it cannot be sent, or nothing."""
        self._socket.send(payload)
        return ""


def _train(starts: list[int], sizes: list[int], first: int, limit: int) -> int:
    """Return how many datagrams from `first` on can go as one train.

    They lie one after the other and have one size, but for the last that may be smaller.
    """
    step, end = sizes[first], starts[first] + sizes[first]
    if not 0 < step <= limit:
        return 1
    last = min(len(starts), first + min(_TRAIN_MOST, _TRAIN_BYTES // step))
    for at in range(first + 1, last):
        if starts[at] != end or not 0 < sizes[at] <= step:
            return at - first
        if sizes[at] < step:
            return at - first + 1
        end += step
    return max(last - first, 1)


class Client(_Datagrams):
    """Sends datagrams to a server and receives what it sends back.

    Only datagrams that come from the server's own address and port are received.

    Parameters
    ----------
    host, port
        Of the server; IPv4.
    jumbo
        Datagrams of up to 8972 bytes, not 1472.

    Raises
    ------
    StreamError
        When the host is unknown.
    """

    def __init__(self, host: str, port: int, jumbo: bool) -> None:
        super().__init__(jumbo, f"udp.Client {host}:{port}")
        try:
            self._socket.connect((host, port))
        except (OSError, OverflowError) as error:
            self._close()
            raise StreamError(f"Failed to resolve or reach {host}:{port}", seen=error) from error


class Server(_Datagrams):
    """Receives datagrams at a port and sends to whoever sent the last one.

    Parameters
    ----------
    port
        Port to receive at; 0 takes a free one.
    jumbo
        Datagrams of up to 8972 bytes, not 1472.
    host
        Address of the interface to receive at; all by default.
    source
        Whose datagrams are taken: None for anybody's, ``first`` for those of the first sender, else
        those of this host. Others are dropped and counted by ``source``.

    Raises
    ------
    StreamError
        When the port is taken, or the source unknown.
    """

    def __init__(self, port: int, jumbo: bool, *, host: str = "", source: str | None = None) -> None:
        super().__init__(jumbo, f"udp.Server {port}")
        self._peer: tuple[str, int] | None = None
        self._pinned = source == "first"
        self._source = None
        try:
            self._socket.bind((host, port))
            if source is not None and not self._pinned:
                self._source = socket.gethostbyname(source)
        except socket.gaierror as error:
            self._close()
            raise StreamError(f"Unknown host {source or host}", seen=error) from error
        except (OSError, OverflowError) as error:
            self._close()
            raise StreamError(
                f"Failed to bind to local port {port}. Another process may be using it", seen=error
            ) from error

    def getPort(self) -> int:
        """Return the port."""
        return int(self._socket.getsockname()[1])

    @property
    def peer(self) -> tuple[str, int] | None:
        """Address and port that is sent to; None before anything came."""
        return self._peer

    def _is_wanted(self, sender: tuple[str, int], size: int) -> bool:
        if sender != self._peer:
            foreign = self._source is not None and sender[0] != self._source
            if foreign or (self._pinned and self._peer is not None):
                self.counters.accept(1, size)
                self.counters.drop("source", 1, size)
                return False
            self._peer = sender
        return True

    def _target(self) -> tuple[tuple[str, int], ...]:
        return () if self._peer is None else (self._peer,)

    def _put(self, payload: bytes | bytearray | memoryview) -> str:
        peer = self._peer
        if peer is None:
            return "unconnected"
        self._socket.sendto(payload, peer)
        return ""
