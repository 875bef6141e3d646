"""Device that takes the frames of a stream into the tree."""

from __future__ import annotations

from typing import Any

import numpy as np

from sapwood.devices.polled import POLL_S
from sapwood.streams import Frame, FrameBatch, Slave, StreamEnd
from sapwood.tree import Device, LocalVariable

__all__ = ["DataReceiver"]


class _Inlet(Slave):
    """The stream end of a receiver."""

    def __init__(self, receiver: DataReceiver) -> None:
        super().__init__()
        self._receiver = receiver

    def _acceptFrame(self, frame: Frame) -> None:
        self._receiver._acceptFrame(frame)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self._receiver._acceptBatch(batch)


class DataReceiver(StreamEnd, Device):
    """Shows the newest frame of a stream as the variable ``Data``; subclasses override `process`.

    Frames count while the tree runs and ``RxEnable`` is set; those with an error are counted and
    dropped.

    Parameters
    ----------
    typeStr
        Type of ``Data`` as shown to clients.
    hideData
        Put ``Data`` into the group ``Hidden``.
    value
        First value of ``Data``; None for one byte.
    enableOnStart
        Value of ``RxEnable`` when the tree has started.
    kwargs
        As for `Device`.
    """

    def __init__(
        self,
        *,
        typeStr: str = "UInt8[np]",
        hideData: bool = True,
        value: Any = None,
        enableOnStart: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._enableOnStart = enableOnStart
        self._inlet = _Inlet(self)
        self.add(LocalVariable(name="RxEnable", value=True, description="Take frames"))
        self._add_counter("FrameCount", "Frames taken")
        self._add_counter("ErrorCount", "Frames dropped because of their error")
        self._add_counter("ByteCount", "Bytes of the frames taken", typeStr="UInt64", units="Bytes")
        self.add(LocalVariable(name="Updated", value=False, description="Set when Data is new"))
        self.add(
            LocalVariable(
                name="Data",
                value=np.zeros(1, np.uint8) if value is None else value,
                typeStr=typeStr,
                typeCheck=False,
                disp="",
                hidden=hideData,
                groups=["NoState", "NoStream", "NoConfig"],
                description="What the newest frame holds",
            )
        )

    def _add_counter(self, name: str, description: str, **kwargs: Any) -> None:
        options = {"typeStr": "UInt32", **kwargs}
        self.add(
            LocalVariable(
                name=name, value=0, mode="RO", pollInterval=POLL_S, description=description, **options
            )
        )

    def _getStreamSlave(self) -> Slave:
        return self._inlet

    def _count(self, name: str, amount: int) -> None:
        """Add to a counter, which is published when it is polled."""
        counter = self.node(name)
        with counter.lock:
            counter.set(counter.value() + amount, write=False)

    def _taking(self) -> bool:
        return self.running and bool(self.RxEnable.value())

    def _acceptFrame(self, frame: Frame) -> None:
        if not self._taking():
            return
        if frame.error:
            self._count("ErrorCount", 1)
            return
        self._count("FrameCount", 1)
        self._count("ByteCount", frame.size)
        with frame.lock():
            self.process(frame)

    def _acceptBatch(self, batch: FrameBatch) -> None:
        if not self._taking():
            return
        good = batch[batch.error == 0]
        if len(good) < len(batch):
            self._count("ErrorCount", len(batch) - len(good))
        if not len(good):
            return
        self._count("FrameCount", len(good))
        self._count("ByteCount", good.nbytes)
        if type(self).process is DataReceiver.process:
            good = good[len(good) - 1 :]  # nobody would see the frames before
        with self.root.updateGroup():
            for frame in good.frames():
                with frame.lock():
                    self.process(frame)

    def process(self, frame: Frame) -> None:
        """Take one frame, locked: a copy of its payload (uint8) becomes ``Data``, then ``Updated`` is set."""
        self.Data.set(frame.getNumpy())
        self.Updated.set(True)

    def countReset(self) -> None:
        """Zero the counters."""
        for name in ("FrameCount", "ErrorCount", "ByteCount"):
            self.node(name).set(0)
        super().countReset()

    def _start(self) -> None:
        """Take frames from now on, if so wanted."""
        super()._start()
        self.RxEnable.set(self._enableOnStart)

    def _stop(self) -> None:
        """Take no more frames."""
        self.RxEnable.set(False)
        super()._stop()
