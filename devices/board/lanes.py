"""The ways out of the board: each channel on its own TDEST, or several in super-frames on one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from sapwood.devices.board.allowance import FRAME_COST, Allowance, cost
from sapwood.streams import Frame, FrameBatch, Master, Slave
from sapwood.streams.protocols.batcher_codec import combine

__all__ = ["BatchLane", "Exit", "Lane", "Responses"]

PIECE_BYTES = 64 << 10  # of data that a register response may have to wait for
SUB_FRAMES = 32  # of a super-frame, at most


class Exit:
    """The one door that all TDESTs leave by: data go one piece at a time, responses before them.

    Parameters
    ----------
    isOpen
        Tells whether there is a client; without one, data are dropped.
    """

    def __init__(self, isOpen: Callable[[], bool]) -> None:
        self.isOpen = isOpen
        self._turn = threading.Lock()
        self._calm = threading.Event()  # no response waits to be sent
        self._calm.set()
        self._since: dict[str, float] = {}

    @property
    def stalled(self) -> float:
        """Seconds for which the same piece, or response, has not got through the door."""
        begun = list(self._since.values())
        return time.monotonic() - min(begun) if begun else 0.0

    def respond(self, send: Callable[[], None]) -> None:
        """Send a register response."""
        self._calm.clear()
        self._since["response"] = time.monotonic()
        try:
            send()
        finally:
            self._since.pop("response", None)
            self._calm.set()

    def send(self, send: Callable[[], None]) -> None:
        """Send a piece of data."""
        with self._turn:
            self._calm.wait()
            self._since["data"] = time.monotonic()
            try:
                send()
            finally:
                self._since.pop("data", None)


class Responses(Master, Slave):
    """Passes register responses on, before all data."""

    def __init__(self, exit: Exit) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self._exit = exit

    def _acceptFrame(self, frame: Frame) -> None:
        self._exit.respond(lambda: self._sendFrame(frame))

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self._exit.respond(lambda: self._sendBatch(batch))


class Lane(Master, Slave):
    """Passes the data of one channel on in pieces."""

    def __init__(self, exit: Exit, allowance: Allowance) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self._exit = exit
        self._allowance = allowance

    def _acceptBatch(self, batch: FrameBatch) -> None:
        step = max(1, PIECE_BYTES * len(batch) // max(1, batch.nbytes))
        for first in range(0, len(batch), step):
            piece = batch[first : first + step]
            try:
                if self._exit.isOpen():
                    self._exit.send(lambda piece=piece: self._sendBatch(piece))  # type: ignore[misc]
                else:
                    self._allowance.lose(len(piece))
            finally:
                self._allowance.release(cost(piece))


class BatchLane(Master, Slave):
    """Passes the data of several channels on in super-frames, in the order of their times.

    `collect` takes the frames of a channel, `flush` sends what was collected into the queue before
    this lane; what comes out of that queue is put into super-frames: of up to 32 frames, or as many
    as make up 64 KiB. The TDEST of a sub-frame is that of its channel.

    Parameters
    ----------
    version, code
        Of the batcher; width code of version 1.
    allowances
        Of the channels, which are ``TDEST - 1``.
    """

    def __init__(self, exit: Exit, version: int, code: int, allowances: Sequence[Allowance]) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self._exit = exit
        self._version = version
        self._code = code
        self._allowances = allowances
        self._collected: list[FrameBatch] = []
        self._sequence = 0

    def collect(self, batch: FrameBatch) -> None:
        """Take frames of one channel; in the thread that calls `flush`."""
        self._collected.append(batch.replace(channel=int(batch.channel[0]) + 1))

    def flush(self, queue: Slave) -> None:
        """Give what was collected to `queue`, in the order of its times."""
        batches, self._collected = self._collected, []
        if batches:
            frames = FrameBatch.concat(batches) if len(batches) > 1 else batches[0]
            order = np.argsort(frames.time, kind="stable")
            queue._acceptBatch(frames[order])

    def _acceptBatch(self, batch: FrameBatch) -> None:
        for piece in _super_frames(batch):
            try:
                if self._exit.isOpen():
                    frame = combine(piece, self._version, self._code, self._sequence)
                    self._sequence += 1
                    self._exit.send(lambda frame=frame: self._sendFrame(frame))  # type: ignore[misc]
                else:
                    self._account(piece, lost=True)
            finally:
                self._account(piece, lost=False)

    def _account(self, piece: FrameBatch, *, lost: bool) -> None:
        """Tell the channels of the frames in `piece` what became of them."""
        frames = np.bincount(piece.channel)
        nbytes = np.bincount(piece.channel, weights=piece.size + FRAME_COST)
        for dest in np.flatnonzero(frames).tolist():
            allowance = self._allowances[dest - 1]
            if lost:
                allowance.lose(int(frames[dest]))
            else:
                allowance.release(int(nbytes[dest]))


def _super_frames(batch: FrameBatch) -> Iterator[FrameBatch]:
    """Cut `batch` into what goes into one super-frame each."""
    for first in range(0, len(batch), SUB_FRAMES):
        yield from batch[first : first + SUB_FRAMES].split(PIECE_BYTES)
