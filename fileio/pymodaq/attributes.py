"""The attributes of a node as a mapping, decoded and encoded the way of PyMoDAQ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sapwood.fileio.pymodaq.codec import decode, encode, is_plain_text
from sapwood.fileio.pymodaq.errors import NodeError
from sapwood.fileio.pymodaq.index import text_attribute
from sapwood.fileio.pymodaq.rawattrs import put_fixed, put_text

if TYPE_CHECKING:
    from sapwood.fileio.pymodaq.nodes import Node

__all__ = ["Attributes"]

_TEXTS = frozenset(("CLASS", "TITLE"))


class Attributes(Mapping[str, Any]):
    """Attributes of a node by name; ``title`` is another name of ``TITLE``.

    Values are stored as texts that tell their Python type. Units are stored as plain text where
    that is read back as itself, since other programs look for it. ``shape`` of an array is its real
    one, whatever is stored.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def __getitem__(self, key: str) -> Any:
        key = "TITLE" if key == "title" else key
        node = self._node.node
        if key == "shape" and hasattr(node, "shape"):
            return self._node.real_shape()
        try:
            raw = node.attrs[key]
        except KeyError:
            raise NodeError(
                f"Node {self._node.path} has no attribute {key!r}", file=self._node.file_name
            ) from None
        except (OSError, TypeError, ValueError) as error:
            raise NodeError(f"Attribute {key!r} of node {self._node.path} cannot be read",
                            file=self._node.file_name, seen=str(error)) from error  # fmt: skip
        return text_attribute(raw) if key in _TEXTS else decode(raw)

    def __setitem__(self, key: str, value: Any) -> None:
        key = "TITLE" if key == "title" else key
        with self._node.writing() as entry:
            node = self._node.node
            if key == "shape":
                put_fixed(node, key, encode(value))
            elif key == "units" and isinstance(value, str) and is_plain_text(value):
                put_text(node, key, value)
            else:
                put_text(node, key, encode(value))
            entry.remember(key, value)

    def __contains__(self, key: object) -> bool:
        return ("TITLE" if key == "title" else key) in self._node.node.attrs

    def __len__(self) -> int:
        return len(self._node.node.attrs)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._node.node.attrs if isinstance(name, str))

    @property
    def attrs_name(self) -> list[str]:
        """The names of all attributes."""
        return list(self)

    def to_dict(self) -> dict[str, Any]:
        """Return all attributes that can be read, decoded."""
        found = {}
        for name in self:
            try:
                found[name] = self[name]
            except NodeError:
                continue
        return found

    def __str__(self) -> str:
        return "\n".join(f"{name}: {value!r}" for name, value in self.to_dict().items())
