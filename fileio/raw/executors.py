"""Many files: conversions one after the other, in processes of this machine, or by a Dask cluster."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, Protocol

from sapwood.errors import SapwoodError
from sapwood.extras import need
from sapwood.fileio.raw.jobs import FAILED, SKIPPED, BytesRead, Outcome, check_outputs, run_job
from sapwood.fileio.raw.manifest import Manifest
from sapwood.fileio.raw.workerprocess import WorkerProcess

__all__ = ["DaskCluster", "Executor", "OneByOne", "Processes", "build_many"]

ATTEMPTS = 3
_CONNECT_S = 15


class Executor(Protocol):
    """Does conversions."""

    def run(self, jobs: Sequence[Mapping[str, Any]], progress: BytesRead | None) -> Iterator[Outcome]:
        """Yield how each went, as they end, in any order; closing the iterator ends what is under way."""
        ...


class OneByOne:
    """Does conversions in this process, in order."""

    def run(self, jobs: Sequence[Mapping[str, Any]], progress: BytesRead | None) -> Iterator[Outcome]:
        """Yield how each went."""
        for job in jobs:
            yield run_job(job, progress)


class Processes:
    """Converts in processes of this machine, each at one file at a time.

    A process that dies, by a signal or a lack of memory, is begun again. When this process dies, they
    end too.

    Parameters
    ----------
    count
        How many processes.
    attempts
        How often a file is begun at most.
    """

    def __init__(self, count: int, attempts: int = ATTEMPTS) -> None:
        self._count, self._attempts = count, attempts

    def run(self, jobs: Sequence[Mapping[str, Any]], progress: BytesRead | None) -> Iterator[Outcome]:
        """Yield how each went."""
        crew = [WorkerProcess() for _ in range(min(self._count, len(jobs)))]
        idle: queue.SimpleQueue[WorkerProcess] = queue.SimpleQueue()
        for worker in crew:
            idle.put(worker)

        def convert(job: Mapping[str, Any]) -> Outcome:
            worker = idle.get()
            try:
                return worker.convert(job, progress, self._attempts)
            finally:
                idle.put(worker)

        with ThreadPoolExecutor(max(1, len(crew)), thread_name_prefix="conversions") as threads:
            try:
                for future in as_completed([threads.submit(convert, job) for job in jobs]):
                    yield future.result()
            finally:
                for worker in crew:
                    worker.stop()
                for worker in crew:
                    worker.kill()
                threads.shutdown(wait=True, cancel_futures=True)
                for worker in crew:
                    worker.close()


class DaskCluster:
    """Gives conversions to a Dask cluster; its workers must see the files under the same paths.

    What a worker that dies was working on is done by another.

    Parameters
    ----------
    address
        Of the scheduler, such as ``tcp://host:8786``, or a `distributed.Client`.
    """

    def __init__(self, address: Any) -> None:
        self._address = address

    def run(self, jobs: Sequence[Mapping[str, Any]], progress: BytesRead | None) -> Iterator[Outcome]:
        """Yield how each went; how far they are is not told on the way."""
        distributed: Any = need("distributed", extra="dask")
        given = not isinstance(self._address, str)
        client = self._address if given else self._connected(distributed)
        futures: dict[Any, Mapping[str, Any]] = {}
        try:
            begun = time.time()
            futures = {client.submit(run_job, job, since=begun, pure=False): job for job in jobs}
            for future in distributed.as_completed(list(futures), loop=client.loop):
                yield _outcome(future, futures[future])
        finally:
            client.cancel(list(futures))
            if not given:
                client.close()

    def _connected(self, distributed: Any) -> Any:
        try:
            return distributed.Client(self._address, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise SapwoodError(
                f"No Dask scheduler answers at {self._address}", seen=str(error), waited_s=_CONNECT_S
            ) from error


def _outcome(future: Any, job: Mapping[str, Any]) -> Outcome:
    if future.status == "finished":
        outcome: Outcome = future.result()
        return outcome
    error = future.exception() if future.status == "error" else "it was cancelled"
    return Outcome(job["in_stream"], FAILED, error=f"The cluster gave it up: {error}")


def build_many(
    jobs: Sequence[dict[str, Any]],
    executor: Executor | None = None,
    manifest: Manifest | None = None,
    progress: BytesRead | None = None,
) -> Iterator[Outcome]:
    """Do conversions, yield how each went.

    Parameters
    ----------
    jobs
        See `sapwood.fileio.raw.jobs.make_job`.
    executor
        One after the other in this process by default.
    manifest
        Those it knows as done are skipped; those that succeed are added.
    progress
        Told now and then how far each is, from any thread.

    Raises
    ------
    OutSpecError
        When two of them would write the same file.
    """
    check_outputs(jobs)
    left = []
    for job in jobs:
        if manifest is not None and manifest.is_done(job):
            yield Outcome(job["in_stream"], SKIPPED, attempts=0)
        else:
            left.append(job)
    left = [_replacing(job) if manifest is not None and manifest.made_outputs(job) else job for job in left]
    states = {job["in_stream"]: Manifest.input_state(job["in_stream"]) for job in left}
    by_input = {job["in_stream"]: job for job in left}
    for outcome in (executor or OneByOne()).run(left, progress):
        if manifest is not None and outcome.converted:
            job = by_input[outcome.in_stream]
            manifest.add(job, states[outcome.in_stream], outcome.summary.get("files", {}))
        yield outcome


def _replacing(job: dict[str, Any]) -> dict[str, Any]:
    """Return the conversion with leave to replace its outputs."""
    return {**job, "arguments": {**job["arguments"], "overwrite": True}}
