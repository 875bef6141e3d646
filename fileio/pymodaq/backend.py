"""H5Backend: making, finding and walking the nodes of a PyMoDAQ file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sapwood.errors import nearest
from sapwood.fileio import hdf5
from sapwood.fileio.pymodaq.codec import encode
from sapwood.fileio.pymodaq.compression import dataset_options
from sapwood.fileio.pymodaq.enums import BaseEnum, capitalize
from sapwood.fileio.pymodaq.errors import NodeError
from sapwood.fileio.pymodaq.h5file import H5File
from sapwood.fileio.pymodaq.index import Entry, TreeIndex
from sapwood.fileio.pymodaq.nexus import mark
from sapwood.fileio.pymodaq.nodes import CARRAY, EARRAY, GROUP, VLARRAY, Node, StringARRAY
from sapwood.fileio.pymodaq.rawattrs import put_fixed, put_plain, put_text
from sapwood.fileio.pymodaq.rows import chunk_shape

__all__ = ["H5Backend", "Where"]

Where = Any  # a path, a wrapper or an h5py object
_WRAPPERS = {
    "GROUP": GROUP,
    "CARRAY": CARRAY,
    "EARRAY": EARRAY,
    "VLARRAY": VLARRAY,
    "StringARRAY": StringARRAY,
}
_LAYOUT = "h5py"  # what files say they were written by: whose layout it is
_VLEN_CHUNK = 1024


class H5Backend(H5File):
    """A file of groups and arrays whose nodes are wrapped, see `Node`.

    Where a method takes a node, that is a path, a wrapper or an `h5py` object.
    """

    def root(self) -> GROUP:
        """Return the root group."""
        return GROUP("/", self) if self.isopen() else self._no_file()

    def _no_file(self) -> Any:
        return self.shared

    @staticmethod
    def get_node_path(node: Where) -> str:
        """Return the path of a node."""
        if isinstance(node, Node):
            return node.path
        path = node if isinstance(node, str) else node.name
        return "/" + "/".join(part for part in str(path).split("/") if part and part != ".")

    def get_node_name(self, node: Where) -> str:
        """Return the last part of the path of a node."""
        return self.get_node_path(node).rpartition("/")[2] or "/"

    def _entry(self, where: Where, name: str | None = None) -> Entry:
        """Return the entry of a node; the lock is held."""
        path = self.get_node_path(where)
        if name:
            path = self.get_node_path(f"{path}/{name}")
        try:
            return self.shared.index.entry(path)
        except KeyError:
            near = nearest(path, [child.path for child in self._brothers(path)])
            hint = f"Did you mean: {', '.join(near)}?" if near else None
            raise NodeError(f"There is no node {path}", file=self.file_path, hint=hint) from None

    def _brothers(self, path: str) -> list[Entry]:
        """Return the members of the last group on the way to `path` that exists."""
        index = self.shared.index
        here = index.root
        for name in path.split("/")[1:]:
            members = index.members(here)
            if name not in members:
                return list(members.values())
            here = members[name]
        return []

    def _wrap(self, entry: Entry) -> Any:
        return _WRAPPERS[entry.kind](entry.path, self)

    def get_node(self, where: Where, name: str | None = None) -> Any:
        """Return the wrapper of a node, or of its member `name`.

        Raises
        ------
        NodeError
            When there is none.
        """
        with self.shared.lock:
            return self._wrap(self._entry(where, name))

    def get_parent_node(self, node: Where) -> GROUP | None:
        """Return the group that a node lies in; None for the root."""
        parent: GROUP | None = self.get_node(node).parent_node
        return parent

    def get_children(self, where: Where) -> dict[str, Any]:
        """Return name -> wrapper of the members of a group, by name."""
        with self.shared.lock:
            index = self.shared.index
            return {each.name: self._wrap(each) for each in index.sorted_members(self._entry(where))}

    def is_node_in_group(self, where: Where, name: str) -> bool:
        """Tell whether a group has a member of that name, in any case."""
        with self.shared.lock:
            members = self.shared.index.members(self._entry(where))
            return any(member.lower() == name.lower() for member in members)

    def get_group_by_title(self, where: Where, title: str) -> GROUP | None:
        """Return the first group with that title among the members of `where`; None if there is none."""
        with self.shared.lock:
            for entry in self.shared.index.sorted_members(self._entry(where)):
                if entry.is_group and entry.attribute("TITLE") == title:
                    return GROUP(entry.path, self)
        return None

    def walk_nodes(self, where: Where, depth: int | None = None, only_groups: bool = False) -> Iterator[Any]:
        """Yield `where` and all nodes below it, parents before members, members by name.

        Parameters
        ----------
        depth
            Levels below `where`; 0 gives it alone.
        """
        with self.shared.lock:
            found = list(self.shared.index.walk(self._entry(where), depth, only_groups))
        for entry in found:
            yield self._wrap(entry)

    def walk_groups(self, where: Where) -> Iterator[GROUP]:
        """Yield `where` and all groups below it."""
        return self.walk_nodes(where, only_groups=True)

    def find_nodes(self, where: Where, data_type: str | BaseEnum) -> list[Any]:
        """Return the arrays at or below `where` with that `data_type`, in the order of a walk."""
        wanted = data_type.name if isinstance(data_type, BaseEnum) else data_type
        with self.shared.lock:
            found = self.shared.index.walk(self._entry(where))
            return [self._wrap(each) for each in found if each.attribute("data_type") == wanted]

    def get_attr(self, node: Where, attr_name: str | None = None) -> Any:
        """Return one attribute of a node, or all of them as a dictionary."""
        attrs = self.get_node(node).attrs
        return attrs.to_dict() if attr_name is None else attrs[attr_name]

    def set_attr(self, node: Where, attr_name: str, attr_value: Any) -> None:
        """Set one attribute of a node."""
        self.get_node(node).attrs[attr_name] = attr_value

    def has_attr(self, node: Where, attr_name: str) -> bool:
        """Tell whether a node has an attribute."""
        return attr_name in self.get_node(node).attrs

    def read(self, array: Where) -> Any:
        """Return everything in an array."""
        return self.get_node(array).read()

    def get_set_group(self, where: Where, name: str, title: str = "", **kwargs: Any) -> GROUP:
        """Return the group `name` in `where`, made now if it is absent.

        Parameters
        ----------
        name
            Its exact name; ``a/b`` makes both.
        title, kwargs
            Title and plain attributes of a new group.

        Raises
        ------
        NodeError
            When an array has the name, or the name is empty.
        """
        if self._mode == "r":
            return self._known_group(where, name)
        with self.shared.writing() as index:
            entry = self._entry(where)
            parts = [part for part in name.split("/") if part]
            for part in parts:
                last = part is parts[-1]
                entry = self._member_group(index, entry, part, title if last else "", kwargs if last else {})
        if not parts:
            raise NodeError("A group needs a name", file=self.file_path)
        return GROUP(entry.path, self)

    def _known_group(self, where: Where, name: str) -> GROUP:
        node = self.get_node(where, name)
        if not isinstance(node, GROUP):
            raise NodeError(f"{node.path} is an array, not a group", file=self.file_path)
        return node

    def _member_group(
        self, index: TreeIndex, parent: Entry, name: str, title: str, plain: Mapping[str, Any]
    ) -> Entry:
        if not parent.is_group:
            raise NodeError(f"{parent.path} is an array, not a group", file=self.file_path)
        known = index.members(parent).get(name)
        if known is not None and not known.is_group:
            raise NodeError(f"{known.path} is an array, not a group", file=self.file_path)
        return known or self._make_group(index, parent, name, title, plain)

    def _make_group(
        self, index: TreeIndex, parent: Entry, name: str, title: str, plain: Mapping[str, Any]
    ) -> Entry:
        path = f"{parent.path.rstrip('/')}/{name}"
        group = self.shared.handle.create_group(path)
        entry = index.add(parent, name, "GROUP")
        for key, value in {"CLASS": "GROUP", "TITLE": title, **plain}.items():
            put_plain(group, key, value)
            entry.remember(key, value)
        mark(group, "NXentry" if parent.path == "/" else "NXcollection")
        return entry

    def add_group(
        self,
        group_name: str,
        group_type: str | BaseEnum,
        where: Where,
        title: str = "",
        metadata: Mapping[str, Any] | None = None,
    ) -> GROUP:
        """Return the group of that name, with its first letter raised, and set its type and metadata.

        A group that has exactly the name given is returned as it is.
        """
        with self.shared.lock:
            if group_name in self.shared.index.members(self._entry(where)):
                return self._known_group(where, group_name)
            kind = group_type.name if isinstance(group_type, BaseEnum) else group_type
            group = self.get_set_group(where, capitalize(group_name), title)
            self._set_attributes(group, {"type": kind.lower(), **(metadata or {}), "backend": _LAYOUT})
            return group

    def _set_attributes(self, node: Node, values: Mapping[str, Any]) -> None:
        for key, value in values.items():
            node.attrs[key] = value

    def _dataset(self, where: Where, name: str, kind: str, title: str, subdtype: str, **options: Any) -> Any:
        """Make an array with the attributes that every array has; return its wrapper.

        Raises
        ------
        NodeError
            When the name is taken, or `where` is absent or no group.
        """
        with self._writable() as index:
            parent = self._entry(where)
            if not parent.is_group:
                raise NodeError(f"{parent.path} is an array, not a group", file=self.file_path)
            if name in index.members(parent) or not name or "/" in name:
                raise NodeError(f"{parent.path} cannot have a new node {name!r}", file=self.file_path,
                                hint="The name is taken, empty or holds a slash.")  # fmt: skip
            path = f"{parent.path.rstrip('/')}/{name}"
            dataset = self.shared.handle.create_dataset(path, **options)
            self.shared.keep(path, dataset)
            entry = index.add(parent, name, "StringARRAY" if subdtype else kind)
            self._describe(dataset, kind, title, subdtype)
            for key, value in {"CLASS": kind, "TITLE": title, "subdtype": subdtype}.items():
                entry.remember(key, value)
            return self._wrap(entry)

    def _writable(self) -> Any:
        self.check_mode()
        return self.shared.writing()

    def _describe(self, dataset: Any, kind: str, title: str, subdtype: str) -> None:
        put_text(dataset, "CLASS", kind)
        put_text(dataset, "TITLE", title)
        if kind != "CARRAY":
            dataset.attrs["EXTDIM"] = np.int64(0)
        base = hdf5.h5py().check_vlen_dtype(dataset.dtype) or dataset.dtype
        put_fixed(dataset, "shape", encode(tuple(dataset.shape)))
        for key, value in (("dtype", np.dtype(base).name), ("subdtype", subdtype), ("backend", _LAYOUT)):
            put_text(dataset, key, encode(value))

    def create_carray(
        self, where: Where, name: str, obj: NDArray[Any] | None = None, title: str = ""
    ) -> CARRAY:
        """Make an array of fixed shape with the values of `obj`; texts become UTF-8.

        Raises
        ------
        ValueError
            When there is no `obj`.
        """
        if obj is None:
            raise ValueError("Data to be saved as carray cannot be None")
        values = np.asarray(obj)
        if values.dtype.kind == "U":
            values = np.char.encode(values, "utf-8")
        options = self._filters(values.shape, values.dtype)
        array: CARRAY = self._dataset(where, name, "CARRAY", title, "", data=values, **options)
        return array

    def create_filled(
        self, where: Where, name: str, shape: tuple[int, ...], dtype: DTypeLike, fill: Any, title: str = ""
    ) -> CARRAY:
        """Make an array of fixed shape to be filled later; what is not written reads as `fill`."""
        kind = np.dtype(dtype)
        options = self._filters(shape, kind)
        array: CARRAY = self._dataset(
            where,
            name,
            "CARRAY",
            title,
            "",
            shape=shape,
            dtype=kind,
            fillvalue=_fill_of(kind, fill),
            **options,
        )
        return array

    def _filters(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> dict[str, Any]:
        """Return chunks and filters for an array of fixed shape; none for an empty or single value."""
        if self.compression is None or not shape or 0 in shape:
            return {}
        options = dataset_options(self.compression["compression"], self.compression["compression_opts"])
        chunks = chunk_shape(shape[1:], dtype.itemsize)
        return {"chunks": tuple(map(min, chunks, shape)), **options} if options else {}

    def create_earray(
        self,
        where: Where,
        name: str,
        dtype: DTypeLike,
        data_shape: tuple[int, ...] | None = None,
        title: str = "",
    ) -> EARRAY:
        """Make an array without rows that grows by records of shape `data_shape`; None: by single values."""
        kind, record = np.dtype(dtype), tuple(data_shape or ())
        options: dict[str, Any] = {}
        if self.compression is not None:
            options = dataset_options(self.compression["compression"], self.compression["compression_opts"])
        array: EARRAY = self._dataset(
            where,
            name,
            "EARRAY",
            title,
            "",
            shape=(0, *record),
            maxshape=(None, *record),
            dtype=kind,
            chunks=chunk_shape(record, kind.itemsize),
            **options,
        )
        return array

    def create_vlarray(self, where: Where, name: str, dtype: DTypeLike, title: str = "") -> VLARRAY:
        """Make an array without rows whose rows have their own lengths; ``dtype='string'``: rows of text."""
        texts = isinstance(dtype, str) and dtype == "string"
        base = np.dtype(np.uint8 if texts else dtype)
        array: VLARRAY = self._dataset(
            where,
            name,
            "VLARRAY",
            title,
            "string" if texts else "",
            shape=(0,),
            maxshape=(None,),
            dtype=hdf5.h5py().vlen_dtype(base),
            chunks=(_VLEN_CHUNK,),
        )
        return array


def _fill_of(dtype: np.dtype[Any], fill: Any) -> Any:
    """Return `fill` as `dtype` has it; not-a-number becomes the lowest integer."""
    if dtype.kind in "SVU":
        return None
    if dtype.kind in "iu" and isinstance(fill, float) and not np.isfinite(fill):
        return np.iinfo(dtype).min
    if dtype.kind == "b" and isinstance(fill, float) and np.isnan(fill):
        return False
    return dtype.type(fill)
