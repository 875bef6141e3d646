"""Groups and attributes of an LH5 file: datatypes read, lists of members kept complete."""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from sapwood.errors import SapwoodError
from sapwood.fileio.hdf5 import h5py
from sapwood.fileio.lh5 import datatype
from sapwood.fileio.lh5.datatype import Datatype
from sapwood.fileio.lh5.errors import LH5DecodeError, LH5EncodeError, ObjectNotFoundError
from sapwood.fileio.lh5.settings import NOT_WRITTEN

__all__ = [
    "Lists",
    "attributes",
    "datatype_of",
    "full_name",
    "is_dataset",
    "member",
    "members",
    "put_attributes",
    "rows_of",
    "typed",
]

_FAULTS = (OSError, RuntimeError, ValueError, TypeError, KeyError, OverflowError, AttributeError)
_PLAIN = (str, bytes, bool, int, float, complex, np.generic)


@contextlib.contextmanager
def typed(path: str) -> Iterator[None]:
    """Turn what HDF5 says about a damaged file into our errors."""
    try:
        yield
    except SapwoodError:
        raise
    except _FAULTS as error:
        raise LH5DecodeError("The file cannot be read", file=path, seen=str(error)) from error


def full_name(group: Any, name: str) -> str:
    """Return the absolute name of `name` in `group`, a name or an h5py group."""
    base = group if isinstance(group, str) else group.name
    return posixpath.normpath(posixpath.join("/", base, name.strip("/") or "."))


def is_dataset(node: Any) -> bool:
    """Tell whether `node` is a dataset and no group."""
    return isinstance(node, h5py().Dataset)


def members(group: Any) -> list[str]:
    """Return the names of what lies in `group`, links that lead nowhere left out, sorted."""
    return [name for name in sorted(group) if group.get(name) is not None]


def member(group: Any, name: str) -> Any:
    """Return the object `name` of `group`.

    Raises
    ------
    ObjectNotFoundError
        When there is none.
    LH5DecodeError
        When it cannot be opened.
    """
    try:
        found = group.get(name)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise LH5DecodeError(
            f"{full_name(group, name)} cannot be opened", file=group.file.filename, seen=str(error)
        ) from error
    if found is None:
        raise ObjectNotFoundError(f"There is no object {full_name(group, name)}", file=group.file.filename)
    return found


def attributes(node: Any) -> dict[str, Any]:
    """Return the attributes of `node` as Python values.

    Raises
    ------
    LH5DecodeError
        When one is no scalar, or cannot be read.
    """
    found = {}
    try:
        for name, value in node.attrs.items():
            found[name] = _plain(value)
    except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise LH5DecodeError(
            f"The attributes of {node.name} cannot be read", file=node.file.filename, seen=str(error)
        ) from error
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, np.ndarray):
        if value.ndim:
            raise ValueError(f"an array of shape {value.shape}")
        return _plain(value[()])
    return value.item() if isinstance(value, np.generic) else value


def datatype_of(node: Any) -> Datatype:
    """Return what the attribute ``datatype`` of `node` says.

    Raises
    ------
    LH5DecodeError
        When it is missing.
    UnknownDatatypeError
        When it is none of LH5's.
    """
    text = attributes(node).get("datatype")
    if not isinstance(text, str):
        raise LH5DecodeError(
            f"{node.name} has no attribute 'datatype'", file=node.file.filename, seen=sorted(node.attrs)
        )
    return datatype.parse(text)


def rows_of(node: Any) -> int | None:
    """Return how many rows the object `node` has on disk; None for scalars and structs.

    Raises
    ------
    LH5DecodeError
        When it is no LGDO.
    """
    if is_dataset(node):
        return len(node) if node.shape else None
    said = datatype.parse(str(attributes(node).get("datatype", "")))
    inner = {
        datatype.VECTORS: "cumulative_length",
        datatype.ENCODED_ARRAYS: "encoded_data",
        datatype.ENCODED_VECTORS: "encoded_data",
        datatype.VIEW: "entries",
    }.get(said.kind)
    names = list(node) if said.kind == datatype.TABLE else [inner] if inner else []
    for name in names:
        found = node.get(name)
        if found is None:
            raise LH5DecodeError(f"{node.name} has no {name}", file=node.file.filename)
        if is_dataset(found) or "datatype" in found.attrs:
            return rows_of(found)
    return 0 if said.kind == datatype.TABLE else None


def put_attributes(node: Any, attrs: Mapping[str, Any]) -> None:
    """Write attributes, but for those that only say how to write.

    Raises
    ------
    LH5EncodeError
        When one is no scalar: readers of LH5 refuse the file.
    """
    for name, value in attrs.items():
        if name in NOT_WRITTEN:
            continue
        if not isinstance(value, _PLAIN):
            raise LH5EncodeError(
                f"The attribute {name!r} of {node.name} is no scalar", seen=type(value).__name__
            )
        node.attrs[name] = value


class Lists:
    """The lists of members in the datatypes of groups, kept complete while objects are added.

    Lists that other programs left incomplete are completed when a group is first met.

    Parameters
    ----------
    file
        Of h5py, open for writing.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._known: dict[str, tuple[str, set[str]]] = {}  # group -> kind, names

    def forget(self) -> None:
        """Look at every group anew: objects were removed."""
        self._known.clear()

    def made(self, path: str, kind: str, names: Iterable[str]) -> None:
        """Take down that the group `path` is new, and that its datatype names `names`."""
        self._known[path] = (kind, set(names))

    def add(self, group: Any, names: Iterable[str]) -> None:
        """Let the datatype of `group` name `names` too; a group that has none becomes a struct."""
        kind, listed = self._known.get(group.name) or self._read(group)
        new = set(names) - listed
        if new and kind in (datatype.STRUCT, datatype.TABLE):
            group.attrs["datatype"] = datatype.form_fields(kind, listed | new)
            listed |= new

    def _read(self, group: Any) -> tuple[str, set[str]]:
        text = attributes(group).get("datatype")
        said = datatype.parse(text) if isinstance(text, str) else datatype.Datatype(datatype.STRUCT)
        there = {name for name in members(group) if "datatype" in group[name].attrs}
        found = self._known[group.name] = (said.kind, set(said.fields) & set(group))
        if isinstance(text, str) and there:
            self.add(group, there)
        return found

    def parent_of(self, path: str) -> Any:
        """Return the group that `path` lies in, made if it is missing; all above it list it.

        Raises
        ------
        LH5EncodeError
            When something else than a group is in the way.
        """
        group = self._file["/"]
        *parts, last = path.strip("/").split("/")
        for part in parts:
            self.add(group, [part])
            if part not in group:
                group.create_group(part)
            group = group[part]
            if is_dataset(group):
                raise LH5EncodeError(
                    f"{group.name} is a dataset and cannot hold {path}", file=self._file.filename
                )
        self.add(group, [last])
        return group
