"""PyRogue's recorder device."""

from __future__ import annotations

from typing import Any

from sapwood import devices
from sapwood.compat import writer as plain

__all__ = ["StreamWriter"]


class StreamWriter(devices.StreamWriter):
    """Records as `sapwood.devices.StreamWriter`; an existing file is replaced.

    Parameters
    ----------
    writer
        The writer to manage; None makes one.
    kwargs
        As for `sapwood.devices.StreamWriter`.
    """

    def __init__(self, *, writer: Any = None, **kwargs: Any) -> None:
        kwargs["defaults"] = {"Overwrite": True, **(kwargs.get("defaults") or {})}
        super().__init__(writer=plain.StreamWriter() if writer is None else writer, **kwargs)
