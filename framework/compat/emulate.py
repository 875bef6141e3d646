"""Emulated memory under PyRogue's name and keywords."""
# ruff: noqa: N803  # the names are PyRogue's

from __future__ import annotations

from sapwood.memory import Emulate
from sapwood.memory.slave import MAX_ACCESS

__all__ = ["MemEmulate"]


class MemEmulate(Emulate):
    """Zeroed RAM that answers at once.

    Parameters
    ----------
    minWidth, maxSize
        Smallest and largest access in bytes.
    """

    def __init__(self, *, minWidth: int = 4, maxSize: int = MAX_ACCESS) -> None:
        super().__init__(minWidth, maxSize)
