"""What all savers and loaders of the data layer share: the file, node names, groups by kind of data."""

from __future__ import annotations

import os
import re
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from sapwood.fileio.pymodaq.data_errors import DataTypeError
from sapwood.fileio.pymodaq.enums import DataType, SaveType, enum_checker
from sapwood.fileio.pymodaq.nodes import GROUP
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel

if TYPE_CHECKING:
    from typing import Self

__all__ = ["NodeSaver", "index_of_name", "kind_of", "nodes_of_kind", "open_saver", "path_of"]

_NUMBERED = re.compile(r"(?P<stem>.*?)(?P<number>\d+)$")


def path_of(where: Any) -> str:
    """Return the path of a node, given as such or as its path."""
    return where if isinstance(where, str) else str(where.path)


def index_of_name(name: str) -> int | None:
    """Return the number at the end of a node's name, None without one."""
    found = _NUMBERED.match(name)
    return None if found is None else int(found["number"])


def kind_of(node: Any) -> DataType | None:
    """Return the `DataType` of a node, None for groups and for arrays of another kind."""
    if isinstance(node, GROUP):
        return None
    shared = node.backend.shared
    with shared.lock:
        stated = shared.index.entry(node.path).attribute("data_type")  # read from the file once
    try:
        return enum_checker(DataType, stated)
    except ValueError:
        return None


def _rank(node: Any) -> tuple[int, str]:
    number = index_of_name(node.name)
    return (-1 if number is None else number, node.name)


def nodes_of_kind(group: Any, kind: DataType | str) -> list[Any]:
    """Return the arrays of one kind that lie directly in `group`, by the number in their names."""
    wanted = enum_checker(DataType, kind)
    return sorted((node for node in group.children().values() if kind_of(node) is wanted), key=_rank)


def open_saver(
    h5saver: Any,
    *,
    new_file: bool = False,
    metadata: dict[str, Any] | None = None,
    save_type: Any = SaveType.custom,
    swmr_mode: bool = False,
) -> Any:
    """Return `h5saver`, or a new one on the file if it is a path.

    Raises
    ------
    DataTypeError
        It is neither.
    """
    if isinstance(h5saver, (str, os.PathLike)):
        return H5SaverLowLevel.from_file(
            h5saver, save_type=save_type, new_file=new_file, metadata=metadata, swmr_mode=swmr_mode
        )
    if not hasattr(h5saver, "add_array"):
        raise DataTypeError(
            "This is no saver", expected="H5SaverLowLevel or a path", seen=type(h5saver).__name__
        )
    return h5saver


class NodeSaver:
    """Saves arrays of one kind as ``Data00``, ``Data01`` ... in the groups of a file.

    What it does not know itself is looked up in the saver behind it.

    Parameters
    ----------
    h5saver
        The open file, or a path to open.
    new_file, metadata, save_type, swmr_mode
        For a path, as in `H5SaverLowLevel.from_file`.
    """

    data_type: ClassVar[DataType] = DataType.data

    def __init__(
        self,
        h5saver: Any,
        new_file: bool = False,
        metadata: dict[str, Any] | None = None,
        save_type: Any = SaveType.custom,
        swmr_mode: bool = False,
    ) -> None:
        self.h5saver = open_saver(
            h5saver, new_file=new_file, metadata=metadata, save_type=save_type, swmr_mode=swmr_mode
        )
        self._next: dict[tuple[str, DataType], int] = {}

    def __getattr__(self, name: str) -> Any:
        if name == "h5saver":  # not built yet
            raise AttributeError(name)
        return getattr(self.h5saver, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_file()

    def close_file(self) -> None:
        """Close the file."""
        self.h5saver.close_file()

    close = close_file

    def isopen(self) -> bool:
        """Tell whether the file is open."""
        return bool(self.h5saver.isopen())

    def get_group(self, where: Any) -> Any:
        """Return the group `where`, or the one that holds the array `where`.

        Raises
        ------
        NodeError
            There is no such node.
        """
        node = self.h5saver.get_node(where)
        return node if isinstance(node, GROUP) else node.parent_node

    def get_last_node_name(self, where: Any) -> str | None:
        """Return the name of the last array of this saver's kind in a group, None without one."""
        nodes = nodes_of_kind(self.get_group(where), self.data_type)
        return nodes[-1].name if nodes else None

    @staticmethod
    def get_index_from_node_name(where: Any) -> int | None:
        """Return the number in the name of a node."""
        return index_of_name(path_of(where).rpartition("/")[2])

    def get_node_from_index(self, where: Any, index: int) -> Any:
        """Return array number `index` of this saver's kind in a group.

        Raises
        ------
        NodeError
            There is none.
        """
        return self.h5saver.get_node(self.get_group(where), self._name(index))

    def _name(self, index: int, kind: DataType | None = None) -> str:
        return f"{(kind or self.data_type).value}{index:02d}"

    def _take_name(self, where: Any, kind: DataType | None = None) -> str:
        """Return a free name for one more array in a group; no name is looked for twice."""
        kind = kind or self.data_type
        path = path_of(where)
        place = self.h5saver.get_node(path).node
        number = self._next.get((path, kind))
        if number is None:
            pattern = re.compile(rf"{kind.value}(\d+)$")
            taken = [int(found[1]) for found in map(pattern.match, place) if found]
            number = max(taken, default=-1) + 1
        while self._name(number, kind) in place:
            number += 1
        self._next[path, kind] = number + 1
        return self._name(number, kind)
