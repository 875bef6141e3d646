"""Frames on their way from producers to the thread that writes them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from time import time_ns
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


_Single: TypeAlias = tuple[
    bytes | bytearray | memoryview, int, int, int, int
]  # ..., channel, flags, error, time


class _Run(NamedTuple):
    """Single frames that become one load."""

    frames: list[_Single]
    config: bool


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
        self.clear()

    def clear(self) -> None:
        """Forget what is inside."""
        self._entries: list[_Run | Load] = []
        self._run = _Run([], False)  # single frames behind the entries
        self._append = self._run.frames.append
        self._run_bytes = 0
        self.nbytes = self.cost = 0

    def add_frame(self, frame: Frame, channel: int, config: bool) -> None:
        """Take a frame as it is now; `channel` 0 keeps its own."""
        data = frame.buffer
        if type(data) is memoryview:
            data = cast(Frame, lean(frame)).buffer
        size = len(data)
        self._run_bytes += size
        if self._run_bytes > _JOINED or config is not self._run.config:
            self._begin_run(config, size)
        self._append((data, channel or frame.channel, frame.flags, frame.error, time_ns()))
        self.nbytes += size
        self.cost += size + FRAME_COST

    def _begin_run(self, config: bool, size: int = 0) -> None:
        """Let a next load begin with a frame of `size` bytes."""
        if self._run.frames:
            self._entries.append(self._run)
        self._run = _Run([], config)
        self._append = self._run.frames.append
        self._run_bytes = size

    def add_batch(self, batch: FrameBatch, channel: int, config: bool) -> None:
        """Take a batch; `channel` 0 keeps those of its frames."""
        if channel:
            batch = batch.replace(channel=channel)
        unknown = batch.time == 0
        if unknown.any():
            batch = batch.replace(time=np.where(unknown, time_ns(), batch.time))
        self._begin_run(config)
        self._entries.append(Load(cast(FrameBatch, lean(batch)), config))
        self.nbytes += batch.nbytes
        self.cost += cost_of(batch)

    def take(self) -> list[Load]:
        """Return everything inside; single frames and small batches are joined."""
        self._begin_run(False)
        loads: list[Load] = []
        batches: list[Load] = []
        size = 0
        for entry in self._entries:
            batch = entry.batch if isinstance(entry, Load) else None
            if batches and (
                batch is None or entry.config != batches[0].config or size + batch.nbytes > _JOINED
            ):
                loads.append(_joined(batches))
                batches, size = [], 0
            if isinstance(entry, _Run):
                loads.append(_batched(entry))
            else:
                batches.append(entry)
                size += entry.batch.nbytes
        if batches:
            loads.append(_joined(batches))
        self.clear()
        return loads


def pieces_of(batch: FrameBatch, cost: int) -> Iterator[FrameBatch]:
    """Yield the frames of `batch` in pieces of at most so much memory, or of one frame."""
    step = max(cost // _ROW_COST // 2, 1)
    for first in range(0, len(batch), step):
        yield from batch[first : first + step].split(max(cost // 2, 1))


def cost_of(batch: FrameBatch) -> int:
    """Return the memory that `batch` takes, about."""
    return batch.nbytes + _ROW_COST * len(batch)


def _joined(loads: list[Load]) -> Load:
    """Return batches as one load; one alone is not copied."""
    if len(loads) == 1:
        return loads[0]
    return Load(FrameBatch.concat([load.batch for load in loads]), loads[0].config)


def _batched(run: _Run) -> Load:
    """Return single frames as one load; the bytes of one alone are not copied."""
    data, channel, flags, error, times = zip(*run.frames, strict=True)
    size = np.fromiter(map(len, data), np.int64, len(data))
    batch = FrameBatch(
        data[0] if len(data) == 1 else b"".join(data),
        np.cumsum(size) - size,
        size,
        channel=np.frombuffer(bytes(channel), np.uint8),
        flags=np.frombuffer(array("H", flags), np.uint16),
        error=np.frombuffer(bytes(error), np.uint8),
        time=np.frombuffer(array("q", times), np.int64),
    )
    return Load(batch, run.config)
