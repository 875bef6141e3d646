"""The listener thread of a client: updates, heartbeats, reconnection."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import zmq

from sapwood.errors import ProtocolError, RemoteError, RemoteTimeout, SapwoodError, UnknownNode
from sapwood.remote import codec
from sapwood.remote.channel import Channel, open_socket, value_of
from sapwood.remote.errors import NO_SESSION

__all__ = ["HEARTBEAT_S", "LINK_TIMEOUT_S", "Listener"]

HEARTBEAT_S = 1.0
LINK_TIMEOUT_S = 3.5  # without a sign of life the link counts as lost
_RETRY_S = 0.1
_LOOK_UP_S = 0.2  # how long the thread waits for one thing before it looks whether to stop
_STOP_S = 2.0

_log = logging.getLogger("sapwood.remote.client")


class _Order:
    """A request that another thread waits for."""

    def __init__(self, op: str, paths: list[str]) -> None:
        self.op = op
        self.paths = paths
        self.done = threading.Event()
        self.given_up = False
        self.problem: SapwoodError | None = None

    def end(self, problem: SapwoodError | None) -> None:
        """Wake the thread that waits."""
        self.problem = problem
        self.done.set()


class _LinkLostError(Exception):
    """The connection is gone, silent, or the server does not know it any more."""


class Listener:
    """Keeps a connection to the server on which updates come; made anew when it is lost.

    After a reconnection all subscriptions are repeated and the current values are asked for.

    Parameters
    ----------
    channel
        Address, token and time-out of the client.
    limit
        Values that may wait at the server for this client.
    on_message
        Called with each push, in the listener thread. Exceptions are its own business.
    on_link
        Called with True when the link is up and with False when it is lost.
    """

    def __init__(
        self,
        channel: Channel,
        limit: int,
        on_message: Callable[[dict[str, Any]], None],
        on_link: Callable[[bool], None],
    ) -> None:
        self._channel = channel
        self._limit = limit
        self._on_message = on_message
        self._on_link = on_link
        self._wanted: set[str] = set()  # paths the server has accepted
        self._orders: deque[_Order] = deque()
        self._awaited: dict[int, _Order] = {}
        self._last_id = 0
        self._heard = 0.0
        self._pinged = 0.0
        self.linked = False
        self._stopping = False
        self._bell, self._ring = socket.socketpair()
        self._ring.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="sapwood-remote-listener", daemon=True)
        self._thread.start()

    # ---- other threads

    def order(self, op: str, paths: Iterable[str]) -> None:
        """Subscribe or unsubscribe `paths`, and wait until the server has done so.

        In the listener thread itself the order is passed on without waiting.

        Raises
        ------
        RemoteTimeout
            The server did not answer in time.
        SapwoodError
            What the server raised.
        """
        order = _Order(op, list(paths))
        self._orders.append(order)
        if threading.current_thread() is self._thread:
            return
        self._knock()
        timeout = self._channel.timeout
        if not order.done.wait(timeout):
            order.given_up = True
            raise RemoteTimeout(
                f"no answer to {op} from {self._channel.address}",
                path=", ".join(order.paths),
                waited_s=timeout,
            )
        if order.problem is not None:
            raise order.problem

    def _knock(self) -> None:
        try:
            self._ring.send(b"!")
        except (BlockingIOError, OSError):
            return  # it will look up anyway, or has ended

    def stop(self) -> None:
        """End the thread; waits for a callback that runs, at most 2 s."""
        self._stopping = True
        self._knock()
        if threading.current_thread() is not self._thread:
            self._thread.join(_STOP_S)

    # ---- the listener thread

    def _run(self) -> None:
        while not self._stopping:
            link = None
            try:
                link = open_socket(self._channel.endpoint)
                self._serve(link)
            except _LinkLostError:
                _log.debug("no link to %s", self._channel.address)
            except (SapwoodError, zmq.ZMQError) as problem:
                _log.warning("no link to %s: %s", self._channel.address, problem)
            except Exception:  # noqa: BLE001  # the thread must outlive whatever comes
                _log.exception("the listener of %s met an error", self._channel.address)
            finally:
                if link is not None:
                    link.close(0)
                self._set_linked(False)
            if not self._stopping:
                self._pause(_RETRY_S)
        self._end_orders(RemoteError(f"the client of {self._channel.address} is closed"))
        self._bell.close()
        self._ring.close()

    def _pause(self, seconds: float) -> None:
        """Wait; orders are left in their queue."""
        end = time.monotonic() + seconds
        while not self._stopping and (left := end - time.monotonic()) > 0:
            self._bell.settimeout(left)
            try:
                self._bell.recv(64)
            except TimeoutError:
                return

    def _serve(self, link: zmq.Socket[bytes]) -> None:
        """Log in, subscribe anew, then handle what comes until the link is lost."""
        self._orders.extendleft(reversed(self._awaited.values()))
        self._awaited.clear()
        link.sndtimeo = link.rcvtimeo = int(_LOOK_UP_S * 1000)
        self._channel.learn(self._exchange(link, self._channel.hello_tail))
        self._subscribe_again(link)
        link.sndtimeo = 0
        self._heard = self._pinged = time.monotonic()
        self._set_linked(True)
        poller = zmq.Poller()
        poller.register(link, zmq.POLLIN)
        poller.register(self._bell, zmq.POLLIN)
        while not self._stopping:
            self._send_orders(link)
            due = self._pinged + HEARTBEAT_S - time.monotonic()
            events = dict(poller.poll(max(0, int(due * 1000) + 1)))
            if self._bell.fileno() in events:
                self._bell.recv(64)
            if link in events:
                self._receive(link)
            elif time.monotonic() - self._heard > LINK_TIMEOUT_S:
                raise _LinkLostError
            if time.monotonic() - self._pinged >= HEARTBEAT_S:
                self._pinged = time.monotonic()
                self._send(link, b',"op":"ping"}')

    def _subscribe_again(self, link: zmq.Socket[bytes]) -> None:
        """Repeat the subscriptions and ask for the current values."""
        if not self._wanted:
            return
        try:
            self._exchange(link, self._subscribe_tail("subscribe", sorted(self._wanted), now=True))
        except UnknownNode:  # another tree serves now
            for path in sorted(self._wanted):
                try:
                    self._exchange(link, self._subscribe_tail("subscribe", [path], now=True))
                except UnknownNode as problem:
                    _log.warning("subscription is lost: %s", problem)
                    self._wanted.discard(path)

    def _exchange(self, link: zmq.Socket[bytes], tail: bytes) -> Any:
        """Send a request and return its answer; pushes that come before it are delivered."""
        request_id = self._send(link, tail)
        end = time.monotonic() + LINK_TIMEOUT_S
        while time.monotonic() < end and not self._stopping:
            try:
                message = self._read(link, 0)
            except zmq.Again:
                continue
            if message.get("id") == request_id:
                return value_of(message)
            if "push" in message:
                self._on_message(message)
        raise _LinkLostError

    def _send(self, link: zmq.Socket[bytes], tail: bytes) -> int:
        self._last_id += 1
        try:
            link.send(b'{"v":1,"id":%d%b' % (self._last_id, tail))
        except zmq.Again:
            raise _LinkLostError from None
        return self._last_id

    @staticmethod
    def _read(link: zmq.Socket[bytes], flags: int) -> dict[str, Any]:
        frames = link.recv_multipart(flags)
        message = codec.load(frames[0], frames[1:])
        if type(message) is not dict:
            raise ProtocolError("malformed message", expected="an object", seen=type(message).__name__)
        return message

    def _receive(self, link: zmq.Socket[bytes]) -> None:
        """Handle the messages that have come, a limited number so that orders get their turn."""
        for _ in range(100):
            try:
                message = self._read(link, zmq.NOBLOCK)
            except zmq.Again:
                break
            if "push" in message:
                self._on_message(message)
            else:
                self._answer(message)
        self._heard = time.monotonic()  # after the callbacks: a slow one says nothing about the link

    def _answer(self, message: dict[str, Any]) -> None:
        error = message.get("error")
        if type(error) is dict and error.get("type") == NO_SESSION:
            raise _LinkLostError
        order = self._awaited.pop(message.get("id", 0), None)
        if order is None:
            return  # a heartbeat
        try:
            value_of(message)
        except SapwoodError as problem:
            order.end(problem)
        else:
            self._done(order)

    def _done(self, order: _Order) -> None:
        if order.given_up:
            return
        if order.op == "subscribe":
            self._wanted.update(order.paths)
        else:
            self._wanted.difference_update(order.paths)
        order.end(None)

    def _send_orders(self, link: zmq.Socket[bytes]) -> None:
        while self._orders:
            order = self._orders[0]
            if not order.given_up:
                self._awaited[self._send(link, self._subscribe_tail(order.op, order.paths))] = order
            self._orders.popleft()

    def _subscribe_tail(self, op: str, paths: list[str], *, now: bool = False) -> bytes:
        options: dict[str, Any] = {"paths": paths}
        if op == "subscribe":
            options |= {"limit": self._limit, "now": now}
        return b',"op":"%b",%b' % (op.encode(), codec.dump(options, [])[1:])

    def _set_linked(self, linked: bool) -> None:
        if linked != self.linked:
            self.linked = linked
            self._on_link(linked)

    def _end_orders(self, problem: SapwoodError) -> None:
        for order in [*self._orders, *self._awaited.values()]:
            order.end(problem)
