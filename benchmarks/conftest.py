"""The stop-watch of the benchmarks: ours and a baseline by turns, one line each at the end.

``pytest benchmarks`` measures; with ``--benchmark-disable`` each work runs once, as a test.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

MEMORY = Path("/dev/shm")  # noqa: S108  # a file system in memory, wanted here
_LINES = pytest.StashKey[list["Line"]]()


@dataclass
class Line:
    """One row of the table: `seconds` for `amount` units of work, against a baseline."""

    what: str
    seconds: float
    amount: float
    unit: str
    against: str
    ratio: float
    floor: float | None

    def text(self) -> str:
        speed = self.amount / self.seconds
        floor = "" if self.floor is None else f"floor {self.floor:g}"
        return f"{self.what:58} {speed:10.4g} {self.unit:12} {self.ratio:7.2f} x {self.against:36} {floor}"


class Race:
    """Runs a work and its baseline by turns and keeps the ratio of their medians."""

    def __init__(self, benchmark: Any, lines: list[Line], timer: Callable[[], float]) -> None:
        self._benchmark = benchmark
        self._lines = lines
        self._timer = timer

    def __call__(
        self,
        what: str,
        ours: Callable[[], object],
        against: Callable[[], object] | float,
        *,
        named: str,
        amount: float,
        unit: str,
        floor: float | None = None,
        rounds: int = 7,
    ) -> None:
        """Measure `ours`; the ratio is the baseline's time over ours, so more is better.

        Parameters
        ----------
        what, named
            What is measured, and what against.
        against
            A work that takes turns with ours, or seconds: a stated figure for the same work.
        amount, unit
            Work in one call, and the unit of amount per second.
        floor
            The ratio that is promised.
        """
        baseline: list[float] = []

        def turn() -> None:
            if callable(against):
                begin = self._timer()
                against()
                baseline.append(self._timer() - begin)

        self._benchmark.pedantic(ours, setup=turn, rounds=rounds, warmup_rounds=1)
        if self._benchmark.stats is None:  # disabled: it ran once, nothing was measured
            return
        seconds = self._benchmark.stats.stats.median
        theirs = statistics.median(baseline[1:]) if callable(against) else against
        line = Line(what, seconds, amount, unit, named, theirs / seconds, floor)
        self._benchmark.extra_info.update(ratio=line.ratio, floor=floor, against=named)
        self._lines.append(line)


@pytest.fixture
def race(benchmark: Any, request: pytest.FixtureRequest) -> Race:
    """Compare by the timer of the module: CPU seconds unless its marker names another."""
    marker = request.node.get_closest_marker("benchmark")
    timer = marker.kwargs.get("timer", time.perf_counter) if marker else time.perf_counter
    return Race(benchmark, request.config.stash.setdefault(_LINES, []), timer)


@pytest.fixture(params=["memory", "disk"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, and one on the disk of temporary files."""
    if request.param == "disk":
        yield tmp_path
        return
    if not MEMORY.is_dir():
        pytest.skip("no file system in memory")
    place = MEMORY / f"sapwood-{os.getpid()}"
    place.mkdir()
    yield place
    for file in place.iterdir():
        file.unlink()
    place.rmdir()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    lines = config.stash.get(_LINES, [])
    if lines:
        terminalreporter.section("against their baselines (ratio of medians, more is better)")
        for line in lines:
            terminalreporter.write_line(line.text())
