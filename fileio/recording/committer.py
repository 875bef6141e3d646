"""The sync thread of one open recording."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sapwood.fileio.filelayer import FileLayer, retried
from sapwood.fileio.recording.parts import Part
from sapwood.fileio.recording.watermark import Tally, Watermark

__all__ = ["Commit", "Committer", "SyncFailure"]

SyncFailure = tuple[str, OSError]  # the file concerned, and what went wrong


@dataclass(slots=True)
class Commit:
    """What to bring to the disk.

    Attributes
    ----------
    full
        Finished files: synced, then closed.
    open
        The file being written, or None.
    mark
        What is durable once all of them are synced.
    tally
        Where that is noted.
    """

    full: list[Part]
    open: Part | None
    mark: Watermark
    tally: Tally


class Committer:
    """Every period flushes the recorder and syncs what is new; syncs earlier what it is handed.

    The thread is the only one to close descriptors, so none is closed while it is synced.

    Parameters
    ----------
    files
        The disk.
    folder
        Where the files lie.
    collect
        Flushes the recorder and returns the `Commit`; takes the recorder's lock.
    report
        Told of a failure; takes the recorder's lock.
    period_s
        Longest time from accepting a frame to syncing it, seconds.
    name
        Name of the thread.

    Attributes
    ----------
    syncs
        How often a file was synced.
    """

    def __init__(
        self,
        files: FileLayer,
        folder: str,
        collect: Callable[[Committer], Commit],
        report: Callable[[Committer, SyncFailure], None],
        period_s: float,
        name: str,
    ) -> None:
        self._files = files
        self._folder = folder
        self._collect = collect
        self._report = report
        self._period_s = period_s
        self._wake = threading.Event()
        self._handed: Commit | None = None
        self._stop = False
        self._sync = True
        self.syncs = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def ready(self) -> bool:
        """Nothing handed is waiting."""
        return self._handed is None

    def hand(self, commit: Commit) -> None:
        """Have `commit` synced now, while `ready`; called with the recorder's lock, takes none."""
        self._handed = commit
        self._wake.set()

    def stop(self, *, sync: bool = True) -> None:
        """End the thread after a last commit; without `sync` it only closes the files."""
        self._sync = self._sync and sync
        self._stop = True
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread's end; False when it is still at work after `timeout_s` seconds."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def finish(self, part: Part) -> OSError | None:
        """Sync and close a finished file in the caller's thread; return what went wrong."""
        error: OSError | None = None
        if self._sync:
            try:
                self._sync_part(part)
                self._sync_names([part])
            except OSError as problem:
                error = problem
                self._sync = False
        with contextlib.suppress(OSError):  # nothing is left to be saved by close
            self._files.close(part.fd)
        return error

    def _run(self) -> None:
        due = time.monotonic() + self._period_s
        while True:
            self._wake.wait(max(due - time.monotonic(), 0.0))
            self._wake.clear()
            last = self._stop
            handed, self._handed = self._handed, None
            if handed is not None:
                self._commit(handed)
            if handed is None or last:
                due = time.monotonic() + self._period_s
                self._commit(self._collect(self))
            if last:
                return

    def _commit(self, commit: Commit) -> None:
        parts = commit.full if commit.open is None else [*commit.full, commit.open]
        failure = self._sync_all(parts) if self._sync else None
        for part in commit.full:
            with contextlib.suppress(OSError):  # already synced, or already reported
                self._files.close(part.fd)
        if failure is not None:
            self._sync = False  # after a failed sync nothing is known about the disk
            self._report(self, failure)
        elif self._sync:
            commit.tally.durable = commit.mark
        for part in parts:
            part.busy = False

    def _sync_all(self, parts: list[Part]) -> SyncFailure | None:
        path = self._folder
        try:
            for part in parts:
                path = part.path
                self._sync_part(part)
            self._sync_names(parts)
        except OSError as error:
            return path, error
        return None

    def _sync_part(self, part: Part) -> None:
        size = part.size
        if part.synced < size:
            retried(self._files.fdatasync, part.fd)
            part.synced = size
            self.syncs += 1

    def _sync_names(self, parts: list[Part]) -> None:
        if all(part.named for part in parts):
            return
        retried(self._files.sync_dir, self._folder)
        for part in parts:
            part.named = True
