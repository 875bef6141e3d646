"""Stages behind received readouts: so many of them, and a printed line each. Imported when used."""

from __future__ import annotations

import threading

import click

from sapwood.cli.apxplay import clock, hit_count
from sapwood.fileio.apx.network import without_heads
from sapwood.fileio.apx.readout import AbstractAstroPixReadout
from sapwood.streams import FrameBatch, Gap, Master, Slave

__all__ = ["Printer", "Taking"]


class Taking(Master, Slave):
    """Passes the first `count` frames on, all when None.

    Attributes
    ----------
    taken, nbytes
        Frames and bytes passed on.
    full
        Set when that is all.
    """

    forwards = True

    def __init__(self, count: int | None) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self._most = count
        self.taken = self.nbytes = 0
        self.full = threading.Event()

    def _acceptBatch(self, batch: FrameBatch) -> None:
        passed = batch if self._most is None else batch[: self._most - self.taken]
        if len(passed):
            self._sendBatch(passed)
            self.nbytes += passed.nbytes
            self.taken += len(passed)
        if self.taken == self._most:
            self.full.set()

    def _acceptGap(self, gap: Gap) -> None:
        if self.taken != self._most:
            self._sendGap(gap)


class Printer(Slave):
    """Prints a line about each record of a readout."""

    def __init__(self, readout_class: type[AbstractAstroPixReadout]) -> None:
        super().__init__()
        self._class = readout_class
        self._carry: bytes | None = None

    def _acceptBatch(self, batch: FrameBatch) -> None:
        found = without_heads(batch)
        if found is None:
            return
        data, ids, times = found
        for index, (count, stamp) in enumerate(zip(ids.tolist(), times.tolist(), strict=True)):
            readout = self._class(data.frame_bytes(index), count, stamp)
            hits = len(readout.decode(self._carry))
            self._carry = readout.extra_bytes()
            head = click.style(f"id {count:<8}", bold=True)
            click.echo(f"{head}  {clock(stamp)}  {len(readout.data()):>5} bytes  {hit_count(hits)}")

    def _acceptGap(self, gap: Gap) -> None:
        self._carry = None
        why = "not shown, the terminal is too slow" if gap.reason == "full" else "lost"
        click.echo(click.style(f"-- {gap.frames} readouts {why} --", fg="yellow"))
