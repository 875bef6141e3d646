"""Variables that show what the object behind a device counts, read again each second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sapwood.tree import Device, LocalVariable

__all__ = ["POLL_S", "add_polled"]

POLL_S = 1.0
"""Interval at which counters are read (s)."""


def add_polled(
    device: Device, name: str, description: str, getter: Callable[[], Any], *, value: Any = 0, **kwargs: Any
) -> None:
    """Add a read-only variable to `device` that shows what `getter` returns.

    Parameters
    ----------
    value
        What it shows before it is read; a whole number makes it a ``UInt64``, unless `kwargs` say
        otherwise.
    kwargs
        As for `LocalVariable`.
    """
    options: dict[str, Any] = {"pollInterval": POLL_S, **kwargs}
    if type(value) is int:
        options.setdefault("typeStr", "UInt64")
    device.add(
        LocalVariable(name=name, description=description, mode="RO", value=value, localGet=getter, **options)
    )
