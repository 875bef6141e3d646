"""Frames on their way from producers to the thread that writes them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, cast

import numpy as np

from sapwood.streams import Frame, FrameBatch
from sapwood.streams.framequeue import lean

__all__ = ["FRAME_COST", "Inbox", "Load", "cost_of", "pieces_of"]

FRAME_COST = 256  # bytes that a single frame takes beside its payload, about
_ROW_COST = 32  # the same for a frame of a batch
_JOINED = 1 << 20  # payload bytes of small batches that are joined


class Load(NamedTuple):
    """Frames to be written together; those of a `config` load are configuration, not data."""

    batch: FrameBatch
    config: bool


class _Single(NamedTuple):
    frame: Frame
    channel: int
    config: bool
    time: int


class Inbox:
    """Frames and batches in order. Nothing here takes a lock: the recorder's is held.

    Frames without a time get that of their coming.

    Attributes
    ----------
    nbytes
        Payload bytes inside.
    cost
        Memory they take, about.
    """

    def __init__(self) -> None:
        self._entries: deque[_Single | Load] = deque()
        self.nbytes = self.cost = 0

    def add_frame(self, frame: Frame, channel: int, config: bool) -> None:
        """Take a frame as it is now; `channel` 0 keeps its own."""
        kept = cast(Frame, lean(frame.snapshot()))
        self._entries.append(_Single(kept, channel or frame.channel, config, time.time_ns()))
        self.nbytes += frame.size
        self.cost += frame.size + FRAME_COST

    def add_batch(self, batch: FrameBatch, channel: int, config: bool) -> None:
        """Take a batch; `channel` 0 keeps those of its frames."""
        if channel:
            batch = batch.replace(channel=channel)
        unknown = batch.time == 0
        if unknown.any():
            batch = batch.replace(time=np.where(unknown, time.time_ns(), batch.time))
        self._entries.append(Load(cast(FrameBatch, lean(batch)), config))
        self.nbytes += batch.nbytes
        self.cost += cost_of(batch)

    def take(self) -> list[Load]:
        """Return everything inside; single frames and small batches are joined."""
        loads: list[Load] = []
        run: list[_Single | Load] = []
        size = 0
        for entry in self._entries:
            kind = type(entry), entry.config
            nbytes = entry.batch.nbytes if isinstance(entry, Load) else entry.frame.size
            if run and (kind != (type(run[0]), run[0].config) or size + nbytes > _JOINED):
                loads.append(_joined(run))
                run, size = [], 0
            run.append(entry)
            size += nbytes
        if run:
            loads.append(_joined(run))
        self.clear()
        return loads

    def clear(self) -> None:
        """Forget what is inside."""
        self._entries.clear()
        self.nbytes = self.cost = 0


def pieces_of(batch: FrameBatch, cost: int) -> Iterator[FrameBatch]:
    """Yield the frames of `batch` in pieces of at most so much memory, or of one frame."""
    step = max(cost // _ROW_COST // 2, 1)
    for first in range(0, len(batch), step):
        yield from batch[first : first + step].split(max(cost // 2, 1))


def cost_of(batch: FrameBatch) -> int:
    """Return the memory that `batch` takes, about."""
    return batch.nbytes + _ROW_COST * len(batch)


def _joined(run: list[_Single | Load]) -> Load:
    """Return entries of one kind as one load; one batch alone is not copied."""
    batches = [entry.batch for entry in run if isinstance(entry, Load)]
    if batches:
        return Load(batches[0] if len(batches) == 1 else FrameBatch.concat(batches), run[0].config)
    singles = [entry for entry in run if isinstance(entry, _Single)]
    batch = FrameBatch.gather([single.frame for single in singles])
    batch = batch.replace(
        channel=np.array([single.channel for single in singles], np.uint8),
        time=np.array([single.time for single in singles], np.int64),
    )
    return Load(batch, run[0].config)
