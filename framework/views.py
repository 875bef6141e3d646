"""How a node shows itself in a notebook and in a terminal: a small table, as HTML or for rich.

The nodes of the tree and those of a client are shown alike: a view is made from what ``describe()``
says and from values as text. Nothing is read from the hardware.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Row", "Shown", "View", "Viewable", "view"]

LONGEST = 60  # characters of a value that are shown
MOST = 200  # nodes of a device that are shown
COLUMNS = ("name", "value", "units", "mode", "alarm")
_NO_ALARM = ("", "None", "Good")
_ALARM_STYLE = {"AlarmMajor": "bold red", "AlarmMinor": "yellow"}


class Shown(NamedTuple):
    """A value as text, and the severity of its alarm."""

    text: str
    severity: str = ""


class Row(NamedTuple):
    """One line of a view, all as text."""

    name: str
    value: str
    units: str
    mode: str
    alarm: str


class View(NamedTuple):
    """What is to be seen of a node."""

    title: str
    about: str
    rows: list[Row]
    more: str


class Viewable:
    """Gives a node its views; `_view` says what is in them."""

    __slots__ = ()

    def _view(self) -> View:
        raise NotImplementedError(f"{type(self).__name__} must define _view")

    def _repr_html_(self) -> str:
        return _to_html(self._view())

    def __rich__(self) -> Table:
        return _to_rich(self._view())


def view(node: Any, show: Callable[[Sequence[Any]], Iterable[Shown]]) -> View:
    """Return what is to be seen of `node`: of a device its children, else the node itself.

    Parameters
    ----------
    node
        One of the tree or of a client; facts that are None or empty may be left out of its description.
    show
        Gives the values of some variables, in their order; one that fails is shown by its error.
    """
    facts = node.describe()
    nodes = list(node.nodes.values()) if node.isDevice else [node]
    wanted = nodes if "Hidden" in facts.get("groups", ()) else [one for one in nodes if not one.hidden]
    chosen = wanted[:MOST]
    variables = [one for one in chosen if one.isVariable]
    values = {id(one): shown for one, shown in zip(variables, show(variables), strict=True)}
    left_out = {"more": len(wanted) - len(chosen), "hidden": len(nodes) - len(wanted)}
    return View(
        f"{facts['path']}  {facts['class']}",
        facts["description"],
        [_row(one.describe(), values.get(id(one), Shown(""))) for one in chosen],
        ", ".join(f"{count} {what}" for what, count in left_out.items() if count),
    )


def _row(facts: Mapping[str, Any], shown: Shown) -> Row:
    name, kind = facts["name"], facts["kind"]
    if kind == "command":
        return Row(f"{name}({'arg' if facts['takesArg'] else ''})", "", "", "command", "")
    if kind != "variable":
        return Row(name, facts["class"], "", "device", "")
    text = " ".join(shown.text.split())
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
    alarm = "" if shown.severity in _NO_ALARM else shown.severity
    return Row(name, text, facts.get("units") or "", facts["mode"], alarm)


def _to_html(view: View) -> str:
    """Return a table without script or style sheet; all that comes from the tree is escaped."""

    def cells(tag: str, texts: Iterable[str]) -> str:
        made = (f'<{tag} style="text-align:left">{html.escape(text)}</{tag}>' for text in texts)
        return f"<tr>{''.join(made)}</tr>"

    lines = [f"<div><strong>{html.escape(view.title)}</strong>"]
    if view.about:
        lines.append(f"<br>{html.escape(view.about)}")
    lines += ["<table>", f"<thead>{cells('th', COLUMNS)}</thead>", "<tbody>"]
    lines += [cells("td", row) for row in view.rows]
    lines.append("</tbody></table>")
    if view.more:
        lines.append(f"<small>{html.escape(view.more)}</small>")
    return "\n".join([*lines, "</div>"])


def _to_rich(view: View) -> Table:
    """Return a table for the terminal; markup in texts of the tree has no meaning."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    about = f"\n{view.about}" if view.about else ""
    made = Table(
        box=box.SIMPLE_HEAD,
        title=Text.assemble((view.title, "bold"), about),
        title_justify="left",
        title_style="",
        caption=Text(view.more) if view.more else None,
        caption_justify="left",
    )
    for column in COLUMNS:
        made.add_column(column, overflow="fold")
    for row in view.rows:
        made.add_row(*map(Text, row), style=_ALARM_STYLE.get(row.alarm))
    return made
