"""Named members of any kind and length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sapwood.fileio.lh5 import datatype
from sapwood.fileio.lh5.errors import LH5EncodeError
from sapwood.fileio.lh5.lgdo import LGDO

__all__ = ["Struct"]


class Struct(LGDO, dict[str, Any]):
    """A dictionary of LGDOs.

    ``struct["a/b"]`` is ``struct["a"]["b"]``, for reading, setting and asking.

    Parameters
    ----------
    obj_dict
        Members by name; mappings become structs.
    attrs
        See `LGDO`.
    """

    kind = datatype.STRUCT

    def __init__(
        self, obj_dict: Mapping[str, Any] | None = None, attrs: Mapping[str, Any] | None = None
    ) -> None:
        dict.__init__(self)
        self.attrs = {}
        for name, obj in (obj_dict or {}).items():
            self._set_member(name, obj)
        self._set_attrs(attrs)

    def form_datatype(self) -> str:
        """Return the text of the attribute ``datatype``."""
        return datatype.form_fields(self.kind, self)

    def update_datatype(self) -> None:
        """Let the attribute ``datatype`` name the members there are."""
        self.attrs["datatype"] = self.form_datatype()

    def add_field(self, name: str, obj: Any) -> None:
        """Add a member, or replace it."""
        self[name] = obj

    def remove_field(self, name: str, delete: bool = False) -> None:
        """Remove a member. `delete` is accepted for those used to it: Python frees what nobody holds."""
        del self[name]

    def _checked(self, name: str, obj: Any) -> LGDO:
        if isinstance(obj, LGDO):
            return obj
        if not isinstance(obj, Mapping):
            raise LH5EncodeError(f"Member {name!r} is no LGDO", seen=type(obj).__name__)
        return Struct(obj)

    def __setitem__(self, name: str, obj: Any) -> None:
        self._set_member(name, obj)
        self.update_datatype()

    def _set_member(self, name: str, obj: Any) -> None:
        """Have `obj` as a member; the datatype does not name it yet."""
        first, _, rest = name.strip("/").partition("/")
        if rest:
            if first not in self:
                self._set_member(first, self._new_inner())
            self[first][rest] = obj
            return
        checked = self._checked(first, obj)
        datatype.form_fields(self.kind, [first])
        dict.__setitem__(self, first, checked)

    def _new_inner(self) -> Struct:
        return Struct()

    def __getitem__(self, name: str) -> Any:
        if dict.__contains__(self, name):
            return dict.__getitem__(self, name)
        first, _, rest = name.strip("/").partition("/")
        found = dict.__getitem__(self, first)
        return found[rest] if rest else found

    def __contains__(self, name: object) -> bool:
        if dict.__contains__(self, name) or not isinstance(name, str):
            return dict.__contains__(self, name)
        first, _, rest = name.strip("/").partition("/")
        if not dict.__contains__(self, first):
            return False
        inner = dict.__getitem__(self, first)
        return not rest or (isinstance(inner, Struct) and rest in inner)

    def __delitem__(self, name: str) -> None:
        first, _, rest = name.strip("/").partition("/")
        if rest:
            del self[first][rest]
            return
        dict.__delitem__(self, first)
        self.update_datatype()

    def pop(self, name: str, *default: Any) -> Any:
        """Remove the member and return it."""
        if name not in self and default:
            return default[0]
        found = self[name]
        del self[name]
        return found

    def update(self, *others: Any, **members: Any) -> None:
        """Add or replace members."""
        for name, obj in dict(*others, **members).items():
            self[name] = obj

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Struct):
            return NotImplemented
        return type(self) is type(other) and self.attrs == other.attrs and dict.__eq__(self, other)

    __hash__ = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict.__repr__(self)}, attrs={self.attrs!r})"
