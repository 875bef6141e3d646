"""A count of the changes of the bus' connections, so that routes found once stay valid."""

from __future__ import annotations

__all__ = ["changed", "epoch"]

epoch = 0
"""Grows with every connection made; blocks look up their way to the hardware anew when it has."""


def changed() -> None:
    """Note that a connection was made."""
    global epoch
    epoch += 1
