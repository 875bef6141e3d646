"""Tables read piece by piece, from several files and groups as if they were one."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sapwood.fileio.formats import PathLike
from sapwood.fileio.lh5.buffers import concatenated
from sapwood.fileio.lh5.errors import LH5DecodeError
from sapwood.fileio.lh5.store import LH5Store

__all__ = ["LH5Iterator"]

_SIZE = re.compile(r"\s*(\d+(?:\.\d*)?)\s*\*?\s*([kMGT]?)(i?)B\s*")
_POWERS = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4}


class LH5Iterator:
    """Yields the rows of tables, one after the other, some at a time.

    Every table that is yielded is a new one and may be kept::

        for table in LH5Iterator("run*.lh5", ["ch1/raw", "ch2/raw"], buffer_len=1000, field_mask=["energy"]):
            ...

    Parameters
    ----------
    lh5_files
        One path or several; with wildcards they stand for all such files, sorted.
    groups
        The table to read in every file, or several, one after the other; or a sequence of such
        sequences, one for each file.
    base_path
        Folder of files whose path is not absolute.
    entry_list
        Numbers of rows among all, of any order, read in ascending order; or a sequence of such
        lists, one for each table.
    entry_mask
        Bools instead: the rows to be read.
    i_start, n_entries
        The first of the wanted rows to be yielded, and how many in all.
    field_mask
        See `LH5Store.read`.
    buffer_len
        Rows at a time; or memory, such as ``"100*MB"``.
    file_cache
        Files that are kept open.

    Raises
    ------
    LH5DecodeError
        When files, groups or rows do not go together; and while reading.
    """

    def __init__(
        self,
        lh5_files: PathLike | Sequence[PathLike],
        groups: str | Sequence[str | Sequence[str]],
        *,
        base_path: PathLike = "",
        entry_list: Any = None,
        entry_mask: Any = None,
        i_start: int = 0,
        n_entries: int | None = None,
        field_mask: Mapping[str, bool] | Sequence[str] | None = None,
        buffer_len: int | str = "100*MB",
        file_cache: int = 10,
    ) -> None:
        if i_start < 0 or (n_entries or 0) < 0 or file_cache < 1:
            raise LH5DecodeError(
                "Rows count from 0, and a file must be open to be read",
                seen=f"i_start={i_start}, n_entries={n_entries}, file_cache={file_cache}",
            )
        self._store = LH5Store(base_path, keep_open=True)
        self._open: dict[str, None] = {}  # files, the one used last at the end
        self._file_cache = file_cache
        self._field_mask = field_mask
        self._sources = _pairs(_files(lh5_files, self._store.base_path), groups)
        rows = [self._used(file).read_n_rows(group, file) for file, group in self._sources]
        if None in rows:
            raise LH5DecodeError("Only what has rows can be read row by row", seen=self._sources)
        self._begins = np.concatenate([[0], np.cumsum(np.array(rows, np.int64))])  # in all rows
        self._wanted = _wanted(entry_list, entry_mask, self._begins)
        chosen = self._begins if self._wanted is None else np.searchsorted(self._wanted, self._begins)
        self._chosen = chosen  # where tables begin among the wanted rows
        self._size = int(chosen[-1])
        self.i_start = i_start
        self.n_entries = n_entries
        self.buffer_len = self._rows_in(buffer_len)
        self.current_i_entry = 0
        self._current = 0, 0  # of the wanted rows

    def _rows_in(self, wanted: int | str) -> int:
        if isinstance(wanted, str):
            match = _SIZE.fullmatch(wanted)
            if match is None:
                raise LH5DecodeError("The size of the buffer is not clear", expected="100*MB", seen=wanted)
            nbytes = float(match[1]) * (1024 if match[3] else 1000) ** _POWERS[match[2]]
            total = sum(self._used(file).read_size_in_bytes(group, file) for file, group in self._sources)
            wanted = max(1, int(nbytes * int(self._begins[-1]) / max(1, total)))
        if wanted < 1:
            raise LH5DecodeError("A buffer needs room for a row", seen=wanted)
        return wanted

    def _used(self, file: str) -> LH5Store:
        """Return the store, about to read `file`; others are closed when too many are open."""
        self._open.pop(file, None)
        while len(self._open) >= self._file_cache:
            oldest = next(iter(self._open))
            del self._open[oldest]
            self._store.close(oldest)
        self._open[file] = None
        return self._store

    def read(self, i_entry: int, n_entries: int | None = None) -> Any:
        """Return the wanted rows from `i_entry` on: `n_entries` of them, by default a buffer full.

        Afterwards ``current_...`` tell of them.
        """
        if i_entry < 0 or (n_entries or 0) < 0:
            raise LH5DecodeError("Rows count from 0", seen=f"i_entry={i_entry}, n_entries={n_entries}")
        begin = min(i_entry, self._size)
        end = min(begin + (self.buffer_len if n_entries is None else n_entries), self._size)
        parts: list[Any] = []
        for number, (file, group) in enumerate(self._sources):
            first, last = (int(i) for i in np.clip(self._chosen[number : number + 2], begin, end))
            if first == last and (parts or number + 1 < len(self._sources)):
                continue
            idx = self._local(number, first, last)
            parts.append(self._used(file).read(group, file, field_mask=self._field_mask, **idx))
        self.current_i_entry = begin
        self._current = begin, end
        return concatenated(parts)

    def _local(self, number: int, first: int, last: int) -> dict[str, Any]:
        """Return which rows of table `number` are the wanted ones from `first` to `last`."""
        if self._wanted is None:
            return {"start_row": first - int(self._begins[number]), "n_rows": last - first}
        return {"idx": self._wanted[first:last] - self._begins[number]}

    @property
    def current_global_entries(self) -> NDArray[np.int64]:
        """The numbers of the rows read last, among those of all tables."""
        begin, end = self._current
        return np.arange(begin, end) if self._wanted is None else self._wanted[begin:end]

    @property
    def current_local_entries(self) -> NDArray[np.int64]:
        """The numbers of the rows read last, each in its table."""
        entries = self.current_global_entries
        begins: NDArray[np.int64] = self._begins[self._tables_of(entries)]
        return entries - begins

    @property
    def current_files(self) -> list[str]:
        """The files of the rows read last."""
        return [self._sources[i][0] for i in self._tables_of(self.current_global_entries)]

    @property
    def current_groups(self) -> list[str]:
        """The groups of the rows read last."""
        return [self._sources[i][1] for i in self._tables_of(self.current_global_entries)]

    def _tables_of(self, entries: NDArray[np.int64]) -> NDArray[np.int64]:
        numbers: NDArray[np.int64] = np.searchsorted(self._begins, entries, side="right") - 1
        return numbers

    def __len__(self) -> int:
        """Return how many rows will be yielded."""
        left = max(0, self._size - self.i_start)
        return left if self.n_entries is None else min(left, self.n_entries)

    def __iter__(self) -> Iterator[Any]:
        end = self.i_start + len(self)
        for begin in range(self.i_start, end, self.buffer_len):
            yield self.read(begin, min(self.buffer_len, end - begin))

    def close(self) -> None:
        """Close all files."""
        self._store.close()
        self._open.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _files(given: PathLike | Sequence[PathLike], base: str) -> list[str]:
    found = []
    for one in [given] if isinstance(given, str | os.PathLike) else given:
        path = os.path.expandvars(os.path.expanduser(os.fspath(one)))
        if not glob.has_magic(path) or os.path.exists(os.path.join(base, path)):
            found.append(path)
            continue
        there = sorted(glob.glob(path, root_dir=base or None))
        if not there:
            raise LH5DecodeError("There is no such file", seen=os.path.join(base, path))
        found += there
    if not found:
        raise LH5DecodeError("There is no file to read from")
    return found


def _pairs(files: list[str], groups: str | Sequence[str | Sequence[str]]) -> list[tuple[str, str]]:
    """Return file and group of every table, in order."""
    each: list[Any]
    if isinstance(groups, str) or all(isinstance(group, str) for group in groups):
        each = [groups] * len(files)
    elif len(groups) == len(files):
        each = list(groups)
    else:
        raise LH5DecodeError("Files and groups differ in number", expected=len(files), seen=len(groups))
    found = [
        (file, group)
        for file, names in zip(files, each, strict=True)
        for group in ([names] if isinstance(names, str) else names)
    ]
    if not found:
        raise LH5DecodeError("There is no group to read")
    return found


def _wanted(entry_list: Any, entry_mask: Any, begins: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the numbers of the wanted rows among all, ascending; None for all of them."""
    if entry_list is not None and entry_mask is not None:
        raise LH5DecodeError("Give a list of rows or a mask, not both")
    given = entry_mask if entry_list is None else entry_list
    if given is None:
        return None
    kind = bool if entry_list is None else np.int64
    if len(given) and all(np.ndim(one) == 1 for one in given):  # one for each table
        if len(given) != len(begins) - 1:
            raise LH5DecodeError("Not one list for each table", expected=len(begins) - 1, seen=len(given))
        tables = zip(given, begins[:-1], np.diff(begins), strict=True)
        return np.concatenate([begin + _numbers(one, kind, int(rows)) for one, begin, rows in tables])
    return _numbers(given, kind, int(begins[-1]))


def _numbers(given: ArrayLike, kind: type, rows: int) -> NDArray[np.int64]:
    """Return the numbers that a list, or a mask, of a table of so many `rows` stands for."""
    values = np.asarray(given)
    fits = values.ndim == 1 and (values.dtype.kind == "b" if kind is bool else values.dtype.kind in "iu")
    if not fits and values.size:
        raise LH5DecodeError("These are no rows", expected=f"{kind.__name__}, one axis", seen=values.dtype)
    numbers = np.flatnonzero(values) if kind is bool else np.unique(values.astype(np.int64))
    if len(numbers) and (numbers[0] < 0 or numbers[-1] >= rows):
        raise LH5DecodeError(
            "There are no such rows", expected=f"0 to {rows - 1}", seen=f"{numbers[0]} to {numbers[-1]}"
        )
    return numbers
