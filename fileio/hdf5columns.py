"""HDF5 columns read: the layout that `sapwood.fileio.sinks.hdf5` writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError, FormatError
from sapwood.fileio.formats import CHUNK_BYTES, LOSS, UNREADABLE, PathLike, Reader, Report, no_table
from sapwood.fileio.hdf5 import open_h5
from sapwood.fileio.hdf5faults import damage_told
from sapwood.fileio.partfile import complete_file
from sapwood.fileio.table import FRAMES, Column, ColumnInfo, Table, TableInfo
from sapwood.streams import FrameBatch

__all__ = [
    "ABOUT_ROWS",
    "ABOUT_TABLES",
    "MARK",
    "VERSION",
    "Hdf5ColumnsReader",
    "recover_columns",
    "verify_columns",
]

MARK, VERSION = "sapwood_columns", 1
ABOUT_TABLES = ("columns", "NX_class", "signal", "axes")  # attributes of groups that tell the layout
ABOUT_ROWS = ("units", "ragged", "long_name")  # the same of datasets


@dataclass
class _Group:
    """One table: its group, names in order, whole rows, and what is wrong with it."""

    node: Any
    names: list[str]
    bounds: dict[str, str]  # ragged column -> dataset of its bounds
    rows: int
    problems: list[str]


class Hdf5ColumnsReader(Reader):
    """Tables of a file in which a group is a table and a dataset is a column.

    The root has the attribute ``sapwood_columns`` = 1. A group lists its columns in the attribute
    ``columns``. A ragged column holds its values one after the other; its attribute ``ragged``
    names the dataset of bounds (i8, n + 1): row i is ``values[bounds[i] : bounds[i + 1]]``.
    After a crash the columns may differ in length: the rows that all of them have are read, the
    rest is a problem.

    Raises
    ------
    FileError
        When the file cannot be opened.
    FormatError
        When it is of another kind.
    """

    def __init__(self, path: PathLike) -> None:
        self._path = os.fspath(path)
        self._file = open_h5(path)
        self._groups: dict[str, _Group] = {}
        try:
            with damage_told(self._path):
                self._begin()
        except BaseException:
            self._file.close()
            raise

    def _begin(self) -> None:
        seen = self._file.attrs.get(MARK)
        if seen != VERSION:
            raise FormatError(
                f"{self._path} holds no columns", file=self._path, expected=f"{MARK} = 1", seen=seen
            )
        self._file.visititems(self._take)

    def _take(self, name: str, node: Any) -> None:
        if "columns" in node.attrs and not hasattr(node, "dtype"):
            self._groups[name] = _whole_rows(self._path, name, node)

    def info(self) -> dict[str, Any]:
        """Return ``format, file, tables {name: rows}, bytes``."""
        return {
            "format": "hdf5",
            "file": os.path.basename(self._path),
            "tables": {name: group.rows for name, group in self._groups.items()},
            "bytes": os.path.getsize(self._path),
        }

    def problems(self) -> list[str]:
        """Return what is missing, one sentence each."""
        return [problem for group in self._groups.values() for problem in group.problems]

    def tables(self) -> list[TableInfo]:
        """Return the tables; counts are exact."""
        with damage_told(self._path):
            return [
                TableInfo(name, group.rows, {key: _info(group, key) for key in group.names})
                for name, group in self._groups.items()
            ]

    def chunks(
        self, table: str, start: int = 0, stop: int | None = None, nbytes: int = CHUNK_BYTES
    ) -> Iterator[Table]:
        """Yield rows `start` to `stop` of `table`, about `nbytes` at a time.

        Raises
        ------
        FormatError
            For a name that is none of the tables, or bounds that do not rise.
        FileError
            When the file cannot be read there.
        """
        group = self._groups.get(table)
        if group is None:
            raise no_table(table, self._path, self._groups)
        stop = group.rows if stop is None else min(stop, group.rows)
        with damage_told(self._path):
            step = max(nbytes // max(self._row_bytes(group), 1), 1)
        first = start
        while first < stop:
            last = min(first + step, stop)
            with damage_told(self._path, f"Rows {first} to {last} of table {table} cannot be read"):
                last = self._fitting(group, first, last, nbytes)
                columns = {name: self._column(group, name, first, last) for name in group.names}
                facts = {key: value for key, value in group.node.attrs.items() if key not in ABOUT_TABLES}
            yield Table(table, columns, facts)
            first = last

    def _fitting(self, group: _Group, first: int, last: int, nbytes: int) -> int:
        """Return the end of the rows, one at least, whose ragged values take `nbytes` in each column."""
        for name, place in group.bounds.items():
            bounds: NDArray[np.int64] = group.node[place][first : last + 1].astype(np.int64)
            most = bounds[0] + max(nbytes // group.node[name].dtype.itemsize, 1)
            if bounds[-1] > most:
                last = first + max(int(np.searchsorted(bounds, most, side="right")) - 1, 1)
        return last

    def _row_bytes(self, group: _Group) -> int:
        """Return the bytes of a row on average."""
        total = 0
        for name in group.names:
            dataset = group.node[name]
            total += int(dataset.dtype.itemsize * np.prod(dataset.shape, dtype=np.int64))
        return total // max(group.rows, 1)

    def _column(self, group: _Group, name: str, first: int, last: int) -> Column:
        dataset = group.node[name]
        unit = str(dataset.attrs.get("units", ""))
        facts = {key: value for key, value in dataset.attrs.items() if key not in ABOUT_ROWS}
        if name not in group.bounds:
            return Column(_plain(dataset[first:last]), unit=unit, attributes=facts)
        bounds: NDArray[np.int64] = group.node[group.bounds[name]][first : last + 1].astype(np.int64)
        size = np.diff(bounds)
        if len(size) and (bounds[0] < 0 or size.min() < 0 or bounds[-1] > len(dataset)):
            raise FormatError(
                f"The bounds of column {group.node.name}/{name} do not rise within its values",
                file=self._path,
                expected=f"0 to {len(dataset)}",
                seen=bounds.tolist()[:8],
            )
        values = _plain(dataset[bounds[0] : bounds[-1]])
        return Column(values, bounds[:-1] - bounds[0], size, unit=unit, attributes=facts)

    def batches(self, *, nbytes: int = CHUNK_BYTES) -> Iterator[FrameBatch]:
        """Yield the frames of the table ``frames``."""
        if FRAMES not in self._groups:
            yield from super().batches(nbytes=nbytes)
            return
        for chunk in self.chunks(FRAMES, nbytes=nbytes):
            yield chunk.to_frames()

    def read(self) -> FrameBatch:
        """Return all frames as one batch."""
        if FRAMES not in self._groups:
            return super().read()
        return FrameBatch.concat(list(self.batches(nbytes=1 << 62)) or [FrameBatch.empty()])

    def limit(self, table: str, rows: int) -> None:
        """Keep to the first `rows` rows of `table`."""
        self._groups[table].rows = rows

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _whole_rows(path: str, name: str, node: Any) -> _Group:
    """Return the table in group `node`, with the rows that all of its columns have."""
    names = [str(one) for one in node.attrs["columns"]]
    missing = [one for one in names if one not in node]
    if missing:
        raise FormatError(f"Columns of table {name} are missing", file=path, expected=names, seen=list(node))
    bounds = {one: str(node[one].attrs["ragged"]) for one in names if "ragged" in node[one].attrs}
    lengths = {one: len(node[one]) for one in names if one not in bounds}
    for one, bound in bounds.items():
        ends = node[bound]
        count = max(len(ends) - 1, 0)
        while count and ends[count] > len(node[one]):
            count -= 1
        lengths[one] = count
    rows = min(lengths.values(), default=0)
    longer = {one: count for one, count in lengths.items() if count > rows}
    problems = []
    if longer:
        problems.append(f"{path}: table {name} has {rows} whole rows, but some columns have more: {longer}")
    return _Group(node, names, bounds, rows, problems)


def _info(group: _Group, name: str) -> ColumnInfo:
    dataset = group.node[name]
    values = None
    if name in group.bounds:
        ends = group.node[group.bounds[name]]
        values = int(ends[group.rows]) if group.rows else 0
    return ColumnInfo(_plain(np.empty(0, dataset.dtype)).dtype, tuple(dataset.shape[1:]), values)


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    """Return texts without what h5py notes in their type, which others do not know."""
    return values.view(values.dtype.str) if values.dtype.kind == "S" else values


def verify_columns(path: PathLike) -> Report:
    """Read every row of every table."""
    with Hdf5ColumnsReader(path) as reader:
        return _check(reader)


def _check(reader: Hdf5ColumnsReader) -> Report:
    """Read every table as far as it goes, and have the reader keep to that."""
    report = Report(problems=reader.problems())
    for table in reader.tables():
        good = 0
        try:
            for chunk in reader.chunks(table.name):
                good += len(chunk)
        except FileError as error:
            report.problems.append(str(error))
            report.lost += table.rows - good
            reader.limit(table.name, good)
        report.good += good
    if report.problems:
        report.status = LOSS if report.good else UNREADABLE
    return report


def recover_columns(path: PathLike, out: PathLike) -> Report:
    """Write all rows up to the first that cannot be read, of each table, to the new file `out`."""
    from sapwood.fileio.conversion import pump
    from sapwood.fileio.sinks.hdf5sink import Hdf5Sink

    with Hdf5ColumnsReader(path) as reader:
        report = _check(reader)
        if report.status == UNREADABLE:
            return report
        with complete_file(out) as part:
            sink = Hdf5Sink(part, reader.tables())
            try:
                pump(reader, sink)
                sink.close()
            except BaseException:
                sink.abort()
                raise
    return report
