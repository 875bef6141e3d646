"""Find nodes by the paths that clients send, and know what may be done to them where.

A node in the group ``NoServe`` does not exist for clients.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from sapwood.errors import UnknownNode, nearest

__all__ = ["Directory"]

HIDDEN = "NoServe"
_NEAR = 3
_LONGEST = 200  # characters of a path repeated in a message


class Directory:
    """The nodes of a tree, by path.

    Parameters
    ----------
    root
        The tree; it must have been started.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self._known: dict[str, Any] = {}

    def find(self, path: object) -> Any:
        """Return the node at `path`, or None; the first element is the root's name or ``root``."""
        if not isinstance(path, str):
            return None
        node = self._known.get(path)
        if node is None:
            node = self._look_up(path)
            if node is None:
                return None
            self._known[path] = node  # two spellings a node at most
        return None if HIDDEN in node._groups else node

    def _look_up(self, path: str) -> Any:
        first, *elements = path.split(".")
        if first not in (self._root.name, "root"):
            return None
        node = self._root
        for element in elements:
            node = node.nodes.get(element)
            if node is None:
                return None
        return node

    def unknown(self, path: object) -> UnknownNode:
        """Return the error for a path without a node; ``near`` names similar ones."""
        if not isinstance(path, str):
            return UnknownNode("a path must be text", expected="text", seen=type(path).__name__)
        path = path[:_LONGEST]
        return UnknownNode(f"there is no node {path}", path=path, near=self._near(path))

    def _near(self, path: str) -> list[str]:
        """Return visible paths that look like `path`: siblings first, then same names elsewhere."""
        first, *elements = path.split(".")
        if first not in (self._root.name, "root"):
            full = ".".join([self._root.name, *elements])
            if self.find(full) is not None:
                return [full]
        node = self._root
        for position, element in enumerate(elements):
            child = node.nodes.get(element)
            if child is None or HIDDEN in child._groups:
                names = nearest(element, (child.name for child in self.children(node)), _NEAR)
                siblings = [f"{node.path}.{name}" for name in names]
                whole = [".".join([sibling, *elements[position + 1 :]]) for sibling in siblings]
                real = [path for path in whole if self.find(path) is not None]
                return list(dict.fromkeys(self._same_name(elements[-1]) + real))[:_NEAR] or siblings
            node = child
        return self._same_name(elements[-1]) if elements else [self._root.name]

    def _same_name(self, name: str) -> list[str]:
        wanted = name.casefold()
        same = (node.path for node in self.below(self._root) if node.name.casefold() == wanted)
        return list(islice(same, _NEAR))

    def children(self, node: Any) -> list[Any]:
        """Return the children of `node` that clients may see."""
        return [child for child in node.nodes.values() if HIDDEN not in child._groups]

    def below(self, node: Any) -> Iterator[Any]:
        """Yield the nodes below `node` that clients may see, depth first."""
        for child in self.children(node):
            yield child
            if child.isDevice:
                yield from self.below(child)

    def match(self, pattern: object) -> frozenset[str]:
        """Return the paths of the variables that `pattern` means.

        A variable or command means itself, a device everything below it; ``*`` in an element stands
        for any text, and what it matches counts in the same way.

        Raises
        ------
        UnknownNode
            Nothing matches.
        """
        if isinstance(pattern, str) and "*" in pattern:
            matches = self._match_wildcards(pattern)
        else:
            node = self.find(pattern)
            matches = [] if node is None else [node]
        if not matches:
            raise self.unknown(pattern)
        leaves: set[str] = set()
        for node in matches:
            nodes = self.below(node) if node.isDevice else [node]
            leaves.update(leaf.path for leaf in nodes if not leaf.isDevice)
        return frozenset(leaves)

    def _match_wildcards(self, pattern: str) -> list[Any]:
        first, *elements = pattern.split(".")
        nodes = [self._root] if first in (self._root.name, "root", "*") else []
        for element in elements:
            parts = element.split("*")
            nodes = [child for node in nodes for child in self.children(node) if _fits(child.name, parts)]
        return nodes


def _fits(name: str, parts: list[str]) -> bool:
    """Whether `name` consists of `parts` in order with any text between them."""
    if len(parts) == 1:
        return name == parts[0]
    first, *middle, last = parts
    end = len(name) - len(last)
    if not (name.startswith(first) and name.endswith(last) and len(first) <= end):
        return False
    place = len(first)
    for part in middle:
        found = name.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True
