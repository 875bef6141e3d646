"""The values of variables as views show them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sapwood.views import Shown

if TYPE_CHECKING:
    from sapwood.tree.variable import BaseVariable

__all__ = ["shown"]


def shown(variables: Sequence[BaseVariable]) -> Iterator[Shown]:
    """Yield text and alarm of what each variable holds, without access to the hardware.

    Before the tree has started there are no values, and one that cannot be had shows the error.
    """
    for variable in variables:
        if variable._root is None:
            yield Shown("")
            continue
        try:
            value = variable.value()
            yield Shown(variable.genDisp(value), variable._alarmState(value)[1])
        except Exception as error:  # noqa: BLE001  # of a user's getter; the others are shown all the same
            yield Shown(f"<{type(error).__name__}: {error}>")
