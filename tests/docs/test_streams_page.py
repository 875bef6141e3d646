"""What docs/streams.md shows runs, and the figures and names it tells are those of the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import sapwood.streams
import sapwood.streams.transports
from sapwood.streams import Master, Slave, eventbuilder
from sapwood.streams.fifo import _DRAIN_S

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "streams.md").read_text()


def test_the_code_runs() -> None:
    space: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, space)  # noqa: S102  # the page's own code
    assert space["builder"].complete == 0


def test_flags_and_times_are_those_of_the_code() -> None:
    for name in ("INCOMPLETE", "LATE", "DUPLICATE", "UNKEYED"):
        assert re.search(rf"`{name}`\s+0x{getattr(eventbuilder, name):04x}", PAGE), name
    assert _DRAIN_S == 2.0


def test_every_stage_and_source_has_a_row() -> None:
    rows = " ".join(line for line in PAGE.splitlines() if line.startswith("|"))
    for package in (sapwood.streams, sapwood.streams.transports):
        for name in package.__all__:
            kind = getattr(package, name)
            stage = isinstance(kind, type) and issubclass(kind, (Master, Slave))
            if stage and kind not in (Master, Slave) and name != "TcpCore":
                assert f"`{name}" in rows, name


def test_stages_that_forward_are_named() -> None:
    told = PAGE.partition("class attribute `forwards`:")[2].partition(")")[0]
    for name in sapwood.streams.__all__:
        kind = getattr(sapwood.streams, name)
        if isinstance(kind, type) and issubclass(kind, Master):
            assert (f"`{name}`" in told) is kind.forwards, name
