"""How a recording goes, shown while it runs: one live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

import click

from sapwood.cli.output import console, human_bytes, human_count

__all__ = ["Show", "Snapshot", "progress"]

PLAIN_EVERY_S = 1.0  # distance of the lines when the output is no terminal


@dataclass(frozen=True)
class Snapshot:
    """Where a recording is: frames of data, bytes of file, bytes/s."""

    frames: int
    nbytes: int
    rate: float

    def __str__(self) -> str:
        frames, size = human_count(self.frames), human_bytes(self.nbytes)
        return f"{frames:>10} frames  {self.rate / 1e6:7.1f} MB/s  {size:>8}"


class Show(Protocol):
    """Takes the seconds gone and the snapshot of now."""

    def __call__(self, elapsed: float, snapshot: Snapshot) -> None:
        """Show it."""
        ...


def progress(total_s: float | None, *, quiet: bool) -> AbstractContextManager[Show]:
    """Return what shows a recording of `total_s` seconds (None: no end in sight)."""
    if quiet:
        return _quiet()
    return _live(total_s) if sys.stdout.isatty() else _lines()


@contextmanager
def _quiet() -> Iterator[Show]:
    yield lambda elapsed, snapshot: None


@contextmanager
def _lines() -> Iterator[Show]:
    due = time.monotonic()

    def show(elapsed: float, snapshot: Snapshot) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due += PLAIN_EVERY_S
            click.echo(f"recording {elapsed:5.1f} s {snapshot}")

    yield show


@contextmanager
def _live(total_s: float | None) -> Iterator[Show]:
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("[red]●[/] Recording"),
        BarColumn(bar_width=14),
        TextColumn("{task.fields[clock]}"),
        TextColumn("{task.fields[snapshot]}"),
    )
    with Progress(*columns, console=console(), auto_refresh=False) as bar:
        task = bar.add_task("", total=total_s, clock="", snapshot="")

        def show(elapsed: float, snapshot: Snapshot) -> None:
            of = "" if total_s is None else f" / {total_s:g}"
            done = elapsed if total_s is None else min(elapsed, total_s)
            bar.update(
                task, completed=done, clock=f"{elapsed:.1f}{of} s", snapshot=str(snapshot), refresh=True
            )

        yield show
