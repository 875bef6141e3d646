"""Threads that compress and decompress for every format."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from typing import Any, TypeVar

__all__ = ["WORKERS", "ahead", "keep_memory", "pool", "submit"]

T = TypeVar("T")

_MOST = 16
_allowed = getattr(os, "sched_getaffinity", None)  # where the system can give a process some cores only
WORKERS = max(1, min(_MOST, os.cpu_count() or 1 if _allowed is None else len(_allowed(0))))

_END_S = 10.0  # at most, for a job that has begun: longer than any takes
_KEPT_BYTES = 16 << 20  # twice what a compressor takes for one block

_LOCK = threading.Lock()
_pools: dict[int, ThreadPoolExecutor] = {}  # by process: threads do not survive a fork


@cache
def keep_memory() -> None:
    """Have the C library keep the memory that a compressor frees, for the next one.

    glibc gives a free block at the end of its heap back to the system, which has to find and clear
    its pages again each time, unless larger blocks have come and gone before. So one does here; its
    pages are never touched. From then on the heap of the whole process may keep up to 32 MiB that are
    free. bzip2 is five per cent faster in threads. Other C libraries take no notice, nor does glibc
    where the environment sets its thresholds.
    """
    bytes(_KEPT_BYTES)


def pool() -> ThreadPoolExecutor:
    """Return the threads, made when first asked for."""
    keep_memory()
    with _LOCK:
        found = _pools.get(os.getpid())
        if found is None:
            _pools.clear()
            found = _pools[os.getpid()] = ThreadPoolExecutor(WORKERS, thread_name_prefix="file workers")
    return found


def submit(work: Callable[..., T], *arguments: Any) -> Future[T]:
    """Have `work` done by a thread; at once while the interpreter shuts down and threads are gone."""
    try:
        return pool().submit(work, *arguments)
    except RuntimeError:
        done: Future[T] = Future()
        try:
            done.set_result(work(*arguments))
        except Exception as error:  # noqa: BLE001  # it is raised by result(), as that of a thread
            done.set_exception(error)
        return done


def ahead(jobs: Iterable[Callable[[], T]], depth: int = WORKERS + 1) -> Iterator[T]:
    """Yield the results of `jobs` in order, while up to `depth` of the following are worked on.

    At the end, also at an early one, no job is under way any more: a file that jobs look into may then
    be cut or written anew, which would end the process while they do.
    """
    waiting: deque[Future[T]] = deque()
    try:
        for job in jobs:
            waiting.append(submit(job))
            if len(waiting) > depth:
                yield _taken(waiting)
        while waiting:
            yield _taken(waiting)
    finally:
        wait([future for future in waiting if not future.cancel()], _END_S)


def _taken(waiting: deque[Future[T]]) -> T:
    """Return the first result, which leaves the queue when it is there: an interrupt may come before."""
    result = waiting[0].result()
    waiting.popleft()
    return result
