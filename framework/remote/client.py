"""RemoteClient: the tree of a server, from another process or machine."""
# ruff: noqa: N802

from __future__ import annotations

import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Self

from sapwood.errors import RemoteTimeout, UnknownNode, nearest
from sapwood.remote.channel import Channel
from sapwood.remote.codec import dump
from sapwood.remote.listener import Listener
from sapwood.remote.nodes import NoSuchChildError, VirtualDevice, VirtualNode
from sapwood.remote.subscription import DEFAULT_WAITING
from sapwood.remote.updates import Dispatcher, LinkMonitor, LossMonitor, RemoteValue, VarListener

__all__ = ["RemoteClient"]

_CACHED = 10_000  # requests whose text is kept
_NO_BUFFERS: list[bytes] = []


class RemoteClient:
    """A connection to a `RemoteServer`; usable from several threads at once.

    The root of the server's tree is an attribute with its own name, and its nodes read like the
    tree::

        with RemoteClient("daq", 9500) as client:
            client.Top.Writer.DataFile.set("run1.dat")
            client.Top.Writer.Open()

    Parameters
    ----------
    host, port
        The server.
    timeout
        Seconds that every request waits for its answer, unless the call says otherwise.
    token
        Shown to a server that asks for one.
    name
        What the client calls itself in the server's audit log; default is host and process.
    waiting
        Updates that may wait at the server for this client before older ones are dropped.

    Raises
    ------
    RemoteError
        No server answered in time.
    AccessDenied
        The server does not accept the token.
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 9500,
        timeout: float = 5.0,
        token: str | None = None,
        *,
        name: str | None = None,
        waiting: int = DEFAULT_WAITING,
    ) -> None:
        name = f"{socket.gethostname()}:{os.getpid()}" if name is None else name
        self._channel = Channel(host, port, timeout, token, name)
        self._waiting = waiting
        self._dispatcher = Dispatcher()
        self._holder: list[Listener] = []  # shared with the finalizer, empty until something listens
        self._lock = threading.Lock()
        self._tree: VirtualDevice | None = None
        self._tree_server: str | None = None
        self._get_tails: dict[str, bytes] = {}
        self._set_tails: dict[str, bytes] = {}
        self._finalizer = weakref.finalize(self, _shut_down, self._channel, self._holder)
        try:
            self.ping()
        except BaseException:
            self.close()
            raise

    # ---- life

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; also done when the client is forgotten or the process ends."""
        self._finalizer()

    def ping(self, timeout: float | None = None) -> float:
        """Return the seconds that the server takes to answer."""
        start = time.monotonic()
        self._channel.request(b',"op":"ping"}', _NO_BUFFERS, "ping", None, timeout)
        return time.monotonic() - start

    @property
    def address(self) -> str:
        """``host:port`` of the server."""
        return self._channel.address

    @property
    def server(self) -> dict[str, Any]:
        """What the server said about itself: instance, version, root, role."""
        return dict(self._channel.greeting)

    def __repr__(self) -> str:
        return f"<RemoteClient {self.address}>"

    # ---- the tree

    @property
    def root(self) -> VirtualDevice:
        """The root of the tree; loaded in one request when first used, anew after a server's restart."""
        tree = self._tree
        if tree is None or self._tree_server != self._channel.greeting.get("server"):
            with self._lock:
                facts = self._channel.request(b',"op":"tree"}', _NO_BUFFERS, "tree")
                tree = VirtualDevice(self, facts, None)
                self._tree, self._tree_server = tree, self._channel.greeting.get("server")
        return tree

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        root = self.root
        if name == root.name:
            return root
        raise NoSuchChildError(f"the server has no tree {name}", path=name, near=[root.name])

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), self.root.name})

    def node(self, path: str) -> VirtualNode:
        """Return the node at `path`.

        Raises
        ------
        UnknownNode
            There is none; ``near`` names similar ones.
        """
        first, *rest = path.split(".")
        node: VirtualNode = self.root
        if first not in (self.root.name, "root"):
            raise UnknownNode(f"there is no node {path}", path=path, near=[self.root.name])
        for element in rest:
            children = node.nodes if isinstance(node, VirtualDevice) else {}
            child = children.get(element)
            if child is None:
                near = [f"{node.path}.{name}" for name in nearest(element, children)]
                raise UnknownNode(f"there is no node {path}", path=path, near=near)
            node = child
        return node

    # ---- values, by path

    def get(self, path: str, *, read: bool = True, index: int = -1, timeout: float | None = None) -> Any:
        """Return the value of the variable at `path`, read from the hardware unless `read` is False.

        Raises
        ------
        UnknownNode, BusError, ...
            What the tree raised.
        RemoteTimeout
            No answer within `timeout` seconds (default: the client's).
        RemoteError
            No connection; nothing was sent.
        """
        if read and index == -1:
            tail = self._get_tails.get(path)
            if tail is None:
                tail = b',"op":"get","paths":[%b]}' % dump(path, [])
                _keep(self._get_tails, path, tail)
        else:
            tail = _get_tail([path], read, index, disp=False)
        return self._channel.request(tail, _NO_BUFFERS, "get", path, timeout)[0]

    def getMany(
        self, paths: Iterable[str], *, read: bool = True, disp: bool = False, timeout: float | None = None
    ) -> list[Any]:
        """Return the values (or texts, with `disp`) of several variables, in one request."""
        tail = _get_tail(list(paths), read, -1, disp=disp)
        return list(self._channel.request(tail, _NO_BUFFERS, "get", None, timeout))

    def value(self, path: str, *, index: int = -1, timeout: float | None = None) -> Any:
        """Return the value that the server holds, without access to the hardware."""
        return self.get(path, read=False, index=index, timeout=timeout)

    def getDisp(self, path: str, *, read: bool = True, index: int = -1, timeout: float | None = None) -> str:
        """Return the value as text."""
        tail = _get_tail([path], read, index, disp=True)
        return str(self._channel.request(tail, _NO_BUFFERS, "get", path, timeout)[0])

    def valueDisp(self, path: str, *, index: int = -1, timeout: float | None = None) -> str:
        """Return the value that the server holds as text."""
        return self.getDisp(path, read=False, index=index, timeout=timeout)

    def set(
        self,
        path: str,
        value: Any,
        *,
        index: int = -1,
        write: bool = True,
        verify: bool = True,
        timeout: float | None = None,
    ) -> None:
        """Set the variable at `path`; see `VirtualVariable.set`.

        Raises
        ------
        VariableError, BusError, AccessDenied, ...
            What the tree raised.
        RemoteTimeout
            No answer in time: whether the value was set is unknown. It is never set twice.
        RemoteError
            No connection; nothing was sent.
        """
        head = self._set_tails.get(path)
        if head is None:
            head = b',"op":"set","pairs":[[%b,' % dump(path, [])
            _keep(self._set_tails, path, head)
        buffers: list[bytes] = []
        tail = b"%b%b]]" % (head, dump(value, buffers))
        if index == -1 and write and verify:
            tail += b"}"
        else:
            tail += b',"index":%b,"write":%b,"verify":%b}' % (
                dump(index, []),
                dump(write, []),
                dump(verify, []),
            )
        self._channel.request(tail, buffers, "set", path, timeout)

    def setMany(
        self, pairs: Iterable[tuple[str, Any]], *, disp: bool = False, timeout: float | None = None
    ) -> None:
        """Set several variables in order, in one request and one group of updates.

        All paths and rights are checked before the first is set; the first failure ends it.
        """
        buffers: list[bytes] = []
        text = dump([[path, value] for path, value in pairs], buffers)
        tail = b',"op":"set","pairs":%b,"disp":%b}' % (text, dump(disp, []))
        self._channel.request(tail, buffers, "set", None, timeout)

    def setDisp(
        self, path: str, text: Any, *, index: int = -1, write: bool = True, timeout: float | None = None
    ) -> None:
        """Set the value given as text."""
        buffers: list[bytes] = []
        options = {"pairs": [[path, text]], "disp": True, "index": index, "write": write}
        tail = b',"op":"set",%b' % dump(options, buffers)[1:]
        self._channel.request(tail, buffers, "set", path, timeout)

    def post(self, path: str, value: Any, *, index: int = -1, timeout: float | None = None) -> None:
        """Write `value` posted: not verified."""
        buffers: list[bytes] = []
        tail = b',"op":"set",%b' % dump({"pairs": [[path, value]], "post": True, "index": index}, buffers)[1:]
        self._channel.request(tail, buffers, "set", path, timeout)

    def call(self, path: str, arg: Any = None, *, timeout: float | None = None) -> Any:
        """Run the command at `path` and return its result; None stands for the default argument."""
        return self._call(path, arg, timeout, disp=False)

    def callDisp(self, path: str, arg: Any = None, *, timeout: float | None = None) -> str:
        """Run the command at `path` and return its result as text."""
        return str(self._call(path, arg, timeout, disp=True))

    def _call(self, path: str, arg: Any, timeout: float | None, *, disp: bool) -> Any:
        buffers: list[bytes] = []
        tail = b',"op":"call",%b' % dump({"path": path, "arg": arg, "disp": disp}, buffers)[1:]
        return self._channel.request(tail, buffers, "call", path, timeout)

    # ---- updates

    def addListener(self, path: str, listener: VarListener) -> None:
        """Call ``listener(path, RemoteValue)`` on each update of the variable at `path`.

        Listeners run in the client's listener thread, one after the other. An exception of a
        listener is logged. Once this returns, every later change is delivered or counted as lost.
        """
        path = self._full_path(path)
        if self._dispatcher.add(listener, path):
            try:
                self._listener().order("subscribe", [path])
            except BaseException:
                self._dispatcher.remove(listener, path)
                raise

    def delListener(self, path: str, listener: VarListener) -> None:
        """Undo `addListener`."""
        path = self._full_path(path)
        if self._dispatcher.remove(listener, path):
            self._listener().order("unsubscribe", [path])

    def addVarListener(self, listener: VarListener) -> None:
        """Call ``listener(path, RemoteValue)`` on each update of any variable of the tree."""
        if self._dispatcher.add(listener):
            try:
                self._listener().order("subscribe", [self._root_name()])
            except BaseException:
                self._dispatcher.remove(listener)
                raise

    def delVarListener(self, listener: VarListener) -> None:
        """Undo `addVarListener`."""
        if self._dispatcher.remove(listener):
            self._listener().order("unsubscribe", [self._root_name()])

    def waitValue(self, path: str, predicate: Callable[[Any], bool] | Any, timeout: float) -> Any:
        """Wait until the variable at `path` has a value, and return it.

        Parameters
        ----------
        path
            The variable.
        predicate
            Called with each value, the one now included, until it returns true; or the value itself.
        timeout
            Seconds to wait.

        Raises
        ------
        RemoteTimeout
            It did not happen in time; ``seen`` is the last value.
        """
        test = predicate if callable(predicate) else predicate.__eq__
        found: list[Any] = []
        seen: list[Any] = [None]
        happened = threading.Event()
        problems: list[Exception] = []

        def look(_path: str, update: RemoteValue) -> None:
            seen[0] = update.value
            try:
                if not found and test(update.value) is True:
                    found.append(update.value)
            except Exception as problem:  # noqa: BLE001  # of the predicate; raised to the caller below
                problems.append(problem)
            if found or problems:
                happened.set()

        end = time.monotonic() + timeout
        self.addListener(path, look)
        try:
            look(path, RemoteValue(self.value(path), None, "", "", 0.0))
            happened.wait(max(0.0, end - time.monotonic()))
        finally:
            self.delListener(path, look)
        if problems:
            raise problems[0]
        if not found:
            wanted = getattr(predicate, "__name__", None) or repr(predicate)
            raise RemoteTimeout(
                f"{path} did not take the value",
                path=path,
                expected=wanted,
                seen=repr(seen[0]),
                waited_s=timeout,
            )
        return found[0]

    # ---- the link

    @property
    def linked(self) -> bool:
        """Whether the server answers: heartbeats while something listens, else the last request."""
        return self._holder[0].linked if self._holder else self._channel.linked

    @property
    def lost(self) -> int:
        """Number of updates that the server dropped because this client was too slow."""
        return self._dispatcher.lost

    def addLinkMonitor(self, monitor: LinkMonitor) -> None:
        """Call ``monitor(linked)`` when the link is lost or found; begins the heartbeats."""
        self._dispatcher.add_link_monitor(monitor)
        self._listener()

    def remLinkMonitor(self, monitor: LinkMonitor) -> None:
        """Undo `addLinkMonitor`."""
        self._dispatcher.remove_link_monitor(monitor)

    def addLossMonitor(self, monitor: LossMonitor) -> None:
        """Call ``monitor(count)`` when the server has dropped `count` updates of this client."""
        self._dispatcher.add_loss_monitor(monitor)

    def _listener(self) -> Listener:
        with self._lock:
            if not self._holder:
                self._holder.append(
                    Listener(self._channel, self._waiting, self._dispatcher.deliver, self._dispatcher.linked)
                )
            return self._holder[0]

    def _root_name(self) -> str:
        return str(self._channel.greeting.get("root"))

    def _full_path(self, path: str) -> str:
        """Return `path` with the root's own name, as updates carry it."""
        first, dot, rest = path.partition(".")
        return f"{self._root_name()}{dot}{rest}" if first == "root" else path


def _shut_down(channel: Channel, holder: list[Listener]) -> None:
    for listener in holder:
        listener.stop()
    channel.close()


def _keep(tails: dict[str, bytes], path: str, tail: bytes) -> None:
    if len(tails) >= _CACHED:
        tails.clear()
    tails[path] = tail


def _get_tail(paths: list[str], read: bool, index: int, *, disp: bool) -> bytes:
    return b',"op":"get",%b' % dump({"paths": paths, "read": read, "index": index, "disp": disp}, [])[1:]
