"""Tools for the tests of recorders: a parser of its own, and a disk that fails on request."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sapwood.fileio.filelayer import FileLayer
from sapwood.fileio.rogue.writer import StreamWriter


class Record(NamedTuple):
    channel: int
    error: int
    flags: int
    payload: bytes


class Parsed(NamedTuple):
    records: list[Record]
    torn: int


def parse_bytes(data: bytes) -> Parsed:
    """Read records as the format's description says, sharing no code with the writer."""
    records, at = [], 0
    while len(data) - at >= 8:
        payload_bytes = int.from_bytes(data[at : at + 4], "little") - 4
        if payload_bytes <= 0 or at + 8 + payload_bytes > len(data):
            break
        flags = data[at + 4] + 256 * data[at + 5]
        record = Record(data[at + 7], data[at + 6], flags, data[at + 8 : at + 8 + payload_bytes])
        records.append(record)
        at += 8 + payload_bytes
    return Parsed(records, len(data) - at)


class Disk(FileLayer):
    """The real disk, with faults.

    Faults are planned per method: ``disk.plan["writev"] = (3, error)`` makes the third call
    from now on (1 = the next) raise the error, and every later one too when `lasting`. A number
    instead of an error makes `writev` take that many bytes only.
    """

    def __init__(self) -> None:
        self.plan: dict[str, tuple[int, OSError | int]] = {}
        self.lasting = True
        self.calls: dict[str, int] = {}
        self.log: list[str] = []
        self.synced = threading.Event()
        self.hold_sync: threading.Event | None = None

    def _due(self, name: str) -> OSError | int | None:
        self.calls[name] = self.calls.get(name, 0) + 1
        self.log.append(name)
        if name not in self.plan:
            return None
        left, fault = self.plan[name]
        if left > 1:
            self.plan[name] = (left - 1, fault)
            return None
        if not self.lasting:
            del self.plan[name]
        if isinstance(fault, OSError):
            raise fault
        return fault

    def open(self, path, *, exclusive):
        self._due("open")
        return super().open(path, exclusive=exclusive)

    def writev(self, fd, buffers):
        room = self._due("writev")
        if room is not None:
            if not room:
                return 0
            return super().writev(fd, [b"".join(buffers)[:room]])
        return super().writev(fd, buffers)

    def fdatasync(self, fd):
        if self.hold_sync is not None:
            self.hold_sync.wait(30)
        self._due("fdatasync")
        super().fdatasync(fd)
        self.synced.set()

    def truncate(self, fd, size):
        self._due("truncate")
        super().truncate(fd, size)

    def sync_dir(self, folder):
        self._due("sync_dir")
        super().sync_dir(folder)

    def close(self, fd):
        self._due("close")
        super().close(fd)


def system_error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


@pytest.fixture
def no_space() -> OSError:
    return system_error(errno.ENOSPC)


@pytest.fixture
def io_error() -> OSError:
    return system_error(errno.EIO)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def parse() -> Callable[[Path | bytes], Parsed]:
    return lambda source: parse_bytes(source if isinstance(source, bytes) else source.read_bytes())


@pytest.fixture
def new_writer(disk: Disk) -> Iterator[Callable[..., StreamWriter]]:
    """Make writers on `disk`; they are closed, and their threads gone, at the end of the test."""
    made: list[StreamWriter] = []

    def make(**options) -> StreamWriter:
        made.append(StreamWriter(**{"files": disk, **options}))
        return made[-1]

    yield make
    disk.plan.clear()
    for writer in made:
        writer.abort()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("Recorder ")]


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait for a condition that another thread makes true."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true"
            time.sleep(0.001)

    return wait
