"""New datasets and attributes, made by few calls of HDF5: a table of a raw stream has dozens of each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.hdf5 import h5py, register_filters
from sapwood.fileio.lh5.chunks import Layout, chunk_shape, layout_of
from sapwood.fileio.lh5.errors import LH5EncodeError
from sapwood.fileio.lh5.nodes import full_name, put_attributes
from sapwood.fileio.lh5.settings import NOT_WRITTEN

__all__ = ["Creator", "Stored", "add_attributes"]

_REPEATED = {"chunks", "compression", "compression_opts", "fletcher32", "maxshape", "shuffle"}


class Stored(NamedTuple):
    """A dataset whose first axis can grow, and what need not be asked again.

    Parameters
    ----------
    id
        Of h5py's low-level interface.
    dtype
        Of its elements.
    inner
        Shape of a row.
    chunks
        Shape of its chunks, None when it has none.
    layout
        See `layout_of`.
    """

    id: Any
    dtype: np.dtype[Any]
    inner: tuple[int, ...]
    chunks: tuple[int, ...] | None
    layout: Layout | None

    @classmethod
    def of(cls, dataset: Any) -> Stored:
        """Return that of a dataset of h5py."""
        return cls(dataset.id, dataset.dtype, dataset.shape[1:], dataset.chunks, layout_of(dataset))

    @property
    def dataset(self) -> Any:
        """The dataset, of h5py."""
        return h5py().Dataset(self.id)

    def grow(self, rows: int) -> None:
        """Have `rows` rows."""
        self.id.set_extent((rows, *self.inner))


class _Pattern(NamedTuple):
    stored: Stored
    elements: Any
    space: Any
    properties: Any


class Creator:
    """Makes datasets without rows; h5py works the settings of those alike out once."""

    def __init__(self) -> None:
        self._patterns: dict[tuple[Any, ...], _Pattern] = {}

    def create(self, group: Any, name: str, values: NDArray[Any], settings: Mapping[str, Any]) -> Stored:
        """Make a dataset for rows like `values`.

        Parameters
        ----------
        group
            Of h5py.
        name
            Of a new member of `group`.
        values
            Its first rows, which are not written here.
        settings
            Keywords of h5py's ``create_dataset``.

        Raises
        ------
        LH5EncodeError
            When HDF5 does not take the settings.
        """
        inner, text = values.shape[1:], values.dtype.kind == "O"
        options = {"maxshape": (None, *(size or None for size in inner)), **settings}
        itemsize = 16 if text else values.dtype.itemsize
        options.setdefault("chunks", chunk_shape(len(values), inner, itemsize))
        register_filters(options.get("compression"))
        try:
            return self._create(group, name, h5py().string_dtype() if text else values.dtype, inner, options)
        except (TypeError, ValueError) as error:
            raise LH5EncodeError(
                f"{full_name(group, name)} cannot be stored with these settings",
                expected=str(error),
                seen=options,
            ) from error

    def _create(
        self, group: Any, name: str, dtype: np.dtype[Any], inner: tuple[int, ...], options: dict[str, Any]
    ) -> Stored:
        alike = _REPEATED.issuperset(options) and name.isascii() and dtype.kind != "O"
        key = (dtype, inner, *((one, repr(options[one])) for one in sorted(options))) if alike else ()
        pattern = self._patterns.get(key)
        if pattern is not None:
            made = h5py().h5d.create(group.id, name.encode(), *pattern[1:])
            return pattern.stored._replace(id=made)
        dataset = group.create_dataset(name, (0, *inner), dtype, **options)
        stored = Stored.of(dataset)
        if alike:
            low = dataset.id
            pattern = _Pattern(stored, low.get_type(), low.get_space(), low.get_create_plist())
            self._patterns[key] = pattern
        return stored


def add_attributes(new: Any, attrs: Mapping[str, Any]) -> None:
    """Write the attributes of an object that has none, given by its low-level id; see `put_attributes`."""
    others = {}
    for name, value in attrs.items():
        if name in NOT_WRITTEN:
            continue
        if type(value) is str and "\0" not in value:
            in_file, in_memory, space = _text()
            made = h5py().h5a.create(new, name.encode(), in_file, space)
            made.write(np.array(value, object), mtype=in_memory)
        else:
            others[name] = value
    if others:
        h5 = h5py()
        put_attributes((h5.Dataset if isinstance(new, h5.h5d.DatasetID) else h5.Group)(new), others)


@cache
def _text() -> tuple[Any, Any, Any]:
    """Return the type in a file, that in memory and the space of an attribute that is one text."""
    h5 = h5py()
    types = (h5.h5t.py_create(h5.string_dtype(), logical=logical) for logical in (True, False))
    return *types, h5.h5s.create(h5.h5s.SCALAR)
