"""What all LH5 objects have: attributes, and a datatype that is one of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

from sapwood.fileio.lh5.errors import LH5EncodeError

__all__ = ["LGDO", "Rows"]


class LGDO(ABC):
    """A LEGEND data object.

    Parameters
    ----------
    attrs
        Scalars by name, such as ``units``. A ``datatype`` among them must be the true one.
        ``compression`` and ``hdf5_settings`` say how the object is written; they are never
        written themselves.
    """

    attrs: dict[str, Any]

    def _set_attrs(self, attrs: Mapping[str, Any] | None) -> None:
        """Take `attrs` over; to be called when the object is otherwise complete."""
        found = self.form_datatype()
        self.attrs = dict(attrs or {})
        said = self.attrs.setdefault("datatype", found)
        if said != found:
            raise LH5EncodeError("The datatype does not fit the data", expected=found, seen=said)

    @abstractmethod
    def form_datatype(self) -> str:
        """Return the text of the attribute ``datatype``, from the data as they are."""

    def datatype_name(self) -> str:
        """Return the datatype up to its first bracket: ``table``, ``array``, ``real`` ..."""
        return self.form_datatype().partition("{")[0].partition("<")[0]

    def getattrs(self, datatype: bool = False) -> dict[str, Any]:
        """Return a copy of the attributes, by default without the datatype."""
        return {name: value for name, value in self.attrs.items() if datatype or name != "datatype"}

    @property
    def units(self) -> str:
        """The attribute ``units``; empty when there is none."""
        return str(self.attrs.get("units", ""))


class Rows(Protocol):
    """An object with rows: every kind but scalars and structs.

    `put` is the way to fill buffers: rows before `loc` stay, the object grows when it must.
    """

    attrs: dict[str, Any]

    def __len__(self) -> int: ...

    def form_datatype(self) -> str:
        """Return the text of the attribute ``datatype``."""
        ...

    def resize(self, new_size: int) -> None:
        """Have `new_size` rows; new ones are zero or empty."""
        ...

    def reserve_capacity(self, capacity: int) -> None:
        """Make room for `capacity` rows without having them."""
        ...

    def clear(self) -> None:
        """Have no rows; the memory is kept for new ones."""
        ...

    def put(self, loc: int, block: Any) -> int:
        """Set rows from `loc` on to those of `block`; return the row after the last."""
        ...

    def extend(self, block: Any) -> None:
        """Append the rows of `block`."""
        ...

    def rows(self, start: int, stop: int) -> Any:
        """Return rows `start` to `stop` as an object of the same kind, over the same memory if possible."""
        ...
