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

    def put(self, block: Mapping[str, Any]) -> None:
        """Append rows, given as for `sapwood.fileio.lh5.Table.put`."""
        self.loc = self.lgdo.put(self.loc, block)

    def __repr__(self) -> str:
        place = f"{self.out_stream}/{self.out_name}"
        return f"RawBuffer(keys={self.key_list}, out={place!r}, rows={self.loc} of {len(self)})"


class RawBufferList(list[RawBuffer]):
    """The buffers of one decoder."""

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
