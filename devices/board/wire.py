"""The emulated front end on a network, as real firmware is: UDP, RSSI and packetizer."""

from __future__ import annotations

import time
from typing import Any

from sapwood.devices.board.allowance import Allowance, Overflow
from sapwood.devices.board.channel import Channel, Pattern
from sapwood.devices.board.firmware import FrontEndFirmware
from sapwood.devices.board.lanes import BatchLane, Exit, Lane, Responses
from sapwood.devices.board.watch import Watch
from sapwood.devices.board.wirefaults import WireFaults
from sapwood.devices.packetlink import PacketLink
from sapwood.errors import StreamError
from sapwood.memory import SrpV3Server
from sapwood.streams import Fifo, FrameBatch, Slave

__all__ = ["BATCH_DEST", "MESSAGE_DEST", "REGISTER_DEST", "FrontEndWire"]

REGISTER_DEST = 0
BATCH_DEST = 0x80
MESSAGE_DEST = 0x81
WIDTH_CODE = 2  # of super-frames of version 1: words of 8 bytes
QUEUE_BYTES = 16 << 20  # that a channel may be ahead of the network
REQUEST_BYTES = 64 << 10  # of register requests that wait before RSSI does
DRAIN_S = 1.0  # for what is under way when the board stops


class _Intake(Slave):
    """Takes what a channel sends and puts it on its way: into super-frames, or on a TDEST of its own."""

    def __init__(self, channel: Channel, allowance: Allowance, own: Slave, batcher: BatchLane | None) -> None:
        super().__init__()
        self._channel = channel
        self._allowance = allowance
        self._own = own
        self._batcher = batcher

    def _acceptBatch(self, batch: FrameBatch) -> None:
        admitted = self._allowance.admit(batch)
        if not len(admitted):
            return
        if self._batcher is None or self._channel.made is Pattern.Waveform:
            self._own._acceptBatch(admitted)
        else:
            self._batcher.collect(admitted)


class FrontEndWire:
    """Serves a `FrontEndFirmware` on UDP + RSSI + packetizer V2, to one client at a time.

    ========= ==================================================================================
    TDEST     What
    ========= ==================================================================================
    0         registers, by SRP V3
    n + 1     frames of channel n, one a frame
    0x80      with `batch`: super-frames of all channels but those that send waveforms, which stay
              on their own; sub-frames have the TDEST n + 1
    0x81      messages, see `sapwood.devices.board.messages`
    ========= ==================================================================================

    Datagrams are as large as the client's: 1472 bytes, or 8972 (jumbo). While a client is there,
    others are not answered. What a channel sends faster than the client takes it is dropped and
    counted in the channel's DropCount, or with ``block`` holds back all channels; registers wait
    for no more than 64 KiB of data. A client that takes nothing at all for `stall` seconds, though
    there is something for it, loses the link.

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
    batch
        Version of the super-frames, 1 or 2; 0 for none.
    policy
        For frames that a client does not take in time, ``drop_new`` or ``block``.
    stall
        Seconds; 0 = for ever.
    status
        Seconds between status messages; 0 = none.

    Attributes
    ----------
    faults
        Spoils datagrams and register accesses on demand.

    Raises
    ------
    StreamError
        For another version or policy.
    """

    def __init__(
        self,
        firmware: FrontEndFirmware,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        registers: Any = None,
        batch: int = 0,
        policy: Overflow = "drop_new",
        stall: float = 10.0,
        status: float = 10.0,
    ) -> None:
        if batch not in (0, 1, 2):
            raise StreamError("No such version of super-frames", expected="0, 1 or 2", seen=batch)
        self.firmware = firmware
        firmware.batcher = batch
        self.faults = WireFaults(firmware if registers is None else registers)
        taps = self.faults.inbound, self.faults.outbound
        self._link = PacketLink(port, host, jumbo=True, packVer=2, server=True, taps=taps, exclusive=True)
        self._exit = Exit(self._link.rssi.getOpen)
        self._watch = Watch(firmware, self._exit, self._break, stall=stall, status=status)
        self._dropped = 0
        self._allowances = [self._allowance(channel, policy) for channel in firmware.channels]
        self._serve_registers()
        self._queues: list[Fifo] = []
        firmware.messages >> self._link.packetizer.application(MESSAGE_DEST)
        batcher = self._serve_batches(batch) if batch else None
        for channel, allowance in zip(firmware.channels, self._allowances, strict=True):
            self._serve_channel(channel, allowance, batcher)

    # ------------------------------------------------------------ what is linked to what

    def _allowance(self, channel: Channel, policy: Overflow) -> Allowance:
        def lose(count: int) -> None:
            channel.lose(count)
            self._dropped += count

        return Allowance(QUEUE_BYTES, policy, lose)

    def _serve_registers(self) -> None:
        end = self._link.packetizer.application(REGISTER_DEST, maxBytes=REQUEST_BYTES)
        self._registers = SrpV3Server(self.faults.registers)
        end >> self.faults.requests >> self._registers >> Responses(self._exit) >> end

    def _serve_batches(self, version: int) -> BatchLane:
        lane = BatchLane(self._exit, version, WIDTH_CODE, self._allowances)
        queue = Fifo(policy="block", maxBytes=QUEUE_BYTES * len(self._allowances))
        queue >> lane >> self._link.packetizer.application(BATCH_DEST)
        self.firmware.passed.append(lambda: lane.flush(queue))
        self._queues.append(queue)
        return lane

    def _serve_channel(self, channel: Channel, allowance: Allowance, batcher: BatchLane | None) -> None:
        queue = Fifo(policy="block", maxBytes=QUEUE_BYTES)
        queue >> Lane(self._exit, allowance) >> self._link.packetizer.application(channel.number + 1)
        channel.master >> _Intake(channel, allowance, queue, batcher)
        self._queues.append(queue)

    # ------------------------------------------------------------ state

    @property
    def port(self) -> int:
        """The UDP port; 0 before a free one was taken."""
        return self._link.port

    @property
    def isOpen(self) -> bool:
        """Whether a client is connected."""
        return self._link.rssi.getOpen()

    @property
    def client(self) -> str:
        """``HOST:PORT`` of the client; an empty text without one."""
        return self._link.peer

    @property
    def dropped(self) -> int:
        """Frames that the channels made and the board did not send; no register zeroes it."""
        return self._dropped

    @property
    def stalls(self) -> int:
        """How often a client that took nothing lost the link."""
        return self._watch.stalls

    # ------------------------------------------------------------ life

    def _break(self) -> None:
        """Close the link, and wait for a client again."""
        self._link.rssi.abort()
        self._link.rssi._start()

    def _start(self) -> None:
        """Serve; StreamError when the port is taken."""
        self.faults._start()
        self._link._start()
        self._registers._start()
        for queue in self._queues:
            queue._start()
        for allowance in self._allowances:
            allowance.open()
        self.firmware._start()
        self._watch._start()

    def _stop(self) -> None:
        """Stop the channels, let the client take what is under way (for 1 s at most), close the link."""
        deadline = time.monotonic() + DRAIN_S
        self._watch._stop()
        self.firmware._quiesce(deadline)
        for queue in (self.firmware.messages, *self._queues):
            queue._drain(deadline)
        for allowance in self._allowances:
            allowance.close()
        self.firmware._stop()
        self._registers._drain(deadline)
        self.faults.requests._stop()
        self._link._stop()
        self.faults._stop()
        for stage in (self._registers, *self._queues):
            stage._stop()
