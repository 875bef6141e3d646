"""Run jobs on a few threads: one lane per client connection, jobs of a lane in order."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable

from sapwood.errors import Busy

__all__ = ["Lane", "LanePool"]

Job = Callable[[], None]


class Lane:
    """The jobs of one connection that have not finished, oldest first."""

    __slots__ = ("jobs",)

    def __init__(self) -> None:
        self.jobs: deque[Job] = deque()

    @property
    def idle(self) -> bool:
        """Whether every job has finished."""
        return not self.jobs


class LanePool:
    """At most `threads` threads that run the jobs of all lanes, one job a lane at a time.

    Jobs must not raise. A lane goes to the end of the line after each job, so that a client with
    many jobs does not keep others waiting. Threads are made when first needed.

    Parameters
    ----------
    threads
        Jobs that may run at the same time.
    waiting
        Jobs that may wait beyond the running ones; further ones are refused.
    name
        Prefix of the names of the threads.
    """

    def __init__(self, threads: int, waiting: int, name: str) -> None:
        self._threads = threads
        self._limit = threads + waiting
        self._name = name
        self._lock = threading.Lock()
        self._line: queue.SimpleQueue[Lane | None] = queue.SimpleQueue()
        self._workers: list[threading.Thread] = []
        self._active = 0  # lanes with a job running or in the line
        self._unfinished = 0
        self._stopped = False

    def submit(self, lane: Lane, job: Job) -> None:
        """Run `job` after the jobs already in `lane`.

        Raises
        ------
        Busy
            Too many jobs are waiting, or the pool is stopped. The job will not run.
        """
        with self._lock:
            if self._stopped or self._unfinished >= self._limit:
                raise Busy(
                    "the server has too much to do; nothing was executed",
                    expected=f"at most {self._limit} requests at a time",
                )
            self._unfinished += 1
            lane.jobs.append(job)
            if len(lane.jobs) > 1:
                return  # its worker will come to it
            self._active += 1
            self._line.put(lane)
            if len(self._workers) >= min(self._active, self._threads):
                return
            worker = threading.Thread(
                target=self._work, name=f"{self._name}-{len(self._workers)}", daemon=True
            )
            self._workers.append(worker)
        worker.start()

    def _work(self) -> None:
        while True:
            lane = self._line.get()
            if lane is None or self._stopped:
                return
            lane.jobs[0]()
            with self._lock:
                lane.jobs.popleft()
                self._unfinished -= 1
                if lane.jobs:
                    self._line.put(lane)
                else:
                    self._active -= 1

    def stop(self, deadline: float) -> bool:
        """Refuse new jobs, drop waiting ones and wait for running ones until `deadline` (monotonic, s).

        Returns
        -------
        bool
            Whether every thread has ended.
        """
        with self._lock:
            self._stopped = True
            workers = list(self._workers)
            for _ in workers:
                self._line.put(None)
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        return not any(worker.is_alive() for worker in workers)
