"""Building many objects at once without the garbage collector in the way."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["paused_collector"]

MANY_OBJECTS = 10_000
"""After so many new objects at once they count as old for the garbage collector."""


@contextmanager
def paused_collector() -> Iterator[None]:
    """Pause the garbage collector: building many objects would make it run over and over.

    After many objects these count as old, and so are rarely looked at again.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            if gc.get_count()[0] > MANY_OBJECTS and not gc.get_freeze_count():
                gc.freeze()  # the two together make all objects old, without looking at any
                gc.unfreeze()
            gc.enable()
