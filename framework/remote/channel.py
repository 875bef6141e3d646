"""Requests of a client: a pool of sockets, one request at a time on each, deadlines on all."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from typing import Any

import zmq

from sapwood.errors import ProtocolError, RemoteError, RemoteTimeout
from sapwood.remote import codec
from sapwood.remote.errors import NO_SESSION, unpack_error
from sapwood.remote.wire import receive_rest, send_parts

__all__ = ["Channel", "open_socket", "value_of"]

_RECEIVE_QUEUE = 64  # messages
_RESYNC_S = 60.0  # clocks of two machines drift apart
_SURELY_FITS = 65536  # bytes of a request that need no check against the server's limit

_contexts: dict[int, zmq.Context[zmq.Socket[bytes]]] = {}
_contexts_lock = threading.Lock()


def _context() -> zmq.Context[zmq.Socket[bytes]]:
    """Return the ZeroMQ context of this process; a forked child gets its own."""
    with _contexts_lock:
        found = _contexts.get(os.getpid())
        if found is None:
            found = _contexts[os.getpid()] = zmq.Context()
        return found


def open_socket(endpoint: str, max_message: int = codec.MAX_MESSAGE) -> zmq.Socket[bytes]:
    """Return a DEALER socket that connects to `endpoint`.

    Nothing is queued while there is no connection, so that a message is never delivered after its
    sender has given up, nor to another server than the one that was there when it was sent.
    """
    socket = _context().socket(zmq.DEALER)
    socket.linger = 0
    socket.immediate = True
    socket.rcvhwm = _RECEIVE_QUEUE
    socket.maxmsgsize = max_message
    socket.reconnect_ivl = 50
    socket.reconnect_ivl_max = 1000
    try:
        socket.connect(endpoint)
    except zmq.ZMQError:
        socket.close(0)
        raise
    return socket


def value_of(reply: dict[str, Any]) -> Any:
    """Return the value that an answer holds, or raise its error."""
    if "ok" in reply:
        return reply["ok"]
    raise unpack_error(reply.get("error"))


def _call(what: str, path: str | None) -> str:
    return what if path is None else f"{what} {path}"


class _NotSentError(Exception):
    """There was no connection to send a request on."""


class _Link:
    """One socket, with one request at a time."""

    __slots__ = ("greeted", "last_id", "seconds", "socket")

    def __init__(self, endpoint: str) -> None:
        self.socket = open_socket(endpoint)
        self.seconds = -1.0
        self.last_id = 0
        self.greeted = False

    def exchange(
        self, head: bytes, tail: bytes, buffers: list[bytes], end: float, seconds: float
    ) -> dict[str, Any]:
        """Send a request, wait for its answer and return it.

        Parameters
        ----------
        head, tail
            The header is put together from the id, `head` (the deadline, may be empty) and `tail`.
        buffers
            Its buffers.
        end, seconds
            When to give up (monotonic, s), and how long that is from now, or a little more.

        Raises
        ------
        _NotSentError
            There was no connection until then.
        zmq.Again
            There was no answer until then.
        """
        self.last_id = request_id = self.last_id + 1
        header = b'{"v":1,"id":%d%b%b' % (request_id, head, tail)
        if seconds != self.seconds:
            self._limit(seconds)
        try:
            send_parts(self.socket, header, buffers)
        except zmq.Again:
            self._send_later(header, buffers, end)
        while True:
            raw = self.socket.recv()
            # An answer without a form of a value has no buffers: asking whether more follow takes time.
            rest = receive_rest(self.socket) if b'"$' in raw else ()
            reply = codec.load(raw, rest)
            if type(reply) is dict and reply.get("id") == request_id:
                if "ok" not in reply and type(reply.get("error")) is not dict:
                    raise ProtocolError("malformed answer", expected="ok or an error", seen=raw[:80])
                return reply

    def _send_later(self, header: bytes, buffers: list[bytes], end: float) -> None:
        """Send when there is a connection, and leave what is left of the time to the answer."""
        self._limit(max(0.0, end - time.monotonic()))
        try:
            send_parts(self.socket, header, buffers, 0)
        except zmq.Again:
            raise _NotSentError from None
        self._limit(max(0.0, end - time.monotonic()))

    def _limit(self, seconds: float) -> None:
        """Let sending and receiving give up after `seconds`."""
        self.seconds = seconds
        self.socket.sndtimeo = self.socket.rcvtimeo = math.ceil(seconds * 1000)


class Channel:
    """Sends requests to a server and waits for the answers; usable from several threads at once.

    Each request in progress has a socket of its own. A socket whose request was given up is thrown
    away, so a late answer can never be taken for the answer to a later request.

    Parameters
    ----------
    host, port
        The server.
    timeout
        Seconds to wait for an answer unless a request says otherwise.
    token
        Shown to the server.
    name
        What the client calls itself, for the server's audit log.
    """

    def __init__(self, host: str, port: int, timeout: float, token: str | None, name: str) -> None:
        self.address = f"{host}:{port}"
        self.endpoint = f"tcp://{self.address}"
        self.timeout = timeout
        self.greeting: dict[str, Any] = {}
        self.linked = False  # whether the last request was answered
        self.hello_tail = b',"op":"hello","token":%b,"name":%b}' % (
            codec.dump(token, []),
            codec.dump(name, []),
        )
        self._idle: deque[_Link] = deque()
        self._closed = False
        self._offset = 0.0  # the server's clock minus ours, s
        self._resync_at = 0.0

    def request(
        self,
        tail: bytes,
        buffers: list[bytes],
        what: str,
        path: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Send a request and return the value of the answer.

        Parameters
        ----------
        tail
            The header from ``,"op":...`` on, as JSON text.
        buffers
            Its buffers.
        what, path
            What to call the request in an error, and the node concerned.
        timeout
            Seconds to wait; default is the channel's.

        Raises
        ------
        RemoteTimeout
            No answer in time: whether the request was executed is unknown.
        RemoteError
            No connection: nothing was sent.
        SapwoodError
            What the server raised.
        """
        seconds = self.timeout if timeout is None else timeout
        end = time.monotonic() + seconds
        if buffers or len(tail) > _SURELY_FITS:
            self._check_size(tail, buffers, what, path)
        link = self._take()
        try:
            reply = self._exchange(link, tail, buffers, end, seconds)
        except zmq.Again:
            self._discard(link)
            raise RemoteTimeout(
                f"no answer to {_call(what, path)} from {self.address}; its outcome is unknown",
                path=path,
                waited_s=seconds,
            ) from None
        except (_NotSentError, zmq.ZMQError) as problem:
            self._discard(link)
            why = "" if isinstance(problem, _NotSentError) else f": {problem}"
            raise RemoteError(
                f"no connection to {self.address}, {_call(what, path)} was not sent{why}",
                path=path,
                waited_s=seconds,
            ) from None
        except BaseException:
            self._discard(link)
            raise
        self._idle.append(link)
        self.linked = True
        if self._closed:
            self._close_idle()
        return value_of(reply)

    def _exchange(
        self, link: _Link, tail: bytes, buffers: list[bytes], end: float, seconds: float
    ) -> dict[str, Any]:
        """Exchange a request, after saying hello where the server does not know this socket."""
        while True:
            if not link.greeted or end > self._resync_at:
                self.learn(value_of(link.exchange(b"", self.hello_tail, [], end, seconds)))
                link.greeted = True
                seconds = max(0.0, end - time.monotonic())
            head = b',"deadline":%.3f' % (end + self._offset)
            reply = link.exchange(head, tail, buffers, end, seconds)
            if "ok" in reply or reply["error"].get("type") != NO_SESSION:
                return reply
            link.greeted = False
            seconds = max(0.0, end - time.monotonic())

    def learn(self, greeting: Any) -> None:
        """Take what the server said about itself, and its clock."""
        now = time.monotonic()
        if type(greeting) is not dict or type(greeting.get("clock")) not in (int, float):
            raise ProtocolError("malformed answer to hello", expected="a clock", seen=repr(greeting)[:80])
        # Its clock was read before the answer came, so the offset is never too large and a deadline
        # never later than ours.
        self._offset = greeting["clock"] - now
        self._resync_at = now + _RESYNC_S + self.timeout
        self.greeting = greeting

    def _check_size(self, tail: bytes, buffers: list[bytes], what: str, path: str | None) -> None:
        size = len(tail) + sum(map(len, buffers))
        limit = self.greeting.get("max_message", codec.MAX_MESSAGE) - _SURELY_FITS
        if size > limit:
            raise RemoteError(
                f"{_call(what, path)} is too large to be sent",
                path=path,
                expected=f"at most {limit} bytes",
                seen=size,
            )

    def _take(self) -> _Link:
        if self._closed:
            raise RemoteError(f"the client of {self.address} is closed")
        try:
            return self._idle.pop()
        except IndexError:
            pass
        try:
            return _Link(self.endpoint)
        except zmq.ZMQError as problem:
            raise RemoteError(f"cannot connect to {self.address}: {problem}") from problem

    def _discard(self, link: _Link) -> None:
        self.linked = False
        link.socket.close(0)

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().socket.close(0)

    def close(self) -> None:
        """Close the sockets; those in use are closed when their requests have ended."""
        self._closed = True
        self._close_idle()
