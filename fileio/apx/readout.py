"""Readouts as objects: a record of the file, and the hits in its bytes."""

from __future__ import annotations

import io
import struct
import time
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from sapwood.fileio.apx.errors import ApxError, ApxTruncated
from sapwood.fileio.apx.hits import AbstractAstroPixHit, AstroPix3Hit, AstroPix3QuadChipHit, AstroPix4Hit
from sapwood.fileio.apx.layout import IDLE, PADDING, reverse_bits
from sapwood.fileio.apx.scan import Scan, join, scan
from sapwood.fileio.apx.status import ByteType, Decoding, DecodingStatus

if TYPE_CHECKING:
    from typing import Self

    from sapwood.streams.frame import BytesLike

__all__ = [
    "HEAD",
    "MARKER",
    "AbstractAstroPixReadout",
    "AstroPix3QuadChipReadout",
    "AstroPix3Readout",
    "AstroPix4Readout",
    "Source",
    "Target",
    "read_exactly",
    "stripped",
    "uid_to_readout_class",
]

MARKER = b"\xfe\xdc\xba"
HEAD = struct.Struct("<3sIQI")  # marker, readout_id, timestamp, bytes of data
_PIECE = 1 << 20  # bytes read at a time: a damaged length takes no memory
_STRIP_ALL, _STRIP_IDLE = "all", "idle"

_COLOURS = {
    ByteType.HIT_START: "31;47",
    ByteType.HIT: "30;47",
    ByteType.IDLE: "33",
    ByteType.DROPPED: "9",
    ByteType.EXTRA: "35",
    ByteType.ORPHAN: "35",
}


class Source(Protocol):
    """What readouts are read from: any binary file."""

    def read(self, size: int = ..., /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...


class Target(Protocol):
    """What readouts are written to: any binary file."""

    def write(self, data: bytes, /) -> Any:
        """Take the bytes."""
        ...


def stripped(data: bytes, strip: str) -> bytes:
    """Return `data` without the 0xFF at its end.

    Parameters
    ----------
    strip
        ``all``: every one; ``idle``: only when they follow an idle byte, or nothing: others may
        be the end of a hit.
    """
    short = data.rstrip(bytes((PADDING,)))
    if strip == _STRIP_ALL or not short or short[-1] == IDLE:
        return short
    if strip != _STRIP_IDLE:
        raise ApxError("Unknown rule of stripping", expected="all, idle", seen=strip)
    return data


def read_exactly(source: Source, size: int) -> bytes:
    """Return `size` bytes of `source`, fewer at its end."""
    parts = []
    while size > 0:
        part = source.read(min(size, _PIECE))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class AbstractAstroPixReadout:
    """Bytes that a board gave at once, with the host's count and time.

    Parameters
    ----------
    data
        The bytes; 0xFF at the end is filler and left out.
    readout_id
        The host's count.
    timestamp
        Nanoseconds since 1970; now when left out.
    strip
        Which filler is left out, see `stripped`.

    Attributes
    ----------
    missing
        Bytes of data that the file should hold but does not: the readout is truncated.
    """

    UID: ClassVar[int]
    HIT_CLASS: ClassVar[type[AbstractAstroPixHit]]

    __slots__ = ("_data", "_found", "_hits", "missing", "readout_id", "timestamp")

    def __init__(
        self, data: BytesLike, readout_id: int, timestamp: int | None = None, *, strip: str = _STRIP_ALL
    ) -> None:
        self.timestamp = self.latch_ns() if timestamp is None else timestamp
        self.readout_id = readout_id
        board = data.tobytes() if isinstance(data, np.ndarray) else bytes(memoryview(data))
        self._data = stripped(board, strip)
        self.missing = 0
        self._found: Scan | None = None
        self._hits: list[AbstractAstroPixHit] = []

    # Facts

    @classmethod
    def uid(cls) -> int:
        """Return the number that stands for this class in file headers."""
        return cls.UID

    @staticmethod
    def latch_ns() -> int:
        """Return the time of the host now, ns since 1970."""
        return time.time_ns()

    @property
    def wall_timestamp(self) -> int:
        """The same as `timestamp`."""
        return self.timestamp

    @property
    def truncated(self) -> bool:
        """The file ended within the data."""
        return self.missing > 0

    def data(self) -> bytes:
        """Return the bytes of the board."""
        return self._data

    def hex(self) -> str:
        """Return them as text."""
        return self._data.hex()

    # Records

    def to_bytes(self) -> bytes:
        """Return the record of the file, which is also what a datagram holds.

        Raises
        ------
        ApxTruncated
            When the count or the time does not fit its field.
        """
        try:
            return HEAD.pack(MARKER, self.readout_id, self.timestamp, len(self._data)) + self._data
        except struct.error as error:
            raise ApxTruncated(
                "The readout does not fit a record",
                expected="id below 2^32, time below 2^64",
                seen=f"id {self.readout_id}, time {self.timestamp}",
            ) from error

    def write(self, output_file: Target) -> None:
        """Write the record in one call."""
        output_file.write(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes, *, strip: str = _STRIP_ALL) -> Self:
        """Return the readout of exactly one record.

        Raises
        ------
        ApxError
            For another marker, or bytes missing or left over.
        ApxTruncated
            When the fixed part is cut.
        """
        readout = cls.from_file(io.BytesIO(data), strip=strip)
        if readout is None:
            raise ApxTruncated("A readout is cut", expected=f"{HEAD.size} bytes or more", seen="none")
        expected = HEAD.size + HEAD.unpack_from(data)[3]
        if expected != len(data):
            raise ApxError("The size of a readout is wrong", expected=expected, seen=len(data))
        return readout

    @classmethod
    def from_file(cls, input_file: Source, *, strip: str = _STRIP_ALL) -> Self | None:
        """Return the next readout of a binary file, None at its end.

        A readout whose data are cut by the end of the file is returned as it is; its `missing`
        counts what is not there.

        Raises
        ------
        ApxError
            When no marker comes next.
        ApxTruncated
            When the fixed part is cut.
        """
        head = read_exactly(input_file, HEAD.size)
        if not head:
            return None
        if head[:3] != MARKER:
            raise ApxError("No readout begins here", expected=MARKER.hex(" "), seen=head[:3].hex(" "))
        if len(head) < HEAD.size:
            raise ApxTruncated("A readout is cut", expected=f"{HEAD.size} bytes", seen=f"{len(head)} bytes")
        _, readout_id, timestamp, size = HEAD.unpack(head)
        data = read_exactly(input_file, size)
        readout = cls(data, readout_id, timestamp, strip=strip)
        readout.missing = size - len(data)
        return readout

    # Hits

    def decode(self, extra_bytes: bytes | None = None, *, strict: bool = False) -> list[AbstractAstroPixHit]:
        """Return the hits; a second call returns the same list.

        Parameters
        ----------
        extra_bytes
            `extra_bytes` of the readout before: its beginning of a hit that ends in this one.
        strict
            Lose the hits that the peer's decoder loses, and fail where it fails.

        Raises
        ------
        DecodingError
            When strict; hits found before stay.
        """
        if self._found is None:
            self._found = Scan(mask=bytearray(len(self._data)))
            try:
                scan(self._data, self.HIT_CLASS.LAYOUT, self._found, strict=strict)
            finally:
                self._hits = self._collect(self._found, extra_bytes)
        return self._hits

    def _collect(self, found: Scan, carry: bytes | None) -> list[AbstractAstroPixHit]:
        layout, data = self.HIT_CLASS.LAYOUT, self._data
        orphan = None if found.orphan is None else data[slice(*found.orphan)]
        joined, bits = join(orphan, carry, layout.size)
        found.status |= bits
        raw = [] if joined is None else [joined]
        raw += [data[at : at + layout.size] for at in found.hits]
        if layout.reversed:
            raw = [reverse_bits(one) for one in raw]
        return [self.HIT_CLASS(one, self.readout_id, self.timestamp, order) for order, one in enumerate(raw)]

    def decoded(self) -> bool:
        """Tell whether `decode` was called."""
        return self._found is not None

    def hits(self) -> list[AbstractAstroPixHit]:
        """Return the hits, decoded now if they were not."""
        return self.decode()

    def _scan(self) -> Scan:
        self.decode()
        return self._found or Scan()

    def extra_bytes(self) -> bytes | None:
        """Return the beginning of a hit at the end of the data; None when there is none."""
        if self._found is None or self._found.extra < 0:
            return None
        return self._data[self._found.extra :]

    def decoding_status(self) -> DecodingStatus:
        """Return the flags of the decoding."""
        return DecodingStatus(0 if self._found is None else self._found.status)

    def byte_mask(self) -> bytes:
        """Return the role of each byte of the data, see `ByteType`."""
        return bytes(self._scan().mask or b"")

    def all_bytes_visited(self) -> bool:
        """Tell whether decoding gave each byte a role."""
        return Decoding.NOT_ALL_BYTES_VISITED not in self.decoding_status()

    # For people

    def pretty_hex(self) -> str:
        """Return the data in hex, coloured by the role of each byte."""
        text = []
        for byte, role in zip(self._data, self.byte_mask(), strict=True):
            colour = _COLOURS.get(ByteType(role))
            text.append(f"\033[{colour}m{byte:02x}\033[0m" if colour else f"{byte:02x}")
        return "".join(text)

    def pretty_print(self, hits: bool = True) -> str:
        """Return the readout, its coloured bytes and, when asked for, its hits as lines of text."""
        lines = [str(self), self.pretty_hex(), repr(self.decoding_status())]
        if hits:
            lines += [str(hit) for hit in self.hits()]
        return "\n".join(lines)

    def __str__(self) -> str:
        return (
            f"{type(self).__name__}({len(self._data)} bytes, readout_id = {self.readout_id}, "
            f"timestamp = {self.timestamp} ns)"
        )

    __repr__ = __str__


class AstroPix4Readout(AbstractAstroPixReadout):
    """A readout of AstroPix 4 chips."""

    __slots__ = ()
    UID = 4000
    HIT_CLASS = AstroPix4Hit


class AstroPix3Readout(AbstractAstroPixReadout):
    """A readout of AstroPix 3 chips."""

    __slots__ = ()
    UID = 3000
    HIT_CLASS = AstroPix3Hit


class AstroPix3QuadChipReadout(AbstractAstroPixReadout):
    """Frames of a quad chip: each is led by its length and layer and ends with the FPGA's time."""

    __slots__ = ()
    UID = 3100
    HIT_CLASS = AstroPix3QuadChipHit


_CLASSES: dict[int, type[AbstractAstroPixReadout]] = {
    cls.UID: cls for cls in (AstroPix3Readout, AstroPix3QuadChipReadout, AstroPix4Readout)
}


def uid_to_readout_class(uid: int) -> type[AbstractAstroPixReadout]:
    """Return the class of readouts that `uid` stands for.

    Raises
    ------
    ApxError
        When there is none.
    """
    try:
        return _CLASSES[uid]
    except (KeyError, TypeError):
        known = ", ".join(map(str, _CLASSES))
        raise ApxError("Unknown readout_uid", expected=known, seen=repr(uid)) from None
