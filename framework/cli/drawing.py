"""A remote tree with its values: drawn for people, nested for programs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from sapwood.remote import RemoteClient

__all__ = ["Snapshot", "drawing", "leaves", "snapshot"]

HIDDEN = "Hidden"
LONGEST = 60  # characters of a value that are drawn


class Snapshot:
    """Values and texts of variables, by path, as the server held them."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.texts: dict[str, str] = {}

    def nested(self, node: Any) -> dict[str, Any]:
        """Return what is known of `node`, and below ``nodes`` of its children."""
        facts: dict[str, Any] = node.describe()
        if node.isDevice:
            facts["nodes"] = [self.nested(child) for child in node.nodes.values()]
        elif node.isVariable:
            facts["value"] = self.values.get(node.path)
            facts["valueDisp"] = self.texts.get(node.path)
        return facts


def leaves(node: Any) -> Iterator[Any]:
    """Yield the variables at and below `node`."""
    if node.isVariable:
        yield node
    elif node.isDevice:
        for child in node.nodes.values():
            yield from leaves(child)


def snapshot(client: RemoteClient, node: Any) -> Snapshot:
    """Ask for the values of all variables at and below `node`, without reading hardware.

    A variable whose own function fails shows the error in place of its value.
    """
    from sapwood.remote.cached import cached

    paths = [leaf.path for leaf in leaves(node)]
    found = Snapshot()
    for path, (value, text) in zip(paths, cached(client, paths), strict=True):
        found.values[path], found.texts[path] = value, text
    return found


def drawing(node: Any, values: Snapshot, *, show_all: bool) -> Tree:
    """Return `node` and what is below it as a drawing for the terminal.

    Hidden variables and commands are left out, hidden devices are one line, unless `show_all` is
    set or `node` is hidden itself.
    """
    from rich.tree import Tree

    show_all = show_all or HIDDEN in node.groups
    made = Tree(_line(node, values), guide_style="dim")
    if node.isDevice:
        _draw_children(made, node, values, show_all)
    return made


def _draw_children(made: Tree, device: Any, values: Snapshot, show_all: bool) -> None:
    for child in device.nodes.values():
        hidden = HIDDEN in child.groups and not show_all
        if child.isDevice and hidden:
            line = _line(child, values)
            line.append(f"  {len(child.nodes)} nodes hidden", style="dim italic")
            made.add(line)
        elif child.isDevice:
            _draw_children(made.add(_line(child, values)), child, values, show_all)
        elif not hidden:
            made.add(_line(child, values))


def _line(node: Any, values: Snapshot) -> Text:
    from rich.text import Text

    if node.isDevice:
        line = Text(node.name, style="bold")
        line.append(f"  {node.className}", style="dim not bold")
        return line
    if node.isCommand:
        return Text.assemble(node.name, ("(arg)" if node.arg else "()"), style="cyan")
    text = " ".join(values.texts.get(node.path, "").split())
    shown = text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
    line = Text.assemble(node.name, (" = ", "dim"), (shown, "green" if node.mode == "RW" else ""))
    if node.units:
        line.append(f" {node.units}")
    line.append(f"  {node.mode}", style="dim")
    return line
