"""Joining masters and slaves of the register bus."""

from __future__ import annotations

from typing import Any

from sapwood.errors import LinkError

__all__ = ["busConnect"]


def _end(thing: Any, getter: str, method: str, kind: str) -> Any:
    """Return the bus end of `thing`: what its `getter` gives, or itself."""
    give = getattr(thing, getter, None)
    found = give() if callable(give) else thing
    if not hasattr(found, method):
        raise LinkError("Cannot connect the memory bus", expected=f"a memory {kind}", seen=repr(thing))
    return found


def busConnect(master: Any, slave: Any) -> None:
    """Connect a memory master to a memory slave.

    Either may be an object that offers its end by ``_getMemoryMaster()`` or ``_getMemorySlave()``.

    Raises
    ------
    LinkError
        One of them has no such end.
    """
    source = _end(master, "_getMemoryMaster", "_setSlave", "master")
    source._setSlave(_end(slave, "_getMemorySlave", "_doTransaction", "slave"))
