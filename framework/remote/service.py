"""The tree as clients may use it: find, check rights, execute, audit. No socket here.

Every way in from outside (the ZeroMQ server, gateways, the operator panel, bridges) is an adaptor
of `Service`; none touches a node directly.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import sapwood
from sapwood.errors import AccessDenied, CommandError, NodeError, ProtocolError, SapwoodError
from sapwood.remote import codec
from sapwood.remote.access import Role, confined, role_of_token
from sapwood.remote.directory import Directory
from sapwood.remote.errors import pack_error
from sapwood.remote.plain import is_plain
from sapwood.remote.session import Session
from sapwood.remote.subscription import DEFAULT_WAITING, MOST_WAITING
from sapwood.remote.watchers import Watchers
from sapwood.remote.yamlcommands import yaml_command

__all__ = ["PROTOCOL_VERSION", "Plan", "Service", "log_failure"]

PROTOCOL_VERSION = 1
_INLINE_PATHS = 16  # requests for more go to the pool
_OPERATOR = Role.operator  # members of an enumeration take long to look up
_EXPERTS = "Expert"  # nodes in this group are for experts
_AUDIT_LENGTH = 200  # characters of a value in the audit log

_log = logging.getLogger("sapwood.remote.service")
_audit = logging.getLogger("sapwood.remote.audit")


Plan = tuple[bool, Callable[[], Any]]
"""A request that was checked: whether running it can neither block nor run user code, and what to run."""


class _Traits(NamedTuple):
    plain: bool  # reading and setting it can neither block nor run user code
    settable: bool
    file: bool  # its value or argument is a file name


class Service:
    """What clients may do with a tree.

    Parameters
    ----------
    root
        The tree; it must have been started.
    tokens
        Role by token; a client must show one of them. Without tokens everybody has the role
        `anonymous`.
    anonymous
        Role of clients when there are no tokens.
    max_message
        Bytes of the largest message that the adaptor takes; told to clients.
    """

    def __init__(
        self,
        root: Any,
        *,
        tokens: Mapping[str, Role | str] | None = None,
        anonymous: Role | str = Role.operator,
        max_message: int = codec.MAX_MESSAGE,
    ) -> None:
        self.instance = secrets.token_hex(8)
        self._root = root
        self._tokens = {token: Role.parse(role) for token, role in (tokens or {}).items()}
        self._anonymous = Role.parse(anonymous)
        self._max_message = max_message
        self._directory = Directory(root)
        self._traits: dict[Any, _Traits] = {}
        self.group: AbstractContextManager[None] = root.updateGroup()
        """Context in which the updates of a thread wait until its end; used again and again."""
        self._watchers = Watchers(root, self._directory)
        self._planners: dict[str, Callable[[Session, Mapping[str, Any]], Plan]] = {
            "hello": lambda session, request: (True, lambda: self.greeting(session)),
            "ping": lambda session, request: (True, _clock),
            "tree": self._plan_tree,
            "get": self._plan_get,
            "set": self._plan_set,
            "call": self._plan_call,
            "subscribe": self._plan_subscribe,
            "unsubscribe": self._plan_unsubscribe,
        }

    # ---- sessions

    def login(
        self, token: object = None, name: str = "", on_updates: Callable[[], None] = lambda: None
    ) -> Session:
        """Return a new session.

        Raises
        ------
        AccessDenied
            There are tokens and this is none of them.
        """
        role = role_of_token(self._tokens, token) if self._tokens else self._anonymous
        session = Session(role, name, on_updates)
        _log.info("%s logged in", session)
        return session

    def logout(self, session: Session) -> None:
        """Forget the subscriptions of `session`."""
        self._watchers.unsubscribe(session, list(session.paths))

    def greeting(self, session: Session) -> dict[str, Any]:
        """Return what a client learns first about this server and its own rights."""
        return {
            "server": self.instance,
            "version": sapwood.__version__,
            "protocol": PROTOCOL_VERSION,
            "root": self._root.name,
            "role": session.role.name,
            "max_message": self._max_message,
            "clock": time.monotonic(),
        }

    # ---- requests

    def handle(self, session: Session, request: Mapping[str, Any]) -> dict[str, Any]:
        """Execute a request and return ``{"ok": value}`` or ``{"error": facts}``; never raises.

        Parameters
        ----------
        session
            From `login`.
        request
            ``op`` and the arguments of docs/protocol.md, with Python values.
        """
        try:
            return {"ok": self.plan(session, request)[1]()}
        except Exception as problem:  # noqa: BLE001  # user code below may raise anything; it travels to the client
            log_failure(session, request, problem)
            return {"error": pack_error(problem)}

    def plan(self, session: Session, request: Mapping[str, Any]) -> Plan:
        """Check a request without executing it.

        Raises
        ------
        ProtocolError
            The operation or an argument is not of the protocol.
        AccessDenied
            The role is too low, the variable is read-only, a file name leaves the data folder.
        NodeError
            The node is of another kind.
        """
        op = request.get("op")
        planner = self._planners.get(op) if isinstance(op, str) else None
        if planner is None:
            raise ProtocolError("unknown operation", expected=", ".join(self._planners), seen=repr(op)[:40])
        return planner(session, request)

    def _plan_tree(self, session: Session, request: Mapping[str, Any]) -> Plan:
        path = request.get("path", self._root.name)
        node = self._directory.find(path)
        if node is None:
            return self._plan_unknown(path)
        return (False, lambda: self._describe(node))

    def _describe(self, node: Any) -> dict[str, Any]:
        facts: dict[str, Any] = {
            key: value for key, value in node.describe().items() if value is not None and value != []
        }
        if node.isDevice:
            facts["nodes"] = [self._describe(child) for child in self._directory.children(node)]
        return facts

    def _plan_unknown(self, path: object) -> Plan:
        def fail() -> None:
            raise self._directory.unknown(path)

        return (False, fail)  # looking for similar names takes its time

    # ---- get

    def _plan_get(self, session: Session, request: Mapping[str, Any]) -> Plan:
        paths = request.get("paths")
        if type(paths) is not list:
            raise ProtocolError("malformed request", expected="a list of paths", seen=repr(paths)[:80])
        nodes = []
        inline = len(paths) <= _INLINE_PATHS
        for path in paths:
            node = self._directory.find(path)
            if node is None:
                return self._plan_unknown(path)
            traits = self._traits.get(node) or self._classify(node)
            inline = inline and traits.plain
            nodes.append(node)
        if "read" not in request and "index" not in request and "disp" not in request:
            return (inline, lambda: [node.get() for node in nodes])
        read, index = bool(request.get("read", True)), _index(request)
        if request.get("disp"):
            return (inline, lambda: [node.getDisp(read=read, index=index) for node in nodes])
        return (inline, lambda: [node.get(read=read, index=index) for node in nodes])

    def _classify(self, node: Any) -> _Traits:
        """Return, and keep, what does not change of the variable or command `node`."""
        if node.isDevice:
            raise NodeError("a device has no value", path=node.path, expected="a variable")
        file = bool(node.getExtraAttribute("fileName"))
        traits = self._traits[node] = _Traits(is_plain(node), node.isVariable and node.mode != "RO", file)
        return traits

    # ---- set and call

    def _plan_set(self, session: Session, request: Mapping[str, Any]) -> Plan:
        pairs = request.get("pairs")
        if type(pairs) is not list:
            raise _malformed_pairs(pairs)
        changes = []
        inline = len(pairs) <= _INLINE_PATHS
        for pair in pairs:
            if type(pair) is not list or len(pair) != 2:
                raise _malformed_pairs(pairs)
            path, value = pair
            node = self._directory.find(path)
            if node is None:
                return self._plan_unknown(path)
            traits = self._traits.get(node) or self._classify(node)
            if not traits.settable:
                self._refuse_set(node)
            if session.role < _OPERATOR or _EXPERTS in node._groups:
                self._check_rights(session, node)
            if traits.file:
                self._check_file_name(node, value)
            inline = inline and traits.plain
            changes.append((node, value))
        options = _set_options(request)
        if len(changes) == 1:
            return inline, partial(self._set_one, session, node, value, options)
        return inline, partial(self._set, session, changes, options)

    @staticmethod
    def _refuse_set(node: Any) -> NoReturn:
        if node.isVariable:
            raise AccessDenied("variable is read-only", path=node.path)
        raise NodeError("only variables can be set", path=node.path, expected="a variable")

    def _set(self, session: Session, changes: list[tuple[Any, Any]], options: _SetOptions | None) -> int:
        """Set in order, in one group of updates; the first failure ends it."""
        with self._root.updateGroup():
            for node, value in changes:
                self._set_one(session, node, value, options)
        return len(changes)

    def _set_one(self, session: Session, node: Any, value: Any, options: _SetOptions | None) -> int:
        try:
            if options is None:
                node.set(value)
            elif options.disp:
                node.setDisp(value, write=options.write, index=options.element)
            elif options.post:
                node.post(value, index=options.element)
            else:
                node.set(value, index=options.element, write=options.write, verify=options.verify)
        except BaseException as problem:
            _record(session, "set", node, value, problem)
            raise
        if _audit.isEnabledFor(logging.INFO):
            _record(session, "set", node, value, None)
        return 1

    def _plan_call(self, session: Session, request: Mapping[str, Any]) -> Plan:
        path = request.get("path")
        node = self._directory.find(path)
        if node is None:
            return self._plan_unknown(path)
        if not node.isCommand:
            raise CommandError("only commands can be called", path=node.path, expected="a command")
        self._check_rights(session, node)
        argument = request.get("arg")
        if self._classify(node).file:
            self._check_file_name(node, argument)
        function = yaml_command(node) or (node.callDisp if request.get("disp") else node.call)
        return (False, lambda: self._call(session, node, function, argument))

    def _call(self, session: Session, node: Any, function: Callable[[Any], Any], argument: Any) -> Any:
        try:
            result = function(argument)
        except BaseException as problem:
            _record(session, "call", node, argument, problem)
            raise
        _record(session, "call", node, argument, None)
        return result

    def _check_rights(self, session: Session, node: Any) -> None:
        needed = Role.expert if _EXPERTS in node._groups else Role.operator
        if session.role < needed:
            raise AccessDenied(
                "the role of this client is too low",
                path=node.path,
                expected=needed.name,
                seen=session.role.name,
            )

    def _check_file_name(self, node: Any, value: Any) -> None:
        confined(value, Path(self._root.dataDir or "."), node.path)

    # ---- subscriptions

    def subscribe(self, session: Session, paths: Iterable[str], limit: int = DEFAULT_WAITING) -> int:
        """Let the updates of `paths` wait in ``session.subscription``; see `Watchers.subscribe`."""
        return self._watchers.subscribe(session, paths, limit)

    def unsubscribe(self, session: Session, paths: Iterable[str]) -> None:
        """End what `subscribe` began for exactly these `paths`."""
        self._watchers.unsubscribe(session, paths)

    def _plan_subscribe(self, session: Session, request: Mapping[str, Any]) -> Plan:
        paths = _paths(request)
        limit = request.get("limit", DEFAULT_WAITING)
        if type(limit) is not int or not 1 <= limit <= MOST_WAITING:
            raise ProtocolError(
                "malformed request", expected=f"limit 1 to {MOST_WAITING}", seen=repr(limit)[:40]
            )
        now = bool(request.get("now"))
        return (False, lambda: self._watchers.subscribe(session, paths, limit, now=now))

    def _plan_unsubscribe(self, session: Session, request: Mapping[str, Any]) -> Plan:
        paths = _paths(request)
        return (True, lambda: self._watchers.unsubscribe(session, paths))

    def close(self) -> None:
        """Stop listening to the tree."""
        self._watchers.close()


def _clock() -> dict[str, float]:
    return {"clock": time.monotonic()}


class _SetOptions(NamedTuple):
    element: int
    disp: bool
    post: bool
    write: bool
    verify: bool


_OPTIONS = frozenset({"index", "disp", "post", "write", "verify"})


def _set_options(request: Mapping[str, Any]) -> _SetOptions | None:
    """Return the options of a set, or None when it has none."""
    if _OPTIONS.isdisjoint(request):
        return None
    option = request.get
    return _SetOptions(
        _index(request),
        bool(option("disp", False)),
        bool(option("post", False)),
        bool(option("write", True)),
        bool(option("verify", True)),
    )


def _malformed_pairs(pairs: object) -> ProtocolError:
    return ProtocolError("malformed request", expected="pairs of path and value", seen=repr(pairs)[:80])


def _index(request: Mapping[str, Any]) -> int:
    index = request.get("index", -1)
    if type(index) is not int:
        raise ProtocolError("malformed request", expected="an integer index", seen=repr(index)[:40])
    return index


def _paths(request: Mapping[str, Any]) -> list[str]:
    paths = request.get("paths")
    if type(paths) is not list or not all(type(path) is str for path in paths):
        raise ProtocolError("malformed request", expected="a list of paths", seen=repr(paths)[:80])
    return paths


def log_failure(session: Session, request: Mapping[str, Any], problem: BaseException) -> None:
    """Log an error that goes to a client; those of user code with the traceback."""
    if isinstance(problem, SapwoodError):
        _log.debug("%s: %s failed: %s", session, request.get("op"), problem)
    else:
        _log.warning("%s: %s failed", session, request.get("op"), exc_info=problem)


def _record(session: Session, verb: str, node: Any, value: object, problem: BaseException | None) -> None:
    """Write one line to the audit log: who did what, where, with which outcome."""
    if _audit.isEnabledFor(logging.INFO):
        outcome = "ok" if problem is None else f"failed: {problem}"
        _audit.info("%s %s %s %s: %s", session, verb, node.path, repr(value)[:_AUDIT_LENGTH], outcome)
