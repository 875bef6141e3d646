"""What slow-signal files consist of: tables as PyTables makes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sapwood.errors import FormatError
from sapwood.fileio.hdf5 import h5py
from sapwood.fileio.icf.readout import MODULES, PIXELS

__all__ = [
    "GROUP",
    "GROUP_TITLE",
    "READOUT",
    "ROOT_TITLE",
    "TELESCOPE",
    "TableLayout",
    "put_attribute",
    "put_group_attributes",
    "put_table_attributes",
]

ROOT_TITLE = "CHEC-S Slow signal monitor data"
GROUP, GROUP_TITLE = "SlowSignal", "Slow signal data"


class TableLayout:
    """A table: its name in the group, title, row type and rows a chunk."""

    def __init__(self, name: str, title: str, dtype: np.dtype[Any], chunk_rows: int) -> None:
        self.name, self.title, self.dtype, self.chunk_rows = name, title, dtype, chunk_rows


READOUT = TableLayout(
    "readout",
    "Slow signal readout",
    np.dtype(
        [
            ("cpu_t", "<f8"),  # s
            ("cpu_t_ns", "<u8"),
            ("cpu_t_s", "<u8"),
            ("data", "<f4", (MODULES, PIXELS)),  # mV, raw order of channels
            ("iro", "<u8"),  # number of the readout
            ("time", "<u8"),  # TACK, ns
        ]
    ),
    15,
)
TELESCOPE = TableLayout(
    "tel_table",
    "Telescope data",
    np.dtype([("db_t", "<f8"), ("db_t_ns", "<u8"), ("db_t_s", "<u8"), ("dec", "<f8"), ("ra", "<f8")]),
    1638,
)


def put_attribute(node: Any, name: str, value: Any) -> None:
    """Set an attribute as PyTables does: texts are of fixed length.

    Raises
    ------
    FormatError
        For a value that could only be kept pickled, as PyTables would.
    """
    if isinstance(value, str):
        h5 = h5py()
        text = value.encode()
        kind = h5.h5t.C_S1.copy()
        kind.set_size(max(len(text), 1))
        kind.set_cset(h5.h5t.CSET_UTF8)
        space = h5.h5s.create(h5.h5s.SCALAR)
        made = h5.h5a.create(node.id, name.encode(), kind, space)
        made.write(np.array(text, f"S{max(len(text), 1)}"), mtype=kind)
        return
    array = np.asarray(value)
    if array.dtype.kind not in "biufcS":
        raise FormatError(f"Attribute {name} cannot be kept", expected="text or numbers", seen=type(value))
    node.attrs[name] = array[()]


def put_group_attributes(node: Any, title: str, filters: int | None) -> None:
    """Set what PyTables wants of a group; `filters` packed in one number, or None."""
    root: Mapping[str, str] = {"PYTABLES_FORMAT_VERSION": "2.1"} if node.name == "/" else {}
    for name, value in {"CLASS": "GROUP", **root, "TITLE": title, "VERSION": "1.0"}.items():
        put_attribute(node, name, value)
    if filters is not None:
        put_attribute(node, "FILTERS", np.int64(filters))


def put_table_attributes(node: Any, layout: TableLayout) -> None:
    """Set what PyTables wants of a table."""
    for name, value in {"CLASS": "TABLE", "VERSION": "2.7", "TITLE": layout.title}.items():
        put_attribute(node, name, value)
    for number, name in enumerate(layout.dtype.names or ()):
        item = layout.dtype[name].base.type(0)
        put_attribute(node, f"FIELD_{number}_NAME", name)
        put_attribute(node, f"FIELD_{number}_FILL", item)
    put_attribute(node, "NROWS", np.int64(0))
