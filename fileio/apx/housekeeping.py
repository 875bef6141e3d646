"""Housekeeping packets of A-STEP: voltages, currents, temperatures and the state of the layers."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from sapwood.fileio.apx.errors import ApxError

__all__ = ["PACKET_BYTES", "Housekeeping", "LayerCount", "find_housekeeping"]

_TIME = struct.Struct("<dI")
_ADC = struct.Struct(">8H")
_FPGA = struct.Struct("<3H3HH")
_LAYER = struct.Struct("<IBB")
_ADC_MARK, _FPGA_MARK = b"\x10\x10", b"\x0c\x0c"
_FOUND = re.compile(rb"(?s)(?=\x10\x10.{16}\x0c\x0c)")
_VOLT = 3.3 / 4096

PACKET_BYTES = 65


@dataclass(frozen=True, slots=True)
class LayerCount:
    """Counters of one layer."""

    frames: int
    idle: int
    wrong_length: int


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """One packet.

    Parameters
    ----------
    time
        Seconds since 1970.
    fpga_ts
        Counter of the FPGA.
    secondary_voltage, hv_monitor
        V.
    layer_temperature, layer_current
        Layers 0, 1, 2: ADC volts, and A.
    fpga_temperature, fpga_voltage
        Degrees C and V, means of three readings.
    buffer_bytes
        Fill of the buffer.
    layers
        Counters of the two layers.
    status
        Three bytes.
    hv_temperature
        Degrees C.
    """

    time: float
    fpga_ts: int
    secondary_voltage: float
    layer_temperature: tuple[float, float, float]
    layer_current: tuple[float, float, float]
    hv_monitor: float
    fpga_temperature: float
    fpga_voltage: float
    buffer_bytes: int
    layers: tuple[tuple[int, LayerCount], tuple[int, LayerCount]]
    status: bytes
    hv_temperature: float

    @classmethod
    def from_bytes(cls, data: bytes) -> Housekeeping:
        """Return the packet of exactly these 65 bytes.

        Raises
        ------
        ApxError
            When they are none.
        """
        if len(data) != PACKET_BYTES or data[12:14] != _ADC_MARK or data[30:32] != _FPGA_MARK:
            seen = f"{len(data)} bytes, marks {data[12:14].hex()} and {data[30:32].hex()}"
            raise ApxError(
                "This is no housekeeping packet", expected="65 bytes, marks 1010 and 0c0c", seen=seen
            )
        time, fpga_ts = _TIME.unpack_from(data)
        volts = [value * _VOLT for value in _ADC.unpack_from(data, 14)]
        *readings, buffer_bytes = _FPGA.unpack_from(data, 32)
        warm = [(value >> 4) * 503.975 / 4096 - 273.15 for value in readings[:3]]
        core = [(value >> 4) * 3 / 4096 for value in readings[3:]]
        ids = data[46], data[53]
        counts = [LayerCount(*_LAYER.unpack_from(data, at)) for at in (47, 54)]
        (hv,) = struct.unpack_from("<H", data, 63)
        return cls(
            time=time,
            fpga_ts=fpga_ts,
            secondary_voltage=2 * volts[0],
            layer_temperature=(volts[3], volts[2], volts[1]),
            layer_current=(volts[4] / 10, volts[5] / 10, volts[6] / 10),
            hv_monitor=volts[7] / 0.0125,
            fpga_temperature=sum(warm) / 3,
            fpga_voltage=sum(core) / 3,
            buffer_bytes=buffer_bytes,
            layers=((ids[0], counts[0]), (ids[1], counts[1])),
            status=data[60:63],
            hv_temperature=hv * 1.8 / 4096 / 0.002 - 273,
        )


def find_housekeeping(data: bytes) -> Iterator[tuple[int, Housekeeping]]:
    """Yield place and content of each housekeeping packet in a stream; cut ones are left out."""
    behind = 0
    for found in _FOUND.finditer(data):
        begin = found.start() - 12
        if begin >= behind and begin + PACKET_BYTES <= len(data):
            behind = begin + PACKET_BYTES
            yield begin, Housekeeping.from_bytes(data[begin:behind])
