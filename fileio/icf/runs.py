"""Runs: what a file is indexed by. A bunch of protocol 1, or some neighbours of protocol 0."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["Index", "Run"]


class Run(NamedTuple):
    """Objects that are looked at together.

    Parameters
    ----------
    begin, end
        Bytes of the file: their data (protocol 0: chunks), and the end of all that belongs to them.
    objects
        How many, 1 or more.
    data_bytes
        Bytes of their data in the file, compressed or not.
    """

    begin: int
    end: int
    objects: int
    data_bytes: int


class Index:
    """The runs of a file in order, and what is wrong between and behind them.

    Parameters
    ----------
    begin
        Where the first run begins, bytes.
    size
        Of the file, bytes.
    runs
        In file order.
    gaps
        What lies between runs and belongs to none: one sentence each, with file and offset.
    lost
        Bytes in the gaps.
    tail
        What is wrong with the bytes behind the last run; None when it ends the file.
    """

    def __init__(
        self,
        begin: int,
        size: int,
        runs: Sequence[Run] = (),
        gaps: Sequence[str] = (),
        lost: int = 0,
        tail: str | None = None,
    ) -> None:
        self.begin = begin
        self.size = size
        self.runs = list(runs)
        self.gaps = list(gaps)
        self.lost = lost
        self.tail = tail
        self.first: list[int] = []  # number of the first object of each run
        self.count = 0
        for run in self.runs:
            self.first.append(self.count)
            self.count += run.objects
        self.firsts = np.array(self.first, np.int64)
        self.largest = max((run.data_bytes for run in self.runs), default=0)

    @property
    def end(self) -> int:
        """Where the last run ends, bytes."""
        return self.runs[-1].end if self.runs else self.begin

    @property
    def torn(self) -> int:
        """Bytes that belong to no run."""
        return self.lost + (self.size - self.end if self.tail is not None else 0)

    @property
    def problems(self) -> list[str]:
        """One sentence each, with file and offset."""
        return self.gaps if self.tail is None else [*self.gaps, self.tail]

    def locate(self, number: int) -> int:
        """Return which run holds object `number`, which must be there."""
        return bisect_right(self.first, number) - 1

    def extended(self, more: Index) -> Index:
        """Return this index with that of the bytes behind its last run."""
        gaps = [*self.gaps, *more.gaps]
        return Index(self.begin, more.size, [*self.runs, *more.runs], gaps, self.lost + more.lost, more.tail)
