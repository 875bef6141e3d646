"""A gap: frames that were lost, noted in stream order."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BROKEN", "Gap"]

BROKEN = "link"
"""The reason of a gap that tells that a link broke: what was on its way is gone."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Frames that a stage dropped; travels downstream in order so that a recorder can note it.

    Attributes
    ----------
    channel
        Channel of the lost frames; None when they were of several.
    frames, bytes
        How much was lost; 0 frames when nobody knows.
    reason
        Short word, the key under which the stage counts it (``full``, ``oversize``, ...).
    time
        When, nanoseconds since the epoch; 0 = unknown.
    """

    channel: int | None
    frames: int
    bytes: int
    reason: str
    time: int = 0
