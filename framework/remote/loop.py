"""The I/O thread of the server: one ROUTER socket, answers, pushes."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Any

import zmq

from sapwood.errors import Busy, ProtocolError, RemoteError, RemoteTimeout
from sapwood.remote import codec
from sapwood.remote.errors import NO_SESSION, pack_error
from sapwood.remote.lanes import LanePool
from sapwood.remote.peer import Peer, push_message
from sapwood.remote.service import PROTOCOL_VERSION, Service, log_failure
from sapwood.remote.session import Session
from sapwood.remote.wire import NOBLOCK, receive_parts, send_parts

__all__ = ["LEASE", "WAKER", "ServerLoop"]

LEASE = 30.0  # s without a sign of life after which a subscriber is forgotten
IDLE = 600.0  # s after which a connection without subscriptions is forgotten
_TICK_MS = 250
_SURELY_FITS = 65536  # bytes of an answer that need no check against the limit
_RETRY_MS = 10  # while a push does not fit into its connection
WAKER = b"\x01sapwood-waker"

_log = logging.getLogger("sapwood.remote.server")


class ServerLoop:
    """Receives requests and answers them, here when that cannot block, else through the pool.

    Parameters
    ----------
    router
        A bound ROUTER socket; used by the thread that calls `run` only.
    waker
        A DEALER socket connected to `router` within the process; other threads send through it.
    service
        What executes requests.
    pool
        Where those run that may take time or run user code.
    max_message
        Bytes of a whole message, both ways.
    max_peers
        Connections that may be logged in.
    """

    def __init__(
        self,
        router: zmq.Socket[bytes],
        waker: zmq.Socket[bytes],
        service: Service,
        pool: LanePool,
        max_message: int,
        max_peers: int,
    ) -> None:
        self._router = router
        self._waker = waker
        self._service = service
        self._pool = pool
        self._max_message = max_message
        self._max_peers = max_peers
        self.counters: Counter[str] = Counter()
        self.requests = 0
        self._peers: dict[bytes, Peer] = {}
        self._outbox: deque[tuple[Peer, list[bytes]]] = deque()  # answers of the pool
        self._ready: deque[Peer] = deque()  # peers with values waiting
        self._blocked: list[Peer] = []  # peers whose connection is full
        self._wake_lock = threading.Lock()
        self._woken = False
        self._stopping = False

    # ---- other threads

    def wake(self) -> None:
        """Make the I/O thread look at its queues; from any thread."""
        with self._wake_lock:
            if not self._woken and not self._waker.closed:
                self._woken = True
                with contextlib.suppress(zmq.Again):  # the thread has ended: nobody is there to be woken
                    self._waker.send(b"", NOBLOCK)

    def _updates_wait(self, peer: Peer) -> None:
        self._ready.append(peer)
        self.wake()

    def stop(self) -> None:
        """Make `run` return soon; from any thread."""
        self._stopping = True
        self.wake()

    def close_waker(self) -> None:
        """Close the waker; later calls of `wake` do nothing."""
        with self._wake_lock:
            self._waker.close(0)

    # ---- the I/O thread

    def run(self) -> None:
        """Serve until `stop` is called."""
        tidy = time.monotonic()
        timeout = 0
        while not self._stopping:
            wanted = _RETRY_MS if self._blocked else _TICK_MS
            if wanted != timeout:
                self._router.rcvtimeo = timeout = wanted
            try:
                self._turn()
                if time.monotonic() - tidy > 1.0:
                    tidy = time.monotonic()
                    self._tidy()
            except Exception:  # noqa: BLE001  # the thread must outlive whatever a request does to it
                self.counters["faults"] += 1
                _log.exception("a request made the server stumble")

    def _turn(self) -> None:
        """Receive at most one message, then send what waits."""
        try:
            identity = self._router.recv(NOBLOCK if self._ready else 0)
            parts = receive_parts(self._router, NOBLOCK)
        except zmq.Again:
            self._ready.extend(self._blocked)
            self._blocked.clear()
        else:
            if identity == WAKER:
                self._woken = False
            while self._outbox:  # before the next answer: those of a connection keep their order
                self._send(*self._outbox.popleft())
            if identity != WAKER:
                self._receive(identity, parts)
        if self._ready:
            for _ in range(len(self._ready)):
                self._push(self._ready.popleft())

    def _receive(self, identity: bytes, parts: list[bytes]) -> None:
        """Answer a message, or see to it that it will be answered."""
        self.requests += 1
        request_id: int | str | None = None
        try:
            if len(parts) > 1 and sum(map(len, parts)) > self._max_message:  # single ones: the socket
                raise ProtocolError("message is too large", expected=f"at most {self._max_message} bytes")
            request = codec.load(parts[0], parts[1:])
            request_id = _checked_id(request)
            peer = self._peers.get(identity)
            if peer is None or request.get("op") == "hello":
                peer = self._log_in(identity, peer, request)
            peer.last = time.monotonic()
            self._execute(peer, request_id, request)
        except _NoSessionError:
            facts = {"type": NO_SESSION, "text": "say hello first; nothing was executed"}
            self._reply(identity, request_id, facts)
        except RemoteError as problem:
            self._reply(identity, request_id, pack_error(problem))
        except ProtocolError as problem:
            self.counters["garbage"] += 1
            self._reply(identity, request_id, pack_error(problem))

    def _execute(self, peer: Peer, request_id: int | str, request: dict[str, Any]) -> None:
        """Answer now what can neither block nor run user code; hand the rest to the pool."""
        try:
            inline, run = self._service.plan(peer.session, request)
        except Exception as problem:  # noqa: BLE001  # whatever a request causes is the client's answer
            self._send(peer, _failure(peer.session, request_id, request, problem))
            return
        if inline and not peer.lane.jobs:
            with self._service.group:  # updates are published once the answer is on its way
                self._send(peer, self._answer(peer.session, request_id, request, run))
        else:
            job = partial(self._answer_later, peer, request_id, request, run)
            self._pool.submit(peer.lane, job)

    def _answer_later(
        self, peer: Peer, request_id: int | str, request: dict[str, Any], run: Callable[[], Any]
    ) -> None:
        """Execute a request in a thread of the pool."""
        self._outbox.append((peer, self._answer(peer.session, request_id, request, run)))
        self.wake()

    def _answer(
        self, session: Session, request_id: int | str, request: dict[str, Any], run: Callable[[], Any]
    ) -> list[bytes]:
        """Execute a request and return its answer."""
        try:
            deadline = request.get("deadline")
            if deadline is not None and time.monotonic() > deadline:
                raise RemoteTimeout(
                    "the deadline passed before the request was executed; nothing was executed"
                )
            result = run()
            buffers: list[bytes] = []
            if type(result) is list and len(result) == 1:  # of a get; the elements have short ways
                text = b"[%b]" % codec.dump(result[0], buffers)
            else:
                text = codec.dump(result, buffers)
            name = b"%d" % request_id if type(request_id) is int else codec.dump(request_id, buffers)
            answer = [b'{"id":%b,"ok":%b}' % (name, text)]
            if buffers or len(text) > _SURELY_FITS:
                answer += buffers
                self._check_size(answer)
        except Exception as problem:  # noqa: BLE001  # whatever a request causes is the client's answer
            return _failure(session, request_id, request, problem)
        return answer

    def _check_size(self, answer: list[bytes]) -> None:
        size = sum(map(len, answer))
        if size > self._max_message:
            raise RemoteError(
                "the answer is too large", expected=f"at most {self._max_message} bytes", seen=size
            )

    # ---- connections

    def _log_in(self, identity: bytes, known: Peer | None, request: dict[str, Any]) -> Peer:
        if request.get("op") != "hello":
            raise _NoSessionError
        if known is not None:
            self._log_out(known)
        if len(self._peers) >= self._max_peers:
            self._make_room()
        name = request.get("name", "")
        session = self._service.login(request.get("token"), name[:80] if isinstance(name, str) else "")
        peer = Peer(identity, session)
        session.on_updates = partial(self._updates_wait, peer)
        self._peers[identity] = peer
        return peer

    def _make_room(self) -> None:
        """Forget the connection that was idle longest, or refuse the new one."""
        idle = [peer for peer in self._peers.values() if peer.lane.idle and not peer.session.paths]
        if not idle:
            raise Busy("the server has too many clients", expected=f"at most {self._max_peers}")
        self._log_out(min(idle, key=lambda peer: peer.last))

    def _log_out(self, peer: Peer) -> None:
        peer.gone = True
        self._peers.pop(peer.identity, None)
        self._service.logout(peer.session)

    def _tidy(self) -> None:
        """Forget connections that are gone or were silent for too long."""
        now = time.monotonic()
        for peer in list(self._peers.values()):
            patience = LEASE if peer.session.paths else IDLE
            if peer.lane.idle and (peer.gone or now - peer.last > patience):
                self._log_out(peer)

    # ---- sending

    def _send(self, peer: Peer, frames: list[bytes]) -> None:
        try:
            send_parts(self._router, peer.identity, frames)
        except zmq.Again:
            self.counters["unread_answers"] += 1
        except zmq.ZMQError:  # the connection has ended
            peer.gone = True
            self.counters["gone"] += 1

    def _reply(self, identity: bytes, request_id: object, facts: dict[str, Any]) -> None:
        """Send an error to a connection that need not be logged in."""
        text = codec.dump({"id": request_id, "error": facts}, [])
        try:
            send_parts(self._router, identity, [text])
        except zmq.ZMQError:  # full or gone
            self.counters["gone"] += 1

    def _push(self, peer: Peer) -> None:
        """Send the next values that wait for `peer`; it comes again until none wait."""
        if peer.gone:
            return
        frames = peer.held or push_message(peer)
        if not frames:
            return
        try:
            send_parts(self._router, peer.identity, frames)
        except zmq.Again:
            peer.held = frames
            self._blocked.append(peer)
        except zmq.ZMQError:
            peer.gone = True
        else:
            peer.held = []
            self.counters["pushes"] += 1
            self._ready.append(peer)


class _NoSessionError(Exception):
    """A connection that has not said hello asks for something."""


def _checked_id(request: Any) -> int | str:
    """Check what all requests have in common and return the id.

    Raises
    ------
    ProtocolError
        Not an object, or without a usable id, version or deadline.
    """
    if type(request) is not dict:
        raise ProtocolError("malformed request", expected="an object", seen=type(request).__name__)
    request_id = request.get("id")
    if type(request_id) is not int and type(request_id) is not str:
        raise ProtocolError("malformed request", expected="an id, int or text", seen=repr(request_id)[:40])
    if request.get("v") != PROTOCOL_VERSION:
        seen = repr(request.get("v"))[:40]
        raise ProtocolError("unknown protocol version", expected=PROTOCOL_VERSION, seen=seen)
    deadline = request.get("deadline")
    if type(deadline) is not float and deadline is not None and type(deadline) is not int:
        raise ProtocolError("malformed request", expected="deadline in seconds", seen=repr(deadline)[:40])
    return request_id


def _failure(
    session: Session, request_id: object, request: dict[str, Any], problem: Exception
) -> list[bytes]:
    log_failure(session, request, problem)
    return [codec.dump({"id": request_id, "error": pack_error(problem)}, [])]
