"""The way of encoded objects to the disk: in order, compressed in threads, whole or cut back."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from sapwood.errors import FileError
from sapwood.fileio.filelayer import Buffer, FileLayer
from sapwood.fileio.formats import PathLike
from sapwood.fileio.icf.encode import Encoder, Group
from sapwood.fileio.recording.parts import write_all
from sapwood.fileio.workers import WORKERS, keep_memory

__all__ = ["Outlet"]


class Outlet:
    """A file being written group by group.

    A group is written by one call of the system where that takes it, else cut back: what is on
    the disk ends with a whole group whenever no call is at work. A group that the disk refuses is
    kept, and tried again by the next call.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    header
        Its first bytes.
    encoder
        Of the groups.
    files
        The disk.
    """

    def __init__(self, path: PathLike, header: bytes, encoder: Encoder, files: FileLayer) -> None:
        self.path = os.fspath(path)
        self._files = files
        self._encoder = encoder
        self._at = 0
        self._changed = threading.Condition()  # its lock guards the file and all below
        self._ready: dict[int, tuple[Buffer, ...]] = {}  # encoded, by number, and not yet written
        self._given = 0  # groups handed over
        self._done = 0  # groups on the disk
        self._counts: dict[int, int] = {}  # objects of groups not on the disk, by number
        self.stored = 0  # objects on the disk
        self._error: BaseException | None = None
        self._jobs: list[Future[None]] = []
        self._depth = 2 * WORKERS + 1 if encoder.threaded else 0  # groups in work, at most
        self._pool: ThreadPoolExecutor | None = None
        try:
            self._fd = files.open(self.path, exclusive=False)
        except OSError as error:
            raise self._failed(error) from error
        try:
            self._write([header], len(header))
        except OSError as error:
            files.close(self._fd)
            raise self._failed(error) from error

    @property
    def size(self) -> int:
        """Bytes of whole groups, and the header, on the disk."""
        return self._at

    def add(self, group: Group) -> None:
        """Take over a group: write it, or begin to encode it in a thread.

        Its buffer may be used anew afterwards.

        Raises
        ------
        FileError
            When the disk refused this or an earlier group; all of them are kept.
        """
        number = self._given
        self._given += 1
        self._counts[number] = len(group.objects)
        if self._depth:
            self._submit(number, group)
        else:
            self._finished(number, self._encoder.encode(group))
        self._raise()

    def _submit(self, number: int, group: Group) -> None:
        if group.data is not None:
            group = group._replace(data=bytes(group.data))
        if self._pool is None:
            keep_memory()
            self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="ICF compress")
        with self._changed:
            self._changed.wait_for(lambda: number - self._done < self._depth or self._error is not None)
        self._jobs = [job for job in self._jobs if not job.done()]
        self._jobs.append(self._pool.submit(self._encoded, number, group))

    def _encoded(self, number: int, group: Group) -> None:
        try:
            self._finished(number, self._encoder.encode(group))
        except BaseException as error:  # noqa: BLE001  # raised by the next call of the writer
            with self._changed:
                self._error = self._error or error
                self._changed.notify_all()

    def _finished(self, number: int, encoded: tuple[Buffer, ...]) -> None:
        with self._changed:
            self._ready[number] = encoded
            if self._error is None:
                self._write_ready()
            self._changed.notify_all()

    def _write_ready(self) -> None:
        """Write the groups whose turn has come; the lock is held."""
        while self._done in self._ready:
            pieces = self._encoder.finish(self._ready[self._done], self._at)
            try:
                self._write(pieces, sum(map(len, pieces)))
            except OSError as error:
                self._error = error
                self._ready = {number: _own(kept) for number, kept in self._ready.items()}
                return
            self._encoder.written(self._at)
            del self._ready[self._done]
            self.stored += self._counts.pop(self._done)
            self._done += 1

    def _write(self, pieces: Sequence[Buffer], nbytes: int) -> None:
        done, error = write_all(self._files, self._fd, pieces, nbytes)
        if error is None:
            self._at += nbytes
            return
        if done:
            with contextlib.suppress(OSError):  # the error that matters is the first one
                self._files.truncate(self._fd, self._at)
                os.lseek(self._fd, self._at, os.SEEK_SET)
        raise error

    def _raise(self) -> None:
        if self._error is not None:
            raise self._failed(self._error) from self._error

    def _failed(self, error: BaseException) -> FileError:
        reason = getattr(error, "strerror", None) or str(error)
        return FileError(f"Failed to write file: {self.path}", file=self.path, offset=self._at, seen=reason)

    def retry(self) -> None:
        """Write what the disk refused before.

        Raises
        ------
        FileError
            When it refuses it again.
        """
        if self._error is None:
            return
        if not isinstance(self._error, OSError):
            self._raise()
        with self._changed:
            self._error = None
            self._write_ready()
        self._raise()

    def drain(self) -> None:
        """Return when every group lies on the disk (not synced).

        Raises
        ------
        FileError
            When the disk refused one.
        """
        for job in self._jobs:
            job.result()
        self._jobs = []
        self.retry()

    def sync(self) -> None:
        """Return when what was written lies on the disk, synced."""
        with self._changed:
            self._guarded(self._files.fdatasync)

    def _guarded(self, call: Callable[[int], None]) -> None:
        try:
            call(self._fd)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """End the threads and give the file back."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None
        with self._changed:
            self._guarded(self._files.close)


def _own(pieces: tuple[Buffer, ...]) -> tuple[Buffer, ...]:
    """Return the pieces as bytes, which nobody can change."""
    return tuple(map(bytes, pieces))
