"""Tree-managed recorders of stream frames in other formats: ICF, AstroPix, HDF5 columns, PyMoDAQ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from sapwood.devices.recorderdevice import RecorderDevice
from sapwood.errors import DeviceError
from sapwood.fileio.batchrecorder import BatchRecorder
from sapwood.fileio.recording.channelwriter import ChannelWriter

if TYPE_CHECKING:
    from sapwood.fileio.apx.readout import AbstractAstroPixReadout
    from sapwood.fileio.recording.framefile import FrameFormat

__all__ = ["ApxWriter", "FormatWriter", "Hdf5Writer", "IcfWriter", "PymodaqWriter"]


class FormatWriter(RecorderDevice):
    """Records frames by any `FrameFormat`; see `RecorderDevice` for the nodes.

    One thread writes while a file is open; sources are held up only when its queue is full, and
    then not for long: see `sapwood.fileio.batchrecorder.BatchRecorder`.

    Parameters
    ----------
    format
        Makes the files.
    recorder
        Settings of `BatchRecorder`: ``queue_bytes``, ``patience_s``, ``period_s`` and so on.
    configStream
        As for `RecorderDevice`, for formats that keep the channels of frames.
    kwargs
        As for `RecorderDevice`.

    Raises
    ------
    DeviceError
        For `configStream` with a format whose files know no channels.
    """

    def __init__(
        self,
        format: FrameFormat,
        *,
        recorder: Mapping[str, Any] | None = None,
        configStream: Mapping[int, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if configStream and not format.keeps_channels:
            raise DeviceError(
                "Files of this format have no channels to keep configuration records apart",
                path=kwargs.get("name", type(self).__name__),
                hint="Use it without configStream",
            )
        self.fileEnding = format.endings[0]
        writer = ChannelWriter(BatchRecorder(format, **(recorder or {})))
        super().__init__(writer, configStream=configStream, **kwargs)

    def _configuration(self) -> str:
        """Return the settings of the tree as YAML, without reading the hardware."""
        return "" if self.root is None else str(self.root.getYaml(readFirst=False, modes=["RW", "WO"]))


class IcfWriter(FormatWriter):
    """Records frames as objects of SSDAQ's container files (ICF).

    Parameters
    ----------
    protocol
        0: each object behind its length and checksum; 1: bunches, which can be compressed.
    compressor
        Of protocol 1: None, ``bz2``, ``zlib`` or ``zstd``.
    bunchSize
        Of protocol 1: bytes of a bunch, about.
    typeCode
        What the objects are, see `IcfFrames`; None for objects of no known type.
    kwargs
        As for `FormatWriter`.
    """

    def __init__(
        self,
        *,
        protocol: int = 1,
        compressor: str | None = None,
        bunchSize: int = 1_000_000,
        typeCode: int | None = None,
        **kwargs: Any,
    ) -> None:
        from sapwood.fileio.icf.live import IcfFrames

        super().__init__(IcfFrames(protocol, compressor, bunchSize, typeCode), **kwargs)


class ApxWriter(FormatWriter):
    """Records frames as readouts of AstroPix files.

    Parameters
    ----------
    readoutClass
        Of the boards; None for AstroPix 4.
    header
        Content of the header; None for the settings of the tree when the file is opened, as YAML
        under the key ``configuration``.
    kwargs
        As for `FormatWriter`.
    """

    def __init__(
        self,
        *,
        readoutClass: type[AbstractAstroPixReadout] | None = None,
        header: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        from sapwood.fileio.apx.live import ApxFrames
        from sapwood.fileio.apx.readout import AstroPix4Readout

        self._frames = ApxFrames(readoutClass or AstroPix4Readout, header)
        self._fixedHeader = header is not None
        super().__init__(self._frames, **kwargs)

    def _open(self) -> None:
        if not self._fixedHeader:
            self._frames.content = {"configuration": self._configuration()}
        super()._open()


class Hdf5Writer(FormatWriter):
    """Records frames as the table ``frames`` of HDF5 files that others can follow (SWMR).

    Parameters
    ----------
    compression
        ``none``, ``gzip`` or ``lzf``.
    kwargs
        As for `FormatWriter`.
    """

    def __init__(self, *, compression: str = "none", **kwargs: Any) -> None:
        from sapwood.fileio.sinks.hdf5live import Hdf5Frames

        super().__init__(Hdf5Frames(compression), **kwargs)


class PymodaqWriter(FormatWriter):
    """Records frames as the growing data of a detector in PyMoDAQ files, over their time.

    The settings of the tree when the file is opened are kept beside the data, as ``Configuration``.

    Parameters
    ----------
    dtype
        Of the values in a frame.
    shape
        Of a frame: ``()`` a value, ``(n,)`` a curve, ``(m, n)`` an image; None: a curve as long as the
        first frame. Other frames are refused and counted ``invalid``.
    dataName, units
        Of the data.
    kwargs
        As for `FormatWriter`.
    """

    def __init__(
        self,
        *,
        dtype: DTypeLike = np.uint8,
        shape: tuple[int, ...] | None = None,
        dataName: str = "Frames",
        units: str = "",
        **kwargs: Any,
    ) -> None:
        from sapwood.fileio.pymodaq.live import PymodaqFrames

        self._frames = PymodaqFrames(dtype, shape, name=dataName, units=units)
        super().__init__(self._frames, **kwargs)

    def _open(self) -> None:
        self._frames.configuration = self._configuration()
        super()._open()
