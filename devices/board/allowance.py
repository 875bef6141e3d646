"""How far a channel of the board may be ahead of the network."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from sapwood.errors import StreamError
from sapwood.streams import FrameBatch

__all__ = ["FRAME_COST", "Allowance", "Overflow", "cost"]

Overflow = Literal["drop_new", "block"]

FRAME_COST = 256  # bytes that a frame counts for beside its payload


def cost(batch: FrameBatch) -> int:
    """Return the bytes that `batch` counts for."""
    return batch.nbytes + FRAME_COST * len(batch)


class Allowance:
    """Bytes that one channel has on the way; what goes beyond waits or is dropped.

    Parameters
    ----------
    limit
        Most bytes on the way. A frame that is larger goes alone.
    policy
        For frames without room: ``block`` lets the channel wait, ``drop_new`` drops them.
    lose
        Called with the number of frames dropped.

    Raises
    ------
    StreamError
        For another policy.
    """

    def __init__(self, limit: int, policy: Overflow, lose: Callable[[int], None]) -> None:
        if policy not in get_args(Overflow):
            raise StreamError(
                "Unknown policy of a channel", expected=" | ".join(get_args(Overflow)), seen=policy
            )
        self._limit = limit
        self._blocks = policy == "block"
        self.lose = lose
        self._used = 0
        self._open = True
        self._room = threading.Condition()

    def admit(self, batch: FrameBatch) -> FrameBatch:
        """Return the head of `batch` that may go on its way: all of it, or less with ``drop_new``."""
        costs = np.cumsum(batch.size + FRAME_COST)
        with self._room:
            if self._blocks:
                self._room.wait_for(lambda: not self._open or self._fits(int(costs[-1])))
            count = int(np.searchsorted(costs, self._limit - self._used, side="right"))
            if not self._used:
                count = max(count, 1)
            if self._blocks:
                count = len(batch)
            if not self._open:
                count = 0
            if count:
                self._used += int(costs[count - 1])
        if count < len(batch):
            self.lose(len(batch) - count)
            batch = batch[:count]
        return batch

    def _fits(self, nbytes: int) -> bool:
        return not self._used or self._used + nbytes <= self._limit

    def release(self, nbytes: int) -> None:
        """Note that so many bytes (`cost`) are on the way no more."""
        with self._room:
            self._used -= nbytes
            self._room.notify_all()

    def open(self) -> None:
        """Admit again after `close`."""
        with self._room:
            self._open = True

    def close(self) -> None:
        """Drop what comes, and what waits."""
        with self._room:
            self._open = False
            self._room.notify_all()
