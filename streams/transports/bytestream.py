"""`TcpSource`: frames out of a TCP connection that carries plain bytes."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
import time

from sapwood.errors import ProtocolError, StreamError
from sapwood.streams.batch import FrameBatch
from sapwood.streams.gap import Gap
from sapwood.streams.protocols.framer import MAX_FRAME, Framer
from sapwood.streams.protocols.framing import Framing
from sapwood.streams.transports.receiver import Receiver

__all__ = ["TcpSource"]

_log = logging.getLogger("sapwood.stream.TcpSource")

_CONNECT_S = 5.0  # that a connection is given to come up
_MAX_CHANNEL = 255
_LAST_PORT = 65535


class TcpSource(Receiver):
    """Receives bytes, as client or server, and sends the frames that a rule finds in them.

    All that the kernel holds becomes one batch, over the memory it was received into, with the time of
    its arrival; slaves are served in the receiving thread, so that a slow one holds the sender back. The
    thread starts with the first link, or ``_start``. A connection that is refused, ends or breaks the
    rule is made again, after a pause that doubles up to a bound. A server takes one connection at a time;
    the next waits. Bytes skipped, and the frame that an end tears, become gaps.

    Parameters
    ----------
    framing
        The rule: `FixedSize`, `LengthPrefix`, `Delimited`, `SyncWord`, or one of your own.
    host, port
        To connect to; with `server` to listen at, where port 0 takes a free one, see `port`.
    server
        Wait for the sender to connect.
    channel
        Of the frames.
    maxFrame
        Payload bytes that a frame may have.
    retry
        Seconds of the first and of the longest pause.

    Attributes
    ----------
    counters
        Frames received; dropped: ``torn`` by the end of a connection, ``skipped`` (0 frames; bytes count).
    connections
        How many there were.

    Raises
    ------
    StreamError
        When the port is taken, or for arguments that make no sense.
    """

    def __init__(
        self,
        framing: Framing,
        host: str,
        port: int,
        *,
        server: bool = False,
        channel: int = 0,
        maxFrame: int = MAX_FRAME,
        retry: tuple[float, float] = (0.1, 5.0),
    ) -> None:
        super().__init__(_log)
        if not 0 <= channel <= _MAX_CHANNEL or not 0 < retry[0] <= retry[1]:
            raise StreamError(
                "No such channel or pause", expected=f"0..{_MAX_CHANNEL}, 0 < first <= longest",
                seen=f"{channel}, {retry}",
            )  # fmt: skip
        if not 0 <= port <= _LAST_PORT:
            raise StreamError("No such port", expected=f"0..{_LAST_PORT}", seen=port)
        self.connections = 0
        self.connected = False
        self._framing, self._maxFrame, self._channel = framing, maxFrame, channel
        Framer(framing, maxFrame)  # refuses a bound that makes no sense
        self._host, self.port, self._server, self._retry = host, port, server, retry
        self._socket = self._open_socket()

    def _listen(self) -> socket.socket:
        try:
            listener = socket.create_server((self._host, self.port), backlog=1)
        except (OSError, OverflowError) as error:
            raise StreamError(
                f"Failed to listen at {self._host}:{self.port}. Another process may be using it", seen=error
            ) from error
        self.port = int(listener.getsockname()[1])
        listener.setblocking(False)
        return listener

    def _open_socket(self) -> socket.socket | None:
        return self._listen() if self._server else None

    def _thread_name(self) -> str:
        return f"TcpSource-{self._host}:{self.port}"

    # Thread

    def _run(self, bell: int, link: socket.socket | None) -> None:
        listener, pause = link, self._retry[0]
        try:
            while not _wait(bell, None, 0, 0.0):
                began = self.counters.frames
                try:
                    connection = self._accept(bell, listener) if listener else self._connect(bell)
                    if connection is None:
                        return
                    self._serve(bell, connection)
                except (OSError, ProtocolError) as error:
                    self._note(error, f"The connection with {self._host}:{self.port} failed")
                pause = self._retry[0] if self.counters.frames > began else min(pause * 2, self._retry[1])
                if listener is None and _wait(bell, None, 0, pause):
                    return
        finally:
            os.close(bell)
            if listener is not None:
                listener.close()

    def _accept(self, bell: int, listener: socket.socket) -> socket.socket | None:
        while not _wait(bell, listener, select.POLLIN, None):
            with contextlib.suppress(BlockingIOError, ConnectionError):  # it is gone again
                return listener.accept()[0]
        return None

    def _connect(self, bell: int) -> socket.socket | None:
        family, kind, protocol, _, address = socket.getaddrinfo(
            self._host, self.port, type=socket.SOCK_STREAM
        )[0]
        link = socket.socket(family, kind, protocol)
        try:
            link.setblocking(False)
            code = link.connect_ex(address)
            if code == errno.EINPROGRESS:
                if _wait(bell, link, select.POLLOUT, _CONNECT_S):
                    link.close()
                    return None
                code = link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code), f"{self._host}:{self.port}")
            link.getpeername()  # raises while it is not up
        except OSError:
            link.close()
            raise
        return link

    def _serve(self, bell: int, link: socket.socket) -> None:
        """Deliver what comes until the far end closes, or the bell rings."""
        framer = Framer(self._framing, self._maxFrame, self._channel)
        self.connections += 1
        self.connected = True
        try:
            link.setblocking(False)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            while not _wait(bell, link, select.POLLIN, None):
                try:
                    count = link.recv_into(framer.room())
                except BlockingIOError:
                    continue
                if not count:
                    return
                for item in framer.received(count, time.time_ns()):
                    self._deliver(item)
        finally:
            self.connected = False
            link.close()
            for gap in framer.end():
                self._deliver(gap)

    def _deliver(self, item: FrameBatch | Gap) -> None:
        if isinstance(item, FrameBatch):
            self.counters.accept(len(item), item.nbytes)
        else:
            self.counters.accept(item.frames, item.bytes)
            self.counters.drop(item.reason, item.frames, item.bytes)
        super()._deliver(item)


def _wait(bell: int, link: socket.socket | None, events: int, seconds: float | None) -> bool:
    """Wait for events of `link`, at most `seconds`; True when the bell rang."""
    poll = select.poll()
    poll.register(bell, select.POLLIN)
    if link is not None:
        poll.register(link, events)
    ready = poll.poll(None if seconds is None else seconds * 1000)
    return any(descriptor == bell for descriptor, _ in ready)
