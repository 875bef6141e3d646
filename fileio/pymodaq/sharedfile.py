"""One open HDF5 file of this process: its handle, its lock, rows on their way, and the timed flush.

All savers of this process that open the same file share one of these, so that their appends
cannot run into each other.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from sapwood.errors import FileError
from sapwood.fileio import hdf5faults
from sapwood.fileio.pymodaq import nexus
from sapwood.fileio.pymodaq.codec import encode
from sapwood.fileio.pymodaq.errors import NodeError, SwmrError
from sapwood.fileio.pymodaq.index import TreeIndex
from sapwood.fileio.pymodaq.opening import open_for_reading, open_for_writing, open_new
from sapwood.fileio.pymodaq.rawattrs import put_fixed
from sapwood.fileio.pymodaq.rows import FixedRows, RaggedRows

__all__ = ["FLUSH_S", "SharedFile", "acquire", "restate_shape"]

FLUSH_S = 1.0  # a killed writer loses the rows of this time at most

_LOG = logging.getLogger(__name__)
_LOCK = threading.RLock()  # never held while waiting for the lock of a file
_open: weakref.WeakValueDictionary[tuple[int, int], SharedFile] = weakref.WeakValueDictionary()


def acquire(path: Path, mode: str, swmr: bool) -> SharedFile:
    """Return the file, opened now or by another saver of this process; `mode` is r, a or w.

    Raises
    ------
    FileError
        When it cannot be opened, or not in this way beside those who have it open.
    """
    while True:
        with _LOCK:
            shared = _open.get(_identity(path)) if path.exists() else None
            if shared is None or not shared.handle:
                shared = SharedFile(path, _opened(path, mode, swmr), mode != "r", swmr)
                _open[shared.key] = shared
                return shared
            if not shared.closing.is_set():
                return shared.join(mode, swmr)
        shared.closed.wait()


def _opened(path: Path, mode: str, swmr: bool) -> Any:
    if mode == "r":
        return open_for_reading(path)
    return open_for_writing(path, swmr) if mode == "a" else open_new(path, swmr)


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def restate_shape(dataset: Any) -> None:
    """Bring the attributes of a growing array that say how long it is in step with it."""
    put_fixed(dataset, "shape", encode(tuple(dataset.shape)))
    if "size" in dataset.attrs:  # of an axis
        put_fixed(dataset, "size", encode(int(dataset.shape[0])))


class SharedFile:
    """An open file.

    Attributes
    ----------
    handle
        The `h5py.File`.
    lock
        Held during every change, and by readers who need rows still on their way.
    index
        The tree, see `TreeIndex`.
    """

    def __init__(self, path: Path, handle: Any, writable: bool, swmr_made: bool) -> None:
        self.path = path
        self.key = _identity(path)
        self.handle = handle
        self.writable = writable
        self.swmr_made = swmr_made
        self.lock = threading.RLock()
        self.index = TreeIndex(handle)
        self.plots: set[str] = set()  # groups whose NeXus attributes must be made anew
        self._described: set[str] = set()
        self._rows: dict[str, FixedRows | RaggedRows] = {}
        self._written: dict[str, Any] = {}  # arrays that may hold back values until the next flush
        self.changed = writable
        self._failure: Exception | None = None
        self._users = 1
        self._left: deque[None] = deque()  # users that were dropped without closing
        self._wake = threading.Event()
        self.closing = threading.Event()
        self.closed = threading.Event()
        if writable:
            self._keep_metadata()
            threading.Thread(target=self._keep_flushing, daemon=True, name=f"flush {path.name}").start()

    def join(self, mode: str, swmr: bool) -> SharedFile:
        """Count one more user, if it can have the file in this way."""
        if mode == "w":
            raise FileError("A file that this process has open is not replaced", file=self.path)
        if mode == "a" and not self.writable:
            raise FileError("The file is open for reading only in this process", file=self.path,
                            hint="Close it first.")  # fmt: skip
        if swmr and mode == "a" and not self.swmr_made:
            raise SwmrError("The file is open without swmr_mode in this process", file=self.path)
        self._users += 1
        return self

    @property
    def following(self) -> bool:
        """The file grows by the hand of another process (SWMR)."""
        return not self.writable and bool(self.handle) and bool(self.handle.swmr_mode)

    @property
    def swmr_active(self) -> bool:
        """The file is written in SWMR mode by us."""
        return self.writable and bool(self.handle) and bool(self.handle.swmr_mode)

    @contextlib.contextmanager
    def writing(self) -> Iterator[TreeIndex]:
        """Hold the lock for a change.

        Raises
        ------
        NodeError
            When the file is closed or was opened for reading.
        FileError
            When the disk refused what was written before.
        """
        with self.lock, hdf5faults.refusal_told(self.path):
            self.check_writable()
            self.changed = True
            yield self.index

    def check_writable(self) -> None:
        """Raise unless the file can be changed; the lock is held."""
        if not self.handle:
            raise NodeError("The file is closed", file=self.path)
        if not self.writable:
            raise NodeError("The file was opened for reading", file=self.path)
        if self._failure is not None:
            seen = getattr(self._failure, "seen", None) or self._failure
            raise FileError("The file could not be written", file=self.path, seen=seen) from self._failure
        if hdf5faults.is_forsaken(self.handle):
            raise FileError("The file could not be written, what was flushed before is in it", file=self.path)

    def keep(self, path: str, dataset: Any) -> None:
        """Keep an array that was written open until the next flush; the lock is held.

        The library hides from us that the disk refuses what it writes while it closes an array.
        """
        self._written[path] = dataset

    def rows(self, path: str, node: Callable[[], Any]) -> FixedRows | RaggedRows:
        """Return the rows on their way to an array, which `node` gives; the lock is held."""
        self.check_writable()
        rows = self._rows.get(path)
        if rows is None:
            dataset = node()
            ragged = dataset.dtype.kind == "O"
            rows = self._rows[path] = RaggedRows(dataset) if ragged else FixedRows(dataset)
        return rows

    def _drop_rows(self, paths: Iterable[str]) -> None:
        for path in list(paths):
            self._rows.pop(path).closed = True

    def commit(self, path: str | None = None) -> None:
        """Write the rows on their way to one array, or to all."""
        if not self.writable or hdf5faults.is_forsaken(self.handle):
            return
        with self.lock:
            for name in list(self._rows) if path is None else [path]:
                if name in self._rows:
                    self._rows[name].commit()

    def forget(self, path: str) -> None:
        """Drop what is kept for the nodes below a path that are about to be removed."""
        below = f"{path.rstrip('/')}/"
        self._drop_rows([kept for kept in self._rows if kept.startswith(below)])
        self.plots = {name for name in self.plots if not name.startswith(below)}

    def flush(self, *, structure: bool = False) -> None:
        """Bring everything to the file; a reader or a crash meets the file as it is now.

        `structure`: also where SWMR is active, bring attributes up to date.
        """
        with self.lock, hdf5faults.refusal_told(self.path):
            if not (self.writable and self.handle) or hdf5faults.is_forsaken(self.handle):
                return
            self.changed = False
            self.commit()
            if structure or not self.swmr_active:
                self._update_shapes()
                nexus.describe_all(self.handle, self.plots, self._described)
                self.plots.clear()
            self._flush_metadata()

    def _update_shapes(self) -> None:
        for rows in self._rows.values():
            if rows.grew:
                restate_shape(rows.dataset)
                rows.grew = False

    def _keep_metadata(self) -> None:
        """Let the library write no metadata between flushes: a crash meets those of the last flush."""
        self._evict(False)

    def _evict(self, allowed: bool) -> None:
        config = self.handle.id.get_mdc_config()
        config.evictions_enabled = allowed
        config.incr_mode = config.flash_incr_mode = config.decr_mode = 0
        self.handle.id.set_mdc_config(config)

    def _flush_metadata(self) -> None:
        """Flush; when the disk refuses once, the library must never try it again."""
        live = self.swmr_active
        try:
            if not live:
                self._evict(True)
            self.handle.flush()
        except Exception:
            self._drop_rows(self._rows)
            hdf5faults.forsake(self.handle)
            raise
        finally:  # an interrupt is no refusal: the file is written on
            if not (live or hdf5faults.is_forsaken(self.handle)):
                self._evict(False)
        self._written.clear()

    def flush_if_changed(self) -> None:
        """Do the timed flush; a failure is kept and raised at the next change."""
        with self.lock:
            if not (self.changed and self.handle):
                return
            try:
                self.flush()
            except Exception as error:  # noqa: BLE001  # of the thread of the timed flush: told to the next caller
                self._failure = error
                self._drop_rows(self._rows)

    def start_swmr(self) -> None:
        """Let readers of other processes follow the file from now on."""
        with self.writing():
            if not self.swmr_made:
                raise SwmrError("File was not opened with swmr_mode=True", file=self.path)
            if self.handle.swmr_mode:
                return
            self.handle.attrs["swmr_active"] = True
            self.flush()
            self._evict(True)
            self.handle.swmr_mode = True

    def stop_swmr(self) -> None:
        """End SWMR mode: the file is closed, opened again, and its attributes are brought up to date."""
        with self.lock:
            self.commit()
            grown = [path for path, rows in self._rows.items() if rows.grew]
            hdf5faults.close_written(self.handle)
            self.attach(open_for_writing(self.path, swmr=True))
            self.handle.attrs["swmr_active"] = False
            for path in grown:
                restate_shape(self.handle[path])
            self.flush()

    def attach(self, handle: Any) -> None:
        """Go on with a new handle of the same file."""
        self.handle = handle
        self._drop_rows(self._rows)
        self.index.handle = handle
        self._keep_metadata()

    def refresh(self) -> None:
        """Forget what is known of the tree, for files that others change."""
        with self.lock:
            self.index = TreeIndex(self.handle)

    def release(self) -> None:
        """Count one user less; everything is written, and the last one closes the file.

        Raises
        ------
        FileError
            When what was on its way could not be written.
        """
        with _LOCK:
            self._users -= 1
            if self._users == 0:
                self.closing.set()
        if self._users > 0:
            self.flush()
        else:
            self._finish()

    def abandon(self) -> None:
        """Do the same later, in the thread of the timed flush.

        The garbage collector calls it, in any thread and whatever locks that holds.
        """
        self._left.append(None)
        self._wake.set()

    def forsake(self) -> None:
        """Never touch the file again, whose disk failed."""
        with _LOCK:
            self.closing.set()
            if _open.get(self.key) is self:
                del _open[self.key]
        hdf5faults.forsake(self.handle)
        self.closed.set()
        self._wake.set()

    def _keep_flushing(self) -> None:
        """Flush from time to time until the file is closed."""
        while not self.closed.is_set():
            self._wake.wait(FLUSH_S)
            self._wake.clear()
            try:
                while self._left:
                    self._left.popleft()
                    self.release()
            except FileError as error:
                _LOG.error("Rows of %s are lost: %s", self.path, error)
            self.flush_if_changed()

    def _finish(self) -> None:
        try:
            with self.lock:
                self._close()
        finally:
            with _LOCK:
                if _open.get(self.key) is self:
                    del _open[self.key]
            self.closed.set()
            self._wake.set()

    def _close(self) -> None:
        try:
            if self.swmr_active:
                self._settle()
            self.flush()
        finally:
            self._drop_rows(self._rows)
            if self.handle:
                hdf5faults.close_written(self.handle) if self.writable else self.handle.close()

    def _settle(self) -> None:
        """End SWMR mode before closing; if the file cannot be opened again, its rows are there still."""
        self.commit()
        try:
            self.stop_swmr()
        except FileError as error:
            if self.handle:
                raise
            _LOG.warning("The attributes of %s stay as they were when SWMR began: %s", self.path, error)


def _close_all() -> None:
    """Close the files that are still open for writing when the program ends."""
    for shared in list(_open.values()):
        if shared.writable and not shared.closing.is_set():
            shared.closing.set()
            shared._finish()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_open.clear)  # the files of the parent are left to it
