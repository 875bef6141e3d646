"""What a stream stage has seen, in frames and bytes."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sapwood.streams.batch import FrameBatch

__all__ = ["StageCounters"]


@dataclass(slots=True)
class StageCounters:
    """Counters of one stage; read without a lock, written by any thread that delivers to it.

    Attributes
    ----------
    frames, bytes
        Accepted so far.
    errors
        Exceptions that sinks behind the stage raised.
    blocked
        How often an upstream call had to wait for room.
    dropped
        Reason -> frames not passed on; `dropped_bytes` likewise in bytes.
    lock
        Held while the counters are changed.
    """

    frames: int = 0
    bytes: int = 0
    errors: int = 0
    blocked: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    dropped_bytes: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def accept(self, frames: int, nbytes: int) -> None:
        """Count frames that came in."""
        with self.lock:
            self.frames += frames
            self.bytes += nbytes

    def drop(self, reason: str, frames: int, nbytes: int = 0) -> None:
        """Count frames that are not passed on."""
        with self.lock:
            self.dropped[reason] = self.dropped.get(reason, 0) + frames
            self.dropped_bytes[reason] = self.dropped_bytes.get(reason, 0) + nbytes

    def keep(self, batch: FrameBatch, mask: NDArray[np.bool_], reason: str) -> FrameBatch:
        """Return the frames of `batch` that `mask`, shape (n,), picks; count the others as dropped."""
        if mask.all():
            return batch
        kept = batch[mask]
        self.drop(reason, len(batch) - len(kept), batch.nbytes - kept.nbytes)
        return kept

    @property
    def dropped_total(self) -> int:
        """Frames not passed on, whatever the reason."""
        with self.lock:
            return sum(self.dropped.values())

    def reasons(self) -> str:
        """Return the frames not passed on by reason, as a text: ``full: 3, stopped: 1``."""
        with self.lock:
            return ", ".join(f"{reason}: {count}" for reason, count in self.dropped.items())

    def clear(self) -> None:
        """Set every counter to zero."""
        with self.lock:
            self.frames = self.bytes = self.errors = self.blocked = 0
            self.dropped.clear()
            self.dropped_bytes.clear()
