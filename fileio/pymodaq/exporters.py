"""Single nodes of a PyMoDAQ file as files of other kinds."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio import hdf5
from sapwood.fileio.partfile import complete_file
from sapwood.fileio.pymodaq.errors import NodeError
from sapwood.fileio.pymodaq.nodes import CARRAY, GROUP, Node, StringARRAY

__all__ = ["EXPORTERS", "Exporter", "export", "exporter", "file_filters"]


@dataclass(frozen=True)
class Exporter:
    """One kind of file: its ending without a dot, its name for people, and what writes a node to a path."""

    ending: str
    description: str
    write: Callable[[Node, str], None]

    @property
    def filter(self) -> str:
        """The line that file dialogs show."""
        return f"{self.description} (*.{self.ending})"


def _write_h5(node: Node, path: str) -> None:
    """Copy the node, or everything below a group, to a new HDF5 file."""
    with hdf5.open_h5(path, "w") as out:
        source = node.node
        if node.path == "/":
            for name in source:
                source.copy(source[name], out, name=name)
            for name in source.attrs:
                out.attrs[name] = source.attrs[name]
        else:
            for name, value in (("CLASS", "GROUP"), ("TITLE", "")):
                out.attrs[name] = value
            source.file.copy(source, out, name=node.name)


def _write_txt(node: Node, path: str) -> None:
    """Write numbers separated by tabs, or lines of text; arrays of a group side by side."""
    if isinstance(node, StringARRAY):
        Path(path).write_text("".join(f"{row}\n" for row in node.read()), encoding="utf-8")
        return
    if isinstance(node, GROUP):
        names, columns = _columns(node)
        header = "\t".join(names)
    else:
        header, columns = node.name, _numbers(node)
    np.savetxt(path, columns, "%.6e", "\t", header=header, encoding="utf-8")


def _columns(group: GROUP) -> tuple[list[str], NDArray[Any]]:
    """Return names and values of the 1-D arrays of a group, short ones filled up with not-a-number."""
    nodes = [each for each in group.children().values() if isinstance(each, CARRAY) and len(each.shape) == 1]
    arrays = {each.name: _numbers(each) for each in nodes if each.dtype.kind in "iufb"}
    if not arrays:
        raise NodeError(f"Group {group.path} has no 1-D arrays of numbers", file=group.file_name)
    table = np.full((max(map(len, arrays.values())), len(arrays)), np.nan)
    for column, values in enumerate(arrays.values()):
        table[: len(values), column] = values
    return list(arrays), table


def _numbers(node: Node) -> NDArray[Any]:
    """Return the values of an array as numbers in one or two dimensions; records are flattened."""
    if not isinstance(node, CARRAY) or node.dtype.kind not in "iufbc":
        raise NodeError(f"{node.path} is no array of numbers", file=node.file_name)
    values = np.atleast_1d(node.read())
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    return values if values.ndim <= 2 else values.reshape(len(values), -1)


def _write_npy(node: Node, path: str) -> None:
    """Write one array as NumPy does."""
    if not isinstance(node, CARRAY) or node.dtype.hasobject:
        raise NodeError(f"{node.path} is no array of equal rows", file=node.file_name)
    with open(path, "wb") as out:
        np.save(out, node.read(), allow_pickle=False)


EXPORTERS = {
    each.ending: each
    for each in (
        Exporter("h5", "Single node h5 file", _write_h5),
        Exporter("txt", "Text files", _write_txt),
        Exporter("npy", "Binary NumPy format", _write_npy),
    )
}


def file_filters() -> str:
    """Return the kinds of files for a file dialog."""
    return ";;".join(each.filter for each in EXPORTERS.values())


def exporter(path: str | os.PathLike[str], filter: str | None = None) -> Exporter:
    """Return the exporter for the ending of a path, and for a line of `file_filters` if it is given.

    Raises
    ------
    ValueError
        When there is none.
    """
    ending = Path(path).suffix.lstrip(".").lower()
    found = EXPORTERS.get(ending)
    known = ", ".join(f".{each}" for each in EXPORTERS)
    if found is None:
        raise ValueError(f".{ending} is not a supported file format. It is one of {known}.")
    if filter is not None and filter.partition(" (")[0] != found.description:
        raise ValueError(f"{filter!r} is not a kind of .{ending} files: expected {found.filter!r}")
    return found


def export(node: Node, path: str | os.PathLike[str], filter: str | None = None) -> None:
    """Write a node to a file that does not exist yet."""
    chosen = exporter(path, filter)
    with complete_file(path) as part:
        chosen.write(node, part)
