"""Tree-managed recorder of stream frames in the Rogue file format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sapwood.devices.recorderdevice import RecorderDevice
from sapwood.errors import DeviceError
from sapwood.fileio import StreamWriter as FileStreamWriter

__all__ = ["StreamWriter"]


class StreamWriter(RecorderDevice):
    """Device around a `sapwood.fileio.StreamWriter`: operators open and close runs through it.

    Link sources to ``getChannel(n)``; ``source >> device`` links to channel 0. An existing file
    is refused while `Overwrite` is off. A failing disk shows in `State` (with an alarm) and
    `IsOpen`; the tree and the other sinks live on.

    Parameters
    ----------
    configStream
        Channel -> source, mostly a `sapwood.devices.Variable`. Its ``streamYaml()`` is recorded
        at Open and at Close, what it sends between them as it comes.
    writer
        The writer to manage; None makes one.
    rawMode
        Write payloads only, without headers; not together with `configStream`.
    kwargs
        As for `DataWriter`.

    Raises
    ------
    DeviceError
        For `rawMode` with `configStream`.
    """

    def __init__(
        self,
        *,
        configStream: Mapping[int, Any] | None = None,
        writer: FileStreamWriter | None = None,
        rawMode: bool = False,
        **kwargs: Any,
    ) -> None:
        if rawMode and configStream:
            raise DeviceError(
                "A raw recording has no channels to keep configuration records apart",
                path=kwargs.get("name", "StreamWriter"),
                hint="Use rawMode without configStream",
            )
        writer = FileStreamWriter() if writer is None else writer
        super().__init__(writer, configStream=configStream, **kwargs)
        writer.setRaw(rawMode)
