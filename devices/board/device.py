"""The front-end board as a device of the tree, over the emulated firmware or any other bus."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from sapwood.devices.board.channel import LARGEST, Pattern
from sapwood.devices.board.firmware import BUILD_STAMP_BYTES, CHANNEL_STRIDE, FrontEndFirmware
from sapwood.devices.board.messagelog import FrontEndMessages
from sapwood.devices.polled import POLL_S
from sapwood.errors import BusError, DeviceError
from sapwood.streams import Master, StreamEnd
from sapwood.tree import Bool, Device, LinkVariable, RemoteCommand, RemoteVariable, String

__all__ = ["FrontEndBoard", "FrontEndChannel"]

logger = logging.getLogger("sapwood.devices.FrontEndBoard")


def _add_register(device: Device, name: str, offset: int, mode: str, description: str, **kwargs: Any) -> None:
    """Add a register of 32 bits, unless `kwargs` say otherwise, to `device`."""
    options = {"bitSize": 32, **kwargs}
    device.add(RemoteVariable(name=name, offset=offset, mode=mode, description=description, **options))


class FrontEndChannel(StreamEnd, Device):
    """One virtual channel of a front end: what it sends, and how much it has sent.

    Parameters
    ----------
    stream
        Stream master (or what offers one) that sends the channel's frames; None when there is
        none in this process.
    """

    def __init__(self, *, stream: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._stream = stream
        _add_register(self, "Enable", 0x00, "RW", "Send while the board runs", bitSize=1, base=Bool)
        self._add_setting("Rate", 0x04, "Frames a second, 0 = as fast as the sink takes them", "Hz")
        self._add_setting("Size", 0x08, "Bytes a frame, rounded down to whole words of the pattern", "Bytes")
        patterns = {int(pattern): pattern.name for pattern in Pattern}
        _add_register(self, "Pattern", 0x0C, "RW", "What the frames hold", bitSize=2, enum=patterns)
        self._add_setting("Amplitude", 0x10, "Height of the waveform's pulses", "ADC")
        self._add_setting("Noise", 0x14, "Standard deviation of the waveform's noise", "ADC")
        self._add_setting("Period", 0x18, "Distance of the waveform's pulses, 0 = one a frame", "Samples")
        self._add_counter("FrameSize", 0x1C, 32, "Bytes a frame really has", units="Bytes")
        self._add_counter("FrameCount", 0x20, 64, "Frames sent")
        self._add_counter("ByteCount", 0x28, 64, "Bytes sent", units="Bytes")
        self._add_counter("SkipCount", 0x30, 64, "Frames not made because the sink was too slow")
        self._add_counter("ErrorCount", 0x38, 32, "Frames that a sink refused")
        self._add_counter("DropCount", 0x3C, 32, "Frames made that did not leave the board")

    def _add_setting(self, name: str, offset: int, description: str, units: str) -> None:
        limits = {"minimum": 0, "maximum": LARGEST[name.lower()]}
        _add_register(self, name, offset, "RW", description, disp="{:d}", units=units, **limits)

    def _add_counter(self, name: str, offset: int, bits: int, description: str, **kwargs: Any) -> None:
        options = {"bitSize": bits, "disp": "{:d}", "pollInterval": POLL_S, **kwargs}
        _add_register(self, name, offset, "RO", description, **options)

    def _getStreamMaster(self) -> Master:
        if self._stream is None:
            raise DeviceError("This channel has no stream in this process", path=self.path)
        master: Master = self._stream._getStreamMaster()
        return master


class FrontEndBoard(Device):
    """Front-end board: version and scratch registers, run control, channels ``Ch[0]`` and on.

    Parameters
    ----------
    memBase
        Bus to the board's registers; None uses `firmware`.
    firmware
        Emulated board, started and stopped with the tree; None makes one when `memBase` is None.
    channels
        Number of virtual channels, of a board without `firmware` here.
    streams
        Stream end of each channel, for a board reached over `memBase`; with a firmware its own.
    messages
        Stream end of the board's messages; with a firmware its own. They go to the device
        ``Messages``, which is there when they are.
    """

    runSwitch = "Run"

    def __init__(
        self,
        *,
        memBase: Any = None,
        firmware: FrontEndFirmware | None = None,
        channels: int = 4,
        streams: Sequence[Any] | None = None,
        messages: Any = None,
        **kwargs: Any,
    ) -> None:
        if firmware is None and memBase is None:
            firmware = FrontEndFirmware(channels)
        if firmware is not None:
            channels = len(firmware.channels)
            memBase = firmware if memBase is None else memBase
            streams = streams or [firmware.channel(number) for number in range(channels)]
            messages = firmware.messages if messages is None else messages
        ends: list[Any] = list(streams or ())
        ends += [None] * (channels - len(ends))
        super().__init__(memBase=memBase, **kwargs)
        self.firmware = firmware
        self._add_registers()
        for number in range(channels):
            offset = CHANNEL_STRIDE * (number + 1)
            self.add(FrontEndChannel(name=f"Ch[{number}]", offset=offset, stream=ends[number]))
        if messages is not None:
            about = "What the board tells by itself"
            self.add(FrontEndMessages(name="Messages", description=about, stream=messages))
        if firmware is not None:
            self.addInterface(firmware)

    def _add_registers(self) -> None:
        _add_register(self, "FpgaVersion", 0x000, "RO", "Firmware version, 0xMMmmpppp")
        self.add(
            LinkVariable(
                name="Version",
                description="Firmware version, decoded",
                mode="RO",
                typeStr="str",
                dependencies=[self.FpgaVersion],
                linkedGet=lambda read: _decode_version(self.FpgaVersion.get(read=read)),
            )
        )
        _add_register(self, "ScratchPad", 0x004, "RW", "Any word: for tests of the bus")
        up = {"disp": "{:d}", "units": "s", "pollInterval": POLL_S}
        _add_register(self, "UpTime", 0x008, "RO", "Time since the firmware started", **up)
        _add_register(self, "Channels", 0x00C, "RO", "Number of virtual channels", disp="{:d}")
        _add_register(self, "Run", 0x010, "RW", "Let enabled channels send", bitSize=1, base=Bool)
        self.add(
            RemoteCommand(
                name="CountReset",
                description="Zero the counters of all channels",
                offset=0x014,
                bitSize=32,
                function=RemoteCommand.touchOne,
            )
        )
        _add_register(self, "DeviceDna", 0x018, "RO", "Identity of the device", bitSize=64)
        stamp = {"bitSize": 8 * BUILD_STAMP_BYTES, "base": String}
        versions = {0: "None", 1: "V1", 2: "V2"}
        _add_register(self, "Batcher", 0x020, "RO", "Super-frames that channels send in", enum=versions)
        _add_register(self, "BuildStamp", 0x040, "RO", "What was built", **stamp)

    def application(self, number: int) -> Master:
        """Stream master of virtual channel `number`, as ``Ch[number]`` offers it."""
        node = self.node(f"Ch[{number}]")
        if not isinstance(node, FrontEndChannel):
            raise DeviceError(f"The board has no channel {number}", path=self.path, seen=number)
        return node._getStreamMaster()

    def countReset(self) -> None:
        """Zero the counters of all channels."""
        self.CountReset()
        super().countReset()

    def hardReset(self) -> None:
        """Stop sending and zero the counters."""
        self.Run.set(False)
        self.countReset()
        super().hardReset()

    def _start(self) -> None:
        """Start the firmware, if it is ours, and read every register once."""
        super()._start()
        try:
            self.readAndWaitBlocks()
        except BusError as error:
            logger.warning("%s does not answer: %s", self.path, error)


def _decode_version(word: int) -> str:
    return f"{word >> 24}.{word >> 16 & 0xFF}.{word & 0xFFFF}"
