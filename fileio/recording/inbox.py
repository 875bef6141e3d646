"""Frames on their way from producers to the thread that writes them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias, cast

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


# bytes, channel, flags, error, time, config
_Single: TypeAlias = tuple[bytes | bytearray | memoryview, int, int, int, int, bool]


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
        data = frame.buffer
        if type(data) is memoryview:
            data = cast(Frame, lean(frame)).buffer
        now = time.time_ns()
        entry = (data, channel or frame.channel, frame.flags, frame.error, now, config)
        self._entries.append(entry)
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
        kind, size = (False, False), 0
        for entry in self._entries:
            nbytes = entry.batch.nbytes if isinstance(entry, Load) else len(entry[0])
            its = isinstance(entry, Load), entry[-1]
            if run and (kind != its or size + nbytes > _JOINED):
                loads.append(_joined(run))
                run, size = [], 0
            kind = its
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
        return Load(batches[0] if len(batches) == 1 else FrameBatch.concat(batches), run[0][-1])
    singles = [entry for entry in run if not isinstance(entry, Load)]
    data, channel, flags, error, times, config = zip(*singles, strict=True)
    size = np.fromiter(map(len, data), np.int64, len(data))
    payload = data[0] if len(data) == 1 else b"".join(data)
    start = np.cumsum(size) - size
    batch = FrameBatch(
        payload,
        start,
        size,
        channel=np.array(channel, np.uint8),
        flags=np.array(flags, np.uint16),
        error=np.array(error, np.uint8),
        time=np.array(times, np.int64),
    )
    return Load(batch, config[0])
