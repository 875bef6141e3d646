"""A recorder device as the commands see it: its counters, whatever its file format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sapwood.cli.progress import Snapshot
from sapwood.errors import SapwoodError, UnknownNode, nearest

if TYPE_CHECKING:
    from sapwood.devices import DataWriter
    from sapwood.tree import Root

__all__ = ["Recording", "find_node", "find_writer"]


class Recording:
    """Reads the counters of a `DataWriter`; those a writer does not have count 0."""

    def __init__(self, writer: DataWriter) -> None:
        self._writer = writer

    def _get(self, name: str, default: Any) -> Any:
        node = self._writer.node(name)
        return default if node is None else node.get()

    @property
    def frames(self) -> int:
        """Frames of data since Open, without configuration records where the writer knows them."""
        return int(self._get("DataFrameCount", self._get("FrameCount", 0)))

    @property
    def nbytes(self) -> int:
        """Bytes of file since Open."""
        return int(self._get("TotalSize", 0))

    @property
    def dropped(self) -> int:
        """Frames that were lost since Open."""
        return int(self._get("DroppedCount", 0))

    @property
    def state(self) -> str:
        """``Closed``, ``Recording`` or ``Fault: reason``."""
        return str(self._get("State", "Recording" if self._get("IsOpen", False) else "Closed"))

    def snapshot(self) -> Snapshot:
        """Return the counters for a progress line."""
        return Snapshot(self.frames, self.nbytes, float(self._get("Bandwidth", 0.0)))


def find_node(root: Root, path: str) -> Any:
    """Return the node of `root` at `path`, or raise `UnknownNode` with the nearest paths."""
    node = root.getNode(path)
    if node is None:
        near = nearest(path, [other.path for other in root.nodeList])
        raise UnknownNode(f"There is no node {path}", near=near, path=path)
    return node


def find_writer(root: Root, path: str | None) -> Any:
    """Return the recorder device of `root`: the one at `path`, or the only one there is."""
    from sapwood.devices import DataWriter

    if path is not None:
        node = find_node(root, path)
        if not isinstance(node, DataWriter):
            raise SapwoodError(f"{path} is no recorder", expected="a DataWriter", seen=type(node).__name__)
        return node
    found = [device for device in root.deviceList if isinstance(device, DataWriter)]
    if len(found) != 1:
        names = ", ".join(device.path for device in found) or "none"
        hint = "Name one with --writer." if found else None
        raise SapwoodError(
            "The tree must have exactly one recorder", expected="one DataWriter", seen=names, hint=hint
        )
    return found[0]
