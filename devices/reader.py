"""Tree-managed player of recorded stream frames."""

from __future__ import annotations

from typing import Any

from sapwood.devices.polled import add_polled
from sapwood.fileio import StreamReader as FileStreamReader
from sapwood.streams import Master, StreamEnd, drain
from sapwood.tree import Device, LocalCommand, LocalVariable

__all__ = ["StreamReader"]


class StreamReader(StreamEnd, Device):
    """Device around a `sapwood.fileio.StreamReader`: plays a file into the slaves linked to it.

    Open starts a thread that sends the frames of `DataFile` in order; a name that ends in
    ``.1`` goes on with ``.2``, ``.3`` and so on. `isOpen` turns False at the end of the data.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._reader = FileStreamReader()
        self.add(
            LocalVariable(
                name="DataFile",
                description="File to play; a relative name is below the root's data folder",
                mode="RW",
                value="",
                fileName=True,
            )
        )
        self.add(LocalCommand(name="Open", description="Start to play the data file", function=self._open))
        self.add(LocalCommand(name="Close", description="Stop playing", function=self._close))
        self._add_status()

    def _add_status(self) -> None:
        reader = self._reader
        add_polled(self, "isOpen", "True while the file plays", reader.isOpen, value=False)
        add_polled(self, "FrameCount", "Frames sent since Open", reader.getFrameCount)
        sent = "Part of the data sent, 0 to 1"
        add_polled(self, "Progress", sent, reader.getProgress, value=0.0, typeStr="Float64", disp="{:1.2f}")
        last = "What the file or a sink failed with last, empty when nothing did"
        add_polled(self, "LastError", last, lambda: reader.lastError, value="")

    def _getStreamMaster(self) -> Master:
        return self._reader

    def _open(self) -> None:
        name = str(self.DataFile.value())
        try:
            self._reader.open(name if self.root is None else str(self.root.dataPath(name)))
        finally:
            self._show()

    def _close(self) -> None:
        self._reader.close()
        self._show()

    def closeWait(self) -> None:
        """Wait until all data are sent, then close; returns at once when nothing plays."""
        self._reader.closeWait()
        self._show()

    def _show(self) -> None:
        self.isOpen.get()
        self.FrameCount.get()
        self.Progress.get()

    def _quiesce(self, deadline: float) -> None:
        """Stop playing."""
        self._reader.close()
        super()._quiesce(deadline)

    def _runDry(self, deadline: float) -> None:
        """Let what was sent drain downstream."""
        if not drain(self._reader, deadline):
            self._log.warning("Frames are still in queues after the time to quiesce: a sink is too slow")
        super()._runDry(deadline)

    def _stop(self) -> None:
        """Stop playing."""
        self._reader.close()
        super()._stop()
