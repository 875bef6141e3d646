"""Nodes of a client: they read like the nodes of the tree they stand for.

The names are those of `sapwood.tree`; each access of a value is one request to the server, what
describes a node was loaded with the tree.
"""
# ruff: noqa: N802, N815

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sapwood.errors import UnknownNode, nearest
from sapwood.remote.cached import cached
from sapwood.views import Shown, View, Viewable, view

if TYPE_CHECKING:
    from sapwood.remote.client import RemoteClient
    from sapwood.remote.updates import VarListener

__all__ = ["VirtualCommand", "VirtualDevice", "VirtualNode", "VirtualVariable", "make_node"]

_LIMITS = ("lowWarning", "lowAlarm", "highWarning", "highAlarm")
_ELEMENT = re.compile(r"([^\[\]]+)((?:\[\d+\])+)")


class NoSuchChildError(UnknownNode, AttributeError):
    """A device of the client has no child or attribute of this name."""


class VirtualNode(Viewable):
    """A node of the server's tree.

    Parameters
    ----------
    client
        The client it belongs to.
    facts
        What the server said about it.
    parent
        The device above; None for the root.
    """

    __slots__ = ("__weakref__", "_client", "_facts", "_parent", "_path")

    isDevice = False
    isVariable = False
    isCommand = False

    def __init__(self, client: RemoteClient, facts: dict[str, Any], parent: VirtualDevice | None) -> None:
        self._client = client
        self._facts = facts
        self._parent = parent
        self._path: str = facts["path"]

    @property
    def name(self) -> str:
        """Name of this node."""
        return str(self._facts["name"])

    @property
    def path(self) -> str:
        """Dotted path from the root."""
        return self._path

    @property
    def parent(self) -> VirtualDevice | None:
        """The device that holds this node; None for the root."""
        return self._parent

    @property
    def root(self) -> VirtualDevice:
        """The root of the tree."""
        return self._client.root

    @property
    def description(self) -> str:
        """Free text."""
        return str(self._facts.get("description", ""))

    @property
    def groups(self) -> list[str]:
        """Groups of this node."""
        return list(self._facts.get("groups", ()))

    @property
    def hidden(self) -> bool:
        """Whether displays leave this node out."""
        return "Hidden" in self._facts.get("groups", ())

    @property
    def guiGroup(self) -> str | None:
        """Label of a folder for displays."""
        return self._facts.get("guiGroup")

    @property
    def className(self) -> str:
        """Name of the class of the server's node."""
        return str(self._facts.get("class", ""))

    def describe(self) -> dict[str, Any]:
        """Return all that the server said about this node, without its children."""
        return {key: value for key, value in self._facts.items() if key != "nodes"}

    def _view(self) -> View:
        return view(self, self._shown)

    def _shown(self, variables: Sequence[VirtualVariable]) -> list[Shown]:
        """Return text and alarm of what the server holds."""
        from sapwood.tree.alarms import Limits  # only here: a client does without the tree

        found = cached(self._client, [variable.path for variable in variables]) if variables else []
        result = []
        for variable, (value, text) in zip(variables, found, strict=True):
            limits = Limits(*(variable._facts.get(name) for name in _LIMITS))
            result.append(Shown(text, limits.state(value)[1]))
        return result

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._path}>"


class VirtualDevice(VirtualNode):
    """A device or the root: its children are attributes; array children ``Ch[0]`` also ``dev.Ch[0]``."""

    __slots__ = ("_children",)

    isDevice = True

    def __init__(self, client: RemoteClient, facts: dict[str, Any], parent: VirtualDevice | None) -> None:
        super().__init__(client, facts, parent)
        self._children: dict[str, VirtualNode] | None = None

    @property
    def nodes(self) -> dict[str, VirtualNode]:
        """Children by name, in the order of the tree."""
        children = self._children
        if children is None:
            made = (make_node(self._client, facts, self) for facts in self._facts.get("nodes", ()))
            children = self._children = {node.name: node for node in made}
        return children

    @property
    def devices(self) -> dict[str, VirtualNode]:
        """Child devices by name."""
        return {name: node for name, node in self.nodes.items() if node.isDevice}

    @property
    def variables(self) -> dict[str, VirtualNode]:
        """Child variables by name, without commands."""
        return {name: node for name, node in self.nodes.items() if node.isVariable}

    @property
    def commands(self) -> dict[str, VirtualNode]:
        """Child commands by name."""
        return {name: node for name, node in self.nodes.items() if node.isCommand}

    def node(self, name: str) -> VirtualNode | None:
        """Return the child `name`, or None."""
        return self.nodes.get(name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked for by Python itself, never a node
            raise AttributeError(name)
        child = self.nodes.get(name)
        if child is not None:
            return child
        elements = self._elements(name)
        if elements:
            return elements
        raise NoSuchChildError(
            f"{self._path} has no node {name}",
            path=f"{self._path}.{name}",
            near=[f"{self._path}.{found}" for found in nearest(name, self.nodes)],
        )

    def _elements(self, base: str) -> dict[int, Any]:
        """Return the children ``base[i][j]`` as dictionaries inside each other, by number."""
        found: dict[int, Any] = {}
        for name, node in self.nodes.items():
            element = _ELEMENT.fullmatch(name)
            if element is None or element[1] != base:
                continue
            *outer, last = [int(key) for key in element[2][1:-1].split("][")]
            level = found
            for key in outer:
                level = level.setdefault(key, {})
            level[last] = node
        return found

    def __dir__(self) -> list[str]:
        bases = {name.partition("[")[0] for name in self.nodes}
        return sorted({*super().__dir__(), *bases})


class VirtualVariable(VirtualNode):
    """A variable of the server's tree."""

    __slots__ = ()

    isVariable = True

    # ---- what it is

    @property
    def mode(self) -> str:
        """``RW``, ``RO`` or ``WO``."""
        return str(self._facts.get("mode", "RW"))

    @property
    def typeStr(self) -> str:
        """Type of the value, as text."""
        return str(self._facts.get("typeStr", "Unknown"))

    @property
    def enum(self) -> dict[Any, str] | None:
        """Texts by value."""
        pairs = self._facts.get("enum")
        return None if pairs is None else dict(pairs)

    @property
    def disp(self) -> str:
        """Format of the value's text, or ``'enum'``."""
        return str(self._facts.get("disp", ""))

    @property
    def units(self) -> str | None:
        """Label of the unit."""
        return self._facts.get("units")

    @property
    def minimum(self) -> Any:
        """Lowest value allowed."""
        return self._facts.get("minimum")

    @property
    def maximum(self) -> Any:
        """Highest value allowed."""
        return self._facts.get("maximum")

    @property
    def pollInterval(self) -> float:
        """Seconds between reads of the hardware, 0 for none; as it was when the tree was loaded."""
        return float(self._facts.get("pollInterval", 0))

    # ---- access

    def get(self, *, read: bool = True, index: int = -1, timeout: float | None = None) -> Any:
        """Return the value, read from the hardware unless `read` is False."""
        return self._client.get(self._path, read=read, index=index, timeout=timeout)

    def value(self, index: int = -1) -> Any:
        """Return the value the server holds, without access to the hardware."""
        return self._client.get(self._path, read=False, index=index)

    def getDisp(self, read: bool = True, index: int = -1, *, timeout: float | None = None) -> str:
        """Return the value as text, read from the hardware unless `read` is False."""
        return self._client.getDisp(self._path, read=read, index=index, timeout=timeout)

    def valueDisp(self, index: int = -1) -> str:
        """Return the value the server holds as text."""
        return self._client.getDisp(self._path, read=False, index=index)

    def set(
        self,
        value: Any,
        *,
        index: int = -1,
        write: bool = True,
        verify: bool = True,
        timeout: float | None = None,
    ) -> None:
        """Stage `value` and, unless `write` is False, write and verify it.

        `index` sets one element of an array, list or dictionary.
        """
        self._client.set(self._path, value, index=index, write=write, verify=verify, timeout=timeout)

    def setDisp(
        self, text: Any, write: bool = True, index: int = -1, *, timeout: float | None = None
    ) -> None:
        """Set the value given as text."""
        self._client.setDisp(self._path, text, index=index, write=write, timeout=timeout)

    def post(self, value: Any, *, index: int = -1, timeout: float | None = None) -> None:
        """Write `value` posted: not verified."""
        self._client.post(self._path, value, index=index, timeout=timeout)

    # ---- updates

    def addListener(self, listener: VarListener) -> None:
        """Call ``listener(path, RemoteValue)`` on each update, in the client's listener thread."""
        self._client.addListener(self._path, listener)

    def delListener(self, listener: VarListener) -> None:
        """Undo `addListener`."""
        self._client.delListener(self._path, listener)


class VirtualCommand(VirtualVariable):
    """A command of the server's tree; calling it runs it there."""

    __slots__ = ()

    isVariable = False
    isCommand = True

    @property
    def arg(self) -> bool:
        """Whether the command takes an argument."""
        return bool(self._facts.get("takesArg"))

    def __call__(self, arg: Any = None, *, timeout: float | None = None) -> Any:
        """Run the command and return its result; None stands for the default argument."""
        return self._client.call(self._path, arg, timeout=timeout)

    def call(self, arg: Any = None, *, timeout: float | None = None) -> Any:
        """Run the command and return its result; None stands for the default argument."""
        return self._client.call(self._path, arg, timeout=timeout)

    def callDisp(self, arg: Any = None, *, timeout: float | None = None) -> str:
        """Run the command and return its result as text."""
        return self._client.callDisp(self._path, arg, timeout=timeout)


def make_node(client: RemoteClient, facts: dict[str, Any], parent: VirtualDevice | None) -> VirtualNode:
    """Return the node that `facts` describe."""
    kind = {"variable": VirtualVariable, "command": VirtualCommand}.get(facts["kind"], VirtualDevice)
    return kind(client, facts, parent)
