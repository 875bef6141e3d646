"""What became of the values of a configuration that could not be applied whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sapwood.errors import BusError
from sapwood.memory import Block, Write
from sapwood.tree.plan import Step

__all__ = ["bus_failures", "outcomes"]

NOT_WRITTEN, WRITTEN, VERIFIED = "not written", "written", "written and verified"


def bus_failures(error: Exception) -> dict[str, BusError]:
    """Return the failures that `error` stands for, by the path of their block."""
    if not isinstance(error, BusError):
        return {}
    single = [one for one in error.problems if isinstance(one, BusError)]
    return {str(one.path): one for one in single or [error]}


def outcomes(steps: Sequence[Step], reached: int, failures: Mapping[str, BusError]) -> list[str]:
    """Return a line for each path: not written, written, or written and verified; failures first.

    Parameters
    ----------
    steps
        What was to be set.
    reached
        So many of them were set or staged.
    failures
        What the bus told, by the path of the block.
    """
    lines: dict[str, tuple[str, str]] = {}
    for number, step in enumerate(steps):
        path = step.path
        state, reason = _state(step.variable, failures) if number < reached else (NOT_WRITTEN, "")
        lines[path] = state, f"{path}: {state}{reason}"
    order = (NOT_WRITTEN, WRITTEN, VERIFIED)
    return [line for wanted in order for state, line in lines.values() if state == wanted]


def _blocks(variable: Any) -> Iterable[Block]:
    """Return the registers behind `variable`: its own, or those of the variables it follows."""
    found = getattr(variable, "depBlocks", None)
    return [one for one in ([variable._block] if found is None else found) if isinstance(one, Block)]


def _state(variable: Any, failures: Mapping[str, BusError]) -> tuple[str, str]:
    """Return how far the value got, and a reason when it went no further."""
    worst, reason = (VERIFIED if _blocks(variable) else WRITTEN), ""
    for block in _blocks(variable):
        failure = failures.get(block.path)
        if failure is not None and block.lastAccess == Write:
            return NOT_WRITTEN, f" ({failure})"
        if block.staged:
            return NOT_WRITTEN, "" if block.enable else " (its device is disabled)"
        if failure is not None:
            worst, reason = WRITTEN, f" ({failure})"
        elif not block.verified:
            worst = WRITTEN
    return worst, reason
