"""Work on a sequence in several threads, results in order, a bounded number of them waiting."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

__all__ = ["cores", "in_order"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_MOST = 4  # threads: more do not make reading and writing one file faster


def cores() -> int:
    """Return how many threads are worth while."""
    return max(1, min(_MOST, len(os.sched_getaffinity(0))))


def in_order(
    work: Callable[[_Item], _Result], items: Iterable[_Item], depth: int
) -> Iterator[tuple[_Item, _Result]]:
    """Yield each item with ``work(item)``, in order; up to `depth` results are made ahead.

    The first is made by the caller's thread: threads begin when a second is asked for. They end
    with the iteration, also when it is given up.
    """
    rest = iter(items)
    for item in islice(rest, 1):
        yield item, work(item)
    threads = min(cores(), depth)
    if threads < 2:
        for item in rest:
            yield item, work(item)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ICF expand")
    waiting: deque[tuple[_Item, Future[_Result]]] = deque()
    try:
        while True:
            for item in islice(rest, depth - len(waiting)):
                waiting.append((item, pool.submit(work, item)))
            if not waiting:
                return
            item, future = waiting.popleft()
            result = future.result()
            for following in islice(rest, 1):
                waiting.append((following, pool.submit(work, following)))
            yield item, result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
