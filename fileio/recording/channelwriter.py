"""The ends of a recorder: channels that sources are linked to, and the controls of its files."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from sapwood.fileio.recording.base import RecorderBase
from sapwood.fileio.recording.readings import RECORDING
from sapwood.fileio.recording.watermark import RecorderCounters
from sapwood.streams import Frame, FrameBatch, Gap, Slave

__all__ = ["ChannelWriter", "StreamWriterChannel"]

_MICROSECOND = 1e-6


def _in_range(value: int, bits: int, what: str) -> int:
    if not 0 <= value < 1 << bits:
        raise OverflowError(f"{what} {value} is outside 0..{(1 << bits) - 1}")
    return value


def _timeout_s(timeout_us: float) -> float | None:
    """Return a time-out of the peer's API in seconds; 0 is no time-out."""
    if timeout_us < 0:
        raise OverflowError(f"the time-out of {timeout_us} microseconds is negative")
    return timeout_us * _MICROSECOND if timeout_us else None


class StreamWriterChannel(Slave):
    """A stream slave whose frames go to a file; made by `ChannelWriter.getChannel`.

    Attributes
    ----------
    count
        Frames offered since the file was opened, whether they were recorded or not.
    forced
        Channel written to the file; 0 keeps that of each frame.
    config
        Frames are configuration: not counted as data, and written at once.
    dropErrors
        Frames with an error are not recorded.
    """

    def __init__(self, recorder: RecorderBase, forced: int, *, config: bool, dropErrors: bool) -> None:
        super().__init__()
        self.count = 0
        self.forced = forced
        self.config = config
        self.dropErrors = dropErrors
        self._recorder = recorder
        self._write_frame = recorder.write_frame
        recorder.attach(self)

    def _acceptFrame(self, frame: Frame) -> None:
        if self.dropErrors and frame.error:
            self._recorder.drop("error", 1, frame.size, self)
        else:
            self._write_frame(frame, self)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        if not batch.uniform_size:
            batch = self._without(batch, batch.size == 0, "empty")
        if self.dropErrors:
            batch = self._without(batch, batch.error != 0, "error")
        if len(batch):
            self._recorder.write_batch(batch, self)

    def _without(self, batch: FrameBatch, unwanted: NDArray[np.bool_], reason: str) -> FrameBatch:
        count = int(np.count_nonzero(unwanted))
        if not count:
            return batch
        self._recorder.drop(reason, count, int(batch.size[unwanted].sum()), self)
        return batch[~unwanted]

    def _acceptGap(self, gap: Gap) -> None:
        self._recorder.note_gap(gap)

    def _drain(self, deadline: float) -> bool:
        """Give what is staged to the system; `ChannelWriter.close` waits for the disk."""
        return self._recorder.drain(deadline)

    def getFrameCount(self) -> int:
        """Return the frames offered to this channel since the file was opened."""
        return self.count

    def setFrameCount(self, count: int) -> None:
        """Set the count that `getFrameCount` goes on from."""
        self.count = count

    def waitFrameCount(self, count: int, timeout_us: float = 0) -> bool:
        """Wait until `count` frames were offered here; see `ChannelWriter.waitFrameCount`."""
        return self._recorder.wait(count, _timeout_s(timeout_us), self)


class ChannelWriter:
    """Records the frames of its channels by any recorder.

    Frames are *accepted* (in memory), *written* (given to the operating system) and *durable*
    (synced). An existing file is not overwritten unless that is asked for.

    Parameters
    ----------
    recorder
        What writes the files.
    bufferSize
        Bytes staged in memory before they are written; 0 = none.
    maxSize
        Size limit of a file, bytes; 0 = none. With a limit the files are ``name.1``, ``name.2``, ...
    dropErrors
        Do not record frames whose error is not 0.
    overwrite
        Replace existing files of the name opened.

    Examples
    --------
    >>> from sapwood.fileio.batchrecorder import BatchRecorder
    >>> from sapwood.fileio.icf.live import IcfFrames
    >>> writer = ChannelWriter(BatchRecorder(IcfFrames()), maxSize=1 << 30)
    >>> source >> writer.getChannel(0)  # doctest: +SKIP
    >>> writer.open("run.sof")  # doctest: +SKIP
    """

    def __init__(
        self,
        recorder: RecorderBase,
        *,
        bufferSize: int = 0,
        maxSize: int = 0,
        dropErrors: bool = False,
        overwrite: bool = False,
    ) -> None:
        self._recorder = recorder
        self._dropErrors = dropErrors
        self._channels: dict[tuple[int, bool], StreamWriterChannel] = {}
        self.setBufferSize(bufferSize)
        self.setMaxSize(maxSize)
        self.setOverwrite(overwrite)

    # Files

    def open(self, path: str | os.PathLike[str]) -> None:
        """Begin recording to `path`; an open file is closed first. All counters start from 0.

        Raises
        ------
        RecordingExists
            When the file exists and overwriting is off.
        FileError
            When the file cannot be made.
        """
        self._recorder.open(path)

    def close(self) -> None:
        """Write and sync everything accepted, and close; does nothing when closed.

        Raises
        ------
        RecorderFault
            When that fails and nobody was told yet.
        """
        self._recorder.close()

    def abort(self) -> None:
        """Close without writing what is staged; those frames are counted ``aborted``."""
        self._recorder.abort()

    def flush(self) -> None:
        """Give everything staged to the operating system."""
        self._recorder.flush()

    def isOpen(self) -> bool:
        """Tell whether frames are recorded: False after a failure too."""
        return self._recorder.state == RECORDING

    @property
    def state(self) -> str:
        """``Closed``, ``Recording`` or ``Fault``."""
        return self._recorder.state

    @property
    def fault(self) -> str | None:
        """Why the writer is in Fault, else None."""
        return self._recorder.fault

    @property
    def currentFile(self) -> str | None:
        """The file being written or, in Fault, the one that failed; None when closed."""
        return self._recorder.path

    @property
    def counters(self) -> RecorderCounters:
        """What was done since the file was opened."""
        return self._recorder.counters

    @property
    def recorder(self) -> RecorderBase:
        """The recorder behind it."""
        return self._recorder

    # Settings

    def setBufferSize(self, size: int) -> None:
        """Set the bytes staged before writing, 0 = none; what is staged is written first."""
        self._recorder.buffer_size = _in_range(size, 32, "the buffer size")

    def setMaxSize(self, size: int) -> None:
        """Set the size limit of a file, bytes, 0 = none; in force from the next frame on."""
        self._recorder.max_size = _in_range(size, 64, "the file size limit")

    def setDropErrors(self, drop: bool) -> None:
        """Set whether frames with an error are left out."""
        self._dropErrors = bool(drop)
        for channel in self._channels.values():
            channel.dropErrors = self._dropErrors

    def setOverwrite(self, overwrite: bool) -> None:
        """Set whether `open` replaces existing files of that name."""
        self._recorder.overwrite = bool(overwrite)

    # Channels

    def getChannel(self, channel: int) -> StreamWriterChannel:
        """Return the endpoint that writes file channel `channel`, 0..255; 0 keeps that of each frame."""
        return self._endpoint(channel, config=False)

    def configChannel(self, channel: int) -> StreamWriterChannel:
        """Return an endpoint like `getChannel` whose frames are configuration, not data."""
        return self._endpoint(channel, config=True)

    def _endpoint(self, channel: int, *, config: bool) -> StreamWriterChannel:
        key = _in_range(channel, 8, "the channel"), config
        if key not in self._channels:
            made = StreamWriterChannel(self._recorder, channel, config=config, dropErrors=self._dropErrors)
            self._channels[key] = made
        return self._channels[key]

    # Counters

    def getTotalSize(self) -> int:
        """Return the bytes since `open`, over all files, staged ones included."""
        return self._recorder.total_size

    def getCurrentSize(self) -> int:
        """Return the bytes in the present file, staged ones included."""
        return self._recorder.current_size

    def getFrameCount(self) -> int:
        """Return the frames written since `open`, configuration included."""
        return self._recorder.written.frames

    def getDataFrameCount(self) -> int:
        """Return the frames written since `open`, without configuration."""
        return self._recorder.data_frames

    def getBandwidth(self) -> float:
        """Return the bytes written in the last second, per second; 0 when closed."""
        return self._recorder.bandwidth

    def waitFrameCount(self, count: int, timeout_us: float = 0) -> bool:
        """Write what is staged, then wait until `count` frames are written.

        Parameters
        ----------
        count
            Frames since `open`.
        timeout_us
            Longest wait, microseconds; 0 = no limit.

        Returns
        -------
        bool
            Whether the count is reached. False at the time-out, and at once when the writer is
            closed or fails.
        """
        return self._recorder.wait(count, _timeout_s(timeout_us))
