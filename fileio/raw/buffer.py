"""Buffers of rows on their way from a decoder into a file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

__all__ = ["RawBuffer", "RawBufferList"]

_LOG = logging.getLogger("sapwood.fileio.raw")


class RawBuffer:
    """Rows of one table, and where they are to be written.

    Parameters
    ----------
    lgdo
        The rows; None until a stream is opened.
    key_list
        Keys of the rows that belong here.
    out_stream
        ``file`` or ``file:group``; empty to decode without writing.
    out_name
        Name of the table in its group.
    proc_spec
        What is done with rows before they are written.
    size
        Rows that it is meant to hold; it grows beyond that when more are put.

    Attributes
    ----------
    loc
        The next free row.
    fill_safety
        Rows that must be free, else the buffer counts as full.
    """

    def __init__(
        self,
        lgdo: Any = None,
        key_list: list[Any] | None = None,
        out_stream: str = "",
        out_name: str = "",
        proc_spec: Mapping[str, Any] | None = None,
        size: int | None = None,
    ) -> None:
        self.lgdo = lgdo
        self.key_list = [] if key_list is None else key_list
        self.out_stream = out_stream
        self.out_name = out_name
        self.proc_spec = proc_spec
        self.size = size
        self.loc = 0
        self.fill_safety = 1

    def __len__(self) -> int:
        if self.lgdo is None:
            return 0
        rows = len(self.lgdo) if hasattr(self.lgdo, "resize") else 1
        return max(rows, self.size or 0)

    def is_full(self) -> bool:
        """Tell whether the rows of another packet may not fit."""
        return len(self) - self.loc < self.fill_safety

    @property
    def nbytes(self) -> int:
        """Bytes of the rows in it, about."""
        return _nbytes(self.lgdo, self.loc) if self.loc else 0

    def put(self, block: Mapping[str, Any]) -> None:
        """Append rows, given as for `sapwood.fileio.lh5.Table.put`."""
        self.loc = self.lgdo.put(self.loc, block)

    def __repr__(self) -> str:
        place = f"{self.out_stream}/{self.out_name}"
        return f"RawBuffer(keys={self.key_list}, out={place!r}, rows={self.loc} of {len(self)})"


def _nbytes(column: Any, rows: int) -> int:
    if isinstance(column, Mapping):
        return sum(_nbytes(one, rows) for _, one in column.items())
    flat = getattr(column, "flattened_data", None)
    if flat is not None:
        return 8 * rows + _nbytes(flat, len(flat))
    values = getattr(column, "nda", None)
    return 0 if values is None or not len(values) else rows * (values.nbytes // len(values))


class RawBufferList(list[RawBuffer]):
    """The buffers of one decoder."""

    def set_from_dict(self, config: Mapping[str, Any], kw_dict: Mapping[str, Any] | None = None) -> None:
        """Add the buffers described in `config`, which is not changed; see `RawBufferLibrary`."""
        from sapwood.fileio.raw.shorthand import expand_rblist_dict

        for facts in expand_rblist_dict(config, kw_dict).values():
            self.append(
                RawBuffer(
                    None,
                    list(facts["key_list"]),
                    facts.get("out_stream", ""),
                    facts["out_name"],
                    facts.get("proc_spec"),
                )
            )

    def set_from_json_dict(
        self, json_dict: Mapping[str, Any], kw_dict: Mapping[str, Any] | None = None
    ) -> None:
        """Do what `set_from_dict` does: its name in former times."""
        self.set_from_dict(json_dict, kw_dict)

    def get_keyed_dict(self) -> dict[Any, RawBuffer]:
        """Return key -> buffer; made once."""
        keyed: dict[Any, RawBuffer] | None = self.__dict__.get("_keyed")
        if keyed is None:
            keyed = {}
            for buffer in self:
                for key in buffer.key_list:
                    if key in keyed:
                        _LOG.warning("Key %r is in several buffers; rows go to the last of them", key)
                    keyed[key] = buffer
            self._keyed = keyed
        return keyed

    def get_list_of(self, attribute: str) -> list[Any]:
        """Return an attribute of every buffer, each value once, in order."""
        values: list[Any] = []
        for buffer in self:
            value = getattr(buffer, attribute)
            if value not in values:
                values.append(value)
        return values

    def clear_full(self) -> None:
        """Empty the buffers that are full."""
        for buffer in self:
            if buffer.is_full():
                buffer.loc = 0
