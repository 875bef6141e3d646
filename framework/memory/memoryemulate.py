"""Emulated memory under the name and with the keywords of ``pyrogue.interfaces.simulation``."""

from __future__ import annotations

from sapwood.memory.emulate import Emulate
from sapwood.memory.slave import MAX_ACCESS

__all__ = ["MemEmulate"]


class MemEmulate(Emulate):
    """Zeroed RAM without bounds; see ``Emulate``.

    Parameters
    ----------
    minWidth, maxSize
        Smallest and largest access (bytes).
    """

    def __init__(self, *, minWidth: int = 4, maxSize: int = MAX_ACCESS) -> None:
        super().__init__(minWidth, maxSize)
        self.setName("MemEmulate")
