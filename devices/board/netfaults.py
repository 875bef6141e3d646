"""Faults of a network on demand: datagrams lost, doubled, out of order and late."""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sapwood.errors import DeviceError
from sapwood.streams import Frame, FrameBatch, Master, Slave

__all__ = ["DatagramFaults", "DatagramSettings"]

LATER_S = 0.005  # that a datagram out of order is held back
MOST_DELAY_S = 60.0
JOIN_S = 2.0


@dataclass(frozen=True)
class DatagramSettings:
    """What happens to datagrams of one direction.

    `loss`, `reorder` and `duplicate` are probabilities (0..1) for each datagram, `delay` is in
    seconds (0..60). A datagram out of order comes 5 ms later than it would have.

    Raises
    ------
    DeviceError
        For a value outside these limits.
    """

    loss: float = 0.0
    reorder: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0

    def __post_init__(self) -> None:
        for name, most in (("loss", 1.0), ("reorder", 1.0), ("duplicate", 1.0), ("delay", MOST_DELAY_S)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise DeviceError(f"No such {name} of datagrams", expected=f"0..{most:g}", seen=value)


class DatagramFaults(Master, Slave):
    """Stands in one direction of a network and spoils datagrams as it is told, at any time.

    Without faults it passes everything on, in the sender's thread. Three random numbers are drawn for
    each datagram while there is any fault, so equal seeds spoil equal datagrams.

    Parameters
    ----------
    name
        Of the thread that sends what is late.

    Attributes
    ----------
    hits
        Datagrams spoilt so far, by kind: ``lost``, ``reordered``, ``duplicated``, ``delayed``.
    """

    def __init__(self, name: str) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self.hits: Counter[str] = Counter()
        self._name = name
        self._settings = self._none = DatagramSettings()
        self._random = random.Random(0)  # noqa: S311 - nothing secret
        self._late: list[tuple[float, int, bytes]] = []
        self._order = 0
        self._news = threading.Condition()
        self._worker: threading.Thread | None = None
        self._stopping = False

    @property
    def settings(self) -> DatagramSettings:
        """What happens now."""
        return self._settings

    def set(self, **changes: float) -> None:
        """Change settings by name; DeviceError for values outside their limits."""
        self._settings = replace(self._settings, **changes)

    def seed(self, value: int) -> None:
        """Let the random numbers begin anew."""
        with self._news:
            self._random.seed(value)

    def clear(self) -> None:
        """Spoil nothing from now on; what is late still comes. `hits` stays."""
        self._settings = self._none

    def _acceptFrame(self, frame: Frame) -> None:
        if self._settings == self._none:
            self._sendFrame(frame)
        else:
            self._spoil([frame])

    def _acceptBatch(self, batch: FrameBatch) -> None:
        if self._settings == self._none:
            self._sendBatch(batch)
        else:
            self._spoil(batch.frames())

    def _spoil(self, frames: Iterable[Frame]) -> None:
        """Pass on what is left of `frames` and in time, keep what is late."""
        in_time: list[Frame] = []
        with self._news:
            for frame in frames:
                copies, wait = self._fate()
                if wait and copies:
                    self._keep(bytes(frame.buffer), wait, copies)
                else:
                    in_time += [frame] * copies
        if in_time:
            self._sendBatch(FrameBatch.gather(in_time))

    def _fate(self) -> tuple[int, float]:
        """Return how often the next datagram arrives, and how much later (s); under the lock."""
        settings = self._settings
        lost, twice, later = (self._random.random() for _ in range(3))
        if lost < settings.loss:
            self.hits["lost"] += 1
            return 0, 0.0
        wait = settings.delay
        self.hits["delayed"] += wait > 0
        if later < settings.reorder:
            self.hits["reordered"] += 1
            wait += LATER_S
        if twice < settings.duplicate:
            self.hits["duplicated"] += 1
            return 2, wait
        return 1, wait

    def _keep(self, payload: bytes, wait: float, copies: int) -> None:
        """Have `payload` sent in `wait` seconds; under the lock."""
        if self._stopping:
            return
        due = time.monotonic() + wait
        for _ in range(copies):
            heapq.heappush(self._late, (due, self._order, payload))
            self._order += 1
        if self._worker is None:
            self._worker = threading.Thread(target=self._send_late, name=self._name, daemon=True)
            self._worker.start()
        self._news.notify()

    def _send_late(self) -> None:
        while True:
            with self._news:
                while not self._stopping and not self._due():
                    left = self._late[0][0] - time.monotonic() if self._late else None
                    self._news.wait(left)
                if self._stopping:
                    return
                payload = heapq.heappop(self._late)[2]
            self._sendFrame(Frame(payload))

    def _due(self) -> bool:
        return bool(self._late) and self._late[0][0] <= time.monotonic()

    def _start(self) -> None:
        """Keep late datagrams again after a stop."""
        self._stopping = False

    def _stop(self) -> None:
        """Drop what is late and end the thread."""
        with self._news:
            self._stopping = True
            self._late.clear()
            worker, self._worker = self._worker, None
            self._news.notify_all()
        if worker is not None:
            worker.join(JOIN_S)
