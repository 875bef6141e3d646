"""Frames of a stream recorded as readouts of a file."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

from sapwood.fileio.apx.network import without_heads
from sapwood.streams import FrameBatch, Gap, Slave

if TYPE_CHECKING:
    from sapwood.fileio.apx.writer import ApxWriter

__all__ = ["ReadoutRecorder"]

_COUNTS = 0xFFFFFFFF


class ReadoutRecorder(Slave):
    """Writes frames into an AstroPix file; what was received can be read at once.

    Frames that are whole records keep their counts. Others are the bytes of a board; they are
    counted on from the readouts before, with those that were lost.

    Parameters
    ----------
    writer
        The file.

    Attributes
    ----------
    lost
        Frames that gaps told of.
    """

    def __init__(self, writer: ApxWriter) -> None:
        super().__init__()
        self.lost = 0
        self._writer = writer
        self._next_id = writer.readouts
        self._lock = threading.Lock()

    def _acceptBatch(self, batch: FrameBatch) -> None:
        with self._lock:
            found = without_heads(batch)
            if found is None:
                counts = ((np.arange(len(batch)) + self._next_id) & _COUNTS).astype(np.uint32)
                self._next_id += len(batch)
                self._writer.write_batch(batch, counts)
            else:
                self._writer.write_batch(*found)
            self._writer.flush()
        super()._acceptBatch(batch)

    def _acceptGap(self, gap: Gap) -> None:
        with self._lock:
            self.lost += gap.frames
            self._next_id += gap.frames
