"""HDF5 columns while frames are recorded: the table ``frames``, which other processes can follow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.filelayer import FileLayer
from sapwood.fileio.recording.libraryfile import LibraryFile
from sapwood.fileio.sinks.hdf5growing import LiveHdf5Sink
from sapwood.fileio.table import Table, TableInfo
from sapwood.streams import FrameBatch

__all__ = ["Hdf5Frames"]

_OVERHEAD = 20  # channel, flags, error, time and the bound of a row


class Hdf5Frames:
    """Makes HDF5 files with the table ``frames``, in SWMR mode.

    Parameters
    ----------
    compression
        ``none``, ``gzip`` or ``lzf``.
    """

    endings = (".h5", ".hdf5")
    overhead = _OVERHEAD
    keeps_channels = True

    def __init__(self, compression: str = "none") -> None:
        self._compression = compression

    def begin(self) -> None:
        """Begin a recording: nothing was learnt from the last one."""

    def unfit(self, size: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Return None: every frame can be a row."""
        return None

    def create(self, path: str, files: FileLayer) -> LibraryFile:
        """Begin a file."""
        return LibraryFile(_Rows(path, self._compression), path, files, _OVERHEAD)


class _Rows:
    """Rows of the table ``frames``."""

    def __init__(self, path: str, compression: str) -> None:
        self._sink = LiveHdf5Sink(path, [TableInfo.of_frames(0, 0)], compression)

    def write(self, batch: FrameBatch) -> None:
        self._sink.write(Table.from_frames(batch))

    def flush(self) -> None:
        self._sink.sync()

    def close(self) -> None:
        self._sink.close()

    def forsake(self) -> None:
        """Never touch the file again."""
        self._sink.forsake()
