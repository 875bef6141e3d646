"""NeXus attributes, so that silx, H5Web and nexusformat plot a PyMoDAQ file at once.

PyMoDAQ ignores them: groups may carry attributes that it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sapwood.fileio import hdf5
from sapwood.fileio.pymodaq.codec import decode
from sapwood.fileio.pymodaq.rawattrs import put_text, take

__all__ = ["describe", "describe_all", "mark", "mark_data", "set_default"]

_SIGNALS = ("data", "data_enlargeable")
_INTERPRETATIONS = {"Data1D": "spectrum", "Data2D": "image"}


def mark(node: Any, kind: str) -> None:
    """Set the class of a group, for example ``NXentry``."""
    put_text(node, "NX_class", kind)


def set_default(group: Any) -> None:
    """Make `group` what viewers show first, unless that is settled already.

    It is named on the root and on its entry, the first part of its path.
    """
    entry, _, rest = group.name.strip("/").partition("/")
    root = group.file["/"]
    for node, value in ((root, entry), (root[entry], rest)):
        if value and "default" not in node.attrs:
            put_text(node, "default", value)


def mark_data(
    group: Any,
    signal: str,
    axes: Sequence[str] = (),
    *,
    auxiliary: Sequence[str] = (),
    indices: Mapping[str, int | Sequence[int]] | None = None,
    interpretation: str = "",
) -> None:
    """Make an `h5py.Group` an NXdata group.

    Parameters
    ----------
    signal, auxiliary
        Names of the datasets in it: the main one, and others of its shape.
    axes
        One name for each dimension of the signal, ``.`` for none.
    indices
        Axis -> the dimension, or dimensions, it spans.
    """
    mark(group, "NXdata")
    put_text(group, "signal", signal)
    texts = {"axes": axes, "auxiliary_signals": auxiliary}
    for name, values in texts.items():
        if values:
            group.attrs.create(name, list(values), dtype=hdf5.h5py().string_dtype())
        elif name in group.attrs:
            del group.attrs[name]
    for name, where in (indices or {}).items():
        group.attrs[f"{name}_indices"] = where
    if interpretation:
        put_text(group, "interpretation", interpretation)


def describe_all(handle: Any, paths: Iterable[str], own: set[str]) -> None:
    """Do `describe` for the groups at these paths, except those described by somebody else.

    `own`: paths of groups described before, which grows.
    """
    for path in sorted(paths, key=lambda path: -path.count("/")):
        group = handle.get(path)
        if group is None or (path.count("/") == 1 and "default" in group.attrs):
            continue  # an entry that points to a plot stays an entry
        if path in own or "signal" not in group.attrs:
            describe(group)
            own.add(path)


def describe(group: Any) -> None:
    """Make a group of PyMoDAQ's arrays an NXdata group, by the attributes of the arrays.

    The first array of data is the signal, others of its shape are auxiliary. Axes are found by
    their ``index``; those that lie elsewhere (a scan's ``NavAxes``) are left open.
    """
    nodes = {name: node for name in sorted(group) if hasattr(node := group.get(name), "shape")}
    kinds = {name: decode(take(node, "data_type")) for name, node in nodes.items()}
    signals = [name for name, kind in kinds.items() if kind in _SIGNALS and nodes[name].dtype.kind in "iufcb"]
    if not signals:
        return
    signal = nodes[signals[0]]
    alike = [name for name in signals if nodes[name].shape == signal.shape]
    axes, indices = _axes(signal, [nodes[name] for name, kind in kinds.items() if kind == "axis"])
    interpretation = _INTERPRETATIONS.get(decode(take(signal, "data_dimension")) or "", "")
    for name in [*alike, *indices]:
        _name_for_people(nodes[name])
    mark_data(
        group,
        alike[0],
        axes,
        auxiliary=alike[1:],
        indices=indices,
        interpretation=interpretation,
    )
    set_default(group)


def _axes(signal: Any, candidates: Iterable[Any]) -> tuple[list[str], dict[str, int]]:
    """Return one name for each dimension of `signal`, and the dimension of every axis."""
    axes, indices, ranks = ["."] * len(signal.shape), {}, dict[int, int]()
    for node in candidates:
        index, rank = decode(take(node, "index")), decode(take(node, "spread_order")) or 0
        if not (isinstance(index, int) and 0 <= index < len(axes) and node.shape == (signal.shape[index],)):
            continue
        name = node.name.rpartition("/")[2]
        indices[name] = index
        if axes[index] == "." or rank < ranks[index]:
            axes[index], ranks[index] = name, rank
    return axes, indices


def _name_for_people(node: Any) -> None:
    label = decode(take(node, "label")) or decode(take(node, "TITLE"))
    if isinstance(label, str) and label and "long_name" not in node.attrs:
        put_text(node, "long_name", label)
