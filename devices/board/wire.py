"""The emulated front end on a network, as real firmware is: UDP, RSSI and packetizer."""

from __future__ import annotations

import threading
import time
from typing import Any

from sapwood.devices.board.firmware import FrontEndFirmware
from sapwood.devices.packetlink import PacketLink
from sapwood.memory import SrpV3Server
from sapwood.streams import Fifo, Frame, FrameBatch, Master, Slave

__all__ = ["FrontEndWire"]

QUEUE_BYTES = 16 << 20  # that a channel may be ahead of the network
PIECE_BYTES = 64 << 10  # of data that a register response may have to wait for
DRAIN_S = 1.0  # for what is under way when the board stops


class _Responses(Master, Slave):
    """Passes register responses on; `calm` is set while none waits to be sent."""

    def __init__(self) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self.calm = threading.Event()
        self.calm.set()

    def _acceptFrame(self, frame: Frame) -> None:
        self.calm.clear()
        try:
            self._sendFrame(frame)
        finally:
            self.calm.set()

    def _acceptBatch(self, batch: FrameBatch) -> None:
        self.calm.clear()
        try:
            self._sendBatch(batch)
        finally:
            self.calm.set()


class _Lane(Master, Slave):
    """Passes data on in pieces, one lane at a time, letting register responses go first."""

    def __init__(self, turn: threading.Lock, calm: threading.Event) -> None:
        Master.__init__(self)
        Slave.__init__(self)
        self._turn = turn
        self._calm = calm

    def _acceptBatch(self, batch: FrameBatch) -> None:
        step = max(1, PIECE_BYTES * len(batch) // max(1, batch.nbytes))
        for first in range(0, len(batch), step):
            with self._turn:
                self._calm.wait()
                self._sendBatch(batch[first : first + step])


class FrontEndWire:
    """Serves a `FrontEndFirmware` on UDP + RSSI + packetizer V2, to one client at a time.

    Registers are reached by SRP V3 on TDEST 0; channel n sends on TDEST n + 1. What a channel sends
    faster than the client takes it is dropped, as hardware would, and counted; registers do not
    wait for data. Datagrams are as large as the client's: 1472 bytes, or 8972 (jumbo).

    Parameters
    ----------
    firmware
        Starts and stops together with the network.
    port
        UDP port; 0 takes a free one, which `port` tells from the start on.
    host
        Address of the interface to serve at.
    registers
        What answers register accesses in the place of the firmware, such as its `RegisterFaults`.
    """

    def __init__(
        self, firmware: FrontEndFirmware, port: int = 0, host: str = "127.0.0.1", *, registers: Any = None
    ) -> None:
        self.firmware = firmware
        self._link = PacketLink(port, host, jumbo=True, packVer=2, server=True)
        packets = self._link.packetizer
        self._registers = SrpV3Server(firmware if registers is None else registers)
        responses, turn = _Responses(), threading.Lock()
        packets.application(0) >> self._registers >> responses >> packets.application(0)
        self._queues = [Fifo(policy="drop_new", maxBytes=QUEUE_BYTES) for _ in firmware.channels]
        for number, queue in enumerate(self._queues):
            (
                firmware.channel(number)
                >> queue
                >> _Lane(turn, responses.calm)
                >> packets.application(number + 1)
            )

    @property
    def port(self) -> int:
        """The UDP port; 0 before a free one was taken."""
        return self._link.port

    @property
    def isOpen(self) -> bool:
        """Whether a client is connected."""
        return self._link.rssi.getOpen()

    @property
    def dropped(self) -> int:
        """Frames that the channels made faster than the network took them."""
        return sum(queue.counters.dropped_total for queue in self._queues)

    def _start(self) -> None:
        """Serve; StreamError when the port is taken."""
        self._link._start()
        self._registers._start()
        for queue in self._queues:
            queue._start()
        self.firmware._start()

    def _stop(self) -> None:
        """Stop the channels, let the client take what is under way (for 1 s at most), close the link."""
        deadline = time.monotonic() + DRAIN_S
        self.firmware._quiesce(deadline)
        self.firmware._runDry(deadline)
        self.firmware._stop()
        self._registers._drain(deadline)
        self._link._stop()
        for stage in (self._registers, *self._queues):
            stage._stop()
