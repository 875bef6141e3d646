"""The sockets of one end of a memory TCP bridge, and the thread that takes what arrives."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from threading import Lock, Thread, current_thread
from typing import TypeVar

import zmq

from sapwood.errors import BusError
from sapwood.memory.tcplinks import Links

__all__ = ["Channel", "Parts"]

Parts = list[bytes]
_Result = TypeVar("_Result")

_STOP_S = 2.0
_PORT_TRIES = 50
_LAST_PORT = 65534  # as the lower one of two
_SETTLE_S = 0.005
_log = logging.getLogger("sapwood.memory.tcp")


def _no_tick() -> int | None:
    """Say that there is nothing to do until something arrives."""
    return None


class Channel:
    """A PULL and a PUSH socket and the thread that hands over what arrives.

    Parameters
    ----------
    name
        Of the thread, and in messages.
    take
        Called in the thread with the parts of each message.
    tick
        Called in the thread before each wait; returns how long to wait at most (ms) or None.
    """

    def __init__(
        self, name: str, take: Callable[[Parts], None], tick: Callable[[], int | None] = _no_tick
    ) -> None:
        self.stopping = False
        self._name = name
        self._take = take
        self._tick = tick
        self._context = zmq.Context()
        self._pull = self._context.socket(zmq.PULL)
        self._push = self._context.socket(zmq.PUSH)
        for one in (self._pull, self._push):
            one.linger = 0
        self._sending = Lock()
        self._closed = False
        self._bell, self._ringer = socket.socketpair()
        self._bell.setblocking(False)
        self._ringer.setblocking(False)
        self._thread: Thread | None = None
        self._links: Links | None = None

    def connect(self, host: str, port: int) -> None:
        """Send to `port` of `host` and receive from the one above; the links may come up later."""
        self._check(port)
        self._push.immediate = True
        self._open(lambda: self._push.connect(f"tcp://{host}:{port}"), f"connect to {host}:{port}")
        self._open(lambda: self._pull.connect(f"tcp://{host}:{port + 1}"), f"connect to {host}:{port + 1}")

    def bind(self, host: str, port: int, limit: int) -> int:
        """Receive messages of at most `limit` bytes at `port`, send from the one above.

        Port 0 takes a free pair. Returns the lower port.
        """
        self._check(port)
        self._pull.maxmsgsize = limit
        self._links = Links(self._pull, self._push)
        if port:
            self._open(lambda: self._pull.bind(f"tcp://{host}:{port}"), f"bind to {host}:{port}")
            self._open(lambda: self._push.bind(f"tcp://{host}:{port + 1}"), f"bind to {host}:{port + 1}")
            return port
        for _ in range(_PORT_TRIES):
            port = self._open(lambda: self._pull.bind_to_random_port(f"tcp://{host}"), f"bind to {host}")
            try:
                self._push.bind(f"tcp://{host}:{port + 1}")
            except zmq.ZMQError:
                self._pull.unbind(self._pull.get_string(zmq.LAST_ENDPOINT))
            else:
                return port
        self.close()
        raise BusError(f"Failed to bind to {host}: no two neighbouring ports are free")

    def _check(self, port: int) -> None:
        """Refuse a port that has no upper neighbour; ZeroMQ would take another one."""
        if not 0 <= port <= _LAST_PORT:
            self.close()
            raise BusError("No such pair of ports", expected=f"a lower one of 0..{_LAST_PORT}", seen=port)

    def _open(self, act: Callable[[], _Result], what: str) -> _Result:
        try:
            return act()
        except zmq.ZMQError as problem:
            self.close()
            raise BusError(
                f"Failed to {what}: {problem.strerror}", hint="Another process may be using it"
            ) from problem

    def start(self) -> None:
        """Start taking messages."""
        self._thread = Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the sockets and end the thread; a thread held up in `take` ends after it."""
        self.stopping = True
        self.ring()
        if self._thread is None:
            self.close()
        elif self._thread is not current_thread():
            self._thread.join(_STOP_S)
            if self._thread.is_alive():
                _log.warning("%s is held up by the slave it serves", self._name)

    def ring(self) -> None:
        """Wake the thread."""
        try:
            self._ringer.send(b"!")
        except OSError:  # full: it will wake anyhow; closed: it has ended
            return

    def send(self, parts: Parts) -> bool:
        """Send `parts` unless that would block; say whether they were sent."""
        with self._sending:
            if self._closed:
                return False
            try:
                self._push.send_multipart(parts, zmq.NOBLOCK)
            except zmq.Again:
                return False
        return True

    def send_within(self, parts: Parts, seconds: float) -> bool:
        """Send `parts` as soon as a receiver takes them; for the channel's own thread."""
        if self.send(parts):
            return True
        poller = zmq.Poller()
        poller.register(self._push, zmq.POLLOUT)
        poller.register(self._bell, zmq.POLLIN)
        deadline = time.monotonic() + seconds
        while not self.stopping and (left := deadline - time.monotonic()) > 0:
            poller.poll(max(1, int(left * 1000)))
            if self.send(parts):
                return True
        return False

    def send_to_all(self, parts: Parts, seconds: float) -> bool:
        """Send `parts` to each client of this server, as soon as they take it; for its own thread.

        The sockets deal messages out in turn, so as many copies are sent as there are clients; a
        client ignores answers to what it did not ask.
        """
        deadline = time.monotonic() + seconds
        links = self._links
        while links is not None and not (links.look() or self.stopping):
            time.sleep(_SETTLE_S)
        sent = self.send_within(parts, seconds)
        for _ in range(1, links.receivers if links is not None else 0):
            sent &= self.send_within(parts, max(0.0, deadline - time.monotonic()))
        return sent

    def _run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._pull, zmq.POLLIN)
        poller.register(self._bell, zmq.POLLIN)
        while not self.stopping:
            try:
                ready = dict(poller.poll(self._tick()))
                if self._bell.fileno() in ready and not self.stopping:
                    self._bell.recv(4096)
                if self._pull in ready:
                    self._take_all()
            except Exception:  # noqa: BLE001  # one bad message shall not end the bridge
                _log.exception("%s", self._name)
        self.close()

    def _take_all(self) -> None:
        """Hand over the messages that are there; new ones may be waiting afterwards."""
        for _ in range(100):
            try:
                parts = self._pull.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._take(parts)
            if self.stopping:
                return

    def close(self) -> None:
        """Close what was opened; only while the thread does not run."""
        with self._sending:
            self._closed = True
            if self._links is not None:
                self._links.close()
            self._pull.close()
            self._push.close()
        self._context.term()
        self._bell.close()
        self._ringer.close()
