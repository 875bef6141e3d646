"""Base of the tree devices that record: the one control surface of every format."""

from __future__ import annotations

import os
import time
from typing import Any

from sapwood.devices.polled import add_polled
from sapwood.tree import Device, LocalCommand, LocalVariable

__all__ = ["DataWriter"]


class DataWriter(Device):
    """Device that opens and closes a data file and shows its counters.

    A subclass overrides the hooks `_open`, `_close`, `_isOpen`, `_setBufferSize`,
    `_setMaxFileSize`, `_getCurrentSize`, `_getTotalSize`, `_getBandwidth`, `_getFrameCount`
    and, for another file name, `_genFileName`.

    Parameters
    ----------
    hidden
        Puts the device in the group `Hidden`.
    bufferSize, maxFileSize
        First values of the variables of that name (bytes), in force once the root has started.

    Attributes
    ----------
    fileEnding
        End of the names of new files.
    """

    fileEnding = ".dat"

    def __init__(
        self, *, hidden: bool = True, bufferSize: int = 0, maxFileSize: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(hidden=hidden, **kwargs)
        self.add(
            LocalVariable(
                name="DataFile",
                description="File that Open records into; a relative name is below the root's data folder",
                mode="RW",
                value="",
                fileName=True,
            )
        )
        self.add(LocalCommand(name="Open", description="Open the data file", function=self._open))
        self.add(LocalCommand(name="Close", description="Close the data file", function=self._close))
        self.add(
            LocalVariable(
                name="IsOpen",
                description="True while a file records",
                mode="RO",
                value=False,
                localGet=self._isOpen,
            )
        )
        self.add(
            LocalVariable(
                name="BufferSize",
                description="Bytes collected before they are given to the operating system, 0 = none",
                mode="RW",
                typeStr="UInt32",
                units="Bytes",
                value=bufferSize,
                localSet=self._setBufferSize,
            )
        )
        self.add(
            LocalVariable(
                name="MaxFileSize",
                description="Largest size of one file, larger runs are split; 0 = no limit",
                mode="RW",
                typeStr="UInt64",
                units="Bytes",
                value=maxFileSize,
                localSet=self._setMaxFileSize,
            )
        )
        self._add_counters()
        self.add(
            LocalCommand(
                name="AutoName",
                description="Name the data file after date and time, in its present folder",
                function=self._genFileName,
            )
        )

    def _add_counters(self) -> None:
        self._add_counter("CurrentSize", "Size of the present file", self._getCurrentSize, units="Bytes")
        self._add_counter("TotalSize", "Bytes recorded since Open", self._getTotalSize, units="Bytes")
        self._add_counter(
            "Bandwidth",
            "Rate of recording",
            self._getBandwidth,
            value=0.0,
            typeStr="Float64",
            units="Bytes/sec",
            disp="{:,.3f}",
        )
        self._add_counter("FrameCount", "Frames recorded since Open", self._getFrameCount)

    def _add_counter(self, name: str, description: str, getter: Any, **kwargs: Any) -> None:
        """Add a read-only variable that is polled and stays out of update records."""
        add_polled(self, name, description, getter, noUpdateRecord=True, **kwargs)

    def _refreshIsOpen(self) -> None:
        """Read IsOpen anew, so that its listeners learn of a change."""
        self.IsOpen.get()

    # Hooks; here they do nothing, and tell of nothing

    def _open(self) -> None:
        """Open the file that DataFile names."""

    def _close(self) -> None:
        """Close the file; without one nothing happens."""

    def _isOpen(self) -> bool:
        """Whether a file records."""
        return False

    def _setBufferSize(self, value: int) -> None:
        """Use a buffer of `value` bytes from now on."""

    def _setMaxFileSize(self, value: int) -> None:
        """Split files at `value` bytes from now on."""

    def _getCurrentSize(self) -> int:
        """Bytes in the present file."""
        return 0

    def _getTotalSize(self) -> int:
        """Bytes since Open."""
        return 0

    def _getBandwidth(self) -> float:
        """Bytes per second."""
        return 0.0

    def _getFrameCount(self) -> int:
        """Frames since Open."""
        return 0

    def _getReceivedCount(self) -> int:
        """Frames that came since Open, written or not: a run waits until it stands still."""
        return self._getFrameCount()

    def _genFileName(self) -> None:
        """Set DataFile to ``data_YYYYMMDD_HHMMSS`` (local time) and the ending, in its present folder.

        When a file of that name is there, ``_2``, ``_3`` and so on follow the time.
        """
        folder, slash, _ = self.DataFile.value().rpartition("/")
        stem = f"{folder}{slash}{time.strftime('data_%Y%m%d_%H%M%S')}"
        name, number = f"{stem}{self.fileEnding}", 1
        while self._isTaken(name):
            number += 1
            name = f"{stem}_{number}{self.fileEnding}"
        self.DataFile.set(name)

    def _isTaken(self, name: str) -> bool:
        """Tell whether a recording of that name is there, in one file or in parts."""
        path = name if self.root is None else str(self.root.dataPath(name))
        return os.path.lexists(path) or os.path.lexists(f"{path}.1")
