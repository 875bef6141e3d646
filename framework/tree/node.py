"""Node: what every element of the tree has, and the family relations between them."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, cast

from sapwood.errors import NodeError
from sapwood.tree import logs, match
from sapwood.tree.groups import GroupFilter, Groups, as_groups, passes
from sapwood.tree.shown import shown
from sapwood.views import View, Viewable, view

if TYPE_CHECKING:
    from sapwood.tree.device import Device
    from sapwood.tree.root import Root

__all__ = ["Node"]

_SPECIAL = re.compile(r"[^\w\[\]]")
_NONE: Any = MappingProxyType({})
_counter = itertools.count(1)
_built = 0


class Node(Viewable):
    """One element of the tree.

    Parameters
    ----------
    name
        Unique among the children of its parent, and not the name of an attribute of the parent.
    description
        Free text.
    expand
        Hint for displays: show the children.
    hidden
        Put the node into the group ``Hidden``.
    groups
        A group or several; copied.
    guiGroup
        Label of a folder for displays.
    """

    isDevice = False
    isVariable = False
    isCommand = False
    _logFamily: ClassVar[str] = "Node"

    # Trees have very many nodes: what is as usual stays on the class, and only devices hold dicts.
    _expand = True
    _guiGroup: str | None = None
    _groups: tuple[str, ...] = ()
    _nodes: dict[str, Node] = _NONE
    _arrays: dict[str, dict[int, Any]] = _NONE
    _owner: Node | None = None
    _parent: Any = None
    _root: Any = None
    _logger: logging.Logger | None = None

    def __init__(
        self,
        *,
        name: str,
        description: str = "",
        expand: bool = True,
        hidden: bool = False,
        groups: Groups = None,
        guiGroup: str | None = None,
    ) -> None:
        global _built
        _built = next(_counter)
        self._name: str = name
        self._path: str = name
        self._description = description
        if not expand:
            self._expand = expand
        if guiGroup is not None:
            self._guiGroup = guiGroup
        if groups:
            self._groups = tuple(as_groups(groups))
        if hidden and "Hidden" not in self._groups:
            self._groups += ("Hidden",)
        if self.isDevice:
            self._nodes = {}
            self._arrays = {}

    # ---- what it is

    @property
    def name(self) -> str:
        """Name of this node."""
        return self._name

    @property
    def path(self) -> str:
        """Dotted path from the root; just the name until the tree has started."""
        return self._path

    @property
    def description(self) -> str:
        """Free text."""
        return self._description

    @property
    def expand(self) -> bool:
        """Hint for displays: show the children."""
        return self._expand

    @property
    def guiGroup(self) -> str | None:
        """Label of a folder for displays."""
        return self._guiGroup

    @property
    def parent(self) -> Device:
        """The device that holds this node; None until the tree has started."""
        return self._parent  # type: ignore[no-any-return]  # None only before the start

    @property
    def root(self) -> Root:
        """The root of the tree; None until the tree has started."""
        return self._root  # type: ignore[no-any-return]  # None only before the start

    @property
    def nodeCount(self) -> int:
        """Number of nodes ever built in this process."""
        return _built

    def isinstance(self, typ: type | tuple[type, ...]) -> bool:
        """Tell if this node is of class `typ`."""
        return isinstance(self, typ)

    def __repr__(self) -> str:
        return f"{type(self)} - {self.__dict__.get('_path', '?')}"

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__dict__.get("_nodes", ())})

    # ---- logging

    @property
    def _log(self) -> logging.Logger:
        if self._logger is None:
            self._logger = logging.getLogger(self.logName())
        return self._logger

    def logName(self) -> str:
        """Return the name of this node's logger, ``pyrogue.<Family>.<Class>.<path>``."""
        return f"{logs.family_name(type(self))}.{self._path}"

    def setLogLevel(self, level: int | str, *, includePython: bool = True, includeRogue: bool = True) -> None:
        """Set the level of this node's logger; `includeRogue` is accepted for existing callers."""
        if includePython:
            logs.setLogLevel(self, level)

    @classmethod
    def classLogName(cls) -> str:
        """Return the name of the logger above all nodes of this class."""
        return logs.family_name(cls)

    @classmethod
    def setClassLogLevel(
        cls, level: int | str, *, includePython: bool = True, includeRogue: bool = True
    ) -> None:
        """Set the level for all nodes of this class; `includeRogue` is accepted for existing callers."""
        if includePython:
            logs.setLogLevel(cls, level)

    # ---- groups

    @property
    def groups(self) -> list[str]:
        """Groups of this node (a copy)."""
        return list(self._groups)

    def inGroup(self, group: Groups) -> bool:
        """Tell if this node is in `group`, or in any of several."""
        return any(name in self._groups for name in as_groups(group))

    def filterByGroup(self, incGroups: Groups, excGroups: Groups) -> bool:
        """Tell if this node is in `incGroups` (when given) and not in `excGroups`."""
        return passes(self._groups, as_groups(incGroups), as_groups(excGroups))

    def addToGroup(self, group: str) -> None:
        """Put this node and all below it into `group`."""
        if group not in self._groups:
            self._groups += (group,)
        for node in self._nodes.values():
            node.addToGroup(group)

    def removeFromGroup(self, group: str) -> None:
        """Take this node, but not those below it, out of `group`."""
        self._groups = tuple(one for one in self._groups if one != group)

    @property
    def hidden(self) -> bool:
        """Whether this node is in the group ``Hidden``."""
        return "Hidden" in self._groups

    @hidden.setter
    def hidden(self, value: bool) -> None:
        if value:
            self.addToGroup("Hidden")
        else:
            self.removeFromGroup("Hidden")

    # ---- children

    @property
    def nodes(self) -> dict[str, Node]:
        """Children by name, in the order they were added."""
        return self._nodes

    @property
    def variables(self) -> dict[str, Any]:
        """Child variables by name, without commands."""
        return {name: node for name, node in self._nodes.items() if node.isVariable}

    @property
    def commands(self) -> dict[str, Any]:
        """Child commands by name."""
        return {name: node for name, node in self._nodes.items() if node.isCommand}

    @property
    def devices(self) -> dict[str, Any]:
        """Child devices by name."""
        return {name: node for name, node in self._nodes.items() if node.isDevice}

    def _filtered(self, nodes: dict[str, Any], incGroups: Groups, excGroups: Groups) -> dict[str, Any]:
        wanted = GroupFilter(incGroups, excGroups)
        return {name: node for name, node in nodes.items() if wanted(node._groups)}

    def variablesByGroup(self, incGroups: Groups = None, excGroups: Groups = None) -> dict[str, Any]:
        """Child variables that pass the groups."""
        return self._filtered(self.variables, incGroups, excGroups)

    def commandsByGroup(self, incGroups: Groups = None, excGroups: Groups = None) -> dict[str, Any]:
        """Child commands that pass the groups."""
        return self._filtered(self.commands, incGroups, excGroups)

    def devicesByGroup(self, incGroups: Groups = None, excGroups: Groups = None) -> dict[str, Any]:
        """Child devices that pass the groups."""
        return self._filtered(self.devices, incGroups, excGroups)

    def getNodes(
        self,
        typ: type | tuple[type, ...],
        excTyp: type | tuple[type, ...] | None = None,
        incGroups: Groups = None,
        excGroups: Groups = None,
    ) -> dict[str, Any]:
        """Return the children of class `typ` but not `excTyp` that pass the groups."""
        chosen = {
            name: node
            for name, node in self._nodes.items()
            if isinstance(node, typ) and not (excTyp is not None and isinstance(node, excTyp))
        }
        return self._filtered(chosen, incGroups, excGroups)

    def _walk(self) -> Iterator[Node]:
        """Yield all nodes below this one, depth first in the order they were added."""
        for node in self._nodes.values():
            yield node
            if node._nodes:
                yield from node._walk()

    @property
    def nodeList(self) -> list[Node]:
        """All nodes below this one, depth first in the order they were added."""
        return list(self._walk())

    @property
    def variableList(self) -> list[Any]:
        """All variables below this one, commands included."""
        return [node for node in self._walk() if node.isVariable or node.isCommand]

    @property
    def deviceList(self) -> list[Any]:
        """All devices below this one."""
        return [node for node in self._walk() if node.isDevice]

    def node(self, name: str) -> Any:
        """Return the child `name`, or None."""
        return self._nodes.get(name)

    def __contains__(self, node: object) -> bool:
        return any(child is node for child in self._nodes.values())

    def __getattr__(self, name: str) -> Any:
        # Children are instance attributes, so only failures come here.
        raise AttributeError(f"{self!r} has no attribute {name}")

    # ---- building

    def add(self, node: Node | Iterable[Node]) -> None:
        """Add a child, or each of several.

        Raises
        ------
        NodeError
            This is not a device, the tree has started, the node has a parent, or its name is taken.
        """
        if isinstance(node, Node):
            self._adopt(node)
            return
        for one in cast("Iterable[Node]", node):
            self.add(one)

    def _adopt(self, node: Node) -> None:
        """Take `node` as a child, if everything allows it."""
        name = node._name
        text = f"Error adding node with name {name} to {self._path}."
        if not self.isDevice:
            raise NodeError(
                f"Attempting to add node with name {name} to non device node {self._path}.", path=self._path
            )
        if self._root is not None:
            raise NodeError(f"{text} Tree is already started.", path=self._path)
        if node._owner is not None or node._root is not None:
            raise NodeError(f"{text} Node is already attached.", path=self._path)
        if _SPECIAL.search(name):
            self._log.warning("Node %s with one or more special characters will cause lookup errors.", name)
        if name in self._nodes or self._has_attribute(name):
            raise NodeError(f"{text} Name collision.", path=self._path)
        self._register_element(name, node, text)
        self._nodes[name] = node
        self.__dict__[name] = node
        node._owner = self

    def _has_attribute(self, name: str) -> bool:
        return name in self.__dict__ or hasattr(type(self), name)

    def _register_element(self, name: str, node: Node, text: str) -> None:
        """Put an array element ``base[i][j]`` also under ``self.base``."""
        element = match.array_key(name)
        if element is None:
            if "[" in name:
                self._log.warning("Array node %s with non numeric key: lookup only by its full name.", name)
            return
        base, keys = element
        if base not in self._arrays:
            if base in self._nodes or self._has_attribute(base):
                raise NodeError(f"{text} Name collision.", path=self._path)
            self._arrays[base] = self.__dict__[base] = {}
        level = self._arrays[base]
        for key in keys[:-1]:
            level = level.setdefault(key, {})
            if not isinstance(level, dict):
                raise NodeError(f"{text} Name collision.", path=self._path)
        if keys[-1] in level:
            raise NodeError(f"{text} Name collision.", path=self._path)
        level[keys[-1]] = node

    def addNode(self, nodeClass: Callable[..., Node], **kwargs: Any) -> None:
        """Add ``nodeClass(**kwargs)``."""
        self.add(nodeClass(**kwargs))

    def addNodes(self, nodeClass: Callable[..., Node], number: int, stride: int, **kwargs: Any) -> None:
        """Add `number` nodes ``name[i]`` at ``offset + i * stride``."""
        name = kwargs.pop("name")
        offset = kwargs.pop("offset")
        for index in range(number):
            self.add(nodeClass(name=f"{name}[{index}]", offset=offset + index * stride, **kwargs))

    def _rootAttached(self, parent: Any, root: Any) -> None:
        """Take parent, root, path and the parent's groups; called once while the tree starts."""
        self._parent = parent
        self._root = root
        self._path = f"{parent._path}.{self._name}" if parent is not self else self._name
        if self._logger is not None:
            self._logger = None  # its name was without the path
        if parent._groups:
            own = self._groups
            self._groups = own + tuple(group for group in parent._groups if group not in own)

    def _finishInit(self) -> None:
        """Complete what needs the whole tree; called once, after all nodes are attached."""

    # ---- finding

    def nodeMatch(self, key: str) -> tuple[list[Any], list[str] | None]:
        """Return the children that `key` names, and element indexes that are left over.

        `key` is a name, ``a[*]``, ``a[1:3]``, ``m[*][0]``, or a variable with the index of one of
        its elements. Nothing found is an empty list.
        """
        exact = self._nodes.get(key)
        if exact is not None:
            return [exact], None
        base, keys = match.split_key(key)
        if not keys:
            return [], None
        if base in self._nodes:
            return [self._nodes[base]], keys
        if base not in self._arrays:
            return [], None
        leaves = match.resolve(self._arrays[base], keys)
        rest = leaves[0][1] if leaves else []
        nodes = [node for node, left in leaves if left == rest]
        if rest and not all(node.isVariable for node in nodes):
            return [], None
        return nodes, rest or None

    def find(self, *, recurse: bool = True, typ: type | None = None, **props: Any) -> list[Any]:
        """Return all nodes below of class `typ` whose properties are as given.

        A str is a pattern matched from the start of the property, other values are compared. A
        method is called first; a node without the property does not match.
        """
        tests = [
            (name, re.compile(want).match if isinstance(want, str) else want) for name, want in props.items()
        ]
        nodes: Iterable[Node] = self._walk() if recurse else self._nodes.values()
        kind = Node if typ is None else typ
        return [node for node in nodes if isinstance(node, kind) and _has_all(node, tests)]

    def callRecursive(self, func: str, nodeTypes: Sequence[type] | None = None, **kwargs: Any) -> None:
        """Call the method named `func` on this node, then on the nodes below of class `nodeTypes`."""
        getattr(self, func)(**kwargs)
        kinds = tuple(nodeTypes) if nodeTypes is not None else (Node,)
        for node in self._nodes.values():
            if isinstance(node, kinds):
                node.callRecursive(func, nodeTypes, **kwargs)

    def makeRecursive(self, func: str, nodeTypes: Sequence[type] | None = None) -> Callable[..., None]:
        """Return a function that does `callRecursive` with these arguments."""
        return lambda **kwargs: self.callRecursive(func, nodeTypes, **kwargs)

    def describe(self) -> dict[str, Any]:
        """Return what a client needs to draw this node, in types of JSON."""
        from sapwood.tree.describe import describe

        return describe(self)

    def _view(self) -> View:
        return view(self, shown)

    # ---- text

    def getYaml(
        self,
        readFirst: bool = False,
        modes: Sequence[str] = ("RW", "RO", "WO"),
        incGroups: Groups = None,
        excGroups: Groups = None,
        recurse: bool = True,
    ) -> str:
        """Return the values of the variables below as YAML text ``{name: {...}}``.

        Parameters
        ----------
        readFirst
            Read the whole tree from the hardware first.
        modes
            Access modes of the variables to include.
        incGroups, excGroups
            Tested at every level.
        recurse
            False stops at this level's devices.
        """
        from sapwood.tree import emit

        if readFirst and self._root is not None:
            self._root._read()
        return emit.node_text(self, modes, GroupFilter(incGroups, excGroups), recurse=recurse)

    def printYaml(
        self,
        readFirst: bool = False,
        modes: Sequence[str] = ("RW", "RO", "WO"),
        incGroups: Groups = None,
        excGroups: Groups = None,
        recurse: bool = False,
    ) -> None:
        """Print what `getYaml` returns."""
        text = self.getYaml(readFirst, modes, incGroups, excGroups, recurse)
        print(text)  # noqa: T201  # printing is what this is called for


def _has_all(node: Node, tests: list[tuple[str, Any]]) -> bool:
    for name, want in tests:
        try:
            value = getattr(node, name)
        except (AttributeError, NodeError):  # no such property, or none before the start
            return False
        if callable(value):
            value = value()
        if callable(want):
            if not isinstance(value, str) or want(value) is None:
                return False
        elif not bool(value == want):
            return False
    return True
