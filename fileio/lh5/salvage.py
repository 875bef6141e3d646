"""Damaged LH5 files: what is wrong, and a new file of what can still be read."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np

from sapwood.errors import FileError
from sapwood.fileio.formats import CLEAN, LOSS, UNREADABLE, PathLike, Report
from sapwood.fileio.hdf5 import SIGNATURE, h5py, open_h5
from sapwood.fileio.lh5 import datatype
from sapwood.fileio.lh5.chunks import refuse_bombs
from sapwood.fileio.lh5.errors import LH5DecodeError, LH5EncodeError
from sapwood.fileio.lh5.nodes import attributes, datatype_of, full_name, is_dataset, members, rows_of
from sapwood.fileio.lh5.reading import Request, read_object
from sapwood.fileio.lh5.writing import ObjectWriter

__all__ = ["check", "rescue"]

_STEP = 1 << 13  # rows looked at together
_DEEPEST = 32
_BAD_FILL = 1 << 20
_FAILURES = 200  # reads of one object that may fail before the rest of it is given up
_EOF_AT = {0: 40, 1: 44, 2: 28, 3: 28}  # superblock version -> where it says how long the file is
_FAULTS = (OSError, RuntimeError, ValueError, TypeError, KeyError, OverflowError, AttributeError)


def check(path: PathLike) -> Report:
    """Read everything; tell what cannot be read or does not fit together."""
    report = Report()
    try:
        with open_h5(path) as file:
            _walk(file, report, None)
    except _FAULTS as error:
        report.problems.append(str(error))
    return _judged(report)


def rescue(path: PathLike, out: str) -> Report:
    """Write all rows that can be read to the new file `out`, which is left empty if there are none.

    A file that was cut is read as far as it goes.
    """
    report, copy = Report(), f"{out}.copy"
    try:
        with _opened(os.fspath(path), copy, report) as file, open_h5(out, "w") as target:
            writer = ObjectWriter(target)
            _walk(file, report, writer)
            writer.flush()
    except _FAULTS as error:
        report.problems.append(str(error))
    report.problems = [problem.replace(copy, os.fspath(path)) for problem in report.problems]
    return _judged(report)


def _judged(report: Report) -> Report:
    if report.problems:
        report.status = LOSS if report.good else UNREADABLE
    else:
        report.status = CLEAN
    return report


@contextlib.contextmanager
def _opened(path: str, copy: str, report: Report) -> Iterator[Any]:
    """Open a file; one that is shorter than it says by way of a copy that is filled up."""
    try:
        file = open_h5(path)
    except FileError as error:
        size, said = os.path.getsize(path), _said_size(path)
        if not size < said < 1 << 50:
            raise
        report.problems.append(f"{path} is cut: {size} of {said} bytes are there ({error.seen})")
        report.torn_bytes = said - size
        try:
            shutil.copyfile(path, copy)
            _fill_up(copy, size, said)
            with open_h5(copy) as file:
                yield file
        finally:
            os.unlink(copy)
        return
    with file:
        yield file


def _fill_up(path: str, size: int, said: int) -> None:
    """Make a file as long as it should be.

    What is cut off in the middle continues with bytes that are no valid size: zeros there let the
    HDF5 library search a heap of texts for ever.
    """
    with open(path, "r+b") as file:
        file.seek(size)
        file.write(b"\xff" * min(_BAD_FILL, said - size))
        file.truncate(said)


def _said_size(path: str) -> int:
    """Return how long the file should be, by its first block; 0 if that cannot be told."""
    with open(path, "rb") as file:
        head = file.read(64)
    at = _EOF_AT.get(head[8]) if head.startswith(SIGNATURE) and len(head) == 64 else None
    return 0 if at is None else int.from_bytes(head[at : at + 8], "little")


def _walk(
    group: Any, report: Report, writer: ObjectWriter | None, above: frozenset[int] = frozenset()
) -> None:
    """Look at all objects in `group`; write what can be read if there is a `writer`.

    `above` holds the addresses of the groups that lead here: in a damaged file a link may lead back.
    """
    above |= {_address(group)}
    for name in _listed(group, report):
        path = full_name(group, name)
        try:
            node = group[name]
            kind = datatype_of(node).kind if "datatype" in node.attrs else None
        except _FAULTS as error:
            report.problems.append(f"{path}: {error}")
            report.lost += 1
            continue
        if kind in (datatype.STRUCT, None) and not is_dataset(node):
            if len(above) < _DEEPEST and _address(node) not in above:
                _walk(node, report, writer, above)
            else:
                report.problems.append(f"{path}: groups lie in each other without end")
                report.lost += 1
        elif kind in (datatype.SCALAR, datatype.HISTOGRAM, datatype.VIEW):
            _whole(node, report, writer, kind == datatype.VIEW)
        elif kind is not None:
            _rows(node, report, writer)


def _address(node: Any) -> int:
    """Return where an object lies in its file."""
    return int(h5py().h5o.get_info(node.id).addr)


def _listed(group: Any, report: Report) -> list[str]:
    try:
        return sorted(group)
    except _FAULTS as error:
        report.problems.append(f"{group.name}: {error}")
        report.lost += 1
        return []


def _whole(node: Any, report: Report, writer: ObjectWriter | None, view: bool) -> None:
    """Copy an object that is read at once; what a view shows is copied where it lies."""
    try:
        found = read_object(node, Request())
        if writer is not None and not view:
            writer.append(found, node.name, {})
    except _FAULTS as error:
        report.problems.append(str(error))
        report.lost += 1


def _rows(node: Any, report: Report, writer: ObjectWriter | None) -> None:
    """Copy the rows of a table, array or vectors that can be read."""
    fields, lengths = _readable_columns(node, report)
    if not lengths:
        return
    rows = min(lengths.values())
    if len(set(lengths.values())) > 1:
        report.problems.append(f"{node.name}: columns differ in length ({lengths}); {rows} rows are whole")
        report.lost += max(lengths.values()) - rows
    failures = _FAILURES
    for start in range(0, max(rows, 1), _STEP):
        failures = _copy(node, fields, (start, min(start + _STEP, rows)), report, writer, failures)
        if failures <= 0:
            report.lost += max(0, rows - start - _STEP)
            report.problems.append(f"{node.name}: given up at row {start + _STEP}, too much is damaged")
            return


def _readable_columns(node: Any, report: Report) -> tuple[dict[str, bool], dict[str, int]]:
    """Return a mask of fields and the rows of each; of an object without columns its own."""
    table = not is_dataset(node) and datatype_of(node).kind == datatype.TABLE
    names = _listed(node, report) if table else [""]
    lengths: dict[str, int] = {}
    for name in names:
        try:
            column = node[name] if name else node
            read_object(column, Request(slice(0, 0)))
            lengths[name] = rows_of(column) or 0
            _check_ends(column, _DEEPEST)
        except _FAULTS as error:
            report.problems.append(f"{full_name(node, name)}: {error}")
            report.lost += 1
            lengths.pop(name, None)
    return (dict.fromkeys(lengths, True) if table else {}), lengths


def _check_ends(node: Any, depth: int) -> None:
    """Make sure that cumulative lengths never fall and stay within the flattened data."""
    if is_dataset(node):
        refuse_bombs(node, len(node) if node.shape else 1)
    if is_dataset(node) or not depth:
        return
    ends = node.get("cumulative_length")
    if ends is None:
        for name in members(node):
            _check_ends(node[name], depth - 1)
        return
    refuse_bombs(ends, len(ends))
    before = 0
    for start in range(0, len(ends), 1 << 20):
        part = np.concatenate([[before], ends[start : start + (1 << 20)].astype(np.int64)])
        falls = np.flatnonzero(np.diff(part) < 0)
        if len(falls):
            raise LH5DecodeError("the cumulative length falls", seen=f"row {start + int(falls[0])}")
        before = int(part[-1])
    flat = node["flattened_data"]
    there = rows_of(flat) or 0
    if before > there:
        raise LH5DecodeError("the cumulative length exceeds the data", expected=there, seen=before)
    _check_ends(flat, depth - 1)


def _copy(
    node: Any,
    fields: dict[str, bool],
    rows: tuple[int, int],
    report: Report,
    writer: ObjectWriter | None,
    failures: int,
) -> int:
    """Copy a range of rows; halve it until those that cannot be read are alone, or `failures` are used up.

    Returns
    -------
    int
        Failures that are left.
    """
    pending = [rows]
    said: set[str] = set()
    while pending:
        start, stop = pending.pop()
        try:
            found = read_object(
                node, Request(slice(start, stop), fields)
            )  # decoded, to see whether it can be
            if writer is not None:
                found = read_object(node, Request(slice(start, stop), fields, decompress=False))
        except _FAULTS as error:
            failures -= 1
            if stop - start > 1 and failures > 0:
                middle = (start + stop) // 2
                pending += [(middle, stop), (start, middle)]
                continue
            report.lost += stop - start
            if str(error) not in said:
                said.add(str(error))
                report.problems.append(f"Row {start}: {error}")
            continue
        report.good += stop - start
        if writer is not None:
            _append(writer, node, found, report)
    return failures


def _append(writer: ObjectWriter, node: Any, found: Any, report: Report) -> None:
    try:
        writer.append(found, node.name, {})
    except LH5EncodeError as error:
        report.problems.append(f"{node.name}: {error} {attributes(node)}")
