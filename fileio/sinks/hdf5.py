"""HDF5 columns: a group a table, a dataset a column, with names that NeXus viewers know."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FileError
from sapwood.fileio.formats import MAGIC, NO, Format, PathLike, Report
from sapwood.fileio.hdf5 import SIGNATURE, glance, h5py, open_h5
from sapwood.fileio.hdf5columns import MARK, VERSION, Hdf5ColumnsReader, recover_columns, verify_columns
from sapwood.fileio.sinks.growing import GrowingRows
from sapwood.fileio.table import FRAMES, ColumnInfo, Table, TableInfo

__all__ = ["HDF5", "Hdf5Format", "Hdf5Sink"]

_CHUNK_BYTES = 1 << 20
_LIVE_CHUNK_BYTES = 64 << 10  # of columns with a value a row, so that short recordings are small
_AXES = ("time", "timestamp")


class Hdf5Sink:
    """Writes tables as groups of datasets; see `Hdf5ColumnsReader` for the layout.

    Parameters
    ----------
    tables
        What will be written. Unless `live`, counts must be exact: the datasets have their final
        size from the beginning.
    compression
        ``none``, ``gzip`` or ``lzf`` (both after the shuffle filter).
    live
        Counts are not known: datasets grow, other processes may read them meanwhile (SWMR), and
        what was synced is readable after a crash.

    Raises
    ------
    FileError
        When the file cannot be made.
    """

    def __init__(
        self, path: PathLike, tables: Sequence[TableInfo], compression: str = "none", *, live: bool = False
    ) -> None:
        self._path = os.fspath(path)
        self._compression = None if compression == "none" else compression
        self._live = live
        self._file = open_h5(path, "w", libver=("v110", "v110") if live else None)
        self._tables = {info.name: info for info in tables}
        self._filled: dict[str, int] = {}  # rows or values written, by path of the dataset
        self._growing: dict[str, GrowingRows] = {}  # those of a live file, by path
        self._bounds: dict[str, str] = {}  # paths of ragged columns -> of their bounds
        try:
            self._file.attrs[MARK] = VERSION
            self._file.attrs["NX_class"] = "NXroot"
            for info in tables:
                self._begin(info)
            if live:
                self._file.swmr_mode = True
        except BaseException:
            self.abort()
            raise

    def _begin(self, info: TableInfo) -> None:
        group = self._file.create_group(info.name)
        group.attrs["columns"] = np.array(list(info.columns), h5py().string_dtype())
        ragged = [name for name, column in info.columns.items() if column.values is not None]
        for name, column in info.columns.items():
            made = self._dataset(group, name, column, info.rows if column.values is None else column.values)
            if column.values is not None:
                bounds = "offset" if len(ragged) == 1 else f"{name}_offset"
                made.attrs["ragged"] = bounds
                self._dataset(group, bounds, ColumnInfo(np.dtype("i8")), info.rows + 1)
                self._bounds[f"{info.name}/{name}"] = f"{info.name}/{bounds}"
                self._put(f"{info.name}/{bounds}", np.zeros(1, np.int64))
        _plottable(self._file, group, info)

    def _dataset(self, group: Any, name: str, column: ColumnInfo, count: int) -> Any:
        dtype = np.dtype(f"S{max(column.dtype.itemsize, 1)}") if column.dtype.kind == "U" else column.dtype
        if not self._live and self._compression is None:
            return group.create_dataset(name, (count, *column.shape), dtype)
        size = max(int(dtype.itemsize * np.prod(column.shape, dtype=np.int64)), 1)
        scalar = self._live and column.values is None and not column.shape
        nbytes = _LIVE_CHUNK_BYTES if scalar else _CHUNK_BYTES
        filters = {"compression": self._compression, "shuffle": True} if self._compression else {}
        made = group.create_dataset(
            name,
            (0 if self._live else count, *column.shape),
            dtype,
            chunks=(max(nbytes // size, 1), *column.shape),
            maxshape=(None, *column.shape),
            **filters,
        )
        if self._live:
            self._growing[f"{group.name.strip('/')}/{name}"] = GrowingRows(made)
        return made

    def write(self, table: Table) -> None:
        """Append the rows of `table`.

        Raises
        ------
        FileError
            When they are not what was announced.
        """
        info = self._tables.get(table.name)
        if info is None or info.columns.keys() != table.columns.keys():
            raise FileError(f"Table {table.name} was not announced", file=self._path, seen=list(table))
        for name, column in table.columns.items():
            if not self._live and not self._filled.get(f"{table.name}/{name}"):
                dataset = self._file[table.name][name]
                facts = {key: value for key, value in column.attributes.items() if key != "ragged"}
                dataset.attrs.update({**({"units": column.unit} if column.unit else {}), **facts})
            if column.size is not None:
                before = self._filled.get(f"{table.name}/{name}", 0)
                ends = np.cumsum(column.size, dtype=np.int64) + before
                self._put(f"{table.name}/{name}", column.dense())
                self._put(self._bounds[f"{table.name}/{name}"], ends)
            else:
                self._put(f"{table.name}/{name}", column.values)

    def _put(self, place: str, values: NDArray[Any]) -> None:
        begin = self._filled.get(place, 0)
        end = begin + len(values)
        values = np.char.encode(values, "utf-8") if values.dtype.kind == "U" else values
        if self._live:
            self._growing[place].append(values)
            self._filled[place] = end
            return
        dataset = self._file[place]
        if end > len(dataset):
            raise FileError(
                f"More rows than announced for {place}", file=self._path, expected=len(dataset), seen=end
            )
        if len(values):
            dataset[begin:end] = values
        self._filled[place] = end

    def sync(self) -> None:
        """Hand everything written so far to the system; a live file also to its readers."""
        self._commit()
        self._file.flush()

    def _commit(self) -> None:
        for rows in self._growing.values():
            rows.flush()

    def close(self) -> None:
        """Complete the file.

        Raises
        ------
        FileError
            When fewer rows came than were announced.
        """
        if not self._file:
            return
        for place, filled in () if self._live else self._filled.items():
            if filled != len(self._file[place]):
                raise FileError(
                    f"Fewer rows than announced for {place}",
                    file=self._path,
                    expected=len(self._file[place]),
                    seen=filled,
                )
        try:
            self._commit()
        finally:
            self._file.close()

    def abort(self) -> None:
        """Close the file as it is."""
        if self._file:
            self._file.close()


def _plottable(file: Any, group: Any, info: TableInfo) -> None:
    """Let viewers plot the last numeric column, over time where there is such a column."""
    numeric = [
        name
        for name, column in info.columns.items()
        if column.values is None and not column.shape and column.dtype.kind in "iuf"
    ]
    axis = next((name for name in _AXES if name in numeric), None)
    signals = [name for name in numeric if name != axis]
    if info.name == FRAMES or not signals:
        group.attrs["NX_class"] = "NXcollection"
        return
    group.attrs["NX_class"] = "NXdata"
    group.attrs["signal"] = signals[-1]
    group.attrs["axes"] = np.array([axis or "."], h5py().string_dtype())
    if "default" not in file.attrs:
        file.attrs["default"] = info.name


class Hdf5Format(Format):
    """Tables as HDF5 columns."""

    name = "hdf5"
    endings = (".h5", ".hdf5")
    compressions = ("none", "gzip", "lzf")
    in_parts = True

    def detect(self, head: bytes, path: str) -> int:
        """Return MAGIC for an HDF5 file with our mark."""
        if not head.startswith(SIGNATURE):
            return NO
        top = glance(path)
        return MAGIC if top is not None and MARK in top.attributes else NO

    def open(self, path: PathLike, **options: Any) -> Hdf5ColumnsReader:
        """Open the file."""
        return Hdf5ColumnsReader(path)

    def create(self, path: PathLike, *, tables: Sequence[TableInfo] = (), **options: Any) -> Hdf5Sink:
        """Begin a file for `tables`; options ``compression`` and ``live``."""
        return Hdf5Sink(path, tables, **options)

    def verify(self, path: PathLike) -> Report:
        """Read every row."""
        return verify_columns(path)

    def recover(self, path: PathLike, out: PathLike) -> Report:
        """Write the rows that are whole in all columns to the new file `out`."""
        return recover_columns(path, out)


HDF5 = Hdf5Format()
