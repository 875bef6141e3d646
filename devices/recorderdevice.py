"""Base of the tree devices around a writer with channels, whatever its format."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from typing import Any

from sapwood.devices.datawriter import DataWriter
from sapwood.devices.polled import POLL_S
from sapwood.errors import FileError, RecorderFault
from sapwood.fileio import FileLayer
from sapwood.fileio.recording.channelwriter import ChannelWriter
from sapwood.streams import Slave, StreamEnd
from sapwood.tree import LocalVariable, VariableValue

__all__ = ["RecorderDevice", "StateVariable"]

logger = logging.getLogger("sapwood.devices.RecorderDevice")


class StateVariable(LocalVariable):
    """Text of a recorder's state; a fault is an alarm."""

    def _alarmState(self, value: object) -> tuple[str, str]:
        return ("AlarmHiHi", "AlarmMajor") if str(value).startswith("Fault") else ("Good", "Good")


class RecorderDevice(StreamEnd, DataWriter):
    """Device around a `ChannelWriter`: operators open and close runs through it.

    Link sources to ``getChannel(n)``; ``source >> device`` links to channel 0. An existing file
    is refused while `Overwrite` is off. A failing disk shows in `State` (with an alarm) and
    `IsOpen`; the tree and the other sinks live on.

    Parameters
    ----------
    writer
        The writer to manage.
    configStream
        Channel -> source, mostly a `sapwood.devices.Variable`. Its ``streamYaml()`` is recorded
        at Open and at Close, what it sends between them as it comes.
    kwargs
        As for `DataWriter`.
    """

    def __init__(
        self, writer: ChannelWriter, *, configStream: Mapping[int, Any] | None = None, **kwargs: Any
    ) -> None:
        self._writer = writer
        self._configStream = dict(configStream or {})
        super().__init__(**kwargs)
        self._shownOpen = False
        self._add_status()
        for channel, source in self._configStream.items():
            source >> self._writer.configChannel(channel)

    def _add_status(self) -> None:
        frames = "Frames recorded since Open, configuration records left out"
        self._add_counter("DataFrameCount", frames, self._writer.getDataFrameCount)
        self._add_counter("DroppedCount", "Frames refused or lost since Open", self._getDroppedCount)
        self._add_counter("GapCount", "How often frames were lost upstream since Open", self._getGapCount)
        lost = "Frames lost upstream since Open, where their number is known"
        self._add_counter("LostCount", lost, self._getLostCount)
        room = {"units": "Bytes", "pollInterval": 5 * POLL_S}
        self._add_counter("FreeSpace", "Room left where the data file is", self._getFreeSpace, **room)
        self.add(
            StateVariable(
                name="State",
                description="Closed, Recording, or Fault with its reason",
                mode="RO",
                value="Closed",
                pollInterval=POLL_S,
                localGet=self._getState,
                noUpdateRecord=True,
            )
        )
        self.State.addListener(self._stateShown)
        self.add(
            LocalVariable(
                name="Overwrite",
                description="Open replaces an existing file instead of refusing it",
                mode="RW",
                value=False,
                localSet=lambda value: self._writer.setOverwrite(value),
            )
        )

    # Streams

    def getChannel(self, index: int) -> Slave:
        """Return the endpoint of file channel `index`; 0 keeps the channel of each frame."""
        return self._writer.getChannel(index)

    def _getStreamSlave(self) -> Slave:
        return self._writer.getChannel(0)

    def setDropErrors(self, drop: bool) -> None:
        """Leave frames with an error out of the file when `drop` is true."""
        self._writer.setDropErrors(drop)

    def _waitFrameCount(self, count: int, timeout_s: float = 0) -> bool:
        """Wait until `count` frames are written, at most `timeout_s` seconds (0 = for ever).

        Returns
        -------
        bool
            False when the time was over, or the file closed or failed before.
        """
        return self._writer.waitFrameCount(count, _microseconds(timeout_s))

    def _waitFrameChannelCount(self, chan: int, count: int, timeout_s: float = 0) -> bool:
        """Like `_waitFrameCount` for the frames that channel `chan` accepted."""
        return self._writer.getChannel(chan).waitFrameCount(count, _microseconds(timeout_s))

    # Hooks of DataWriter

    def _open(self) -> None:
        """Open the file, record the configuration; an error goes to the caller of the command."""
        try:
            self._writer.open(self._dataPath())
            self._recordConfig()
        finally:
            self._showState()

    def _close(self) -> None:
        """Record the configuration, close the file."""
        try:
            if self._isOpen():
                self._recordConfig()
        finally:
            try:
                self._writer.close()
            finally:
                self._showState()

    def _recordConfig(self) -> None:
        for source in self._configStream.values():
            source.streamYaml()

    def _dataPath(self) -> str:
        name = str(self.DataFile.value())
        if not name:
            raise FileError("No data file is named", path=self.path, hint="Set DataFile or call AutoName")
        return name if self.root is None else str(self.root.dataPath(name))

    def _showState(self) -> None:
        self._refreshIsOpen()
        self.State.get()
        counts = ("FrameCount", "DataFrameCount", "DroppedCount", "GapCount", "LostCount")
        for name in ("CurrentSize", "TotalSize", *counts):
            self.node(name).get()

    def _refreshIsOpen(self) -> None:
        self._shownOpen = self._isOpen()
        super()._refreshIsOpen()

    def _stateShown(self, path: str, value: VariableValue) -> None:
        """A poll found the state changed: show IsOpen as it is."""
        if self._shownOpen != self._isOpen():
            self._refreshIsOpen()

    def _isOpen(self) -> bool:
        return self._writer.isOpen()

    def _setBufferSize(self, value: int) -> None:
        self._writer.setBufferSize(value)

    def _setMaxFileSize(self, value: int) -> None:
        self._writer.setMaxSize(value)

    def _getCurrentSize(self) -> int:
        return self._writer.getCurrentSize()

    def _getTotalSize(self) -> int:
        return self._writer.getTotalSize()

    def _getBandwidth(self) -> float:
        return self._writer.getBandwidth()

    def _getFrameCount(self) -> int:
        return self._writer.getFrameCount()

    def _getReceivedCount(self) -> int:
        counters = self._writer.counters
        return counters.accepted.frames + sum(counters.dropped.values())

    # Status

    def _getState(self) -> str:
        fault = self._writer.fault
        return str(self._writer.state) if fault is None else f"Fault: {fault}"

    def _getDroppedCount(self) -> int:
        dropped = self._writer.counters.dropped
        return sum(count for reason, count in list(dropped.items()) if reason != "closed")

    def _getGapCount(self) -> int:
        return self._writer.counters.gaps

    def _getLostCount(self) -> int:
        return self._writer.counters.gap_frames

    def _getFreeSpace(self) -> int:
        name = str(self.DataFile.value())
        folder = os.path.dirname(name if self.root is None else str(self.root.dataPath(name)))
        try:
            return FileLayer().free(folder or os.curdir)
        except OSError:
            return 0

    def _stop(self) -> None:
        """Close the file properly; frames still queued have drained before this is called."""
        try:
            self._close()
        except RecorderFault as fault:
            logger.error("%s: %s", self.path, fault)  # the fault tells all
        super()._stop()


def _microseconds(seconds: float) -> int:
    if seconds < 0:
        raise ValueError(f"A time-out of {seconds} s is negative")
    return math.ceil(seconds * 1e6)
