"""RemoteServer: serve a tree over ZeroMQ."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import zmq

from sapwood.errors import NodeError, RemoteError
from sapwood.remote import codec
from sapwood.remote.access import Role, is_loopback
from sapwood.remote.lanes import LanePool
from sapwood.remote.loop import WAKER, ServerLoop
from sapwood.remote.service import Service

__all__ = ["DEFAULT_PORT", "RemoteServer"]

DEFAULT_PORT = 9500
_SEND_QUEUE = 64  # messages per connection; what waits beyond is merged by the subscriptions
_STOP_S = 2.0
_LAST_PORT = 65535

_log = logging.getLogger("sapwood.remote.server")


class RemoteServer:
    """Serves a tree to `RemoteClient` and to anything that speaks docs/protocol.md.

    Used as an interface of a root, which starts and stops it with the tree::

        root.addInterface(RemoteServer(port=0))

    Parameters
    ----------
    root
        The tree; may be left out when `addInterface` is used.
    host
        Address to listen on. Without `tokens` only addresses of this machine are allowed.
    port
        TCP port; 0 takes a free one, see `port` after the start.
    tokens
        Role (``viewer``, ``operator``, ``expert``) by token; a client must show one of them.
    role
        Role of clients when there are no tokens.
    threads
        Requests that may run user code or wait for hardware at the same time.
    waiting
        Requests that may wait for one of these threads; further ones are answered `Busy`.
    max_message
        Bytes of a message, both ways.
    max_clients
        Connections that may be logged in; a client has one for each thread that uses it at a time.

    Raises
    ------
    RemoteError
        There is no such port or role.
    """

    def __init__(
        self,
        root: Any = None,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        *,
        tokens: Mapping[str, Role | str] | None = None,
        role: Role | str = Role.operator,
        threads: int = 8,
        waiting: int = 64,
        max_message: int = codec.MAX_MESSAGE,
        max_clients: int = 1024,
    ) -> None:
        if not 0 <= port <= _LAST_PORT:  # ZeroMQ would take another one
            raise RemoteError("no such port", expected=f"0..{_LAST_PORT}", seen=port)
        self._device = root  # any device of the tree
        self._host = host
        self._wanted_port = port
        self._tokens = {token: Role.parse(role) for token, role in (tokens or {}).items()}
        self._role = Role.parse(role)
        self._threads = threads
        self._waiting = waiting
        self._max_message = max_message
        self._max_clients = max_clients
        self._port = port
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._service: Service | None = None
        self._pool: LanePool | None = None
        self._loop: ServerLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The TCP port; with ``port=0`` known once started."""
        return self._port

    @property
    def address(self) -> str:
        """``host:port`` for clients."""
        return f"{self._host}:{self._port}"

    @property
    def counters(self) -> dict[str, int]:
        """What happened since the start: requests, garbage, pushes, gone, unread_answers, faults."""
        if self._loop is None:
            return {}
        return {"requests": self._loop.requests, **self._loop.counters}

    def _addedTo(self, device: Any) -> None:  # noqa: N802  # called by Device.addInterface
        """Serve the tree of `device` unless another one was given."""
        if self._device is None:
            self._device = device

    def _start(self) -> None:
        """Bind the port and begin to serve.

        Raises
        ------
        RemoteError
            The port is in use, the host is not an address of this machine, or it can be reached
            from elsewhere and there are no tokens.
        """
        if self._thread is not None:
            return
        root = None if self._device is None else self._device.root
        if root is None:
            raise NodeError("the server has no started tree", hint="Use root.addInterface(RemoteServer()).")
        if not self._tokens and not is_loopback(self._host):
            raise RemoteError(
                f"will not serve on {self._host} without tokens",
                expected="an address of this machine only, such as 127.0.0.1, or tokens",
                seen=self._host,
            )
        with ExitStack() as undo:  # until the thread runs
            context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            undo.callback(context.destroy, 0)
            router, waker = self._open_sockets(context)
            service = Service(root, tokens=self._tokens, anonymous=self._role, max_message=self._max_message)
            undo.callback(service.close)
            pool = LanePool(self._threads, self._waiting, "sapwood-remote-pool")
            loop = ServerLoop(router, waker, service, pool, self._max_message, self._max_clients)
            thread = threading.Thread(
                target=self._serve, args=(loop, router), name="sapwood-remote-io", daemon=True
            )
            thread.start()
            undo.pop_all()
        self._context, self._service, self._pool, self._loop = context, service, pool, loop
        self._thread = thread
        _log.info("serving %s on %s", root.name, self.address)

    def _open_sockets(
        self, context: zmq.Context[zmq.Socket[bytes]]
    ) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
        router = context.socket(zmq.ROUTER)
        router.linger = 0
        router.sndhwm = _SEND_QUEUE
        router.router_mandatory = True
        router.maxmsgsize = self._max_message
        router.heartbeat_ivl = 5000
        router.heartbeat_timeout = 15000
        inside = f"inproc://{secrets.token_hex(8)}"
        router.bind(inside)
        waker = context.socket(zmq.DEALER)
        waker.linger = 0
        waker.routing_id = WAKER
        waker.connect(inside)
        try:
            router.bind(f"tcp://{self._host}:{self._wanted_port or '*'}")
        except zmq.ZMQError as problem:
            raise RemoteError(
                f"cannot listen on {self._host} port {self._wanted_port}: {problem}",
                hint="Another server may be running; port 0 takes a free one.",
            ) from problem
        self._port = int(router.get_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
        return router, waker

    @staticmethod
    def _serve(loop: ServerLoop, router: zmq.Socket[bytes]) -> None:
        try:
            loop.run()
        finally:
            router.close(0)

    def _stop(self) -> None:
        """End serving; requests that run are waited for, at most 2 s."""
        thread, loop, pool = self._thread, self._loop, self._pool
        if thread is None or loop is None or pool is None:
            return
        deadline = time.monotonic() + _STOP_S
        loop.stop()
        thread.join(_STOP_S)
        if not pool.stop(deadline):
            _log.warning("a request still runs after the server has stopped")
        loop.close_waker()
        if self._service is not None:
            self._service.close()
        if self._context is not None and not thread.is_alive():
            self._context.term()
        self._thread = self._context = self._service = self._pool = None
