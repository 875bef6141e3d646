"""PyRogue's own exception for register accesses; its name hides a builtin, as there."""

from __future__ import annotations

from sapwood.errors import BusError

__all__ = ["MemoryError"]


class MemoryError(BusError):
    """A register access failed.

    Parameters
    ----------
    name
        Name of the block or variable.
    address
        Byte address.
    msg
        What went wrong.
    size
        Bytes of the access.
    """

    def __init__(self, name: str, address: int, msg: str | None = None, size: int = 0) -> None:
        text = f"Memory Error for {name} at address {address:#08x} {msg or ''}"
        super().__init__(text.rstrip(), address=address)
        self.size = size
