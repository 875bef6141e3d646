"""The file under a saver: opening, flushing, SWMR, copying, closing."""

from __future__ import annotations

import shutil
import weakref
from pathlib import Path
from typing import Any

from sapwood.errors import MissingExtra
from sapwood.fileio import hdf5
from sapwood.fileio.partfile import complete_file
from sapwood.fileio.pymodaq.codec import encode
from sapwood.fileio.pymodaq.compression import library_name
from sapwood.fileio.pymodaq.errors import MissingFileError, NodeError, NoFileError
from sapwood.fileio.pymodaq.nexus import mark
from sapwood.fileio.pymodaq.rawattrs import put_text
from sapwood.fileio.pymodaq.sharedfile import SharedFile, acquire, restate_shape
from sapwood.fileio.pymodaq.superblock import clear_flags

__all__ = ["BACKENDS", "FILE_TITLE", "LAYOUT_VERSION", "H5File"]

BACKENDS = ("h5py", "tables")  # one engine writes for both: either backend of PyMoDAQ reads the files
FILE_TITLE = "PyMoDAQ file"
LAYOUT_VERSION = "5.3.0"  # of PyMoDAQ, whose layout is written; its browser refuses files below 4


class H5File:
    """A file that can be opened, flushed and closed.

    Attributes
    ----------
    backend
        The name that was asked for.
    compression
        None, or ``{'compression': library, 'compression_opts': level}`` for arrays made from now on.
    file_path
        Path of the file; None before one is opened.
    """

    def __init__(self, backend: str | None = None) -> None:
        self.backend = BACKENDS[0]
        self.set_backend(backend or BACKENDS[0])
        self.compression: dict[str, Any] | None = None
        self.file_path: Path | None = None
        self._shared: SharedFile | None = None
        self.writer: SharedFile | None = None  # the open file if it can be changed
        self._dropped: Any = None
        self._mode = "r"
        self._swmr_mode = False
        self._interval = 1
        self._ticks = 0

    def set_backend(self, backend: str) -> None:
        """Choose a backend by name.

        ``h5py`` and ``tables`` write the same files. ``h5pyd`` needs a server of HSDS and is not
        there.

        Raises
        ------
        MissingExtra
            For ``h5pyd``, an ImportError.
        ValueError
            For other names.
        """
        if backend == "h5pyd":
            raise MissingExtra("the h5pyd module is not present",
                               hint="Files on an HSDS server cannot be opened; choose h5py.")  # fmt: skip
        if backend not in BACKENDS:
            raise ValueError(f"The backend is one of {', '.join(BACKENDS)}, not {backend!r}")
        self.backend = backend

    @property
    def shared(self) -> SharedFile:
        """The open file, shared by all savers of this process.

        Raises
        ------
        NoFileError
            When none is open.
        """
        if self._shared is None:
            raise NoFileError("No file is open", file=self.file_path, hint="Call init_file first.")
        return self._shared

    @property
    def lock(self) -> Any:
        """The lock of the file: hold it to do several things as one. It can be taken repeatedly."""
        return self.shared.lock

    @property
    def h5_file(self) -> Any:
        """The `h5py.File`, with all rows appended so far; None when no file is open."""
        if self._shared is None:
            return None
        self._shared.commit()
        return self._shared.handle

    h5file = h5_file

    @property
    def filename(self) -> str:
        """The path of the open file.

        Raises
        ------
        NoFileError
            When none is open.
        """
        return str(self.shared.path)

    def check_mode(self) -> None:
        """Raise NodeError unless this object may change the file."""
        if self._mode == "r":
            self.shared  # noqa: B018  # says so when no file is open
            raise NodeError("The file was opened for reading", file=self.file_path)

    def open_file(
        self, fullpathname: str | Path, mode: str = "r", title: str = FILE_TITLE, swmr_mode: bool = False
    ) -> Any:
        """Open or make a file; return the `h5py.File`.

        Parameters
        ----------
        mode
            r: read, the file is never altered; a: append, made if absent; w: begin anew.
        swmr_mode
            Make the file such that other processes can follow it, see `enable_swmr`.

        Raises
        ------
        MissingFileError, FormatError, FileError
            When there is no such file, it is no HDF5 file, or it is in use. It is not touched.
        SwmrError
            When an existing file was not made for SWMR.
        """
        path = Path(fullpathname).absolute()
        if mode not in ("r", "r+", "a", "w"):
            raise ValueError(f"The mode is r, a or w, not {mode!r}")
        if mode == "r+":
            mode = "a"
            if not path.exists():
                raise MissingFileError(f"There is no file {path}", file=path)
        if mode == "a" and not path.exists():
            mode = "w"
        self.close_file()
        shared = acquire(path, mode, swmr_mode)
        self._shared, self.file_path = shared, path
        self._mode = "r" if mode == "r" else "a"
        self.writer = None if mode == "r" else shared
        self._swmr_mode = swmr_mode
        self._dropped = weakref.finalize(self, shared.abandon)
        self._dropped.atexit = False  # the file itself is closed then
        if mode == "w":
            self._begin(title)
        return shared.handle

    def _begin(self, title: str) -> None:
        with self.shared.writing() as index:
            root = self.shared.handle["/"]
            index.root.begin("GROUP")
            put_text(root, "CLASS", "GROUP")
            for name, value in (
                ("TITLE", title),
                ("pymodaq_version", LAYOUT_VERSION),
                ("pymodaq_data_version", LAYOUT_VERSION),
            ):
                put_text(root, name, encode(value))
            index.root.remember("CLASS", "GROUP")
            index.root.remember("TITLE", title)
            if self._swmr_mode:
                put_text(root, "swmr_compatible", encode(True))
            mark(root, "NXroot")

    def close_file(self) -> None:
        """Write everything and close the file; nothing happens when none is open.

        The file stays open for other savers of this process that have it open.

        Raises
        ------
        FileError
            When rows on their way could not be written.
        """
        shared, self._shared, self.writer = self._shared, None, None
        if shared is not None:
            self._dropped.detach()
            shared.release()

    def isopen(self) -> bool:
        """Tell whether a file is open."""
        return self._shared is not None and bool(self._shared.handle)

    def flush(self) -> None:
        """Bring everything to the file: after this a crash loses nothing, and SWMR readers see it."""
        self.shared.flush()

    def refresh(self) -> None:
        """Look at the tree anew, after something else than this object changed it."""
        self.shared.refresh()

    def define_compression(self, compression: str, compression_opts: int) -> None:
        """Compress the arrays made from now on.

        Parameters
        ----------
        compression
            zlib (gzip), lzf, or with the package hdf5plugin blosc, blosc2 (``blosc:lz4`` ...), zstd, bzip2.
        compression_opts
            Level, 0 (none) to 9.
        """
        name = library_name(compression, compression_opts)
        self.compression = {"compression": name, "compression_opts": compression_opts}

    @property
    def swmr_mode(self) -> bool:
        """The file was opened so that `enable_swmr` can be called."""
        return self._swmr_mode

    @property
    def is_swmr_capable(self) -> bool:
        """The library can do it; always true."""
        return True

    @property
    def is_swmr_compatible(self) -> bool:
        """The open file was made for SWMR."""
        return self.isopen() and bool(self.shared.handle.attrs.get("swmr_compatible", ""))

    @property
    def is_swmr_active(self) -> bool:
        """The file is written by us so that others can follow it."""
        return self.isopen() and self.shared.swmr_active

    def enable_swmr(self) -> None:
        """Let other processes follow the file from now on; groups and arrays should be made before.

        Raises
        ------
        SwmrError
            When the file was not opened with ``swmr_mode=True``.
        """
        self.check_mode()
        self.shared.start_swmr()

    def set_swmr_flush_interval(self, interval: int) -> None:
        """Flush at every `interval` calls of `tick_flush`; 0: never by these calls."""
        self._interval, self._ticks = int(interval), 0

    def tick_flush(self) -> None:
        """Count one write of data, and flush for SWMR readers when the interval is full."""
        if self._interval <= 0 or not self.is_swmr_active:
            return
        self._ticks += 1
        if self._ticks % self._interval == 0:
            self.shared.flush()

    def finalize_swmr(self, keep_open: bool = False) -> None:
        """End SWMR mode and bring the attributes of the file up to date.

        Parameters
        ----------
        keep_open
            Go on with the file, which others cannot follow any more; else it is closed.
        """
        if self._shared is None:
            if self.file_path is None:
                return
            self.open_file(self.file_path, "a")
        if self.shared.swmr_active:
            self.shared.stop_swmr()
        self.reconcile_swmr_attrs()
        if not keep_open:
            self.close_file()

    def reconcile_swmr_attrs(self) -> None:
        """Set `swmr_active` to False and the attribute ``shape`` of every growing array to its real shape."""
        self.check_mode()
        with self.shared.writing() as index:
            self.shared.commit()
            if "swmr_active" in self.shared.handle.attrs:
                self.shared.handle.attrs["swmr_active"] = False
            for entry in index.walk(index.root):
                if entry.kind in ("EARRAY", "VLARRAY", "StringARRAY"):
                    restate_shape(self.shared.handle[entry.path])
        self.shared.flush()

    def save_file(self, filename: str | Path | None = None) -> None:
        """Copy the file, as it is now, to `filename`; nothing happens without a name.

        Raises
        ------
        RecordingExists
            When that file exists.
        """
        if filename is None:
            return
        with self.shared.lock:
            self.shared.flush(structure=False)
            with complete_file(filename) as part:
                shutil.copyfile(self.shared.path, part)
                clear_flags(part)
                if self.is_swmr_active:
                    self._settle_copy(part)

    def _settle_copy(self, part: str) -> None:
        with hdf5.open_h5(part, "a") as copy:
            copy.attrs["swmr_active"] = False
            index = self.shared.index
            for entry in index.walk(index.root):
                if entry.kind in ("EARRAY", "VLARRAY", "StringARRAY"):
                    restate_shape(copy[entry.path])

    save_file_as = save_file
