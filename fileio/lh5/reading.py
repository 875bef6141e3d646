"""LGDOs out of the groups and datasets of an open HDF5 file.

Members are those that lie in a group, whatever lists of fields say: other programs leave such lists
incomplete.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.lh5 import codecs, datatype
from sapwood.fileio.lh5.array import Array, ArrayOfDetectorIDs, ArrayOfEqualSizedArrays, FixedSizeArray
from sapwood.fileio.lh5.datatype import Datatype
from sapwood.fileio.lh5.encoded import ArrayOfEncodedEqualSizedArrays, VectorOfEncodedVectors
from sapwood.fileio.lh5.errors import LH5DecodeError, LH5EncodeError, ObjectNotFoundError
from sapwood.fileio.lh5.histogram import Histogram
from sapwood.fileio.lh5.nodes import attributes, datatype_of, is_dataset, member, members, rows_of
from sapwood.fileio.lh5.scalar import Scalar
from sapwood.fileio.lh5.selection import Selection, read_rows
from sapwood.fileio.lh5.struct import Struct
from sapwood.fileio.lh5.table import Table, WaveformTable
from sapwood.fileio.lh5.vectors import VectorOfVectors, gather

__all__ = ["FieldMask", "Request", "field_mask", "read_object"]

_DEEPEST = 32  # levels of groups: soft links may make circles
_WAVEFORM = {"t0", "dt", "values"}

FieldMask = dict[str, bool]


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted of an object.

    Parameters
    ----------
    rows
        Of everything that has rows; None for all.
    fields
        See `field_mask`.
    decompress
        Decode what codecs encoded.
    depth
        Levels of groups that may still come.
    """

    rows: Selection | None = None
    fields: FieldMask = field(default_factory=dict)
    decompress: bool = True
    depth: int = _DEEPEST

    def below(self, name: str) -> Request | None:
        """Return what is wanted of member `name`; None when nothing is."""
        inner = {
            path.partition("/")[2]: wanted
            for path, wanted in self.fields.items()
            if path.partition("/")[0] == name and "/" in path
        }
        if name in self.fields and not self.fields[name]:
            return None
        unnamed = not any(self.fields.values())  # only unwanted members are named
        if name not in self.fields and not unnamed and not any(inner.values()):
            return None
        if name in self.fields and any(inner.values()):
            inner = {}
        return replace(self, fields=inner, depth=self.depth - 1)


def field_mask(given: Any) -> FieldMask:
    """Return a mask of fields from names that are wanted, or from name -> wanted or not.

    ``a/b`` is about member b of member a. When all that is named is unwanted, the rest is wanted.
    """
    if given is None:
        return {}
    if isinstance(given, str):
        given = [given]
    items = given.items() if hasattr(given, "items") else ((name, True) for name in given)
    return {str(name).strip("/"): bool(wanted) for name, wanted in items}


def read_object(node: Any, request: Request) -> Any:
    """Return the object in the h5py object `node`.

    Raises
    ------
    LH5DecodeError
        When it does not follow the rules.
    """
    if request.depth < 0:
        raise LH5DecodeError(f"{node.name} lies too deep", expected=f"{_DEEPEST} levels at most")
    attrs = attributes(node)
    said = datatype_of(node)
    dataset = said.kind in (datatype.SCALAR, *_ARRAYS)
    if dataset != is_dataset(node):
        kind = "a dataset" if is_dataset(node) else "a group"
        raise _broken(node, attrs["datatype"], kind)
    try:
        return _READERS[said.kind](node, said, attrs, request)
    except LH5EncodeError as error:  # what objects say about data that do not fit together
        raise _broken(node, attrs["datatype"], str(error)) from error


def _broken(node: Any, expected: object, seen: object) -> LH5DecodeError:
    return LH5DecodeError(
        f"{node.name} does not follow its datatype", file=node.file.filename, expected=expected, seen=seen
    )


def clipped(rows: Selection | None, size: int) -> Selection:
    """Return the rows that there are of those wanted, of `size` in all."""
    if rows is None:
        return slice(0, size)
    if isinstance(rows, slice):
        start = min(rows.start, size)
        return slice(start, max(start, min(rows.stop, size)))
    return rows[: int(np.searchsorted(rows, size))]


def _rows(dataset: Any, request: Request) -> NDArray[Any]:
    if not is_dataset(dataset) or not dataset.shape:
        raise _broken(dataset, "a dataset with rows", "none")
    return read_rows(dataset, clipped(request.rows, len(dataset)))


def _read_scalar(node: Any, said: Datatype, attrs: dict[str, Any], request: Request) -> Scalar:
    if node.shape != ():
        raise _broken(node, attrs["datatype"], f"shape {node.shape}")
    try:
        value = node[()]
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise _broken(node, "a value", error) from error
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if said.element == "bool":
        value = bool(value)
    return Scalar(value, attrs)


def _read_array(node: Any, said: Datatype, attrs: dict[str, Any], request: Request) -> Array:
    values = _rows(node, request)
    if (
        len(said.dims) == 1
        and said.kind in (datatype.ARRAY, datatype.DETECTOR_IDS)
        and said.dims != (values.ndim,)
    ):
        raise _broken(node, attrs["datatype"], f"{values.ndim} axes")
    if said.element == "bool":
        values = values.astype(bool)
    elif values.dtype.kind == "O":
        values = _texts(values)
    kept = {name: value for name, value in attrs.items() if name != "datatype"}
    if said.kind == datatype.EQUAL_SIZED:
        dims = said.dims if said.dims != (1, values.ndim - 1) else None
        return ArrayOfEqualSizedArrays(dims, values, attrs=kept)
    return _ARRAYS[said.kind](values, attrs=kept)


def _texts(values: NDArray[Any]) -> NDArray[Any]:
    """Return text of any length as `str` objects."""
    out = np.empty(values.shape, object)
    for place, value in np.ndenumerate(values):
        if not isinstance(value, bytes | str):
            raise LH5DecodeError("Elements are neither numbers nor text", seen=type(value).__name__)
        out[place] = value.decode(errors="replace") if isinstance(value, bytes) else value
    return out


def _read_vectors(node: Any, said: Datatype, attrs: dict[str, Any], request: Request) -> VectorOfVectors:
    ends = member(node, "cumulative_length")
    if not is_dataset(ends) or len(ends.shape) != 1 or ends.dtype.kind not in "iu":
        raise _broken(node, "a cumulative length of integers", ends)
    rows = clipped(request.rows, len(ends))
    start, size = _extents(ends, rows)
    flat = member(node, "flattened_data")
    total = _total_rows(flat)
    if len(size) and (int(size.min()) < 0 or int(start.min()) < 0 or int((start + size).max()) > total):
        raise _broken(node, f"a cumulative length that grows to {total} at most", "another")
    index: Selection
    if not len(size) or (start[1:] == start[:-1] + size[:-1]).all():
        begin = int(start[0]) if len(start) else 0
        index = slice(begin, begin + int(size.sum()))
    else:
        if is_dataset(flat) and int(size.sum()) > total:
            raise _broken(node, "rows that do not overlap", "others")
        index = gather(start, size)
    values = read_object(flat, replace(request, rows=index, depth=request.depth - 1))
    if not isinstance(values, Array | VectorOfVectors):
        raise _broken(node, "arrays or vectors as flattened data", type(values).__name__)
    kept = {name: value for name, value in attrs.items() if name != "datatype"}
    return VectorOfVectors(
        flattened_data=values, cumulative_length=np.cumsum(size).astype(ends.dtype), attrs=kept
    )


def _extents(ends: Any, rows: Selection) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the rows begin in the flattened data, and how long they are."""
    if isinstance(rows, slice):
        first = max(rows.start - 1, 0)
        stop = read_rows(ends, slice(first, max(rows.stop, first))).astype(np.int64)
        if rows.start == 0:
            stop = np.concatenate([[0], stop])
        return stop[:-1], np.diff(stop)
    stop = read_rows(ends, rows).astype(np.int64)
    before = rows - 1
    start = np.zeros(len(rows), np.int64)
    start[before >= 0] = read_rows(ends, before[before >= 0])
    return start, stop - start


def _total_rows(flat: Any) -> int:
    if is_dataset(flat):
        return len(flat) if flat.shape else 0
    return len(member(flat, "cumulative_length"))


def _read_encoded_arrays(node: Any, said: Datatype, attrs: dict[str, Any], request: Request) -> Any:
    size = read_object(member(node, "decoded_size"), Request())
    data = read_object(member(node, "encoded_data"), replace(request, depth=request.depth - 1))
    if not isinstance(size, Scalar) or not isinstance(size.value, int | np.integer):
        raise _broken(node, "a whole number as decoded size", size)
    found = ArrayOfEncodedEqualSizedArrays(_bytes(node, data), size, _plain(attrs))
    return codecs.decode(found) if request.decompress else found


def _read_encoded_vectors(node: Any, said: Datatype, attrs: dict[str, Any], request: Request) -> Any:
    below = replace(request, depth=request.depth - 1)
    size = read_object(member(node, "decoded_size"), below)
    data = read_object(member(node, "encoded_data"), below)
    if not isinstance(size, Array) or size.dtype.kind not in "iu":
        raise _broken(node, "whole numbers as decoded sizes", size)
    found = VectorOfEncodedVectors(_bytes(node, data), size, _plain(attrs))
    return codecs.decode(found) if request.decompress else found


def _bytes(node: Any, data: Any) -> VectorOfVectors:
    if not isinstance(data, VectorOfVectors) or data.dtype != np.uint8 or data.ndim != 2:
        raise _broken(node, "vectors of bytes as encoded data", type(data).__name__)
    return data


def _plain(attrs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attrs.items() if name != "datatype"}


def _read_members(node: Any, request: Request) -> dict[str, Any]:
    found = {}
    for name in members(node):
        below = request.below(name)
        if below is not None and "datatype" in node[name].attrs:
            found[name] = read_object(node[name], below)
    missing = [
        path for path, wanted in request.fields.items() if wanted and path.partition("/")[0] not in found
    ]
    if missing:
        raise ObjectNotFoundError(
            f"{node.name} has no field {missing[0]!r}", file=node.file.filename, seen=members(node)
        )
    return found


def _read_struct(node: Any, said: Datatype, attrs: dict[str, Any], request: Request) -> Struct:
    return Struct(_read_members(node, request), _plain(attrs))


def _read_histogram(node: Any, said: Datatype, attrs: dict[str, Any], request: Request) -> Struct:
    found = _read_members(node, replace(request, rows=None, fields={}))
    if not _is_histogram(found):
        raise _broken(node, "binning, weights and isdensity", sorted(found))
    return Histogram(found["weights"], found["binning"], found["isdensity"].value, _plain(attrs))


def _is_histogram(found: dict[str, Any]) -> bool:
    kinds = (found.get("weights"), found.get("binning"), found.get("isdensity"))
    return all(isinstance(one, kind) for one, kind in zip(kinds, (Array, Struct, Scalar), strict=True))


def _read_table(node: Any, said: Datatype, attrs: dict[str, Any], request: Request) -> Table:
    columns = _read_members(node, request)
    sizes = {name: len(column) for name, column in columns.items() if hasattr(column, "resize")}
    if len(sizes) < len(columns) or len(set(sizes.values())) > 1:
        raise _broken(node, "columns of equal length", sizes)
    size = next(iter(sizes.values()), 0)
    if set(columns) == _WAVEFORM and isinstance(columns["t0"], Array) and isinstance(columns["dt"], Array):
        return WaveformTable(
            size, columns["t0"], None, columns["dt"], None, columns["values"], attrs=_plain(attrs)
        )
    return Table(columns, size, _plain(attrs))


def _read_view(node: Any, said: Datatype, attrs: dict[str, Any], request: Request) -> Any:
    """Read the rows of the data that a view names."""
    entries = member(node, "entries")
    if not is_dataset(entries) or entries.dtype.kind not in "iu":
        raise _broken(node, "entries of integers", entries)
    given = read_rows(entries, slice(0, len(entries))).astype(np.int64)
    if given.ndim == 2 and given.shape[1] == 2:
        size = given[:, 1] - given[:, 0]
        if (size < 0).any() or size.astype(float).sum() > (rows_of(member(node, "data")) or 0):
            raise _broken(node, "slices of the rows there are", "others")
        given = gather(given[:, 0], size)
    if given.ndim != 1 or (len(given) and (given[0] < 0 or (np.diff(given) <= 0).any())):
        raise _broken(node, "ascending entries", f"shape {given.shape}")
    wanted = clipped(request.rows, len(given))
    return read_object(member(node, "data"), replace(request, rows=given[wanted], depth=request.depth - 1))


_ARRAYS: dict[str, type[Array]] = {
    datatype.ARRAY: Array,
    datatype.FIXED_SIZE: FixedSizeArray,
    datatype.EQUAL_SIZED: ArrayOfEqualSizedArrays,
    datatype.DETECTOR_IDS: ArrayOfDetectorIDs,
}
_READERS: dict[str, Callable[[Any, Datatype, dict[str, Any], Request], Any]] = {
    datatype.SCALAR: _read_scalar,
    **dict.fromkeys(_ARRAYS, _read_array),
    datatype.VECTORS: _read_vectors,
    datatype.ENCODED_ARRAYS: _read_encoded_arrays,
    datatype.ENCODED_VECTORS: _read_encoded_vectors,
    datatype.STRUCT: _read_struct,
    datatype.HISTOGRAM: _read_histogram,
    datatype.TABLE: _read_table,
    datatype.VIEW: _read_view,
}
