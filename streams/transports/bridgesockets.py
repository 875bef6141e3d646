"""The two sockets of one end of a stream bridge."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sapwood.errors import StreamError
from sapwood.streams.transports.bridgemessage import MAX_PART, Buffer

__all__ = ["BridgeSockets"]

_WATERMARK = 1000  # messages on their way in each direction
_ZERO_COPY = 1 << 16  # bytes from which on a part is handed over, not copied
_PORT_TRIES = 50
_LAST_PORT = 65534  # as the lower one of two
_Result = TypeVar("_Result")


class BridgeSockets:
    """A PUSH socket, which only the sending thread uses, and a PULL socket, only for the receiving one.

    Both threads wait here, and both return when `ring` is called.
    """

    def __init__(self) -> None:
        import zmq
        from zmq.utils.monitor import recv_monitor_message

        self._zmq = zmq
        self._read_event = recv_monitor_message
        self._busy: type[Exception] = zmq.Again
        self._now, self._more = int(zmq.NOBLOCK), int(zmq.SNDMORE)
        self._context = zmq.Context()
        self._push: Any = self._context.socket(zmq.PUSH)
        self._pull: Any = self._context.socket(zmq.PULL)
        for one in (self._push, self._pull):
            one.linger = 0
            one.sndhwm = one.rcvhwm = _WATERMARK
        self._push.immediate = True
        self._pull.maxmsgsize = MAX_PART
        events = zmq.EVENT_ACCEPTED | zmq.EVENT_CONNECTED | zmq.EVENT_DISCONNECTED
        self._monitor: Any = self._push.get_monitor_socket(events)
        self._bell, self._ringer = socket.socketpair()
        self.rung = False

    # Opening

    def bind(self, host: str, port: int) -> int:
        """Receive at `port`, send from the one above; port 0 takes a free pair. Returns the lower port.

        Raises
        ------
        StreamError
            When a port is taken, or there are no such two.
        """
        self._check(port)
        if port:
            self._open(lambda: self._pull.bind(f"tcp://{host}:{port}"), "bind server to", host, port)
            self._open(lambda: self._push.bind(f"tcp://{host}:{port + 1}"), "bind server to", host, port + 1)
            return port
        for _ in range(_PORT_TRIES):
            port = self._open(
                lambda: self._pull.bind_to_random_port(f"tcp://{host}"), "bind server to", host, 0
            )
            try:
                self._push.bind(f"tcp://{host}:{port + 1}")
            except self._zmq.ZMQError:
                self._pull.unbind(self._pull.last_endpoint)
            else:
                return port
        self.close()
        raise StreamError(f"Failed to bind server at address {host}: no two neighbouring ports are free")

    def connect(self, host: str, port: int) -> None:
        """Send to `port` of `host`, receive from the one above; it may come up later, and come back.

        Raises
        ------
        StreamError
            When the address makes no sense.
        """
        self._check(port)
        self._open(lambda: self._push.connect(f"tcp://{host}:{port}"), "connect to", host, port)
        self._open(lambda: self._pull.connect(f"tcp://{host}:{port + 1}"), "connect to", host, port + 1)

    def _check(self, port: int) -> None:
        """Refuse a port that has no upper neighbour; ZeroMQ would take another one."""
        if not 0 <= port <= _LAST_PORT:
            self.close()
            raise StreamError("No such pair of ports", expected=f"a lower one of 0..{_LAST_PORT}", seen=port)

    def _open(self, act: Callable[[], _Result], what: str, host: str, port: int) -> _Result:
        try:
            return act()
        except self._zmq.ZMQError as problem:
            self.close()
            raise StreamError(
                f"Failed to {what} port {port} at address {host}, another process may be using this port",
                seen=problem.strerror,
            ) from problem

    # Sending thread

    def changes(self) -> list[int]:
        """Return +1 for each end that was connected since the last call, -1 for each that went."""
        found: list[int] = []
        while self._monitor.get(self._zmq.EVENTS) & self._zmq.POLLIN:
            event = self._read_event(self._monitor)["event"]
            found.append(-1 if event == self._zmq.EVENT_DISCONNECTED else 1)
        return found

    def send(self, parts: Sequence[Buffer]) -> bool:
        """Send `parts` as one message unless there is no room for it now; say whether it was sent."""
        try:
            self._push.send(parts[0], self._now | (self._more if len(parts) > 1 else 0))
        except self._busy:
            return False
        for part in parts[1:-1]:
            self._push.send(part, self._more)
        if len(parts) > 1:
            self._push.send(parts[-1], 0, len(parts[-1]) < _ZERO_COPY)
        return True

    @property
    def writable(self) -> bool:
        """A message would be taken now."""
        return bool(self._push.get(self._zmq.EVENTS) & self._zmq.POLLOUT)

    def wait_writable(self) -> None:
        """Wait until a message may be taken, an end comes or goes, or the bell rings."""
        zmq = self._zmq
        zmq.select([self._monitor, self._bell], [self._push], [])

    # Receiving thread

    def receive(self) -> list[Any] | None:
        """Return the parts of the next message, None when there is none now."""
        try:
            parts: list[Any] = [self._pull.recv(self._now)]
        except self._busy:
            return None
        while self._pull.get(self._zmq.RCVMORE):
            parts.append(self._pull.recv())
        return parts

    def wait_readable(self, timeout: float) -> bool:
        """Wait until a message arrives or the bell rings; False when none did for `timeout` seconds."""
        return bool(self._zmq.select([self._pull, self._bell], [], [], timeout)[0])

    # Any thread

    def ring(self) -> None:
        """Make both waits return, now and from now on."""
        self._ringer.send(b"!")
        self.rung = True  # last: threads that see it may close everything

    def close(self, linger_s: float = 0.0) -> None:
        """Close everything; what was sent has `linger_s` seconds to leave. Only once the threads ended."""
        self._push.disable_monitor()
        self._monitor.close(linger=0)
        self._pull.close(linger=0)
        self._push.close(linger=int(linger_s * 1000))
        self._context.term()
        self._bell.close()
        self._ringer.close()
