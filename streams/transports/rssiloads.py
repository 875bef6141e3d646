"""What passes through an RSSI link, one by one or in batches: counted, waiting to be sent, made frames."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

from sapwood.streams.batch import FrameBatch
from sapwood.streams.frame import Frame
from sapwood.streams.gap import Gap
from sapwood.streams.protocols.rssisend import Data

__all__ = ["Outbox", "bytes_of", "count_of", "whole"]

_Whole = TypeVar("_Whole", bound=FrameBatch | Gap)


def count_of(load: Data | FrameBatch | Gap) -> int:
    """Return the payloads, or segments, that `load` is."""
    if isinstance(load, FrameBatch):
        return len(load)
    return 0 if isinstance(load, Gap) else 1


def bytes_of(load: Data | FrameBatch) -> int:
    """Return the bytes of `load`."""
    return load.nbytes if isinstance(load, FrameBatch) else len(load)


def whole(items: Iterable[Data | tuple[bytes, Data] | _Whole]) -> Iterator[Frame | FrameBatch | _Whole]:
    """Yield batches and gaps as they are; what comes between them, whole or as header and payload, joined."""
    alone: list[Data] = []
    for item in items:
        if isinstance(item, FrameBatch | Gap):
            yield from _joined(alone)
            yield item
            alone = []
        else:
            alone.append(b"".join(item) if isinstance(item, tuple) else item)
    yield from _joined(alone)


def _joined(parts: list[Data]) -> Iterator[Frame | FrameBatch]:
    if len(parts) == 1:
        yield Frame(parts[0])
    elif parts:
        yield FrameBatch.joined(parts)


class Outbox:
    """Payloads that wait to be sent, alone or in batches, oldest first.

    Attributes
    ----------
    segments
        How many they are.
    """

    def __init__(self) -> None:
        self._loads: deque[Data | FrameBatch] = deque()
        self.segments = 0

    def add(self, load: Data | FrameBatch, count: int) -> None:
        """Add one payload, or a batch of `count`."""
        self._loads.append(load)
        self.segments += count

    def take(self, most: int) -> list[Data | FrameBatch]:
        """Return the oldest `most` payloads and forget them."""
        taken: list[Data | FrameBatch] = []
        while most > 0 and self._loads:
            load = self._loads.popleft()
            count = count_of(load)
            if count > most and isinstance(load, FrameBatch):
                self._loads.appendleft(load[most:])
                load, count = load[:most], most
            taken.append(load)
            most -= count
            self.segments -= count
        return taken

    def clear(self) -> tuple[int, int]:
        """Forget all; return how many payloads and bytes they were."""
        lost = self.segments, sum(map(bytes_of, self._loads))
        self._loads.clear()
        self.segments = 0
        return lost
