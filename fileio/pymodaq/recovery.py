"""Everything that can still be read in a PyMoDAQ file, checked or written to a new one."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from sapwood.errors import FileError
from sapwood.fileio import hdf5
from sapwood.fileio.formats import LOSS, UNREADABLE, Report
from sapwood.fileio.partfile import complete_file
from sapwood.fileio.pymodaq.codec import decode, encode
from sapwood.fileio.pymodaq.index import kind_of, text_attribute
from sapwood.fileio.pymodaq.opening import open_for_reading
from sapwood.fileio.pymodaq.rawattrs import put_fixed, put_text, take
from sapwood.fileio.pymodaq.rows import write_ragged
from sapwood.fileio.pymodaq.superblock import clear_flags, read_superblock, stated_size

__all__ = ["is_possible", "recover", "verify"]

_BLOCK_BYTES = 4 << 20
_RAGGED_ROWS = 1024
_MOST_PADDING = 1 << 30  # bytes, beyond 16 times what is there
_MOST_RATIO = 2000  # of values to bytes of file, with any compression
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError)


def verify(path: Path) -> Report:
    """Read every node of a file; `Report.good` and `lost` count rows of arrays."""
    report = Report()
    try:
        handle = open_for_reading(path)
    except FileError as error:
        return Report(UNREADABLE, problems=[str(error)])
    with handle:
        _Pass(handle, None, path, report).run()
    return _judged(report)


def recover(path: Path, out: Path) -> Report:
    """Write every node of `path` that can be read to the new file `out`.

    Marks of a writer are gone from it, and attributes are in step with the arrays. Rows that
    cannot be read keep their place and hold zeros.
    """
    report = Report()
    with _openable(path, out.parent, report) as handle:
        if handle is None:
            return _judged(report, UNREADABLE)
        with complete_file(out) as part, hdf5.open_h5(part, "w") as copy:
            _Pass(handle, copy, path, report).run()
    return _judged(report)


def _judged(report: Report, status: str = LOSS) -> Report:
    if report.problems or report.lost:
        report.status = status
    return report


@contextlib.contextmanager
def _openable(path: Path, folder: Path, report: Report) -> Iterator[Any]:
    """Give the open file; where it cannot be opened, a mended copy of it, or None."""
    try:
        handle = open_for_reading(path)
    except FileError as error:
        report.problems.append(str(error))
    else:
        with handle:
            yield handle
        return
    with tempfile.TemporaryDirectory(dir=folder) as place:
        handle = _mended(path, Path(place) / "copy.h5", report)
        yield handle
        if handle is not None:
            handle.close()


def _mended(path: Path, copy: Path, report: Report) -> Any:
    """Return a copy of the file, opened, without marks of a writer and as long as its superblock says."""
    try:
        read_superblock(path)
        shutil.copyfile(path, copy)
        clear_flags(copy)
        size, stated = copy.stat().st_size, stated_size(copy)
        if size < stated <= 16 * size + _MOST_PADDING:
            os.truncate(copy, stated)
            report.torn_bytes = stated - size
        return open_for_reading(copy)
    except OSError as error:
        report.problems.append(f"{path}: {error}")
        return None


class _Pass:
    """One way through all nodes of a file, with or without a copy."""

    def __init__(self, source: Any, copy: Any, path: Path, report: Report) -> None:
        self._source = source
        self._copy = copy
        self._path = path
        self._report = report
        self._places: dict[int, str] = {}  # address of an object -> path of its copy

    def run(self) -> None:
        """Visit everything, parents first."""
        root = self._member("/", self._source, "/")
        if root is None:
            return
        self._attributes(root, self._copy and self._copy["/"])
        if self._copy is not None and "swmr_active" in self._copy.attrs:
            self._copy.attrs["swmr_active"] = False
        pending = [("/", root)]
        while pending:
            path, group = pending.pop()
            for name in self._names(path, group):
                where = f"{path.rstrip('/')}/{name}"
                try:
                    node = self._node(where, group[name])
                except FileError:
                    raise
                except _DAMAGE as error:
                    self._problem(f"node {where} cannot be read", error)
                    self._report.lost += 1
                    continue
                if node is not None:
                    pending.append((where, node))

    def _node(self, where: str, node: Any) -> Any:
        """Take one node; return it if it is a group that is new."""
        if self._is_known(where, node):
            return None
        if hasattr(node, "shape"):
            self._array(where, node)
            return None
        if not hasattr(node, "keys"):
            return None
        self._attributes(node, self._copy and self._copy.create_group(where))
        return node

    def _problem(self, text: str, error: Exception | None = None) -> None:
        why = "" if error is None else f": {error}"
        self._report.problems.append(f"{self._path}: {text}{why}")

    def _names(self, path: str, group: Any) -> list[str]:
        try:
            return list(group)
        except _DAMAGE as error:
            self._problem(f"members of group {path} cannot be read", error)
            return []

    def _member(self, where: str, group: Any, name: str) -> Any:
        try:
            return group[name]
        except _DAMAGE as error:
            self._problem(f"node {where} cannot be read", error)
            self._report.lost += 1
            return None

    def _is_known(self, where: str, node: Any) -> bool:
        """Tell whether the node came before under another name; then link the copy."""
        address = int(hdf5.h5py().h5o.get_info(node.id).addr)
        before = self._places.setdefault(address, where)
        if before == where:
            return False
        if self._copy is not None and before in self._copy:
            self._copy[where] = self._copy[before]
        return True

    def _attributes(self, node: Any, copy: Any) -> None:
        try:
            names = list(node.attrs)
        except _DAMAGE as error:
            self._problem(f"attributes of {node.name} cannot be read", error)
            return
        for name in names:
            try:
                value = node.attrs[name]
            except _DAMAGE as error:
                self._problem(f"attribute {name} of {node.name} cannot be read", error)
                continue
            if copy is not None and isinstance(name, str):
                if isinstance(value, bytes):
                    put_text(copy, name, value.decode("utf-8", "replace"))
                elif isinstance(value, str):
                    put_text(copy, name, value.encode("utf-8", "replace").decode())
                else:
                    copy.attrs[name] = value

    def _array(self, where: str, node: Any) -> None:
        h5 = hdf5.h5py()
        copy = None
        if self._copy is not None:
            group = self._copy[where.rpartition("/")[0] or "/"]
            kind, space = node.id.get_type(), node.id.get_space()
            plan = node.id.get_create_plist()
            copy = h5.Dataset(h5.h5d.create(group.id, where.rpartition("/")[2].encode(), kind, space, plan))
        self._attributes(node, copy)
        try:
            self._rows(where, node, copy)
        except FileError:
            raise
        except _DAMAGE as error:
            self._problem(f"array {where} cannot be read", error)
            self._report.lost += 1
        if copy is not None:
            put_fixed(copy, "shape", encode(tuple(copy.shape or ())))
        elif _is_behind(node):
            self._report.problems.append(f"{self._path}: attribute shape of {where} is not that of the array")

    def _rows(self, where: str, node: Any, copy: Any) -> None:
        if node.shape is None:
            return
        if not node.shape:
            if copy is not None:
                copy[()] = node[()]
            self._report.good += 1
            return
        if not is_possible(node, self._path.stat().st_size):
            raise ValueError(f"its shape {node.shape} is more than the file can hold")
        ragged = node.dtype.kind == "O"
        step = _RAGGED_ROWS if ragged else _block_rows(node)
        for begin in range(0, node.shape[0], step):
            end = min(begin + step, node.shape[0])
            try:
                whole = self._there(node, begin, end)
                if whole < end:
                    self._problem(f"rows {whole} to {end} of {where} lie behind the end of the file")
                    self._report.lost += end - whole
                    end = whole
                values = node[begin:end]
            except _DAMAGE as error:
                self._problem(f"rows {begin} to {end} of {where} cannot be read", error)
                self._report.lost += end - begin
                continue
            self._report.good += end - begin
            if copy is not None:
                if ragged:
                    write_ragged(copy, begin, values)
                else:
                    copy[begin:end] = values

    def _there(self, node: Any, begin: int, end: int) -> int:
        """Return the end of those rows that lie in the file; in a lengthened copy others are zeros."""
        if not self._report.torn_bytes:
            return end
        size, row = self._path.stat().st_size, node.dtype.itemsize * math.prod(node.shape[1:])
        for address, nbytes in _places(node, begin, end):
            if address + nbytes > size:
                return min(max(_kept_until(node, begin, (size - address) // max(row, 1)), begin), end)
        return end


def _kept_until(node: Any, begin: int, rows: int) -> int:
    """Return the end of the whole rows in the piece around row `begin`, of which so many `rows` are left."""
    if node.chunks is None:
        return begin + rows
    if node.chunks[1:] != node.shape[1:] or node.id.get_create_plist().get_nfilters():
        return begin  # a part of such a chunk is of no use
    return int(begin // node.chunks[0] * node.chunks[0] + rows)


def _places(node: Any, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield address and bytes of the pieces that hold rows `begin` to `end`, as far as they were written."""
    if node.chunks is None:
        address, row = node.id.get_offset(), node.id.get_storage_size() // max(node.shape[0], 1)
        if address is not None:
            yield address + begin * row, (end - begin) * row
        return
    rows = range(begin // node.chunks[0] * node.chunks[0], end, node.chunks[0])
    others = (range(0, size, step) for size, step in zip(node.shape[1:], node.chunks[1:], strict=True))
    for corner in product(rows, *others):
        chunk = node.id.get_chunk_info_by_coord(corner)
        if chunk.byte_offset is not None:
            yield chunk.byte_offset, chunk.size


def _block_rows(node: Any) -> int:
    """Return how many rows to read together: whole chunks, so that a bad one costs few good rows."""
    row = max(1, node.dtype.itemsize)
    for length in node.shape[1:]:
        row *= max(1, length)
    rows = max(1, _BLOCK_BYTES // row)
    if node.chunks and node.chunks[0] * row <= 16 * _BLOCK_BYTES:
        rows = node.chunks[0]
    return int(rows)


def is_possible(dataset: Any, file_size: int) -> bool:
    """Tell whether a file of so many bytes can hold an array, with whatever compression."""
    if dataset.shape is None:  # it holds nothing by its type
        return True
    return bool(dataset.size * dataset.dtype.itemsize <= _MOST_RATIO * file_size + _MOST_PADDING)


def _is_behind(node: Any) -> bool:
    """Tell whether the attribute ``shape`` of a growing array has an old value."""
    kind = kind_of(node, text_attribute(take(node, "CLASS")), None)
    stated = decode(take(node, "shape"))
    return kind in ("EARRAY", "VLARRAY") and isinstance(stated, tuple) and stated != tuple(node.shape)
