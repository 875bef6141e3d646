"""Wrappers of the nodes of a PyMoDAQ file: groups, arrays, growing arrays, rows of texts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio import hdf5
from sapwood.fileio.pymodaq.attributes import Attributes
from sapwood.fileio.pymodaq.errors import NodeError
from sapwood.fileio.pymodaq.pickles import decode_row, encode_row

if TYPE_CHECKING:
    from sapwood.fileio.pymodaq.backend import H5Backend
    from sapwood.fileio.pymodaq.index import Entry
    from sapwood.fileio.pymodaq.rows import FixedRows, RaggedRows
    from sapwood.fileio.pymodaq.sharedfile import SharedFile

__all__ = ["CARRAY", "EARRAY", "GROUP", "VLARRAY", "Node", "StringARRAY"]


class Node:
    """A node of an open file; it stays usable when the file is closed and opened again.

    Parameters
    ----------
    node
        The `h5py` object, or its path.
    backend
        The `H5Backend`, or saver, that has the file open.

    """

    def __init__(self, node: Any, backend: H5Backend) -> None:
        self.backend = backend
        self.path: str = node if isinstance(node, str) else node.name
        self._raw = None if isinstance(node, str) else node

    @property
    def attrs(self) -> Attributes:
        """The attributes by name."""
        return Attributes(self)

    @property
    def node(self) -> Any:
        """The `h5py` object; all rows appended so far are in it.

        Raises
        ------
        NodeError
            When the file is closed, or the node was removed.
        """
        shared = self.backend.shared
        shared.commit(self.path)
        return self._object()

    def _object(self) -> Any:
        if not self._raw:
            try:
                self._raw = self.backend.shared.handle[self.path]
            except (KeyError, ValueError) as error:
                raise NodeError(f"There is no node {self.path}", file=self.file_name) from error
        return self._raw

    @contextlib.contextmanager
    def writing(self) -> Iterator[Entry]:
        """Hold the lock of the file for a change to this node."""
        self.backend.check_mode()
        with self.backend.shared.writing() as index:
            yield index.entry(self.path)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2] or "/"

    @property
    def title(self) -> str:
        """The attribute TITLE; empty when there is none."""
        return str(self.attrs.get("TITLE", ""))

    @property
    def parent_node(self) -> GROUP | None:
        """The group it lies in; None for the root."""
        if self.path == "/":
            return None
        return GROUP(self.path.rpartition("/")[0] or "/", self.backend)

    @property
    def h5file(self) -> Any:
        """The `h5py.File`."""
        return self.backend.h5_file

    @property
    def file_name(self) -> str:
        """The path of the file, for messages."""
        return str(self.backend.file_path)

    def set_attr(self, key: str, value: Any) -> None:
        """Set one attribute."""
        self.attrs[key] = value

    def get_attr(self, key: str) -> Any:
        """Return one attribute; `NodeError`, a KeyError, if it is absent."""
        return self.attrs[key]

    def to_h5_backend(self) -> Node:
        """Return the wrapper that fits the node best."""
        node: Node = self.backend.get_node(self)
        return node

    def real_shape(self) -> tuple[int, ...]:
        """Return the shape of the array with all rows appended so far, also those another process wrote."""
        node = self.node
        if self.backend.shared.following:
            node.refresh()
        return tuple(int(length) for length in node.shape or ())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        return self.path == other.path and self.backend.shared is other.backend.shared

    def __hash__(self) -> int:
        return hash(self.path)

    def __str__(self) -> str:
        return f"{self.path} ({type(self).__name__}) {self.title!r}"

    def __repr__(self) -> str:
        return f"<{self}>"


class GROUP(Node):
    """A group."""

    def children(self) -> dict[str, Node]:
        """Return name -> wrapper of every member."""
        return self.backend.get_children(self)

    def children_name(self) -> list[str]:
        """Return the names of the members, sorted."""
        return sorted(self.backend.get_children(self))

    def get_child(self, name: str) -> Node:
        """Return one member.

        Raises
        ------
        NodeError
            A KeyError: when there is none of this name.
        """
        node: Node = self.backend.get_node(self, name)
        return node

    def remove_children(self) -> None:
        """Remove all members."""
        with self.writing() as entry:
            self.backend.shared.forget(self.path)
            group = self.node
            for name in list(group):
                del group[name]
            entry.index.clear(entry)


class CARRAY(Node):
    """An array of fixed shape."""

    @property
    def array(self) -> Any:
        """The `h5py.Dataset`."""
        return self.node

    @property
    def shape(self) -> tuple[int, ...]:
        """Its real shape."""
        return self.real_shape()

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its values as they are read."""
        stored: np.dtype[Any] = self._object().dtype
        return np.dtype(bool) if self._is_bool(stored) else stored

    def _is_bool(self, stored: np.dtype[Any]) -> bool:
        """Tell whether small integers stand for bools: the other backend's file has no better type."""
        return stored.kind in "iu" and stored.itemsize == 1 and self.attrs.get("dtype") == "bool"

    def read(self) -> Any:
        """Return everything."""
        return self[...]

    def __len__(self) -> int:
        shape = self.real_shape()
        if not shape:
            raise TypeError("The array has no dimensions")
        return shape[0]

    def __getitem__(self, key: Any) -> Any:
        self.real_shape()
        values = self.node[key]
        if self._is_bool(self._object().dtype):
            return values.astype(bool) if isinstance(values, np.ndarray) else np.bool_(values)
        return values

    def __setitem__(self, key: Any, value: Any) -> None:
        with self.writing():
            array = self.node
            self.backend.shared.keep(self.path, array)
            array[key] = value


class EARRAY(CARRAY):
    """An array that grows along its first axis.

    Rows are gathered in memory; they reach the file a chunk at a time, when they are read, by the
    timed flush, and when the file is flushed or closed.
    """

    _rows: FixedRows | RaggedRows | None = None
    _shared: SharedFile | None = None  # the file that the rows go to

    def append(self, data: NDArray[Any], expand: bool = True) -> None:
        """Append one record, or several along the first axis of `data`.

        Parameters
        ----------
        data
            Of the shape of one record, or one dimension more.
        expand
            Take 1-D data as single values where a record is one value.

        Raises
        ------
        TypeError
            When `data` is no array.
        IndexError
            When it has no dimension.
        NodeError
            A ValueError: when its shape does not fit. Nothing has changed then.
        """
        if not isinstance(data, np.ndarray):
            raise TypeError("The appended object should be a ndarray")
        if not data.shape:
            raise IndexError("An array without dimensions cannot be appended")
        self._append(data, expand)

    def _append(self, data: Any, expand: bool) -> None:
        backend = self.backend
        shared = backend.writer
        if shared is None:
            backend.check_mode()
            shared = backend.shared
        with shared.lock:
            rows = self._rows
            if rows is None or rows.closed or self._shared is not shared:
                self._shared = shared
                rows = self._rows = shared.rows(self.path, self._object)
            rows.append(data, expand)
            shared.changed = True


class VLARRAY(EARRAY):
    """Rows of their own length."""

    @property
    def base(self) -> np.dtype[Any]:
        """The type of the values in a row."""
        base: np.dtype[Any] = hdf5.h5py().check_vlen_dtype(self._object().dtype)
        return base

    def append(self, data: Any, expand: bool = True) -> None:
        """Append one row, of any length."""
        self._append(data, expand)

    def read(self) -> list[Any]:
        """Return all rows, one array each."""
        return list(self[:])


class StringARRAY(VLARRAY):
    """Rows of text; other plain values (numbers, bytes, None) are possible.

    What is no plain value in a file is given as the bytes of its row, and never built.
    """

    def append(self, data: Any, expand: bool = True) -> None:
        """Append one text."""
        super().append(np.frombuffer(encode_row(data), np.uint8))

    def read(self) -> list[Any]:
        """Return all rows."""
        rows: list[Any] = self[:]
        return rows

    def __getitem__(self, key: Any) -> Any:
        rows = super().__getitem__(key)
        if isinstance(rows, np.ndarray) and rows.dtype.kind != "O":
            return decode_row(rows.tobytes())
        return [decode_row(np.asarray(row, np.uint8).tobytes()) for row in rows]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.read())
