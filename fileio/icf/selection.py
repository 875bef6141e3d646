"""Objects picked by their numbers: looked for bunch by bunch, returned in the order asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.icf.source import Source

__all__ = ["picked"]


def picked(
    source: Source, numbers: NDArray[np.int64], damaged: Callable[[int, int], Exception]
) -> list[bytes]:
    """Return the objects `numbers`, i8, shape (n,), all of which exist.

    Each run that holds any is looked at once, compressed ones on several cores.

    Parameters
    ----------
    damaged
        Makes the error for object and run that are damaged.
    """
    first = source.index.firsts
    run_of = np.searchsorted(first, numbers, side="right") - 1
    order = np.argsort(run_of, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(run_of[order])) + 1) if len(order) else []
    runs = [int(run_of[group[0]]) for group in groups]
    found: list[bytes] = [b""] * len(numbers)
    for group, (run, block) in zip(groups, source.blocks(runs, keep=True), strict=True):
        if isinstance(block, Exception):
            raise block
        objects, whole = block.pick(numbers[group] - first[run])
        if not whole.all():
            raise damaged(int(numbers[group[whole.argmin()]]), run)
        for place, data in zip(group.tolist(), objects, strict=True):
            found[place] = data
    return found
