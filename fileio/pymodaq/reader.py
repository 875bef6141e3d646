"""A PyMoDAQ file as tables: the arrays of a group that have equally many rows, side by side."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError, FormatError, nearest
from sapwood.fileio import hdf5, hdf5faults
from sapwood.fileio.formats import CHUNK_BYTES, PathLike, Reader
from sapwood.fileio.pymodaq.nodes import CARRAY, GROUP, VLARRAY, Node, StringARRAY
from sapwood.fileio.pymodaq.opening import is_file_swmr_active
from sapwood.fileio.pymodaq.recovery import is_possible
from sapwood.fileio.pymodaq.saver import H5SaverLowLevel
from sapwood.fileio.table import Column, ColumnInfo, Table, TableInfo

__all__ = ["PymodaqReader"]

_ROWS_LOOKED_AT = 4096  # of variable length, at a time
_PLOTS = "/entry"  # groups of links for viewers, asked last
_MAIN = ("data", "data_enlargeable")


@dataclass(frozen=True)
class _Plan:
    """Arrays of one table; `rows` is the length of their first axis."""

    name: str
    rows: int
    nodes: dict[str, Any]


class PymodaqReader(Reader):
    """The arrays, attributes and log of a PyMoDAQ file, which is never altered.

    Arrays of a group with equally many rows are one table, called like the group; arrays of
    another length are a table of their own, called like the (first) array. Rows of variable
    length are ragged columns, rows of text ragged columns of UTF-8 bytes.

    Parameters
    ----------
    path
        The file; one that is being written in SWMR mode is read as it stands.
    """

    def __init__(self, path: PathLike) -> None:
        self._path = Path(os.fspath(path))
        self._saver = H5SaverLowLevel()
        self._saver.open_file(self._path, "r")
        try:
            with self._damage():
                self._plans = {plan.name: plan for plan in self._find()}
        except FileError:
            self._saver.close_file()
            raise

    def _damage(self) -> AbstractContextManager[None]:
        return hdf5faults.damage_told(self._path)

    def _find(self) -> Iterator[_Plan]:
        """Yield the tables; an array that is linked at several places is in one of them."""
        seen: set[int] = set()
        size = self._path.stat().st_size
        groups = list(self._saver.walk_groups("/"))
        for group in sorted(groups, key=lambda each: each.path.startswith(_PLOTS)):
            arrays = [node for node in group.children().values() if isinstance(node, CARRAY)]
            arrays = [node for node in arrays if node.node.shape is not None and is_possible(node.node, size)]
            new = {_address(node): node for node in arrays if _address(node) not in seen}
            seen |= set(new)
            yield from _plans_of(group, list(new.values()))

    @property
    def saver(self) -> H5SaverLowLevel:
        """The file by its nodes, opened for reading."""
        return self._saver

    def info(self) -> dict[str, Any]:
        """Return what the file says of itself, its tree, its tables and its log."""
        with self._damage():
            return self._summary()

    def _summary(self) -> dict[str, Any]:
        root = self._saver.root().attrs.to_dict()
        return {
            "format": "pymodaq",
            "file": self._path.name,
            "written": f"{root.get('date', '')} {root.get('time', '')}".strip(),
            "pymodaq_version": _plain(root.get("pymodaq_version")),
            "live": self._saver.shared.following,
            "swmr_active": is_file_swmr_active(self._path),
            "tables": {name: plan.rows for name, plan in self._plans.items()},
            "nodes": self._structure,
            "log": self.log(),
            "problems": list(self.problems()),
        }

    @cached_property
    def _structure(self) -> dict[str, Any]:
        """Path -> class, shape and attributes of every node."""
        found: dict[str, Any] = {}
        for node in self._saver.walk_nodes("/"):
            facts: dict[str, Any] = {"class": type(node).__name__}
            if isinstance(node, CARRAY):
                facts |= {"shape": list(node.shape), "dtype": node.dtype.name}
            facts["attributes"] = {name: _plain(value) for name, value in node.attrs.to_dict().items()}
            found[node.path] = facts
        return found

    def log(self) -> list[str]:
        """Return the lines of all logs of the file."""
        lines: list[str] = []
        for node in self._saver.walk_nodes("/"):
            if isinstance(node, StringARRAY) and node.attrs.get("type") == "log":
                lines += [str(_plain(line)) for line in node.read()]
        return lines

    def problems(self) -> Sequence[str]:
        """Return what is damaged or out of step, one sentence each."""
        with self._damage():
            return self._found_problems

    @cached_property
    def _found_problems(self) -> list[str]:
        found = []
        if is_file_swmr_active(self._path) and not self._saver.shared.following:
            found.append(f"{self._path}: the mark of a SWMR writer is still set")
        size = self._path.stat().st_size
        for node in self._saver.walk_nodes("/"):
            if "CLASS" not in node.attrs:
                found.append(f"{self._path}: node {node.path} has no CLASS")
            if isinstance(node, CARRAY) and not is_possible(node.node, size):
                found.append(f"{self._path}: node {node.path} is larger than the file can hold")
        return found

    def tables(self) -> Sequence[TableInfo]:
        """Return the tables with their rows and columns."""
        with self._damage():
            return [
                TableInfo(
                    plan.name, plan.rows, {name: _column_info(node) for name, node in plan.nodes.items()}
                )
                for plan in self._plans.values()
            ]

    def chunks(
        self, table: str, start: int = 0, stop: int | None = None, nbytes: int = CHUNK_BYTES
    ) -> Iterator[Table]:
        """Yield rows `start` to `stop` of a table, about `nbytes` at a time."""
        plan = self._plans.get(table)
        if plan is None:
            near = nearest(table, self._plans)
            raise FormatError(
                f"There is no table {table!r}",
                file=self._path,
                expected=", ".join(list(self._plans)[:20]),
                hint=f"Did you mean: {', '.join(near)}?" if near else None,
            )
        first, last, _ = slice(start, stop).indices(plan.rows)
        step = max(1, nbytes // max(1, sum(map(_row_bytes, plan.nodes.values()))))
        return self._pieces(plan, first, last, step)

    def _pieces(self, plan: _Plan, first: int, last: int, step: int) -> Iterator[Table]:
        for begin in range(first, last, step):
            rows = slice(begin, min(begin + step, last))
            with self._damage():
                columns = {name: _column(node, rows) for name, node in plan.nodes.items()}
            yield Table(plan.name, columns, {"file": self._path.name})

    def close(self) -> None:
        """Let go of the file."""
        self._saver.close_file()


def _address(node: CARRAY) -> int:
    return int(hdf5.h5py().h5o.get_info(node.node.id).addr)


def _plans_of(group: GROUP, arrays: list[CARRAY]) -> Iterator[_Plan]:
    """Yield the tables of one group: the main one first."""
    texts = [node for node in arrays if isinstance(node, StringARRAY)]
    by_length: dict[int, list[CARRAY]] = {}
    for node in arrays:
        if node not in texts:
            by_length.setdefault(_rows(node), []).append(node)
    order = sorted(by_length.items(), key=lambda item: (not any(map(_is_main, item[1])), -len(item[1])))
    for rank, (rows, nodes) in enumerate(order):
        path = nodes[0].path if rank or group.path == "/" else group.path
        yield _Plan(path.strip("/"), rows, {node.name: node for node in nodes})
    for node in texts:
        yield _Plan(node.path.strip("/"), len(node), {node.name: node})


def _is_main(node: Node) -> bool:
    return node.attrs.get("data_type") in _MAIN


def _rows(node: CARRAY) -> int:
    """Return the length of the first axis; a single value is one row."""
    return node.shape[0] if node.shape else 1


def _row_bytes(node: CARRAY) -> int:
    if isinstance(node, VLARRAY):
        return CHUNK_BYTES // _ROWS_LOOKED_AT
    return math.prod(node.shape[1:]) * node.dtype.itemsize


def _column_info(node: CARRAY) -> ColumnInfo:
    if not isinstance(node, VLARRAY):
        return ColumnInfo(node.dtype, node.shape[1:])
    rows = range(0, len(node), _ROWS_LOOKED_AT)
    values = sum(len(_column(node, slice(row, row + _ROWS_LOOKED_AT)).values) for row in rows)
    return ColumnInfo(_column(node, slice(0, 0)).values.dtype, values=values)


def _column(node: CARRAY, rows: slice) -> Column:
    attributes = {"title": node.title, "path": node.path}
    unit = node.attrs.get("units", "")
    if isinstance(node, VLARRAY):
        flat, start, size = _ragged(node, rows)
        return Column(flat, start, size, attributes=attributes)
    values = node[rows] if node.shape else np.atleast_1d(node.read())[rows]
    return Column(values, unit=unit if isinstance(unit, str) else "", attributes=attributes)


def _ragged(node: VLARRAY, rows: slice) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
    if isinstance(node, StringARRAY):
        parts = [np.frombuffer(_utf8(row), np.uint8) for row in node[rows]]
        dtype = np.dtype(np.uint8)
    else:
        parts = [np.asarray(row) for row in node[rows]]
        dtype = parts[0].dtype if parts else node.base
    size = np.fromiter(map(len, parts), np.int64, len(parts))
    flat = np.concatenate(parts) if parts else np.empty(0, dtype)
    return flat, np.cumsum(size) - size, size


def _utf8(row: Any) -> bytes:
    return row if isinstance(row, bytes) else str(row).encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    """Return `value` as JSON can hold it."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return repr(value)
    return list(value) if isinstance(value, tuple) else value
