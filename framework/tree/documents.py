"""Devices described as reStructuredText, a file for each."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sapwood.tree import sources
from sapwood.tree.groups import GroupFilter

__all__ = ["genDocDesc", "genDocTableHeader", "genDocTableRow", "write_documents"]

_FIELDS = ("typeStr", "mode", "units", "minimum", "maximum", "enum", "disp", "pollInterval")
_PLACES = ("offset", "bitOffset", "bitSize", "numValues", "valueBits", "valueStride")


def _rule(count: int, indent: int, width: int, sign: str) -> str:
    return f"{' ' * indent}+{(sign * width + '+') * count}"


def _cells(fields: Sequence[str], indent: int, width: int) -> str:
    return f"{' ' * indent}|{''.join(f'{field:{width}}|' for field in fields)}"


def genDocTableHeader(fields: Sequence[str], indent: int, width: int) -> str:
    """Return the first three lines of a table: a rule, the titles `fields`, a double rule.

    Parameters
    ----------
    indent
        Blanks before each line.
    width
        Characters of a column.
    """
    count = len(fields)
    top, bottom = _rule(count, indent, width, "-"), _rule(count, indent, width, "=")
    return f"{top}\n{_cells(fields, indent, width)}\n{bottom}"


def genDocTableRow(fields: Sequence[str], indent: int, width: int) -> str:
    """Return two lines of a table: the cells `fields` and a rule; see `genDocTableHeader`."""
    return f"{_cells(fields, indent, width)}\n{_rule(len(fields), indent, width, '-')}"


def genDocDesc(desc: str, indent: int) -> str:
    """Return a description as a line block, a line for each sentence."""
    sentences = [sentence.strip() for sentence in desc.split(".")]
    return "".join(f"{' ' * indent}| {sentence}.\n" for sentence in sentences if sentence)


def _title(text: str, sign: str) -> list[str]:
    return [text, sign * len(text), ""]


def _table(titles: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    cells = [[" ".join(str(cell).split()) for cell in row] for row in rows]
    width = max(len(cell) for row in [titles, *cells] for cell in row)
    return [genDocTableHeader(titles, 0, width), *(genDocTableRow(row, 0, width) for row in cells), ""]


def _facts(node: Any) -> list[list[str]]:
    names = (*_FIELDS, *_PLACES) if hasattr(node, "varBytes") else _FIELDS
    found = [(name, getattr(node, name)) for name in names]
    return [[name, str(value)] for name, value in found if value not in (None, 0, "")]


def _nodes(title: str, nodes: Iterable[Any]) -> list[str]:
    lines: list[str] = []
    for node in nodes:
        lines += [
            *_title(node.name, "^"),
            genDocDesc(node.description, 0),
            *_table(["Field", "Value"], _facts(node)),
        ]
    return [*_title(title, "#"), *lines] if lines else []


def _page(device: Any, groups: GroupFilter, children: Sequence[Any]) -> str:
    chosen = [node for node in device._nodes.values() if groups(node._groups)]
    bases = ", ".join(f"{base.__module__}.{base.__qualname__}" for base in inspect.getmro(type(device))[1:-1])
    lines = [
        *_title(device.path, "*"),
        genDocDesc(device.description, 0),
        *_table(
            ["Field", "Value"],
            [["Class", type(device).__qualname__], ["Bases", bases], ["Address", f"{device.address:#x}"]],
        ),
    ]
    if children:
        lines += [*_title("Devices", "#"), ".. toctree::", ""]
        lines += [f"   {_file_name(child)[:-4]}" for child in children]
        lines += ["", *_table(["Name", "Description"], [[one.name, one.description] for one in children])]
    lines += _nodes("Variables", [node for node in chosen if node.isVariable])
    lines += _nodes("Commands", [node for node in chosen if node.isCommand])
    return "\n".join(lines).rstrip() + "\n"


def _file_name(device: Any) -> str:
    return f"{device.path.replace('.', '_')}.rst"


def write_documents(device: Any, folder: str, groups: GroupFilter) -> None:
    """Write a page about `device`, and one about each device below it, to `folder`."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    children = [child for child in device._devices.values() if groups(child._groups)]
    sources.write_text(str(Path(folder) / _file_name(device)), _page(device, groups, children))
    for child in children:
        write_documents(child, folder, groups)
