"""Several variables as one text."""

from __future__ import annotations

from typing import Any

from sapwood.tree.link import LinkVariable

__all__ = ["packed"]

_TAKEN = ("description", "mode", "units", "groups", "guiGroup", "pollInterval")


def packed(variables: list[Any], kwargs: dict[str, Any]) -> LinkVariable:
    """Return the LinkVariable ``<name>_All`` over `variables`, which were made with `kwargs`.

    Its text is their displays joined by ``_``, highest index first.
    """

    def get(read: bool) -> str:
        return "_".join(variable.getDisp(read=read) for variable in reversed(variables))

    def set_all(value: str, write: bool) -> None:
        if value == "":
            return
        for variable, text in zip(variables, reversed(value.split("_")), strict=False):
            variable.setDisp(text, write=write)

    taken = {key: kwargs[key] for key in _TAKEN if key in kwargs}
    return LinkVariable(
        name=f"{kwargs['name']}_All",
        value="",
        typeStr="str",
        dependencies=variables,
        linkedGet=get if kwargs.get("mode") != "WO" else None,
        linkedSet=set_all if kwargs.get("mode") != "RO" else None,
        **taken,
    )
