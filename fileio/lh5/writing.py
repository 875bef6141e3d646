"""LGDOs into the groups and datasets of an open HDF5 file."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.hdf5faults import refusal
from sapwood.fileio.lh5 import datatype
from sapwood.fileio.lh5.appender import Appender, ChunkQueue, cast
from sapwood.fileio.lh5.array import Array
from sapwood.fileio.lh5.creating import Creator, Stored, add_attributes
from sapwood.fileio.lh5.encoded import ArrayOfEncodedEqualSizedArrays, VectorOfEncodedVectors
from sapwood.fileio.lh5.errors import LH5EncodeError
from sapwood.fileio.lh5.histogram import Histogram
from sapwood.fileio.lh5.lgdo import LGDO
from sapwood.fileio.lh5.nodes import Lists, attributes, full_name, is_dataset, put_attributes, rows_of
from sapwood.fileio.lh5.scalar import Scalar
from sapwood.fileio.lh5.settings import NOT_WRITTEN, dataset_settings, merged
from sapwood.fileio.lh5.struct import Struct
from sapwood.fileio.lh5.table import Table
from sapwood.fileio.lh5.vectors import VectorOfVectors

__all__ = ["ObjectWriter"]

_ENCODED = (ArrayOfEncodedEqualSizedArrays, VectorOfEncodedVectors)
_OWN = ("datatype", *NOT_WRITTEN)


class ObjectWriter:
    """Writes objects into one file.

    Parameters
    ----------
    file
        Of h5py, open for writing.
    """

    def __init__(self, file: Any) -> None:
        self.file = file
        self._queue = ChunkQueue()
        self._lists = Lists(file)
        self._creator = Creator()
        self._appenders: dict[str, Appender] = {}
        self._made: dict[str, Any] = {}  # path of an object made here -> its `_form`
        self._ends: dict[str, int] = {}  # of vectors: flattened values so far

    def append(self, obj: LGDO, path: str, keywords: Mapping[str, Any], late: bool = False) -> None:
        """Write `obj` as `path`, behind the rows that are there.

        With `late`, `obj` must not change before the next `append`, or `flush`, has ended: its last
        chunks are compressed meanwhile.

        Raises
        ------
        LH5EncodeError
            When it does not fit what is there; nothing is written then.
        """
        before = self._queue.end
        try:
            self._append(_encoded(obj), path, keywords)
        except Exception as error:
            if refusal(error) is None:
                self._queue.drain()  # whoever gave the rows before is told nothing of them any more
            raise
        self._queue.drain(before if late else None)

    def _append(self, obj: LGDO, path: str, keywords: Mapping[str, Any]) -> None:
        form = _form(obj)
        if form is None or self._made.get(path) != form:
            self._check_new(obj, path, form)
        if path == "/":
            self._append_members(obj, self.file["/"], keywords)
        else:
            self._put(obj, self._lists.parent_of(path), posixpath.basename(path), keywords)

    def _check_new(self, obj: LGDO, path: str, form: Any) -> None:
        """Make sure that `obj` can be written as `path`, where objects of another form may be."""
        for other in list(self._made):
            if f"{other}/".startswith(f"{path}/") or f"{path}/".startswith(f"{other}/"):
                del self._made[other]
        if path in self.file:
            self._check(obj, self.file[path])
        elif form is not None:
            self._made[path] = form

    def add_columns(self, obj: LGDO, path: str, keywords: Mapping[str, Any]) -> None:
        """Write the columns of the table `obj` as further columns of the table `path`.

        Raises
        ------
        LH5EncodeError
            When one is there already, or their length differs.
        """
        if not isinstance(obj, Struct):
            raise LH5EncodeError("Only columns of a table can be appended", seen=type(obj).__name__)
        if path not in self.file:
            self.append(obj, path, keywords)
            return
        self.flush()
        group = self.file[path]
        there = set(obj) & set(group)
        if there or not str(attributes(group).get("datatype", "")).startswith(obj.kind):
            raise LH5EncodeError(
                f"These columns cannot be added to {path}", file=self.file.filename, seen=sorted(there)
            )
        rows = None if not isinstance(obj, Table) else rows_of(group)
        if rows is not None and rows != len(obj):
            raise LH5EncodeError(
                f"The columns differ in length from those of {path}", expected=rows, seen=len(obj)
            )
        self._append_members(_encoded(obj), group, keywords)
        self._queue.drain()

    def add_view(self, path: str, target: Any, entries: NDArray[Any], keywords: Mapping[str, Any]) -> None:
        """Write a new view: `entries`, and a link to `target` (an object, or a link of h5py)."""
        form = datatype.form_fields(datatype.VIEW, ["slices" if entries.ndim == 2 else "entries"])
        group = self._lists.parent_of(path).create_group(posixpath.basename(path))
        group.attrs["datatype"] = form
        group["data"] = target
        settings = dataset_settings(Struct(), keywords)
        stored = self._creator.create(group, "entries", entries, settings)
        stored.grow(len(entries))
        stored.dataset[...] = entries

    def truncate(self, path: str, rows: int) -> None:
        """Have only the first `rows` rows in `path`; with 0 it is removed, to be written anew."""
        self.flush()
        if path not in self.file:
            return
        if path == "/":
            for name in list(self.file):
                self.truncate(f"/{name}", rows)
            return
        self._appenders.clear()
        self._made.clear()
        self._ends.clear()
        self._lists.forget()
        if rows == 0:
            del self.file[path]
        else:
            _cut_rows(self.file[path], rows)

    def flush(self) -> None:
        """Make the file whole: rows held in memory are written."""
        for appender in self._appenders.values():
            appender.flush()
        self._queue.drain()
        self.file.flush()

    def _put(self, obj: LGDO, group: Any, name: str, keywords: Mapping[str, Any]) -> None:
        if isinstance(obj, Scalar):
            self._put_scalar(obj, group, name)
        elif isinstance(obj, Array):
            self._put_array(obj, group, name, dataset_settings(obj, keywords))
        elif isinstance(obj, VectorOfVectors):
            self._put_vectors(obj, group, name, dataset_settings(obj, keywords))
        elif isinstance(obj, _ENCODED):
            self._put_encoded(obj, group, name, dataset_settings(obj, keywords))
        elif isinstance(obj, Struct):
            self._append_members(obj, self._group(group, name, obj), keywords)
        else:
            raise LH5EncodeError("This is no LGDO", seen=type(obj).__name__)

    def _append_members(self, obj: LGDO, group: Any, keywords: Mapping[str, Any]) -> None:
        own = obj.attrs.get("hdf5_settings")
        further = merged(keywords, own) if own else keywords
        if not isinstance(obj, Struct):
            raise LH5EncodeError(f"Only members of a struct can be written to {group.name}")
        for name, value in sorted(obj.items(), key=_by_size):
            self._put(value, group, name, further)
        self._lists.add(group, obj)

    def _put_scalar(self, obj: Scalar, group: Any, name: str) -> None:
        if name in group:
            del group[name]
        value = str(obj.value) if isinstance(obj.value, str) else obj.value
        dataset = group.create_dataset(name, data=value)
        put_attributes(dataset, obj.attrs)

    def _put_array(self, obj: Array, group: Any, name: str, settings: Mapping[str, Any]) -> None:
        values = _stored(obj.nda)
        path = full_name(group, name)
        appender = self._appenders.get(path)
        if appender is None:
            appender = self._appenders[path] = self._appender(obj, group, name, values, settings)
        appender.append(values)

    def _appender(
        self, obj: Array, group: Any, name: str, values: NDArray[Any], settings: Mapping[str, Any]
    ) -> Appender:
        """Return what appends rows to the dataset `name`, made if it is new."""
        dataset = group.get(name)
        if dataset is not None:
            return Appender(Stored.of(dataset), self._queue, len(dataset))
        stored = self._creator.create(group, name, values, settings)
        add_attributes(stored.id, obj.attrs)
        return Appender(stored, self._queue, 0)

    def _group(self, parent: Any, name: str, obj: LGDO) -> Any:
        """Return the group for `obj`, made with its attributes if it is new."""
        if name in parent:
            return parent[name]
        group = parent.create_group(name)
        add_attributes(group.id, obj.attrs)
        if isinstance(obj, Struct):
            self._lists.made(full_name(parent, name), obj.kind, obj)
        return group

    def _put_vectors(self, obj: VectorOfVectors, group: Any, name: str, settings: Mapping[str, Any]) -> None:
        inner = self._group(group, name, obj)
        begin = self._end_of(inner)
        self._put_inner(obj.flattened_data.rows(0, obj.end), inner, settings)
        ends = obj.cumulative_length
        if begin:
            ends = Array(ends.nda.astype(np.int64) + begin)
        self._put_array(ends, inner, "cumulative_length", settings)
        self._ends[inner.name] = begin + obj.end

    def _put_inner(self, values: Any, group: Any, settings: Mapping[str, Any]) -> None:
        if isinstance(values, VectorOfVectors):
            self._put_vectors(values, group, "flattened_data", settings)
        else:
            self._put_array(values, group, "flattened_data", settings)

    def _end_of(self, group: Any) -> int:
        """Return how many flattened values belong to the rows of the vectors in `group`."""
        if group.name not in self._ends:
            ends = group.get("cumulative_length")
            self._ends[group.name] = int(ends[-1]) if ends is not None and len(ends) else 0
        return self._ends[group.name]

    def _put_encoded(self, obj: Any, group: Any, name: str, settings: Mapping[str, Any]) -> None:
        inner = self._group(group, name, obj)
        if isinstance(obj, VectorOfEncodedVectors):
            self._put_array(obj.decoded_size, inner, "decoded_size", settings)
        elif "decoded_size" not in inner:
            self._put_scalar(obj.decoded_size, inner, "decoded_size")
        data = self._group(inner, "encoded_data", obj.encoded_data)
        begin = self._end_of(data)
        flat = obj.encoded_data.flattened_data.rows(0, obj.encoded_data.end)
        self._put_array(flat, data, "flattened_data", merged(settings, {"compression": None}))
        ends = obj.encoded_data.cumulative_length
        if begin:
            ends = Array(ends.nda.astype(np.int64) + begin)
        self._put_array(ends, data, "cumulative_length", settings)
        self._ends[data.name] = begin + obj.encoded_data.end

    def _check(self, obj: LGDO, node: Any) -> None:
        """Make sure that `obj` can be appended to `node`."""
        there = attributes(node)
        said, new = there.get("datatype"), obj.form_datatype()
        if isinstance(obj, Scalar) and is_dataset(node) and not node.shape:
            return
        if isinstance(obj, Histogram):
            raise LH5EncodeError(f"{node.name} is there already", hint="Histograms can only be overwritten.")
        struct = isinstance(obj, Struct) and not isinstance(obj, Table)  # it may get new members
        if not (str(said).startswith("struct{") if struct else said == new):
            raise self._refused(node, said, new)
        if isinstance(obj, Array):
            self._check_array(obj, node)
            return
        mine = {name: value for name, value in obj.attrs.items() if name not in _OWN}
        theirs = {name: value for name, value in there.items() if name not in _OWN}
        if isinstance(obj, Table) and mine != theirs:
            raise self._refused(node, theirs, mine)
        self._check_members(obj, node)

    def _check_array(self, obj: Array, node: Any) -> None:
        if not is_dataset(node) or node.shape[1:] != obj.shape[1:]:
            raise self._refused(node, getattr(node, "shape", "a group"), obj.shape)
        if node.maxshape[0] is not None:
            raise self._refused(node, "rows that can grow", f"{node.maxshape[0]} rows, fixed")
        cast(_stored(obj.nda), node)

    def _check_members(self, obj: LGDO, node: Any) -> None:
        parts: Mapping[str, Any]
        if isinstance(obj, Struct):
            parts = obj
        elif isinstance(obj, VectorOfVectors):
            parts = {"flattened_data": obj.flattened_data}
        elif isinstance(obj, ArrayOfEncodedEqualSizedArrays):
            parts = {"encoded_data": obj.encoded_data}
            stored = node.get("decoded_size")
            if stored is None or int(stored[()]) != int(obj.decoded_size.value):
                raise self._refused(node, "waveforms of the same length", obj.decoded_size.value)
        else:
            parts = {}
        for name, part in parts.items():
            if name in node:
                self._check(part, node[name])
        if isinstance(obj, _ENCODED) and _codec(attributes(node)) != _codec(obj.attrs):
            raise self._refused(node, "the same codec", obj.attrs.get("codec"))

    def _refused(self, node: Any, expected: object, seen: object) -> LH5EncodeError:
        return LH5EncodeError(
            f"This cannot be appended to {node.name}", file=self.file.filename, expected=expected, seen=seen
        )


def _cut_rows(node: Any, rows: int) -> None:
    """Leave only the first `rows` rows of an object."""
    if is_dataset(node):
        if node.shape and len(node) > rows:
            node.resize(rows, axis=0)
        return
    ends = node.get("cumulative_length")
    if ends is None:
        for name in node:
            _cut_rows(node[name], rows)
        return
    kept = int(ends[min(rows, len(ends)) - 1]) if len(ends) else 0
    _cut_rows(ends, rows)
    _cut_rows(node["flattened_data"], kept)


def _by_size(member: tuple[str, Any]) -> bool:
    """Sort what may be large first: it is compressed while datasets for the others are made."""
    return isinstance(member[1], Array) and member[1].ndim == 1


def _form(obj: Any) -> Any:
    """Return what must not change from one append to the next; None if that is not known this way."""
    if isinstance(obj, Array):
        return type(obj), obj.dtype, obj.shape[1:]
    if isinstance(obj, VectorOfVectors):
        inner = _form(obj.flattened_data)
        return inner and (VectorOfVectors, inner)
    if isinstance(obj, Table):
        columns = {name: _form(column) for name, column in obj.items()}
        return None if None in columns.values() else (type(obj).kind, dict(obj.attrs), columns)
    return None


def _stored(values: NDArray[Any]) -> NDArray[Any]:
    """Return `values` as HDF5 keeps them: bools as bytes, text as objects."""
    if values.dtype.kind == "b":
        return values.view(np.uint8)
    if values.dtype.kind in "UT":
        return values.astype(object)
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def _encoded(obj: Any) -> Any:
    """Return `obj` with everything encoded whose attribute ``compression`` is a codec."""
    if isinstance(obj, Histogram):
        return obj
    if isinstance(obj, Struct):
        new = {name: _encoded(value) for name, value in obj.items()}
        if all(new[name] is value for name, value in obj.items()):
            return obj
        return Table(new, len(obj), obj.attrs) if isinstance(obj, Table) else Struct(new, obj.attrs)
    codec = _codec(obj.attrs.get("compression")) if isinstance(obj, LGDO) else None
    if codec is None:
        return obj
    from sapwood.fileio.lh5.codecs import encode

    return encode(obj, codec)


def _codec(facts: Any) -> Any:
    """Return the codec that `facts` name; the module of codecs is imported where there are any."""
    if facts is None:
        return None
    from sapwood.fileio.lh5.codecs import codec_of

    return codec_of(facts)
