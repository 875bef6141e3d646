"""What is known of the tree of an open file: members, kinds and the attributes that lookups ask for.

Everything is read once, when first asked for, and kept up to date by those who write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sapwood.fileio import hdf5
from sapwood.fileio.pymodaq.codec import as_text, decode
from sapwood.fileio.pymodaq.rawattrs import take_at

__all__ = ["KEPT", "Entry", "TreeIndex", "kind_of", "text_attribute"]

KEPT = frozenset(("CLASS", "TITLE", "type", "data_type", "subdtype"))  # attributes that entries remember
_PLAIN = frozenset(("CLASS", "TITLE"))


def text_attribute(raw: Any) -> str:
    """Return a CLASS or TITLE as text, whether it was stored plain or in PyMoDAQ's form."""
    text = as_text(raw)
    if isinstance(text, str) and text.startswith("{"):
        text = decode(text)
    return "" if text is None else str(text)


def kind_of(node: Any, stated: str, subdtype: Any) -> str:
    """Return the class of an h5py object: what it is, where what is `stated` agrees."""
    h5 = hdf5.h5py()
    if isinstance(node, h5.Group):
        return "GROUP"
    if h5.check_vlen_dtype(node.dtype) is not None:
        return "StringARRAY" if subdtype == "string" else "VLARRAY"
    if node.maxshape and node.maxshape[0] is None and stated != "CARRAY":
        return "EARRAY"
    return "CARRAY"


def _members(group: Any) -> Iterator[tuple[str, bool]]:
    """Yield the groups and arrays in a group by name, and whether they are groups.

    Named types, links that lead nowhere and names that are no text are left out.
    """
    h5o = hdf5.h5py().h5o
    for name in group.id:
        try:
            text = name.decode()
            kind = h5o.get_info(group.id, name).type
        except (KeyError, OSError, RuntimeError, UnicodeDecodeError):
            continue
        if kind in (h5o.TYPE_GROUP, h5o.TYPE_DATASET):
            yield text, kind == h5o.TYPE_GROUP


class Entry:
    """One node: its path, its members (None until asked for) and remembered attributes."""

    __slots__ = ("_kept", "_kind", "address", "children", "index", "numbers", "path")

    def __init__(self, index: TreeIndex, path: str, kind: str | None = None) -> None:
        self.index = index
        self.path = path
        self.children: dict[str, Entry] | None = None
        self.numbers: dict[str, int] = {}  # beginning of name -> the next number
        self.address: int | None = None
        self._kept: dict[str, Any] = {}
        self._kind = kind

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2] or "/"

    @property
    def kind(self) -> str:
        """The name of the class of the wrapper."""
        if self._kind is None:
            node = self.index.handle[self.path]
            self._kind = kind_of(node, self.attribute("CLASS"), self.attribute("subdtype"))
        return self._kind

    @property
    def is_group(self) -> bool:
        """The node can have members."""
        return self.kind == "GROUP"

    def attribute(self, name: str) -> Any:
        """Return one of `KEPT`, decoded; None, or ``''`` for CLASS and TITLE, when it is absent."""
        if name not in self._kept:
            raw = take_at(self.index.handle, self.path, name)
            self._kept[name] = text_attribute(raw) if name in _PLAIN else decode(raw)
        return self._kept[name]

    def remember(self, name: str, value: Any) -> None:
        """Note the value that an attribute was given."""
        if name in KEPT:
            self._kept[name] = value

    def begin(self, kind: str) -> None:
        """Note that the node was just made: it has no members and no attributes."""
        self._kind = kind
        self._kept = dict.fromkeys(KEPT)
        if kind == "GROUP":
            self.children = {}


class TreeIndex:
    """The entries of one open file, by path.

    Parameters
    ----------
    handle
        The `h5py.File`.
    """

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.root = Entry(self, "/", "GROUP")

    def entry(self, path: str) -> Entry:
        """Return the entry of `path`.

        Raises
        ------
        KeyError
            When there is no such node.
        """
        entry = self.root
        for name in path.split("/"):
            if name:
                entry = self.members(entry)[name]
        return entry

    def members(self, entry: Entry) -> dict[str, Entry]:
        """Return the members of a group by name; none for an array."""
        if entry.children is None:
            if not entry.is_group:
                return {}
            base = entry.path.rstrip("/")
            entry.children = {
                name: Entry(self, f"{base}/{name}", "GROUP" if is_group else None)
                for name, is_group in _members(self.handle[entry.path])
            }
        return entry.children

    def sorted_members(self, entry: Entry) -> list[Entry]:
        """Return the members in the order of the bytes of their names."""
        members = self.members(entry)
        return [members[name] for name in sorted(members, key=lambda name: name.encode("utf-8", "replace"))]

    def add(self, parent: Entry, name: str, kind: str) -> Entry:
        """Note that a node was made; return its entry."""
        entry = Entry(self, f"{parent.path.rstrip('/')}/{name}")
        entry.begin(kind)
        self.members(parent)[name] = entry
        return entry

    def clear(self, entry: Entry) -> None:
        """Note that all members of a group were removed."""
        entry.children, entry.numbers = {}, {}

    def walk(self, entry: Entry, depth: int | None = None, only_groups: bool = False) -> Iterator[Entry]:
        """Yield the entry, then everything below it down to `depth` levels, parents first.

        A group that is linked at several places is entered once.
        """
        stack, seen = [(entry, 0)], set()
        while stack:
            here, level = stack.pop()
            group = here.is_group
            if group:
                if self._address(here) in seen:
                    continue
                seen.add(self._address(here))
            if group or not only_groups or here is entry:
                yield here
            if group and (depth is None or level < depth):
                stack += [(member, level + 1) for member in reversed(self.sorted_members(here))]

    def _address(self, entry: Entry) -> int:
        if entry.address is None:
            entry.address = int(hdf5.h5py().h5o.get_info(self.handle[entry.path].id).addr)
        return entry.address

    def next_number(self, parent: Entry, name: str) -> int:
        """Return one more than the largest number of a member called `name` and digits; 0 for the first."""
        if name not in parent.numbers:
            form = re.compile(re.escape(name) + r"(\d+)")
            found = [int(match[1]) for member in self.members(parent) if (match := form.fullmatch(member))]
            parent.numbers[name] = max(found, default=-1) + 1
        return parent.numbers[name]
