"""Trigger packets of the camera: patterns of 512 superpixels, as sent by UDP and kept in files."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from sapwood.errors import FormatError

__all__ = [
    "SUPERPIXELS",
    "BusyTriggerPacketV1",
    "NominalTriggerPacketV1",
    "PacketHead",
    "TriggerPacket",
    "TriggerPacketV2",
    "TriggerPacketV3",
    "read_head",
]

SUPERPIXELS = 512
MAGIC = 0xCAFE
_HEAD = struct.Struct("<HB")
_V1 = struct.Struct("<HBBQB")  # magic, type, constant, TACK, phase
_V1_TAIL = struct.Struct("<3IH")  # readouts, PPS, clock, source
_V1_BINS = 16
_V1_CONSTANT = 22
_V2 = struct.Struct("<HB2BHBQB3I")  # magic, type, message, errors, source, bins / 8, TACK, phase, counters
_UNION_BYTES = SUPERPIXELS // 8
_REVERSED = {1 << bit: 0x80 >> bit for bit in range(8)}  # both ways

Bits = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PacketHead:
    """What stands in a packet beside its patterns.

    Parameters
    ----------
    patterns_at, patterns_bytes
        Where in the packet the patterns lie, superpixel by superpixel, `readout_length` bits each.
    union
        Superpixels that triggered, packed, 64 bytes.
    """

    wire_type: int
    tack_time: int
    phase: int
    ro_count: int
    pps_count: int
    clock_count: int
    source: int
    busy: bool
    message_type: int
    error_flags: int
    readout_length: int
    union: bytes
    patterns_at: int
    patterns_bytes: int

    def patterns(self, data: bytes) -> Bits:
        """Return the patterns of all superpixels, packed, u1, shape (512, readout_length / 8)."""
        width = self.readout_length // 8
        stored = np.frombuffer(data, np.uint8, self.patterns_bytes, self.patterns_at).reshape(
            -1, max(width, 1)
        )
        if self.wire_type != TriggerPacketV3.wire_type:
            return stored if width else np.zeros((SUPERPIXELS, 0), np.uint8)
        patterns = np.zeros((SUPERPIXELS, width), np.uint8)
        if width:
            patterns[np.unpackbits(np.frombuffer(self.union, np.uint8)).view(np.bool_)] = stored
        return patterns


def _unreversed(phase: int) -> int:
    if phase not in _REVERSED:
        raise FormatError("The phase of a trigger packet has not one bit", seen=f"{phase:#04x}")
    return _REVERSED[phase]


def _need(data: bytes, nbytes: int) -> None:
    if len(data) < nbytes:
        raise FormatError("A trigger packet is cut", expected=f"{nbytes} bytes", seen=f"{len(data)} bytes")


def read_head(data: bytes) -> PacketHead:
    """Return what a packet says of itself.

    Raises
    ------
    FormatError
        (A `ValueError`) when it is no trigger packet, or cut.
    """
    _need(data, _HEAD.size)
    magic, kind = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise FormatError("The object is no trigger packet", expected=f"{MAGIC:#x}", seen=f"{magic:#x}")
    if kind not in _CLASSES:
        raise FormatError("The type of a trigger packet is not known", expected="0 to 3", seen=kind)
    return _head_v1(data, kind) if kind < TriggerPacketV2.wire_type else _head_v2(data, kind)


def _head_v1(data: bytes, kind: int) -> PacketHead:
    patterns_bytes = SUPERPIXELS * _V1_BINS // 8
    tail = _V1.size + patterns_bytes + _UNION_BYTES
    _need(data, tail + _V1_TAIL.size)
    _, _, _, tack, phase = _V1.unpack_from(data)
    readouts, pps, clock, source = _V1_TAIL.unpack_from(data, tail)
    return PacketHead(
        kind, tack, _unreversed(phase), readouts, pps, clock, source, kind == BusyTriggerPacketV1.wire_type,
        0, 0, _V1_BINS, data[tail - _UNION_BYTES : tail], _V1.size, patterns_bytes,
    )  # fmt: skip


def _head_v2(data: bytes, kind: int) -> PacketHead:
    begin = _V2.size + _UNION_BYTES
    _need(data, begin)
    _, _, message, errors, source, width, tack, phase, readouts, pps, clock = _V2.unpack_from(data)
    union = data[_V2.size : begin]
    kept = SUPERPIXELS if kind == TriggerPacketV2.wire_type else int.from_bytes(union, "big").bit_count()
    _need(data, begin + kept * width)
    return PacketHead(
        kind, tack, _unreversed(phase), readouts, pps, clock, source, bool(message & 1), message, errors,
        8 * width, union, begin, kept * width,
    )  # fmt: skip


def _no_patterns() -> Bits:
    return np.zeros((_V1_BINS, SUPERPIXELS), np.uint8)


@dataclass(eq=False)
class TriggerPacket:
    """A trigger of the camera; `unpack` returns one of its four kinds.

    Parameters
    ----------
    tack_time
        TACK, ns.
    phase
        One bit of eight: the time bin of the trigger within its clock cycle.
    patterns
        u1 of 0 and 1, shape (time bins, 512).
    union
        Superpixels that triggered, u1 of 0 and 1, shape (512,); any of `patterns` when left out.
    ro_count, pps_count, clock_count
        Counters of readouts, seconds and clock cycles.
    source
        Where the trigger came from.
    message_type, error_flags
        Of types 2 and 3; bit 0 of the message type tells busy.
    """

    wire_type: ClassVar[int] = -1

    tack_time: int = 0
    phase: int = 1
    patterns: Bits = field(default_factory=_no_patterns)
    union: Bits | None = None
    ro_count: int = 0
    pps_count: int = 0
    clock_count: int = 0
    source: int = 0
    message_type: int = 0
    error_flags: int = 0

    def __post_init__(self) -> None:
        self.patterns = np.asarray(self.patterns, np.uint8)
        if self.patterns.ndim != 2 or self.patterns.shape[1] != SUPERPIXELS:
            raise FormatError(
                "The patterns of a trigger packet have another shape",
                expected=f"(time bins, {SUPERPIXELS})", seen=self.patterns.shape,
            )  # fmt: skip
        given = np.asarray(self.patterns.any(axis=0) if self.union is None else self.union)
        if given.shape != (SUPERPIXELS,):
            raise FormatError("The union has another shape", expected=(SUPERPIXELS,), seen=given.shape)
        self.union = given.astype(np.uint8)

    @property
    def busy(self) -> bool:
        """The camera was busy."""
        return bool(self.message_type & 1)

    @property
    def readout_length(self) -> int:
        """Number of time bins."""
        return len(self.patterns)

    @property
    def phase_index(self) -> int:
        """Which bit of `phase` is set, 0 to 7."""
        return self.phase.bit_length() - 1

    @property
    def phase_index_peer(self) -> int:
        """What SSDAQ calls the index: 1, 1, 2, 3 ... for phases 1, 2, 4, 8 ..."""
        return (self.phase + 1).bit_length() - 1

    @property
    def trigg(self) -> Bits:
        """The pattern in the time bin of the phase, shape (512,)."""
        return cast("Bits", self.patterns[self.phase_index])

    @property
    def trigg_peer(self) -> Bits:
        """The pattern that SSDAQ takes: that of `phase_index_peer`."""
        return cast("Bits", self.patterns[self.phase_index_peer])

    @staticmethod
    def unpack(data: bytes) -> TriggerPacket:
        """Return the packet that `data` holds; further bytes are ignored.

        Raises
        ------
        FormatError
            (A `ValueError`) when it is no trigger packet, or cut.
        """
        head = read_head(data)
        bits = np.unpackbits(head.patterns(data), axis=1)
        return _CLASSES[head.wire_type](
            head.tack_time, head.phase, bits.T, np.unpackbits(np.frombuffer(head.union, np.uint8)),
            head.ro_count, head.pps_count, head.clock_count, head.source, head.message_type, head.error_flags,
        )  # fmt: skip

    deserialize = unpack

    def pack(self) -> bytes:
        """Return the bytes of the packet.

        Raises
        ------
        FormatError
            (A `ValueError`) for patterns or a phase that it cannot hold.
        """
        raise NotImplementedError("Only the four kinds of packets have bytes")

    def serialize(self) -> bytes:
        """Return the bytes of the packet."""
        return self.pack()

    def _phase_byte(self) -> int:
        if self.phase not in _REVERSED:
            raise FormatError("The phase has not one bit of eight", seen=self.phase)
        return _REVERSED[self.phase]

    def _union_bytes(self) -> bytes:
        return np.packbits(cast("Bits", self.union)).tobytes()

    def __str__(self) -> str:
        facts: dict[str, Any] = {
            "TACK": f"{self.tack_time} ns",
            "phase": self.phase,
            "readouts": self.ro_count,
            "PPS": self.pps_count,
            "clock": self.clock_count,
            "source": self.source,
            "busy": self.busy,
            "patterns": f"{self.readout_length} time bins, {int(cast('Bits', self.union).sum())} superpixels",
        }
        return "\n".join([type(self).__name__, *(f"  {name}: {value}" for name, value in facts.items())])


class NominalTriggerPacketV1(TriggerPacket):
    """Type 0: 16 time bins."""

    wire_type = 0

    def pack(self) -> bytes:
        """Return the 1,115 bytes of the packet."""
        if self.readout_length != _V1_BINS:
            raise FormatError("The packet holds 16 time bins", seen=self.readout_length)
        return b"".join(
            (
                _V1.pack(MAGIC, self.wire_type, _V1_CONSTANT, self.tack_time, self._phase_byte()),
                np.packbits(self.patterns.T, axis=1).tobytes(),
                self._union_bytes(),
                _V1_TAIL.pack(self.ro_count, self.pps_count, self.clock_count, self.source),
            )
        )


class BusyTriggerPacketV1(NominalTriggerPacketV1):
    """Type 1: as type 0, of a busy camera."""

    wire_type = 1

    @property
    def busy(self) -> bool:
        """The camera was busy."""
        return True


class TriggerPacketV2(TriggerPacket):
    """Type 2: up to 2,040 time bins, a multiple of 8, of all superpixels."""

    wire_type = 2

    def pack(self) -> bytes:
        """Return the bytes of the packet: 93, and 64 for each time bin of type 2."""
        width, rest = divmod(self.readout_length, 8)
        if rest or width > 0xFF:
            raise FormatError("Time bins must be a multiple of 8, 2040 at most", seen=self.readout_length)
        head = _V2.pack(
            MAGIC, self.wire_type, self.message_type, self.error_flags, self.source, width, self.tack_time,
            self._phase_byte(), self.ro_count, self.pps_count, self.clock_count,
        )  # fmt: skip
        return head + self._union_bytes() + np.packbits(self._kept(), axis=1).tobytes()

    def _kept(self) -> Bits:
        return self.patterns.T


class TriggerPacketV3(TriggerPacketV2):
    """Type 3: as type 2, only of the superpixels in the union."""

    wire_type = 3

    def _kept(self) -> Bits:
        return self.patterns.T[cast("Bits", self.union).astype(np.bool_)]


_CLASSES: dict[int, type[TriggerPacket]] = {
    kind.wire_type: kind
    for kind in (NominalTriggerPacketV1, BusyTriggerPacketV1, TriggerPacketV2, TriggerPacketV3)
}
