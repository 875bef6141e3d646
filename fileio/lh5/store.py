"""Files of LH5 objects: opened when needed, written, read, closed."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from sapwood.errors import FileError, SapwoodError
from sapwood.fileio.formats import PathLike
from sapwood.fileio.hdf5 import h5py, open_h5
from sapwood.fileio.hdf5faults import close_written, forsake, is_forsaken, refusal, refusal_told
from sapwood.fileio.lh5.errors import LH5EncodeError
from sapwood.fileio.lh5.lgdo import LGDO
from sapwood.fileio.lh5.nodes import full_name, is_dataset, member, rows_of, typed
from sapwood.fileio.lh5.scalar import Scalar
from sapwood.fileio.lh5.struct import Struct
from sapwood.fileio.lh5.writing import ObjectWriter

__all__ = ["ALL_ROWS", "LH5Store", "read", "read_n_rows", "write", "write_view"]

ALL_ROWS = (1 << 63) - 1
File = Any  # a path or an open file of h5py

_MODES = {
    mode: full
    for full, short in {
        "write_safe": "w",
        "append": "a",
        "overwrite": "o",
        "overwrite_file": "of",
        "append_column": "ac",
    }.items()
    for mode in (full, short)
}


@dataclass
class _Open:
    file: Any
    mode: str
    writer: ObjectWriter | None = None

    def check(self) -> None:
        if is_forsaken(self.file):
            told = "The file could not be written, what was flushed before is in it"
            raise FileError(told, file=self.file.filename)

    def flush(self) -> None:
        if self.writer is not None and self.file:
            self.check()
            with refusal_told(self.file.filename, self.file):
                self.writer.flush()

    def close(self) -> None:
        try:
            if not is_forsaken(self.file):
                self.flush()
        finally:
            close_written(self.file)


def _close_all(files: dict[str, _Open]) -> None:
    """Close every file, though some cannot be; the last error is raised."""
    with contextlib.ExitStack() as stack:
        while files:
            stack.callback(files.popitem()[1].close)


class LH5Store:
    """Reads and writes objects in LH5 files.

    Parameters
    ----------
    base_path
        Folder of files whose path is not absolute; may hold ``$VARIABLES``.
    keep_open
        Keep files open until `close`: much faster for many small writes. Rows that do not fill a
        chunk then stay in memory until `flush`, `close` or a `read` of the same file.
    locking
        Ask HDF5 to lock files.
    default_mode
        Of `gimme_file`.
    late
        With `keep_open`: compress rows given to `write` while the caller prepares the next ones. They
        must not change before the next `write` to the file, `flush` or `close` has ended.
    """

    def __init__(
        self,
        base_path: PathLike = "",
        keep_open: bool = False,
        locking: bool = False,
        default_mode: str = "r",
        late: bool = False,
    ) -> None:
        self.base_path = os.path.expandvars(os.path.expanduser(os.fspath(base_path)))
        self.keep_open = keep_open
        self.locking = locking
        self.default_mode = default_mode
        self._late = late
        self._files: dict[str, _Open] = {}
        self._finalizer = weakref.finalize(self, _close_all, self._files)

    def gimme_file(self, lh5_file: File, mode: str | None = None, **file_kwargs: Any) -> Any:
        """Return the file open as `h5py.File`; it is kept, and closed by `close`, if `keep_open`.

        Parameters
        ----------
        lh5_file
            A path, or a file that is open and returned as it is.
        mode
            Of h5py; a file that is open for writing serves readers too.
        file_kwargs
            Of h5py.

        Raises
        ------
        FileError
            When it cannot be opened.
        """
        if isinstance(lh5_file, h5py().Group):
            return lh5_file.file
        path, wanted = self._path(lh5_file), mode or self.default_mode
        there = self._files.get(path)
        if (
            there is not None
            and there.file
            and (wanted == "r" or (there.mode != "r" and wanted in ("a", "r+")))
        ):
            there.check()
            if wanted == "r":
                there.flush()
            return there.file
        if there is not None:
            self.close(lh5_file)
        if wanted != "r":
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with typed(path):
            file = open_h5(path, wanted, **{"locking": self.locking, **file_kwargs})
        if self.keep_open:
            self._files[path] = _Open(file, wanted)
        return file

    def _path(self, lh5_file: PathLike) -> str:
        return os.path.join(self.base_path, os.path.expandvars(os.path.expanduser(os.fspath(lh5_file))))

    @contextlib.contextmanager
    def _reading(self, lh5_file: File) -> Iterator[Any]:
        given = isinstance(lh5_file, h5py().Group)
        file = self.gimme_file(lh5_file, "r")
        try:
            yield lh5_file if given else file
        finally:
            if not given and not self.keep_open:
                file.close()

    @contextlib.contextmanager
    def _writing(self, lh5_file: File, mode: str, **file_kwargs: Any) -> Iterator[ObjectWriter]:
        given = isinstance(lh5_file, h5py().Group)
        file = self.gimme_file(lh5_file, mode, **file_kwargs)
        kept = None if given else self._files.get(self._path(lh5_file))
        writer = (kept.writer if kept is not None else None) or ObjectWriter(file)
        try:
            yield writer
            if kept is not None:
                kept.writer = writer
            else:
                writer.flush()
        except SapwoodError:
            raise
        except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
            refused = refusal(error)
            if refused is not None:
                forsake(file)
            cause = refused or error
            raise LH5EncodeError(
                "The file refuses what was written",
                file=file.filename if file else lh5_file,
                seen=getattr(cause, "strerror", None) or str(cause),
            ) from cause
        finally:
            if not given and not self.keep_open:
                close_written(file)

    def write(
        self,
        obj: LGDO,
        name: str,
        lh5_file: File,
        group: Any = "/",
        start_row: int = 0,
        n_rows: int | None = None,
        wo_mode: str = "append",
        write_start: int = 0,
        page_buffer: int = 0,
        **h5py_kwargs: Any,
    ) -> None:
        """Write `obj`, or some of its rows, as `name`.

        Parameters
        ----------
        obj
            An LGDO.
        name
            May be a path, such as ``ch0/raw``; groups that are missing become structs.
        lh5_file
            A path, or a file open for writing.
        group
            Where `name` lies.
        start_row, n_rows
            Which rows; all from the first on by default.
        wo_mode
            ``append``: add rows to an object that is there. ``write_safe``: refuse if it is.
            ``overwrite``: replace its rows from `write_start` on. ``overwrite_file``: begin a new
            file. ``append_column``: add columns to a table that is there. First letters will do:
            ``a w o of ac``.
        write_start
            See ``overwrite``.
        page_buffer
            When a new file is made: bytes of its pages, see `h5py.File`; 0 for none.
        h5py_kwargs
            Settings of new datasets, see `DEFAULT_HDF5_SETTINGS`.

        Raises
        ------
        LH5EncodeError
            When the object cannot be written, or does not fit what is there.
        FileError
            When the file cannot be opened.
        """
        mode = _MODES.get(wo_mode)
        if mode is None:
            raise LH5EncodeError(f"Invalid wo_mode: {wo_mode}", expected=", ".join(_MODES))
        part = _part(obj, start_row, n_rows)
        path = full_name(group, name)
        options = {} if not page_buffer else {"fs_strategy": "page", "fs_page_size": page_buffer}
        with self._writing(lh5_file, "w" if mode == "overwrite_file" else "a", **options) as writer:
            if mode == "append_column":
                writer.add_columns(part, path, h5py_kwargs)
                return
            if mode == "write_safe" and path in writer.file and path != "/":
                raise LH5EncodeError(
                    f"{path} is there already", file=writer.file.filename, hint="Use wo_mode='append'."
                )
            if mode == "overwrite":
                writer.truncate(path, write_start)
            writer.append(part, path, h5py_kwargs, self._late)

    def read(
        self,
        name: str,
        lh5_file: File | Sequence[File],
        start_row: int = 0,
        n_rows: int = ALL_ROWS,
        idx: Any = None,
        use_h5idx: bool = False,
        field_mask: Mapping[str, bool] | Sequence[str] | None = None,
        obj_buf: Any = None,
        obj_buf_start: int = 0,
        decompress: bool = True,
        **file_kwargs: Any,
    ) -> Any:
        """Return the object `name`, or some of its rows.

        Parameters
        ----------
        name
            A path, such as ``ch0/raw``; ``/`` for everything.
        lh5_file
            A path, an open file, or several, whose rows follow one another.
        start_row, n_rows
            Which rows.
        idx
            Numbers of rows, or a mask of bools, or what `numpy.where` returns; for several files
            also one of these for each. Those beyond the end are left out.
        use_h5idx
            Accepted for those used to it: lists are always read as ranges of chunks.
        field_mask
            Names of members to read, or name -> read it or not; ``a/b`` is member b of a.
        obj_buf
            An object of the same kind whose rows from `obj_buf_start` on are replaced by those
            read; it is returned.
        decompress
            Decode what codecs encoded.
        file_kwargs
            Of h5py, for files that are opened.

        Raises
        ------
        ObjectNotFoundError
            When there is no such object or field.
        LH5DecodeError
            When it cannot be read.
        FileError
            When the file cannot be opened.
        """
        from sapwood.fileio.lh5.buffers import fill
        from sapwood.fileio.lh5.gathering import read_files

        if field_mask is None and isinstance(obj_buf, Struct):
            field_mask = list(obj_buf)
        found = read_files(
            self._one,
            self.read_n_rows,
            name,
            lh5_file,
            start_row,
            n_rows,
            idx,
            field_mask=field_mask,
            decompress=decompress,
        )
        return found if obj_buf is None else fill(obj_buf, obj_buf_start, found)

    def _one(self, name: str, lh5_file: File, rows: Any, mask: Any, decompress: bool) -> Any:
        from sapwood.fileio.lh5.reading import Request, field_mask, read_object

        with self._reading(lh5_file) as file, typed(file.file.filename):
            return read_object(_target(file, name), Request(rows, field_mask(mask), decompress))

    def read_object(self, name: str, lh5_file: File, *arguments: Any, **keywords: Any) -> tuple[Any, int]:
        """Return what `read` does, and how many rows it has (1 for scalars and structs)."""
        found = self.read(name, lh5_file, *arguments, **keywords)
        return found, len(found) if hasattr(found, "resize") else 1

    def write_object(self, obj: LGDO, name: str, lh5_file: File, *arguments: Any, **keywords: Any) -> None:
        """Write, see `write`: its name in former times."""
        self.write(obj, name, lh5_file, *arguments, **keywords)

    def read_n_rows(self, name: str, lh5_file: File) -> int | None:
        """Return how many rows the object `name` has; None for scalars and structs."""
        with self._reading(lh5_file) as file, typed(file.file.filename):
            return rows_of(_target(file, name))

    def read_size_in_bytes(self, name: str, lh5_file: File) -> int:
        """Return how many bytes of memory the object `name` takes when it is read, still encoded."""
        with self._reading(lh5_file) as file, typed(file.file.filename):
            return _nbytes(_target(file, name))

    def get_buffer(
        self,
        name: str,
        lh5_file: File,
        size: int | None = None,
        field_mask: Mapping[str, bool] | Sequence[str] | None = None,
    ) -> Any:
        """Return an empty object that rows of `name` can be read into, of `size` rows."""
        found = self.read(name, lh5_file, n_rows=0, field_mask=field_mask)
        if hasattr(found, "resize"):
            found.resize(size if size is not None else self.read_n_rows(name, lh5_file) or 0)
        return found

    def ls(self, lh5_file: File, lh5_group: str = "", recursive: bool = False) -> list[str]:
        """Return names in a file, see `sapwood.fileio.lh5.ls`."""
        from sapwood.fileio.lh5.browse import ls

        with self._reading(lh5_file) as file:
            return ls(file, lh5_group, recursive)

    def write_view(
        self,
        target: Any,
        entries: ArrayLike,
        name: str,
        lh5_file: File,
        link_type: str | None = None,
        external_file: PathLike | None = None,
        group: Any = "/",
        wo_mode: str = "append",
        **h5py_kwargs: Any,
    ) -> None:
        """Write a view: some rows of another object, by their numbers.

        Parameters
        ----------
        target
            The object, by its name.
        entries
            Numbers of rows, ascending, shape (n,); or begin and end of ranges, shape (n, 2).
        name, lh5_file, group
            What is written.
        link_type
            How the view finds the object: ``hard``, ``soft`` or ``external``; by default external
            if `external_file` is given, else hard if the object is there, else soft.
        external_file
            The file that holds the object, if it is another one.
        wo_mode
            See `write`; by default entries are added to a view that is there.
        h5py_kwargs
            Settings of the dataset of entries.

        Raises
        ------
        LH5EncodeError
            When the entries do not ascend, or the view cannot be linked.
        """
        mode = _MODES.get(wo_mode)
        if mode is None or mode == "append_column":
            raise LH5EncodeError(f"Invalid wo_mode: {wo_mode}", expected=", ".join(_MODES))
        from sapwood.fileio.lh5 import views

        where = target if isinstance(target, str) else target.name
        link = views.Link(where, link_type, None if external_file is None else os.fspath(external_file))
        with self._writing(lh5_file, "w" if mode == "overwrite_file" else "a") as writer:
            views.write(writer, link, np.asarray(entries), full_name(group, name), mode, h5py_kwargs)

    def flush(self) -> None:
        """Make all open files whole: rows held in memory are written."""
        for one in self._files.values():
            one.flush()

    def close(self, lh5_file: File | None = None) -> None:
        """Close one file, or all."""
        if lh5_file is None:
            _close_all(self._files)
            return
        one = self._files.pop(self._path(str(getattr(lh5_file, "filename", lh5_file))), None)
        if one is not None:
            one.close()

    def forsake(self) -> None:
        """Do nothing with the files any more, also not when the interpreter ends: their disk fails."""
        self._finalizer.detach()
        for one in self._files.values():
            forsake(one.file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _part(obj: Any, start_row: int, n_rows: int | None) -> Any:
    """Return the rows of `obj` that are to be written."""
    if not isinstance(obj, LGDO):
        raise LH5EncodeError("Only LGDOs can be written", seen=type(obj).__name__)
    if start_row == 0 and n_rows is None:
        return obj
    if start_row < 0 or (n_rows or 0) < 0:
        raise LH5EncodeError("Rows count from 0", seen=f"start_row={start_row}, n_rows={n_rows}")
    if isinstance(obj, Struct) and not hasattr(obj, "rows"):
        return Struct({name: _part(value, start_row, n_rows) for name, value in obj.items()}, obj.attrs)
    if isinstance(obj, Scalar):
        return obj
    size = len(obj)  # type: ignore[arg-type]  # all others have rows
    stop = size if n_rows is None else min(size, start_row + n_rows)
    return obj.rows(start_row, stop)  # type: ignore[attr-defined]  # as above


def _target(file: Any, name: str) -> Any:
    return file if not name.strip("/") else member(file, name.strip("/"))


def _nbytes(node: Any) -> int:
    if is_dataset(node):
        return int(node.nbytes)
    return sum(_nbytes(member(node, name)) for name in node if name != "data")


def read(name: str, lh5_file: File | Sequence[File], *arguments: Any, **keywords: Any) -> Any:
    """Return the object `name`, see `LH5Store.read`."""
    locking = keywords.pop("locking", False)
    with LH5Store(locking=locking) as store:
        return store.read(name, lh5_file, *arguments, **keywords)


def write(obj: LGDO, name: str, lh5_file: File, *arguments: Any, **keywords: Any) -> None:
    """Write `obj` as `name`, see `LH5Store.write`."""
    with LH5Store() as store:
        store.write(obj, name, lh5_file, *arguments, **keywords)


def write_view(target: Any, entries: ArrayLike, name: str, lh5_file: File, **keywords: Any) -> None:
    """Write a view, see `LH5Store.write_view`."""
    with LH5Store() as store:
        store.write_view(target, entries, name, lh5_file, **keywords)


def read_n_rows(name: str, h5f: File) -> int | None:
    """Return how many rows the object `name` has; None for scalars and structs."""
    with LH5Store() as store:
        return store.read_n_rows(name, h5f)
