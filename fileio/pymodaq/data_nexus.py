"""Units that everybody reads, and plots of scans for viewers of NeXus files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sapwood.fileio.pymodaq import nexus
from sapwood.fileio.pymodaq.codec import is_plain_text
from sapwood.fileio.pymodaq.rawattrs import put_text

__all__ = ["ENTRY", "link_plot", "set_units"]

ENTRY = "entry"
"""Group with the plots of scans, whose arrays are hard links into the group with the data."""


def set_units(node: Any, units: str, label: str = "") -> None:
    """Set the units of an array, and the label that viewers show.

    Units are plain text, which both the peer and viewers read, unless the peer would take it for a
    number or the like.
    """
    with node.writing():
        if is_plain_text(units):
            put_text(node.node, "units", units)
        else:
            node.attrs["units"] = units
        if label:
            put_text(node.node, "long_name", label)


def link_plot(
    h5saver: Any,
    name: str,
    title: str,
    signals: Mapping[str, Any],
    errors: Mapping[str, Any],
    axes: Sequence[tuple[int, Any]],
) -> None:
    """Show data whose axes or errors viewers would not find as the plot ``/entry/<name>``.

    The plot is made of hard links; it becomes the one that viewers show first.

    Parameters
    ----------
    signals
        Name of the link -> array; the first is the main one, all have its shape.
    errors
        Name of a signal -> array with its errors.
    axes
        Dimension and array of each axis; several may share a dimension.
    """
    entry = h5saver.get_set_group("/", ENTRY, "Plots of scans")
    group = h5saver.get_set_group(entry.path, name, title)
    links = dict(signals)
    links |= {f"{signal}_errors": node for signal, node in errors.items()}
    links |= {f"Axis{number:02d}": node for number, (_, node) in enumerate(axes)}
    shown = ["."] * len(next(iter(signals.values())).shape)
    indices = {}
    for number, (index, _) in enumerate(axes):
        indices[f"Axis{number:02d}"] = index
        if shown[index] == ".":
            shown[index] = f"Axis{number:02d}"
    with group.writing() as place:
        raw = group.node
        for link, node in links.items():
            if link not in raw:
                raw[link] = node.node
                place.index.add(place, link, type(node).__name__)
        names = list(signals)
        nexus.mark(raw.parent, "NXentry")
        nexus.mark_data(raw, names[0], shown, auxiliary=names[1:], indices=indices)
        put_text(raw.file["/"], "NX_class", "NXroot")
        put_text(raw.file["/"], "default", ENTRY)
        put_text(raw.parent, "default", name)
