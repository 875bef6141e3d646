"""What is in a file: names by pattern, and a tree to look at."""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Iterator
from typing import Any

from sapwood.fileio.hdf5 import h5py, open_h5
from sapwood.fileio.lh5.errors import LH5DecodeError
from sapwood.fileio.lh5.nodes import attributes, is_dataset, members

__all__ = ["ls", "show", "tree_lines"]

_DEEPEST = 32  # levels: links may make circles


def ls(lh5_file: Any, lh5_group: str = "", recursive: bool = False) -> list[str]:
    """Return names of objects.

    Parameters
    ----------
    lh5_file
        A path, or an open file or group.
    lh5_group
        A pattern such as ``ch*/raw``; ``a/`` stands for all members of a, as ``a/*`` does. By
        default all that lie at the top.
    recursive
        Members of what was found too, level by level.

    Raises
    ------
    FileError
        When the file cannot be opened.
    """
    if not isinstance(lh5_file, h5py().Group):
        with open_h5(lh5_file) as file:
            return ls(file, lh5_group, recursive)
    pattern = lh5_group.lstrip("/")
    if not pattern or pattern.endswith("/"):
        pattern += "*"
    found = list(_matching(lh5_file, pattern.split("/"), ""))
    level = found
    for _ in range(_DEEPEST if recursive else 0):
        nodes = {name: lh5_file.get(name) for name in level}  # None: links too deep
        groups = {name: node for name, node in nodes.items() if node is not None and not is_dataset(node)}
        level = [f"{group}/{name}" for group, node in groups.items() for name in members(node)]
        found = found + level
    return found


def _matching(group: Any, patterns: list[str], above: str) -> Iterator[str]:
    first, *rest = patterns
    for name in members(group):
        if not fnmatch.fnmatchcase(name, first):
            continue
        if not rest:
            yield above + name
        elif not is_dataset(group[name]):
            yield from _matching(group[name], rest, f"{above}{name}/")


def show(
    lh5_file: Any,
    lh5_group: str = "/",
    attrs: bool = False,
    indent: str = "",
    header: bool = True,
    depth: int | None = None,
    detail: bool = False,
) -> None:
    """Print the tree of a file.

    Parameters
    ----------
    lh5_file
        A path, or an open file or group.
    lh5_group
        Where to begin.
    attrs
        Attributes too.
    indent
        Put before every line.
    header
        Begin with the name of the group.
    depth
        Levels shown; all by default.
    detail
        Types, shapes and filters of datasets too.
    """
    if not isinstance(lh5_file, h5py().Group):
        with open_h5(lh5_file) as file:
            show(file, lh5_group, attrs, indent, header, depth, detail)
        return
    group = lh5_file[lh5_group] if lh5_group.strip("/") else lh5_file
    lines = [group.name.rpartition("/")[2] or "/"] if header else []
    lines += tree_lines(group, attrs=attrs, detail=detail, depth=_DEEPEST if depth is None else depth)
    sys.stdout.write("".join(f"{indent}{line}\n" for line in lines))


def tree_lines(group: Any, *, attrs: bool, detail: bool, depth: int) -> Iterator[str]:
    """Yield one line for each object below `group`, with what belongs to it."""
    if depth < 1 or is_dataset(group):
        return
    names = members(group)
    for name in names:
        last = name == names[-1]
        node = group[name]
        yield f"{'└── ' if last else '├── '}{name} · {_facts(node, attrs)}"
        bar = "    " if last else "│   "
        if detail and is_dataset(node):
            yield f"{bar}    {_storage(node)}"
        for line in tree_lines(node, attrs=attrs, detail=detail, depth=depth - 1):
            yield bar + line


def _facts(node: Any, attrs: bool) -> str:
    try:
        found = attributes(node)
    except LH5DecodeError as error:
        return str(error)
    text = str(found.pop("datatype", "HDF5 dataset" if is_dataset(node) else "HDF5 group"))
    return f"{text} · {found}" if attrs and found else text


def _storage(node: Any) -> str:
    facts = [f"dtype={node.dtype}", f"shape={node.shape}", f"nbytes={node.nbytes}", f"chunks={node.chunks}"]
    settings = node.id.get_create_plist()
    filters = [settings.get_filter(i)[3].decode(errors="replace") for i in range(settings.get_nfilters())]
    return ", ".join([*facts, f"filters={', '.join(filters) or None}"])
