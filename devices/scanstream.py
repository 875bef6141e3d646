"""ScanStream: the end of a stream that gives a scan some frames at each point."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sapwood.errors import DeviceError, StreamError
from sapwood.streams import Frame, FrameBatch, Slave

__all__ = ["ScanStream"]

LOOK_S = 0.1  # how often a wait looks whether the scan was stopped


class ScanStream(Slave):
    """Keeps the frames that come while a point of a scan is taken.

    Parameters
    ----------
    name
        Of the data in the file.
    frames
        Frames of each point, all of one size.
    dtype
        Of the values in a frame.
    shape
        Of one frame; 1-D without it.
    reduce
        ``mean`` of the frames, the ``sum``, the ``last`` one, or ``all`` (one more dimension).
    units
        Of the values.
    timeout_s
        Longest wait for the frames of a point.

    Raises
    ------
    DeviceError
        `frames` is not positive, or `reduce` unknown.
    """

    def __init__(
        self,
        name: str,
        frames: int = 1,
        dtype: DTypeLike = np.uint8,
        shape: tuple[int, ...] | None = None,
        reduce: str = "last",
        units: str = "",
        timeout_s: float = 10.0,
    ) -> None:
        super().__init__()
        if frames < 1 or reduce not in ("mean", "sum", "last", "all"):
            raise DeviceError("A scan's stream needs frames and a way to reduce them", seen=(frames, reduce))
        self.name = name
        self.units = units
        self._frames = int(frames)
        self._dtype = np.dtype(dtype)
        self._shape = shape
        self._reduce = reduce
        self._timeout_s = timeout_s
        self._arrived = threading.Condition()
        self._kept: list[bytes] = []
        self._armed = False

    def _acceptFrame(self, frame: Frame) -> None:
        super()._acceptFrame(frame)
        if self._armed:
            self._keep([bytes(frame.payload)])

    def _acceptBatch(self, batch: FrameBatch) -> None:
        super()._acceptBatch(batch)
        if self._armed:
            self._keep([bytes(frame.payload) for frame in batch[: self._frames].frames()])

    def _keep(self, payloads: list[bytes]) -> None:
        with self._arrived:
            if self._armed:
                self._kept += payloads
                self._armed = len(self._kept) < self._frames
                self._arrived.notify_all()

    def arm(self) -> None:
        """Keep the frames that come from now on."""
        with self._arrived:
            self._kept, self._armed = [], True

    def disarm(self) -> None:
        """Keep no more frames."""
        with self._arrived:
            self._armed = False

    def take(self, stop: threading.Event) -> NDArray[Any]:
        """Wait for the frames of the point; return them reduced.

        Raises
        ------
        StreamError
            They did not come in time, do not hold values of this type and shape, or `stop` was set.
        """
        left = self._timeout_s
        with self._arrived:
            while len(self._kept) < self._frames:
                if left <= 0 or stop.is_set():
                    self._armed = False
                    raise StreamError(
                        f"Too few frames of {self.name!r} came",
                        expected=self._frames,
                        seen=len(self._kept),
                        waited_s=self._timeout_s - left,
                    )
                self._arrived.wait(min(left, LOOK_S))
                left -= LOOK_S
            kept = self._kept[: self._frames]
        return self._reduced(kept)

    def _reduced(self, payloads: list[bytes]) -> NDArray[Any]:
        try:
            values = np.stack([np.frombuffer(payload, self._dtype) for payload in payloads])
            if self._shape is not None:
                values = values.reshape(len(values), *self._shape)
        except ValueError as error:
            raise StreamError(
                f"Frames of {self.name!r} do not hold what is expected of them",
                expected=f"{self._dtype} of shape {self._shape or 'one size'}",
                seen=[len(payload) for payload in payloads][:4],
            ) from error
        if self._reduce == "mean":
            return np.asarray(values.mean(axis=0))
        if self._reduce == "sum":
            return np.asarray(values.sum(axis=0))
        return values[-1] if self._reduce == "last" else values
